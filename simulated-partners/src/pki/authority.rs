//! The authority that a lab trusts, and one that nobody does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::clock;
use super::identity::{Identity, LeafKey, pem};
use super::names::{self, NameForms};
use crate::persona::{Certificate, Key};

/// For whom [`Certificate::WrongName`] is issued.
const SOMEBODY_ELSE: &str = "somebody-else.example";

/// Why a file is of no use as an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthority {
    /// No PEM certificate could be read.
    #[error("it holds no certificate (PEM, `BEGIN CERTIFICATE`) that can be read")]
    NoCertificate,
    /// No PEM key could be read.
    #[error("it holds no private key (PEM of PKCS#8, `BEGIN PRIVATE KEY`) that can be read")]
    NoKey,
    /// The certificate is no authority's.
    #[error("it is not the certificate of an authority (basic constraints without CA)")]
    NoAuthority,
    /// The path length constraint leaves no room.
    #[error("its path length constraint of 0 allows no intermediate authority below it")]
    NoIntermediate,
    /// Certificate and key are of different pairs.
    #[error("certificate and key do not belong together")]
    OtherKey,
}

/// A certificate authority with a root, an intermediate, and a rival that is in no trust store.
///
/// All dates are anchored to the moment of its making: certificates are good for a year from then.
pub struct Authority {
    seed: u64,
    forms: NameForms,
    now: OffsetDateTime,
    trusted: Line,
    untrusted: Line,
    roots: Arc<RootCertStore>,
    keys: Mutex<BTreeMap<Key, Arc<LeafKey>>>,
}

impl Authority {
    /// Makes the authorities' own keys and certificates.
    ///
    /// The seed decides the serial numbers. Keys are random in each run: nothing that is compared
    /// between runs may hold one.
    pub fn new(seed: u64) -> Self {
        let now = OffsetDateTime::from(clock::system_time());
        Self::with(seed, now, Line::new(seed, now, "s2spec lab"))
    }

    /// The authority of a given root certificate with its key, both as PEM: what was issued in
    /// another run is good in this one, too.
    ///
    /// # Errors
    /// When they are not a certificate and its key, or when the certificate allows no intermediate.
    pub fn from_pem(seed: u64, certificate: &str, key: &str) -> Result<Self, BadAuthority> {
        let now = OffsetDateTime::from(clock::system_time());
        Ok(Self::with(
            seed,
            now,
            Line::below(seed, now, certificate, key)?,
        ))
    }

    fn with(seed: u64, now: OffsetDateTime, trusted: Line) -> Self {
        let untrusted = Line::new(seed, now, "s2spec untrusted");
        let mut roots = RootCertStore::empty();
        roots
            .add(trusted.root.clone())
            .expect("a root that was made a moment ago can be read");
        Self {
            seed,
            forms: NameForms::default(),
            now,
            trusted,
            untrusted,
            roots: Arc::new(roots),
            keys: Mutex::default(),
        }
    }

    /// The same authority, issuing with names in these forms.
    #[must_use]
    pub fn naming(self, forms: NameForms) -> Self {
        Self { forms, ..self }
    }

    /// A certificate of this kind for these domains (A-labels), or nothing for
    /// [`Certificate::None`].
    ///
    /// A good one has for each domain a dNSName, an id-on-xmppAddr and an SRVName (see
    /// [`Authority::naming`]), and both key usages; the others differ from it in the one point that gives them their name. The same
    /// request gives the same serial number.
    pub fn issue(&self, names: &[&str], kind: Certificate, key: Key) -> Option<Arc<Identity>> {
        if kind == Certificate::None {
            return None;
        }
        let leaf = self.key(key);
        let names = match kind {
            Certificate::WrongName => &[SOMEBODY_ELSE],
            _ => names,
        };
        let params = self.leaf_params(names, kind, key);
        let line = match kind {
            Certificate::UnknownCa => &self.untrusted,
            _ => &self.trusted,
        };
        let certificate = match kind {
            Certificate::SelfSigned => params.self_signed(&leaf.pair),
            _ => params.signed_by(&leaf.pair, &line.issuer),
        }
        .expect("parameters hold nothing that cannot be written, and signing cannot fail");
        let mut chain = vec![CertificateDer::from(certificate)];
        if !matches!(
            kind,
            Certificate::SelfSigned | Certificate::MissingIntermediate
        ) {
            chain.push(line.intermediate.clone());
        }
        Some(Arc::new(Identity::new(chain, &leaf)))
    }

    /// The trusted root as PEM.
    pub fn root_pem(&self) -> String {
        pem("CERTIFICATE", &self.trusted.root)
    }

    /// The key of the trusted root as PEM of PKCS#8, where it was made here.
    pub fn root_key_pem(&self) -> Option<String> {
        self.trusted
            .root_key
            .as_deref()
            .map(|der| pem("PRIVATE KEY", der))
    }

