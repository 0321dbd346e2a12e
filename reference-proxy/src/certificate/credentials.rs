//! The certificates that the proxy presents and trusts.

use std::fmt;
use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// The one crypto provider of the proxy, always passed explicitly.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// A certificate chain, leaf first, with the key of the leaf.
#[derive(Clone)]
pub struct Credentials {
    pub(super) certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({} certificates)", self.certified.cert.len())
    }
}

/// Why a certificate, a key or a list of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("not valid PEM")]
    Pem(#[source] pem::Error),
    #[error("no certificate found")]
    NoCertificate,
    #[error("no private key found")]
    NoKey,
    #[error("certificate and key cannot be used together")]
    Unusable(#[source] rustls::Error),
    #[error("no usable certificate authority found")]
    NoAuthority,
}

impl Credentials {
    /// Reads a chain, leaf first, and its key from PEM.
    pub(crate) fn from_pem(chain: &str, key: &str) -> Result<Self, CredentialsError> {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| match error {
            pem::Error::NoItemsFound => CredentialsError::NoKey,
            other => CredentialsError::Pem(other),
        })?;
        let certified = CertifiedKey::from_der(certificates(chain)?, key, &PROVIDER)
            .map_err(CredentialsError::Unusable)?;
        Ok(Self {
            certified: Arc::new(certified),
        })
    }

    /// For presenting them to everybody.
    pub(super) fn alone(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.certified.as_ref().clone()))
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

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(CredentialsError::Pem)?;
    match found.is_empty() {
        true => Err(CredentialsError::NoCertificate),
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
