//! Words of the standards that expectations may name.

use super::Sees;

/// RFC 6120 §4.9.3.
pub(crate) const STREAM: [&str; 25] = [
    "bad-format",
    "bad-namespace-prefix",
    "conflict",
    "connection-timeout",
    "host-gone",
    "host-unknown",
    "improper-addressing",
    "internal-server-error",
    "invalid-from",
    "invalid-namespace",
    "invalid-xml",
    "not-authorized",
    "not-well-formed",
    "policy-violation",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "see-other-host",
    "system-shutdown",
    "undefined-condition",
    "unsupported-encoding",
    "unsupported-feature",
    "unsupported-stanza-type",
    "unsupported-version",
];

/// RFC 6120 §6.5.
const SASL: [&str; 11] = [
    "aborted",
    "account-disabled",
    "credentials-expired",
    "encryption-required",
    "incorrect-encoding",
    "invalid-authzid",
    "invalid-mechanism",
    "malformed-request",
    "mechanism-too-weak",
    "not-authorized",
    "temporary-auth-failure",
];

/// RFC 6120 §8.3.3, and what XEP-0220 §2.5 adds.
const STANZA: [&str; 23] = [
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "recipient-unavailable",
    "redirect",
    "registration-required",
    "remote-connection-failed",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "subscription-required",
    "undefined-condition",
    "unexpected-request",
];

/// How a connection ends.
const ENDS: [&str; 3] = ["stream", "fin", "reset"];

/// The conditions that something can have, where they are a closed set.
pub(crate) fn conditions(sees: Sees) -> Option<&'static [&'static str]> {
    match sees {
        Sees::StreamError => Some(&STREAM),
        Sees::SaslFailure => Some(&SASL),
        Sees::Returned
        | Sees::DbResult
        | Sees::DbVerify
        | Sees::Iq
        | Sees::Message
        | Sees::Presence
        | Sees::Stanza => Some(&STANZA),
        Sees::Closed => Some(&ENDS),
        _ => None,
    }
}

/// Whether it can have any.
pub(crate) fn has_conditions(sees: Sees) -> bool {
    conditions(sees).is_some()
        || matches!(
            sees,
            Sees::TlsFailed
                | Sees::TlsFailure
                | Sees::ConnectFailed
                | Sees::GaveUp
                | Sees::Illegal
                | Sees::MalformedError
                | Sees::OtherElement
                | Sees::Element
                | Sees::Anything
        )
}
