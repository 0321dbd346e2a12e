//! Dialback keys (XEP-0185): issued and checked from one shared secret, so that each proxy of a
//! pool verifies the keys of the others and none has to remember what it issued.

use std::fmt;

use aws_lc_rs::{digest, hmac, rand};

use crate::domain::Domain;

/// A number that nobody outside can guess.
pub(crate) fn random_number() -> Result<u64, NoRandomness> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The passphrase that the proxies of a pool share. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

impl Secret {
    /// The given passphrase.
    #[must_use]
    pub fn new(passphrase: &str) -> Self {
        Self(passphrase.as_bytes().to_vec())
    }

    /// A secret of this process alone: keys issued before a restart are invalid after it.
    ///
    /// # Errors
    /// [`NoRandomness`] where the system's generator fails.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = vec![0; 32];
        rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Whether there is nothing secret in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a key is the one that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// It was issued with this secret for these domains and this stream.
    Valid,
    /// It was not.
    Invalid,
}

/// Issues and checks keys.
#[derive(Clone)]
pub struct DialbackKeys {
    hmac: hmac::Key,
}

impl fmt::Debug for DialbackKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialbackKeys(…)")
    }
}

impl DialbackKeys {
    /// Keys from the given secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        // The HMAC is keyed with the hexadecimal text of the digest, not with its bytes.
        let hashed = hex(digest::digest(&digest::SHA256, &secret.0).as_ref());
        Self {
            hmac: hmac::Key::new(hmac::HMAC_SHA256, hashed.as_bytes()),
        }
    }

    /// The key for a stream from `originating` to `receiving`, whose receiving side gave the
    /// stream id: 64 hexadecimal digits in lower case (XEP-0185 §3).
    #[must_use]
    pub fn issue(&self, receiving: &Domain, originating: &Domain, stream_id: &str) -> String {
        hex(self.tag(receiving, originating, stream_id).as_ref())
    }

    /// Whether the text, white space around it aside, is the key for these domains and this
    /// stream. The time taken does not depend on how much of it is right.
    #[must_use]
    pub fn check(
        &self,
        receiving: &Domain,
        originating: &Domain,
        stream_id: &str,
        text: &str,
    ) -> KeyVerdict {
        let Some(presented) = unhex(text.trim_matches([' ', '\t', '\r', '\n'])) else {
            return KeyVerdict::Invalid;
        };
        let message = message(receiving, originating, stream_id);
        match hmac::verify(&self.hmac, message.as_bytes(), &presented) {
            Ok(()) => KeyVerdict::Valid,
            Err(_) => KeyVerdict::Invalid,
        }
    }

    fn tag(&self, receiving: &Domain, originating: &Domain, stream_id: &str) -> hmac::Tag {
        let message = message(receiving, originating, stream_id);
        hmac::sign(&self.hmac, message.as_bytes())
    }
}

/// What is signed. A domain holds no blanks and the id comes last, so no boundary can be moved.
fn message(receiving: &Domain, originating: &Domain, stream_id: &str) -> String {
    format!("{receiving} {originating} {stream_id}")
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// Reads lower-case hexadecimal only: a key has one spelling.
fn unhex(text: &str) -> Option<[u8; 32]> {
    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    const VECTORS: [[&str; 5]; 3] = [
        [
            "s3cr3tf0rd14lb4ck",
            "xmpp.example.com",
            "example.org",
            "D60000229F",
            "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
        ],
        [
            "s3cr3tf0rd14lb4ck",
            "montague.example",
            "capulet.example",
            "D60000229F",
            "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3",
        ],
        [
            "d14lb4ck43v3r",
            "capulet.example",
            "montague.example",
            "417GAF25",
            "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
        ],
    ];

    #[test]
    fn issues_the_keys_of_the_standards() {
        for [secret, receiving, originating, id, key] in VECTORS {
            let keys = DialbackKeys::new(&Secret::new(secret));
            assert_eq!(
                keys.issue(&domain(receiving), &domain(originating), id),
                key
            );
        }
    }

    #[test]
    fn proxies_of_a_pool_verify_each_others_keys_and_strangers_do_not() {
        let one = DialbackKeys::new(&Secret::new("pool"));
        let two = DialbackKeys::new(&Secret::new("pool"));
        let stranger = DialbackKeys::new(&Secret::new("other"));
        let (a, b) = (domain("a.example"), domain("b.example"));
        let key = one.issue(&a, &b, "id-1");
        assert_eq!(two.check(&a, &b, "id-1", &key), KeyVerdict::Valid);
        assert_eq!(stranger.check(&a, &b, "id-1", &key), KeyVerdict::Invalid);
    }

    #[test]
    fn key_is_bound_to_both_domains_and_the_stream() {
        let keys = DialbackKeys::new(&Secret::new("pool"));
        let (a, b) = (domain("a.example"), domain("b.example"));
        let key = keys.issue(&a, &b, "id");
        assert_eq!(keys.check(&a, &b, "id", &key), KeyVerdict::Valid);
        for (receiving, originating, id) in [(&b, &a, "id"), (&a, &a, "id"), (&a, &b, "id2")] {
            let verdict = keys.check(receiving, originating, id, &key);
            assert_eq!(verdict, KeyVerdict::Invalid);
        }
    }

    #[test]
    fn blanks_around_a_key_do_not_matter_and_anything_else_does() {
        let keys = DialbackKeys::new(&Secret::new("pool"));
        let (a, b) = (domain("a.example"), domain("b.example"));
        let key = keys.issue(&a, &b, "id");
        let padded = format!("\n   {key}\t ");
        assert_eq!(keys.check(&a, &b, "id", &padded), KeyVerdict::Valid);
        let mut other = key.clone().into_bytes();
        other[63] = if other[63] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(other).expect("hexadecimal");
        let long = format!("{key}0");
        let upper = key.to_uppercase();
        for bad in ["", "é", &key[..63], &long, &other, &upper] {
            assert_eq!(keys.check(&a, &b, "id", bad), KeyVerdict::Invalid, "{bad}");
        }
    }

    #[test]
    fn random_secrets_differ_and_no_secret_is_shown() {
        let one = Secret::random().expect("random bytes");
        let two = Secret::random().expect("random bytes");
        assert!(one != two);
        assert_eq!(format!("{:?}", Secret::new("hidden")), "Secret(…)");
    }
}
