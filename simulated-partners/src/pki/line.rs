//! Authorities: roots, and the intermediates they sign.

use std::sync::Arc;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::{Duration, OffsetDateTime};

use super::authority::BadAuthority;
use super::certificate::{Draft, Extension, Validity, key_id, serial};
use super::key::{CannotSign, Pair};
use super::names;
use super::weak::Hash;

const KEY_CERT_SIGN: u8 = 5;
const CRL_SIGN: u8 = 6;
/// In days since 1970: the year 2000. A target whose clock is behind has to take a root all the same, so that a
/// certificate below it can tell its clock from its trust.
const ROOTS_BEGIN: i64 = 10_957;
const NO_INPUT: &str = "keys and certificates made from constants cannot be wrong";

/// A signer: a name, a key identifier and a key.
pub(super) struct Signatory {
    /// The encoded distinguished name.
    pub(super) name: Vec<u8>,
    /// `None` if the certificate has none.
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) pair: Arc<Pair>,
}

impl Signatory {
    /// A new key under this name.
    pub(super) fn new(common_name: &str) -> Self {
        Self::with(common_name, new_pair())
    }

    pub(super) fn with(common_name: &str, pair: Arc<Pair>) -> Self {
        Self {
            name: names::authority(common_name),
            key_id: Some(key_id(&pair.public_key_info())),
            pair,
        }
    }

    /// Another key under the same name and identifier.
    fn impostor(&self) -> Self {
        Self {
            name: self.name.clone(),
            key_id: self.key_id.clone(),
            pair: new_pair(),
        }
    }

    /// The certificate of an authority with this name and key.
    pub(super) fn certificate(
        &self,
        issuer: &Self,
        terms: &Terms<'_>,
    ) -> Result<CertificateDer<'static>, CannotSign> {
        let mut extensions = Vec::new();
        let self_signed = std::ptr::eq(self, issuer);
        if let Some(id) = issuer.key_id.as_ref().filter(|_| !self_signed) {
            extensions.push(Extension::authority_key_id(id));
        }
        extensions.push(Extension::key_usage(&[KEY_CERT_SIGN, CRL_SIGN]));
        extensions.extend(self.key_id.as_deref().map(Extension::subject_key_id));
        extensions.push(Extension::authority(terms.path_length));
        if !terms.permitted.is_empty() || !terms.excluded.is_empty() {
            extensions.push(names::constraints(terms.permitted, terms.excluded));
        }
        if !terms.purposes.is_empty() {
            extensions.push(Extension::extended_key_usage(terms.purposes));
        }
        Draft {
            serial: serial(terms.seed, &[terms.request.as_bytes()]),
            issuer: &issuer.name,
            subject: &self.name,
            validity: terms.validity,
            public_key_info: &self.pair.public_key_info(),
            extensions: &extensions,
        }
        .sign(&issuer.pair, Hash::Sha256)
    }
}

fn new_pair() -> Arc<Pair> {
    Arc::new(Pair::Sound(KeyPair::generate().expect(NO_INPUT)))
}

/// The contents of an authority's certificate besides names and keys.
pub(super) struct Terms<'a> {
    pub(super) seed: u64,
    /// The source of the serial number.
    pub(super) request: &'a str,
    pub(super) validity: Validity,
    pub(super) path_length: Option<u8>,
    pub(super) permitted: &'a [String],
    pub(super) excluded: &'a [String],
    /// Extended key usages, if any.
    pub(super) purposes: &'a [&'a [u64]],
}

impl<'a> Terms<'a> {
    pub(super) fn new(seed: u64, now: OffsetDateTime, request: &'a str) -> Self {
        Self {
            seed,
            request,
            validity: usual_validity(now),
            path_length: None,
            permitted: &[],
            excluded: &[],
            purposes: &[],
        }
    }
}

/// The validity of an authority's certificate.
pub(super) fn usual_validity(now: OffsetDateTime) -> Validity {
    Validity {
        not_before: now - Duration::days(90),
        not_after: now + Duration::days(3650),
    }
}

