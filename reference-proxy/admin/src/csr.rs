//! `s2spec proxy csr`: a request for a certificate (PKCS#10, RFC 2986), and its key.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use rcgen::string::PrintableString;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RsaKeySize,
    SanType,
};
use reference_proxy::config::{Domain, Draft};
use reference_proxy::fits_key;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;

use crate::error::{Error, Exit};
use crate::output::{Lines, note, print};
use crate::store::{self, beside, create};
use crate::value;

/// Without options: the certificate of the external side, for all served domains.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Only for this served domain; may be given several times
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    domain: Vec<Domain>,
    /// For the internal side; it needs the proxy's own name, by --san
    #[arg(long, requires = "san", conflicts_with_all = ["domain", "sip"])]
    internal: bool,
    /// Also sip.<DOMAIN> of each domain
    #[arg(long)]
    sip: bool,
    /// A further name; may be given several times
    #[arg(long, value_name = "NAME", value_parser = value::name)]
    san: Vec<Domain>,
    /// Kind of key
    #[arg(long, value_name = "KIND", default_value = "rsa-2048")]
    key_type: KeyType,
    /// Subject: the common name [default: the first name, unless it is too long for one]
    #[arg(long, value_name = "NAME", value_parser = value::common_name)]
    common_name: Option<String>,
    /// Subject: the organization
    #[arg(long, value_name = "TEXT", value_parser = value::organization)]
    pub(crate) organization: Option<String>,
    /// Subject: the unit of the organization
    #[arg(long, value_name = "TEXT", value_parser = value::organization)]
    pub(crate) organizational_unit: Option<String>,
    /// Subject: the city
    #[arg(long, value_name = "TEXT", value_parser = value::place)]
    pub(crate) locality: Option<String>,
    /// Subject: the state or province
    #[arg(long, value_name = "TEXT", value_parser = value::place)]
    pub(crate) state: Option<String>,
    /// Subject: the country, two letters
    #[arg(long, value_name = "CODE", value_parser = country)]
    pub(crate) country: Option<String>,
    /// Where the key is written [default: the key that the configuration names]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the request is written [default: beside the key, as .csr]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum KeyType {
    #[default]
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "rsa-3072")]
    Rsa3072,
    #[value(name = "rsa-4096")]
    Rsa4096,
    EcdsaP256,
    EcdsaP384,
}

impl Args {
    /// The certificate of the internal side of the proxy with this name.
    pub(crate) fn internal(name: Domain) -> Self {
        Self {
            internal: true,
            san: vec![name],
            ..Self::default()
        }
    }

    /// The certificate of the gateway with this name, whose key is not the proxy's.
    pub(crate) fn gateway(name: Domain, key: PathBuf) -> Self {
        Self {
            key: Some(key),
            ..Self::internal(name)
        }
    }
}

/// The parts of the subject of a request in a file, each with its short name, if it can be read.
pub(crate) fn subject(file: &Path) -> Option<Vec<(String, String)>> {
    let text = fs::read(file).ok()?;
    let (_, pem) = parse_x509_pem(&text).ok()?;
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).ok()?;
    let parts = request.certification_request_info.subject.iter_attributes();
    let parts = parts.filter_map(|part| {
        let short = oid2abbrev(part.attr_type(), oid_registry()).ok()?;
        Some((short.to_owned(), part.as_str().ok()?.to_owned()))
    });
    Some(parts.collect())
}

impl KeyType {
    fn generate(self) -> Result<KeyPair, rcgen::Error> {
        let rsa = |size| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size);
        match self {
            Self::Rsa2048 => rsa(RsaKeySize::_2048),
            Self::Rsa3072 => rsa(RsaKeySize::_3072),
            Self::Rsa4096 => rsa(RsaKeySize::_4096),
            Self::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Self::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        }
    }
}

pub(crate) fn country(text: &str) -> Result<String, String> {
    let letters = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    match letters && text.len() == 2 {
        true => Ok(text.to_ascii_uppercase()),
        false => Err("expected two letters, such as US".to_owned()),
    }
}

pub(crate) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    print(&make(config, args)?)?;
    note("send the request to the authority, and give its answer to `certificate import`");
    Ok(Exit::Good)
}