    /// Takes another authority, given as PEM, into the trust store: that of a target whose certificate
    /// is not from the lab.
    ///
    /// # Errors
    /// When the text holds no certificate, or one that cannot be an authority's.
    pub fn trust(&mut self, certificates: &str) -> Result<(), BadAuthority> {
        let mut roots = RootCertStore::clone(&self.roots);
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(certificates.as_bytes()) {
            let certificate = certificate.map_err(|_| BadAuthority::NoCertificate)?;
            roots
                .add(certificate)
                .map_err(|_| BadAuthority::NoCertificate)?;
        }
        if roots.len() == before {
            return Err(BadAuthority::NoCertificate);
        }
        self.roots = Arc::new(roots);
        Ok(())
    }

    /// A trust store with the trusted root, and what else was taken in.
    pub fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }

    fn key(&self, kind: Key) -> Arc<LeafKey> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys
            .entry(kind)
            .or_insert_with(|| Arc::new(LeafKey::generate(kind)));
        Arc::clone(key)
    }

    fn leaf_params(&self, names: &[&str], kind: Certificate, key: Key) -> CertificateParams {
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = match kind {
            Certificate::Expired => (self.now - Duration::days(60), self.now - Duration::days(30)),
            _ => (self.now - Duration::days(1), self.now + Duration::days(365)),
        };
        let request = format!("{kind:?} {key:?} {}", names.join(" "));
        params.serial_number = Some(serial(self.seed, &request));
        params.distinguished_name = subject(names.first().copied());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key == Key::Rsa2048 {
            // TLS 1.2 without forward secrecy is still spoken to old partners.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if kind != Certificate::NoClientAuth {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.custom_extensions = vec![names::subject_alt_name(names, self.forms)];
        params.use_authority_key_identifier_extension = kind != Certificate::SelfSigned;
        params
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A root and the intermediate that signs for it.
struct Line {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// PKCS#8 of the root's key, where it was made here.
    root_key: Option<Vec<u8>>,
}

impl Line {
    fn new(seed: u64, now: OffsetDateTime, name: &str) -> Self {
        const NO_INPUT: &str = "keys and certificates made from constants cannot be wrong";
        let root_name = format!("{name} root");
        let root_params = authority_params(seed, now, &root_name, BasicConstraints::Constrained(1));
        let root_key = KeyPair::generate().expect(NO_INPUT);
        let root = root_params.self_signed(&root_key).expect(NO_INPUT);
        let root_issuer = Issuer::from_params(&root_params, &root_key);
        let (intermediate, issuer) = intermediate(seed, now, name, &root_issuer).expect(NO_INPUT);
        Self {
            root: root.into(),
            intermediate,
            issuer,
            root_key: Some(root_key.serialize_der()),
        }
    }

    /// A line below a root that was made elsewhere.
    fn below(
        seed: u64,
        now: OffsetDateTime,
        certificate: &str,
        key: &str,
    ) -> Result<Self, BadAuthority> {
        let root = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|_| BadAuthority::NoCertificate)?
            .into_owned();
        let key = KeyPair::from_pem(key).map_err(|_| BadAuthority::NoKey)?;
        fits(&root, &key)?;
        let root_issuer =
            Issuer::from_ca_cert_der(&root, key).map_err(|_| BadAuthority::NoCertificate)?;
        let (intermediate, issuer) =
            intermediate(seed, now, "s2spec lab", &root_issuer).map_err(|_| BadAuthority::NoKey)?;
        Ok(Self {
            root,
            intermediate,
            issuer,
            root_key: None,
        })
    }
}

/// Whether a certificate may sign an intermediate with this key.
fn fits(root: &CertificateDer<'_>, key: &KeyPair) -> Result<(), BadAuthority> {
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
    Ok(())
}

/// What signs for a root.
fn intermediate(
    seed: u64,
    now: OffsetDateTime,
    name: &str,
    root: &Issuer<'_, impl rcgen::SigningKey>,
) -> Result<(CertificateDer<'static>, Issuer<'static, KeyPair>), rcgen::Error> {
    let name = format!("{name} intermediate");
    let mut params = authority_params(seed, now, &name, BasicConstraints::Constrained(0));
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, root)?;
    Ok((certificate.into(), Issuer::new(params, key)))
}

fn authority_params(
    seed: u64,
    now: OffsetDateTime,
    name: &str,
    constraints: BasicConstraints,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = now - Duration::days(90);
    params.not_after = now + Duration::days(3650);
    params.serial_number = Some(serial(seed, name));
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, name.to_owned());
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A subject that nobody matches names against, for the eyes of who reads a log.
fn subject(name: Option<&str>) -> DistinguishedName {
    /// Upper bound of a common name (RFC 5280 Appendix A.1).
    const UB_COMMON_NAME: usize = 64;

    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "s2spec lab");
    if let Some(name) = name.filter(|name| name.chars().count() <= UB_COMMON_NAME) {
        subject.push(DnType::CommonName, name);
    }
    subject
}

/// A positive serial number of 16 bytes (RFC 5280 §4.1.2.2).
fn serial(seed: u64, request: &str) -> SerialNumber {
    let mut digest = Sha256::new();
    digest.update(seed.to_be_bytes());
    digest.update(request);
    let mut bytes: Vec<u8> = digest.finalize()[..16].to_vec();
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::from(bytes)
}
