//! The authority that a lab trusts, and an untrusted one.

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

/// Why a file cannot be used as an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthority {
    /// No PEM certificate could be read.
    #[error("it holds no certificate (PEM, `BEGIN CERTIFICATE`) that can be read")]
    NoCertificate,
    /// No PEM key could be read.
    #[error("it holds no private key (PEM of PKCS#8, `BEGIN PRIVATE KEY`) that can be read")]
    NoKey,
    /// The certificate does not belong to an authority.
    #[error("it is not the certificate of an authority (basic constraints without CA)")]
    NoAuthority,
    /// The path length constraint leaves no room.
    #[error("its path length constraint of 0 allows no intermediate authority below it")]
    NoIntermediate,
    /// Certificate and key do not belong together.
    #[error("certificate and key do not belong together")]
    OtherKey,
}

/// A certificate authority with a root, an intermediate, and an untrusted rival.
///
/// All dates are relative to its creation: certificates are valid for a year from then.
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
    /// Creates the authorities' keys and certificates.
    ///
    /// The seed determines the serial numbers. Keys are random in each run, so anything compared
    /// between runs must not contain one.
    pub fn new(seed: u64) -> Self {
        let now = OffsetDateTime::from(clock::system_time());
        Self::with(seed, now, Line::new(seed, now, "s2spec lab"))
    }

    /// The authority with a given root certificate and key, both as PEM: certificates issued in
    /// another run are then valid in this one, too.
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

    /// The same authority as it was that long ago: what it issues is to a target whose clock is right what
    /// others get is to one whose clock is wrong.
    #[must_use]
    pub fn back_then(self, ago: time::Duration) -> Self {
        Self {
            now: self.now - ago,
            ..self
        }
    }

    /// The same authority, using names in these forms.
    #[must_use]
    pub fn naming(self, forms: NameForms) -> Self {
        Self { forms, ..self }
    }

    /// A certificate of this kind for these domains (A-labels), or nothing for
    /// [`Certificate::None`].
    ///
    /// A good one has for each domain a dNSName, an id-on-xmppAddr and an SRVName (see
    /// [`Authority::naming`]), and both key usages; the others differ from it in the point that
    /// their name describes. The same request gives the same serial number.
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

    /// The key of the trusted root as PKCS#8 PEM, if it was created here.
    pub fn root_key_pem(&self) -> Option<String> {
        self.trusted
            .root_key
            .as_deref()
            .map(|der| pem("PRIVATE KEY", der))
    }

    /// Adds another authority, given as PEM, to the trust store: that of a target whose certificate
    /// is not from the lab.
    ///
    /// # Errors
    /// When the text contains no certificate, or one that does not belong to an authority.
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

    /// A trust store with the trusted root and the added authorities.
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

    /// Created on first use, because most runs do not need it.
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