/// Writes key and request, and says what is in it.
pub(crate) fn make(config: &Path, args: &Args) -> Result<String, Error> {
    let (_, draft) = store::read(config)?;
    let names = names(&draft, args)?;
    let side = match args.internal {
        true => &draft.internal,
        false => &draft.external,
    };
    let key_file = match &args.key {
        Some(file) => file.clone(),
        None => beside(config, side.key.first()).ok_or_else(|| {
            Error::Usage("the configuration has its key in itself: name a file by --key".to_owned())
        })?,
    };
    let request_file = match &args.out {
        Some(file) => file.clone(),
        None => key_file.with_extension("csr"),
    };
    if key_file == request_file {
        return Err(Error::Usage(format!(
            "key and request cannot both be {}: name another file by --out",
            key_file.display()
        )));
    }
    if args.force && is_in_use(config, &draft, &key_file) {
        return Err(Error::Usage(format!(
            "{} is the key of a certificate in use, which would fit no longer: name another file by --key, and give it \
             to `certificate import` with the new certificate",
            key_file.display()
        )));
    }
    let key = args.key_type.generate();
    let key = key.map_err(|error| Error::environment("cannot make a key", error))?;
    let (subject, request) = request(&names, args, &key)?;
    write(&key_file, key.serialize_pem().as_bytes(), true, args.force)?;
    if let Err(error) = write(&request_file, request.as_bytes(), false, args.force) {
        // A key without its request would only be in the way of the next try.
        if !args.force {
            let _ = fs::remove_file(&key_file);
        }
        return Err(error);
    }
    let mut lines = Lines::default();
    let listed: Vec<String> = names.iter().map(Domain::to_string).collect();
    let kind = args.key_type.to_possible_value();
    lines.add("Subject", &subject);
    lines.add("SubjectAlternativeNames", &listed.join(", "));
    lines.add("Purposes", "server, client");
    lines.add("KeyType", kind.as_ref().map_or("", |kind| kind.get_name()));
    lines.add("Key", &key_file.display().to_string());
    lines.add("Request", &request_file.display().to_string());
    Ok(lines.text())
}

/// Whether a certificate of the configuration needs the key in this file.
fn is_in_use(config: &Path, draft: &Draft, key_file: &Path) -> bool {
    let (external, internal) = (&draft.external, &draft.internal);
    let sides = [
        (&external.certificate, &external.key),
        (&internal.certificate, &internal.key),
    ];
    let own = draft.own_certificates.iter();
    let own = own.map(|own| (&own.certificate, &own.key));
    let is_key = |name: &str| {
        let there = beside(config, name).and_then(|file| fs::canonicalize(file).ok());
        there.is_some() && there == fs::canonicalize(key_file).ok()
    };
    let mut needing = sides
        .into_iter()
        .chain(own)
        .flat_map(|(certificates, keys)| {
            let pairs = certificates.iter().zip(keys.iter());
            pairs
                .filter(|(_, key)| is_key(key))
                .map(|(certificate, _)| certificate)
        });
    needing.any(|certificate| {
        let chain = match beside(config, certificate) {
            Some(file) => fs::read_to_string(file).unwrap_or_default(),
            None => certificate.to_owned(),
        };
        let key = fs::read_to_string(key_file).unwrap_or_default();
        fits_key(&chain, &key).is_ok()
    })
}

/// What the certificate is to name: first the domains themselves, as partners look for them.
fn names(draft: &Draft, args: &Args) -> Result<Vec<Domain>, Error> {
    let domains = match args.internal {
        true => Vec::new(),
        false => value::served(draft, &args.domain)?,
    };
    let mut names = domains.clone();
    if args.sip {
        for domain in &domains {
            let name = format!("sip.{domain}");
            let name =
                Domain::parse(&name).map_err(|error| Error::Usage(format!("`{name}`: {error}")))?;
            names.push(name);
        }
    }
    names.extend(args.san.iter().cloned());
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// The subject as shown, and the request as PEM.
fn request(names: &[Domain], args: &Args, key: &KeyPair) -> Result<(String, String), Error> {
    let unusable = |error| Error::environment("cannot make a request", error);
    let first = names.first().map(Domain::to_string);
    let first = first.filter(|name| name.len() <= value::COMMON_NAME);
    let fields = [
        (DnType::CountryName, "C", args.country.clone()),
        (DnType::StateOrProvinceName, "ST", args.state.clone()),
        (DnType::LocalityName, "L", args.locality.clone()),
        (DnType::OrganizationName, "O", args.organization.clone()),
        (
            DnType::OrganizationalUnitName,
            "OU",
            args.organizational_unit.clone(),
        ),
        (DnType::CommonName, "CN", args.common_name.clone().or(first)),
    ];
    let mut subject = DistinguishedName::new();
    let mut shown = Vec::new();
    for (kind, short, text) in fields {
        let Some(text) = text else { continue };
        shown.push(format!("{short}={text}"));
        let text = match kind {
            // RFC 5280 appendix A.1 has it as a PrintableString.
            DnType::CountryName => {
                DnValue::PrintableString(PrintableString::try_from(text).map_err(unusable)?)
            }
            _ => DnValue::Utf8String(text),
        };
        subject.push(kind, text);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    for name in names {
        let name = name.as_str().try_into().map_err(unusable)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
    ];
    // Partners see it in both roles: SASL EXTERNAL makes the proxy a client of TLS.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let request = params.serialize_request(key).map_err(unusable)?;
    Ok((shown.join(", "), request.pem().map_err(unusable)?))
}

fn write(file: &Path, text: &[u8], private: bool, force: bool) -> Result<(), Error> {
    create(file, text, private, force).map_err(|error| {
        let name = file.display();
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Usage(format!(
                "{name} is there already: name another file, or write over it with --force"
            )),
            _ => Error::environment(format!("cannot write {name}"), error),
        }
    })
}