/// A root and its intermediate.
pub(super) struct Line {
    pub(super) root: CertificateDer<'static>,
    pub(super) root_signatory: Arc<Signatory>,
    pub(super) intermediate: CertificateDer<'static>,
    pub(super) signatory: Arc<Signatory>,
    /// PKCS#8 of the root's key, if it was created here.
    pub(super) root_key: Option<Vec<u8>>,
}

impl Line {
    pub(super) fn new(seed: u64, now: OffsetDateTime, name: &str) -> Self {
        let root_name = format!("{name} root");
        let pair = KeyPair::generate().expect(NO_INPUT);
        let root_key = Some(pair.serialize_der());
        let root_signatory = Signatory::with(&root_name, Arc::new(Pair::Sound(pair)));
        let signatory = Signatory::new(&format!("{name} intermediate"));
        Self {
            root_key,
            ..Self::of(seed, now, name, root_signatory, signatory)
        }
    }

    /// A line with another's names and key identifiers, and its own keys.
    pub(super) fn impostor(seed: u64, now: OffsetDateTime, of: &Self) -> Self {
        let (root, intermediate) = (of.root_signatory.impostor(), of.signatory.impostor());
        Self::of(seed, now, "s2spec impostor", root, intermediate)
    }

    fn of(
        seed: u64,
        now: OffsetDateTime,
        name: &str,
        root_signatory: Signatory,
        signatory: Signatory,
    ) -> Self {
        let request = format!("{name} root");
        let usual = Terms::new(seed, now, &request);
        let terms = Terms {
            validity: Validity {
                not_before: OffsetDateTime::UNIX_EPOCH + Duration::days(ROOTS_BEGIN),
                ..usual.validity
            },
            ..usual
        };
        let root = root_signatory
            .certificate(&root_signatory, &terms)
            .expect(NO_INPUT);
        let intermediate =
            intermediate(seed, now, name, &signatory, &root_signatory).expect(NO_INPUT);
        Self {
            root,
            root_signatory: Arc::new(root_signatory),
            intermediate,
            signatory: Arc::new(signatory),
            root_key: None,
        }
    }

    /// A line below an external root.
    pub(super) fn below(
        seed: u64,
        now: OffsetDateTime,
        certificate: &str,
        key: &str,
    ) -> Result<Self, BadAuthority> {
        const NAME: &str = "s2spec lab";
        let root = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| BadAuthority::NoCertificate)?
            .into_owned();
        let key = KeyPair::from_pem(key).map_err(|_| BadAuthority::NoKey)?;
        let root_signatory = given_root(&root, key)?;
        let signatory = Signatory::new(&format!("{NAME} intermediate"));
        let intermediate = intermediate(seed, now, NAME, &signatory, &root_signatory)
            .map_err(|_| BadAuthority::NoKey)?;
        Ok(Self {
            root,
            root_signatory: Arc::new(root_signatory),
            intermediate,
            signatory: Arc::new(signatory),
            root_key: None,
        })
    }
}

/// The signer of a given root, if its certificate may sign an intermediate with this key.
fn given_root(root: &CertificateDer<'_>, key: KeyPair) -> Result<Signatory, BadAuthority> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(root).map_err(|_| BadAuthority::NoCertificate)?;
    let constraints = parsed
        .basic_constraints()
        .ok()
        .flatten()
        .map(|extension| extension.value)
        .filter(|constraints| constraints.ca)
        .ok_or(BadAuthority::NoAuthority)?;
    if constraints.path_len_constraint == Some(0) {
        return Err(BadAuthority::NoIntermediate);
    }
    if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        return Err(BadAuthority::OtherKey);
    }
    let key_id =
        parsed
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => {
                    Some(id.0.to_vec())
                }
                _ => None,
            });
    Ok(Signatory {
        name: parsed.subject().as_raw().to_vec(),
        key_id,
        pair: Arc::new(Pair::Sound(key)),
    })
}

/// The certificate of a root's signer.
fn intermediate(
    seed: u64,
    now: OffsetDateTime,
    name: &str,
    signatory: &Signatory,
    root: &Signatory,
) -> Result<CertificateDer<'static>, CannotSign> {
    let request = format!("{name} intermediate");
    let terms = Terms {
        path_length: Some(0),
        ..Terms::new(seed, now, &request)
    };
    signatory.certificate(root, &terms)
}
