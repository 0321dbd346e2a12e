//! A certificate with its chain and key.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::key::LeafKey;

/// What a server presents in a handshake: a chain, leaf first, and the signing key.
pub struct Identity {
    leaf: Arc<LeafKey>,
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// The key need not be that of the first certificate.
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, leaf: &Arc<LeafKey>) -> Self {
        let certified = CertifiedKey::new(chain, Arc::clone(&leaf.signing));
        Self {
            leaf: Arc::clone(leaf),
            certified: Arc::new(certified),
        }
    }

    /// The certificates as sent: leaf first and without the root, unless a specification says
    /// otherwise.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The private key.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.leaf.der
    }

    /// Chain and key in the form that a rustls resolver returns.
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain()
            .iter()
            .map(|der| pem("CERTIFICATE", der))
            .collect()
    }

    /// The private key as PEM of PKCS#8 (RFC 5958).
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.leaf.der.secret_der())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain().len())
            .finish_non_exhaustive()
    }
}

/// PEM with lines of 64 characters (RFC 7468 §2).
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}
