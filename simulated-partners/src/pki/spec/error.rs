//! Mistakes in a specification.

use super::data::Sent;
use crate::pki::key::CannotSign;

/// Why a specification cannot be issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Two settings that exclude each other.
    #[error("`{one}` and `{other}` contradict each other: leave one of them out")]
    Contradiction {
        /// The second one found.
        one: &'static str,
        /// The one that it contradicts.
        other: &'static str,
    },
    /// A name of several kinds, or of none.
    #[error(
        "a name is of one kind: give exactly one of `dns`, `srv`, `xmpp`, `ip`, `uri`, `other` and \
         `raw`"
    )]
    NotOneKind,
    /// A number out of range.
    #[error("`{field}` is {given}, but must be from {least} to {most}")]
    OutOfRange {
        /// The setting.
        field: &'static str,
        /// The value.
        given: u64,
        /// The minimum.
        least: u64,
        /// The maximum.
        most: u64,
    },
    /// Not an address.
    #[error("`ip = \"{0}\"` is no IP address, such as `127.0.0.1` or `::1`")]
    BadAddress(String),
    /// Not an object identifier.
    #[error("`oid = \"{0}\"` is no object identifier, such as `1.3.6.1.5.5.7.8.5`")]
    BadObjectIdentifier(String),
    /// An escape without two digits.
    #[error("`{0}` holds a `\\x` without the two hexadecimal digits of a byte, such as `\\xff`")]
    BadEscape(String),
    /// The dates are in the wrong order.
    #[error(
        "`not-after` lies before `not-before`: give both (left out, they are -1d and +365d, for \
         intermediates -90d and +3650d)"
    )]
    EndsBeforeItBegins,
    /// A weak signature with a key that cannot make one.
    #[error(
        "a signature over SHA-1 or MD5 needs an RSA key of whoever signs: with `issuer = \"self\"` \
         give `key = \"rsa2048\"`, else `key` of the `intermediate`"
    )]
    NeedsRsa,
    /// Something to send that this chain does not contain.
    #[error("`sent` has `{0}`, and there is none with this `issuer`")]
    NothingToSend(Sent),
    /// Nothing is sent.
    #[error("`sent` is empty: a server without certificate has `certificate = \"none\"`")]
    NothingSent,
    /// A text that should be the target's chain.
    #[error("`stolen` holds no certificate (PEM, `BEGIN CERTIFICATE`) that can be read")]
    NothingStolen,
    /// It exceeds the maximum length of a handshake message (RFC 8446 §4.4.2).
    #[error("its certificates have {bytes} bytes, but at most {most} can be sent")]
    TooBig {
        /// The length.
        bytes: usize,
        /// The maximum.
        most: usize,
    },
}

impl From<CannotSign> for SpecError {
    /// Only weak signatures can be impossible for a key.
    fn from(_: CannotSign) -> Self {
        Self::NeedsRsa
    }
}
