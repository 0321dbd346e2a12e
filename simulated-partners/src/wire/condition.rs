//! Error conditions defined by the standards.

use super::{Element, NS_SASL, NS_SERVER, NS_STANZAS, NS_STREAMS, NS_TLS};

/// The conditions that an error can have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conditions {
    /// Their namespace.
    namespace: &'static str,
    /// The defined conditions; empty if no standard lists them.
    pub(super) defined: &'static [&'static str],
    /// Whether they are in a child `<error/>`, instead of the unit itself.
    is_nested: bool,
}

/// RFC 6120 §4.9.3.
pub(super) static STREAM: Conditions = Conditions {
    namespace: NS_STREAMS,
    defined: &[
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
    ],
    is_nested: false,
};

/// RFC 6120 §5.4.2.2: a STARTTLS failure has no condition.
pub(super) static TLS: Conditions = Conditions {
    namespace: NS_TLS,
    defined: &[],
    is_nested: false,
};

/// RFC 6120 §6.5.
pub(super) static SASL: Conditions = Conditions {
    namespace: NS_SASL,
    defined: &[
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
    ],
    is_nested: false,
};

/// RFC 6120 §8.3.3, and what XEP-0220 §2.5 adds.
pub(super) static STANZA: Conditions = Conditions {
    namespace: NS_STANZAS,
    defined: &[
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
    ],
    is_nested: true,
};

impl Conditions {
    pub(super) fn find<'a>(&self, unit: &'a Element) -> Option<&'a str> {
        let holder = if self.is_nested {
            unit.elements().find(|child| child.name == "error")?
        } else {
            unit
        };
        holder
            .elements()
            .find(|child| child.namespace == self.namespace && child.name != "text")
            .map(|child| child.name.as_str())
    }

    pub(super) fn add(&self, unit: Element, condition: &str) -> Element {
        let condition = Element::new(self.namespace, condition);
        if self.is_nested {
            unit.child(
                Element::new(NS_SERVER, "error")
                    .attr("type", "cancel")
                    .child(condition),
            )
        } else {
            unit.child(condition)
        }
    }
}
