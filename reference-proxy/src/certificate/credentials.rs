//! The certificates that the proxy presents and trusts.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, SignatureAlgorithm, SignatureScheme};

use super::words::{is_encrypted, unusable, without_certificate};

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The one crypto provider of the proxy, always passed explicitly.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Certificate chains, leaf first, each with the key of its leaf. Of several, a peer gets the first one whose key it can
/// verify.
#[derive(Clone)]
pub struct Credentials {
    pub(super) choice: Arc<Choice>,
}

/// The same for handshakes. There is at least one.
#[derive(Debug)]
pub(super) struct Choice(Vec<Arc<CertifiedKey>>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.choice.0.len())
    }
}

impl Choice {
    /// What a peer gets that verifies signatures of these schemes. The first one, if it verifies none of them: the
    /// handshake fails with the right alert.
    pub(super) fn for_peer(&self, schemes: &[SignatureScheme]) -> Arc<CertifiedKey> {
        let Self(all) = self;
        let fits = |one: &&Arc<CertifiedKey>| one.key.choose_scheme(schemes).is_some();
        Arc::clone(all.iter().find(fits).unwrap_or(&all[0]))
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.for_peer(hello.signature_schemes()))
    }
}

impl ResolvesClientCert for Choice {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.for_peer(schemes))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Why a certificate, a key or a list of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Neither armour nor base64.
    #[error("not valid PEM")]
    Pem(#[source] pem::Error),
    /// Nothing in it is a certificate.
    #[error("no certificate found")]
    NoCertificate,
    /// Nothing in it is a private key.
    #[error("no private key found")]
    NoKey,
    /// The key is another one's, or of a kind that TLS does not know.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(String),
    /// The key needs a passphrase.
    #[error(
        "the private key is encrypted: `openssl pkey -in KEY -out KEY.plain` writes it without a passphrase"
    )]
    EncryptedKey,
    /// It is something else than a certificate.
    #[error("no certificate found: it is {0}")]
    Foreign(&'static str),
    /// None of the certificates can be an authority's.
    #[error("no usable certificate authority found")]
    NoAuthority,
    /// It cannot be read as a list of revoked certificates.
    #[error("not a list of revoked certificates: {0}")]
    List(String),
}

impl Credentials {
    /// Reads a chain, leaf first, and its key from PEM.
    pub(crate) fn from_pem(chain: &str, key: &str) -> Result<Self, CredentialsError> {
        if is_encrypted(key) {
            return Err(CredentialsError::EncryptedKey);
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound => CredentialsError::NoKey,
            other => CredentialsError::Pem(other),
        })?;
        let chain = certificates(chain)?;
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &PROVIDER)
            .map_err(|error| CredentialsError::Unusable(unusable(&chain, &key, &error)))?;
        Ok(Self {
            choice: Arc::new(Choice(vec![Arc::new(certified)])),
        })
    }

    /// The same credentials, and as further ones those of another one.
    pub(crate) fn and(&self, further: &Self) -> Self {
        let all = self.choice.0.iter().chain(&further.choice.0);
        Self {
            choice: Arc::new(Choice(all.cloned().collect())),
        }
    }

    /// The chains, each with the kind of its key.
    pub(super) fn chains(
        &self,
    ) -> impl Iterator<Item = (&[CertificateDer<'static>], &'static str)> {
        self.choice.0.iter().map(|one| {
            let key = match one.key.algorithm() {
                SignatureAlgorithm::RSA => "RSA",
                SignatureAlgorithm::ECDSA => "ECDSA",
                SignatureAlgorithm::ED25519 => "Ed25519",
                _ => "other",
            };
            (one.cert.as_slice(), key)
        })
    }
}

/// The certificate authorities of one side.
#[derive(Clone)]
pub struct Authorities {
    pub(super) roots: Arc<RootCertStore>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.roots.len())
    }
}

impl Authorities {
    /// Reads certificates from PEM. As in a system's bundle, unusable ones are skipped.
    pub(crate) fn from_pem(text: &str) -> Result<Self, CredentialsError> {
        let mut roots = RootCertStore::empty();
        let (added, _skipped) = roots.add_parsable_certificates(certificates(text)?);
        if added == 0 {
            return Err(CredentialsError::NoAuthority);
        }
        Ok(Self {
            roots: Arc::new(roots),
        })
    }
}

pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(CredentialsError::Pem)?;
    match found.is_empty() {
        true => Err(without_certificate(text)),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Authority;
    use super::*;

    #[test]
    fn key_has_to_fit_the_certificate() {
        let authority = Authority::new("CA");
        let (one, one_key) = authority.issue(&["a.example"]).pem();
        let (_, other_key) = authority.issue(&["a.example"]).pem();
        assert!(Credentials::from_pem(&one, &one_key).is_ok());
        assert!(matches!(
            Credentials::from_pem(&one, &other_key),
            Err(CredentialsError::Unusable(_))
        ));
    }

    #[test]
    fn says_what_is_missing() {
        let authority = Authority::new("CA");
        let (certificate, key) = authority.issue(&["a.example"]).pem();
        assert!(matches!(
            Credentials::from_pem(&key, &key),
            Err(CredentialsError::NoCertificate)
        ));
        assert!(matches!(
            Credentials::from_pem(&certificate, &certificate),
            Err(CredentialsError::NoKey)
        ));
        assert!(matches!(
            Credentials::from_pem("-----BEGIN CERTIFICATE-----\n!\n", &key),
            Err(CredentialsError::Pem(_))
        ));
        assert!(Authorities::from_pem(&certificate).is_ok());
        assert!(matches!(
            Authorities::from_pem(&key),
            Err(CredentialsError::NoCertificate)
        ));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            Authorities::from_pem(garbage),
            Err(CredentialsError::NoAuthority)
        ));
    }
}
