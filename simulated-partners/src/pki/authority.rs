//! The authority that a lab trusts, and one that nobody does.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;

use super::clock;
use super::identity::{Identity, pem};
use super::key::Keys;
use super::line::Line;
use super::names::NameForms;
use crate::persona::{Certificate, Key};

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
    impostor: OnceLock<Line>,
    roots: Arc<RootCertStore>,
    keys: Keys,
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
            impostor: OnceLock::new(),
            roots: Arc::new(roots),
            keys: Keys::default(),
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
    /// [`Authority::naming`]), and both key usages; the others differ from it in the one point that
    /// gives them their name. The same request gives the same serial number.
    pub fn issue(&self, names: &[&str], kind: Certificate, key: Key) -> Option<Arc<Identity>> {
        let mut spec = kind.spec()?;
        spec.key = key.into();
        spec.domains
            .get_or_insert_with(|| names.iter().map(|name| (*name).to_owned()).collect());
        let identity = self
            .issue_from(&spec, &str::to_owned)
            .expect("the specifications of all kinds are good ones, and domains are short");
        Some(identity)
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

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.now
    }

    pub(super) fn forms(&self) -> NameForms {
        self.forms
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn trusted(&self) -> &Line {
        &self.trusted
    }

    pub(super) fn untrusted(&self) -> &Line {
        &self.untrusted
    }

    /// Made when it is first asked for: most runs have no use for it.
    pub(super) fn impostor(&self) -> &Line {
        self.impostor
            .get_or_init(|| Line::impostor(self.seed, self.now, &self.trusted))
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
