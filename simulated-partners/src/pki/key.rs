//! Keys: those that sign certificates and those that sign handshakes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::Ed25519KeyPair;
use rcgen::{KeyPair, PublicKeyData as _, RsaKeySize, SigningKey as _};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use serde::{Deserialize, Serialize};

use super::weak::{Hash, RsaKey, WeakSigningKey, write_algorithm};
use crate::persona::Key;

/// Algorithm and size of a key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA with 1024 bits, too weak (RFC 9325 §4.5).
    Rsa1024,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits. Creating it takes some tenths of a second or more, once per run.
    Rsa4096,
}

impl KeyKind {
    pub(super) fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa1024 | Self::Rsa2048 | Self::Rsa4096)
    }
}

impl From<Key> for KeyKind {
    fn from(key: Key) -> Self {
        match key {
            Key::P256 => Self::P256,
            Key::Rsa2048 => Self::Rsa2048,
            Key::Ed25519 => Self::Ed25519,
        }
    }
}

/// A key that signs certificates.
pub(super) enum Pair {
    /// A key supported by libraries.
    Sound(KeyPair),
    /// A key that they refuse.
    Weak(Arc<RsaKey>),
}

/// The key cannot sign with this hash: only RSA keys make weak signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key cannot make this signature")]
pub(super) struct CannotSign;

impl Pair {
    /// SubjectPublicKeyInfo.
    pub(super) fn public_key_info(&self) -> Vec<u8> {
        match self {
            Self::Sound(pair) => pair.subject_public_key_info(),
            Self::Weak(key) => key.public_key_info(),
        }
    }

    /// AlgorithmIdentifier of the signatures that [`Pair::sign`] makes.
    pub(super) fn algorithm(&self, hash: Hash) -> Result<Vec<u8>, CannotSign> {
        let (id, null): (&[u64], _) = match self {
            Self::Sound(pair) if hash == Hash::Sha256 => own_algorithm(pair)?,
            _ => (hash.with_rsa(), true),
        };
        Ok(yasna::construct_der(|writer| {
            write_algorithm(writer, id, null);
        }))
    }

    pub(super) fn sign(&self, message: &[u8], hash: Hash) -> Result<Vec<u8>, CannotSign> {
        match self {
            Self::Sound(pair) if hash == Hash::Sha256 => pair.sign(message).map_err(|_| CannotSign),
            Self::Sound(pair) => RsaKey::of(pair)
                .map(|key| key.sign_pkcs1(message, hash))
                .ok_or(CannotSign),
            Self::Weak(key) => Ok(key.sign_pkcs1(message, hash)),
        }
    }
}

/// The default signature algorithm of a pair (RFC 5758 §3.2, RFC 8410 §3, RFC 4055 §5).
fn own_algorithm(pair: &KeyPair) -> Result<(&'static [u64], bool), CannotSign> {
    let known: [(_, &[u64], _); 9] = [
        (
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &[1, 2, 840, 10045, 4, 3, 2],
            false,
        ),
        (
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &[1, 2, 840, 10045, 4, 3, 3],
            false,
        ),
        (
            &rcgen::PKCS_ECDSA_P521_SHA256,
            &[1, 2, 840, 10045, 4, 3, 2],
            false,
        ),
        (
            &rcgen::PKCS_ECDSA_P521_SHA384,
            &[1, 2, 840, 10045, 4, 3, 3],
            false,
        ),
        (
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &[1, 2, 840, 10045, 4, 3, 4],
            false,
        ),
        (&rcgen::PKCS_ED25519, &[1, 3, 101, 112], false),
        (
            &rcgen::PKCS_RSA_SHA256,
            &[1, 2, 840, 113549, 1, 1, 11],
            true,
        ),
        (
            &rcgen::PKCS_RSA_SHA384,
            &[1, 2, 840, 113549, 1, 1, 12],
            true,
        ),
        (
            &rcgen::PKCS_RSA_SHA512,
            &[1, 2, 840, 113549, 1, 1, 13],
            true,
        ),
    ];
    known
        .into_iter()
        .find(|(algorithm, ..)| pair.is_compatible(algorithm))
        .map(|(_, id, null)| (id, null))
        .ok_or(CannotSign)
}

/// A leaf's key in the required forms.
pub(super) struct LeafKey {
    pub(super) pair: Arc<Pair>,
    pub(super) signing: Arc<dyn SigningKey>,
    pub(super) der: PrivateKeyDer<'static>,
}

impl LeafKey {
    fn generate(kind: KeyKind) -> Self {
        let pair = match kind {
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            KeyKind::Ed25519 => ed25519(),
            KeyKind::Rsa1024 => return Self::weak(RsaKey::generate_1024()),
            KeyKind::Rsa2048 => KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256),
            KeyKind::Rsa4096 => {
                KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096)
            }
        }
        .expect("aws-lc makes keys of all these kinds from nothing but randomness");
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)
            .expect("rustls reads what the same library wrote");
        Self {
            pair: Arc::new(Pair::Sound(pair)),
            signing,
            der,
        }
    }

    fn weak(key: RsaKey) -> Self {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.der().to_vec()));
        let key = Arc::new(key);
        Self {
            pair: Arc::new(Pair::Weak(Arc::clone(&key))),
            signing: Arc::new(WeakSigningKey(key)),
            der,
        }
    }
}

/// A key in version 1 of PKCS#8. rcgen uses version 2, which OpenSSL 3.0 does not read.
fn ed25519() -> Result<KeyPair, rcgen::Error> {
    let document = Ed25519KeyPair::generate()
        .and_then(|key| key.to_pkcs8v1())
        .map_err(|_| rcgen::Error::RingUnspecified)?;
    let der = PrivatePkcs8KeyDer::from(document.as_ref());
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519)
}

/// The owner of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The certificate's.
    Leaf,
    /// Another owner, with a different key of the same kind.
    Other,
    /// An intermediate authority whose algorithm a specification chose, or another signing leaf.
    Intermediate,
}

/// Created keys, one of each.
#[derive(Default)]
pub(super) struct Keys(Mutex<BTreeMap<(KeyKind, Owner), Arc<LeafKey>>>);

impl Keys {
    /// Creating an RSA key takes a tenth of a second or more; others are fast.
    pub(super) fn key(&self, kind: KeyKind, owner: Owner) -> Arc<LeafKey> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = keys
            .entry((kind, owner))
            .or_insert_with(|| Arc::new(LeafKey::generate(kind)));
        Arc::clone(key)
    }
}
