//! Dialback keys (XEP-0185): derived from a shared secret, so each proxy of a pool can verify
//! the others' keys without storing issued ones.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};

use crate::domain::Pair;
use crate::random::{NoRandomness, random};

/// The passphrase of the commented sample.
const SAMPLE: &[u8] = b"change me";
/// Bytes of a passphrase that is not easily guessed.
const SHORT: usize = 12;

/// The passphrase shared by the proxies of a pool. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn new(passphrase: &str) -> Self {
        Self(passphrase.as_bytes().to_vec())
    }

    /// A secret of this process: after a restart, earlier keys are invalid.
    pub(crate) fn random() -> Result<Self, NoRandomness> {
        random::<32>().map(|bytes| Self(bytes.to_vec()))
    }

    /// Whether it is the sample's, or short.
    pub(crate) fn is_weak(&self) -> bool {
        self.0.len() < SHORT || self.0 == SAMPLE
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Issues and verifies keys.
#[derive(Clone)]
pub(crate) struct DialbackKeys {
    hmac: hmac::Key,
}

impl fmt::Debug for DialbackKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialbackKeys(…)")
    }
}

impl DialbackKeys {
    pub(crate) fn new(secret: &Secret) -> Self {
        // The HMAC key is the hexadecimal text of the digest, not its bytes.
        let hashed = hex(digest::digest(&digest::SHA256, &secret.0).as_ref());
        Self {
            hmac: hmac::Key::new(hmac::HMAC_SHA256, hashed.as_bytes()),
        }
    }

    /// The key of the pair on a stream with this id, which the receiving server chose: 64
    /// hexadecimal digits in lower case (XEP-0185 §3).
    pub(crate) fn issue(&self, pair: &Pair, stream_id: &str) -> String {
        // A domain contains no spaces and the id comes last, so no boundary can be shifted.
        let message = format!("{} {} {stream_id}", pair.to, pair.from);
        hex(hmac::sign(&self.hmac, message.as_bytes()).as_ref())
    }

    /// Whether the text, ignoring surrounding whitespace, is the key of the pair on this stream.
    /// The time taken does not depend on how much of it is right.
    pub(crate) fn issued(&self, pair: &Pair, stream_id: &str, text: &str) -> bool {
        let key = self.issue(pair, stream_id);
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        verify_slices_are_equal(key.as_bytes(), text.as_bytes()).is_ok()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Domain;

    fn pair(from: &str, to: &str) -> Pair {
        let domain = |text| Domain::parse(text).expect("a domain");
        Pair {
            from: domain(from),
            to: domain(to),
        }
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
            assert_eq!(keys.issue(&pair(originating, receiving), id), key);
        }
    }

    #[test]
    fn proxies_of_a_pool_verify_each_others_keys_and_strangers_do_not() {
        let one = DialbackKeys::new(&Secret::new("pool"));
        let two = DialbackKeys::new(&Secret::new("pool"));
        let stranger = DialbackKeys::new(&Secret::new("other"));
        let pair = pair("b.example", "a.example");
        let key = one.issue(&pair, "id-1");
        assert!(two.issued(&pair, "id-1", &key));
        assert!(!stranger.issued(&pair, "id-1", &key));
    }

    #[test]
    fn key_is_bound_to_both_domains_and_the_stream() {
        let keys = DialbackKeys::new(&Secret::new("pool"));
        let own = pair("b.example", "a.example");
        let key = keys.issue(&own, "id");
        assert!(keys.issued(&own, "id", &key));
        for (other, id) in [
            (own.reversed(), "id"),
            (pair("a.example", "a.example"), "id"),
            (own, "id2"),
        ] {
            assert!(!keys.issued(&other, id, &key));
        }
    }

    #[test]
    fn blanks_around_a_key_do_not_matter_and_anything_else_does() {
        let keys = DialbackKeys::new(&Secret::new("pool"));
        let pair = pair("b.example", "a.example");
        let key = keys.issue(&pair, "id");
        let padded = format!("\n   {key}\t ");
        assert!(keys.issued(&pair, "id", &padded));
        let mut other = key.clone().into_bytes();
        other[63] = if other[63] == b'0' { b'1' } else { b'0' };
        let other = String::from_utf8(other).expect("hexadecimal");
        let long = format!("{key}0");
        let upper = key.to_uppercase();
        for bad in ["", "é", &key[..63], &long, &other, &upper] {
            assert!(!keys.issued(&pair, "id", bad), "{bad}");
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
