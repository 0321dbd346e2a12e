//! Stream errors (RFC 6120 §4.9).

use crate::xml::namespace::{STREAM_ERRORS, STREAMS};
use crate::xml::{Element, ReadError, escape};

/// The defined conditions that this proxy sends or tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// XML that can't be processed at this place.
    BadFormat,
    /// The peer is taken for gone.
    ConnectionTimeout,
    /// The domain is served no more.
    HostGone,
    /// The domain is not served.
    HostUnknown,
    /// An address is missing or malformed.
    ImproperAddressing,
    /// The proxy's own fault.
    InternalServerError,
    /// The sender is none that this stream may speak for.
    InvalidFrom,
    /// Stream or content namespace is wrong.
    InvalidNamespace,
    /// Something was sent before its time.
    NotAuthorized,
    /// XML's rules are broken.
    NotWellFormed,
    /// A local rule forbids it.
    PolicyViolation,
    /// Limits are reached.
    ResourceConstraint,
    /// XML that streams may not hold.
    RestrictedXml,
    /// The proxy stops.
    SystemShutdown,
    /// Any other.
    Undefined,
    /// Not UTF-8.
    UnsupportedEncoding,
    /// The peer requires what this side has not.
    UnsupportedFeature,
    /// An element that is no stanza and no part of the negotiation.
    UnsupportedStanzaType,
    /// The stream's version is too low.
    UnsupportedVersion,
}

impl Condition {
    const ALL: [(Self, &'static str); 19] = [
        (Self::BadFormat, "bad-format"),
        (Self::ConnectionTimeout, "connection-timeout"),
        (Self::HostGone, "host-gone"),
        (Self::HostUnknown, "host-unknown"),
        (Self::ImproperAddressing, "improper-addressing"),
        (Self::InternalServerError, "internal-server-error"),
        (Self::InvalidFrom, "invalid-from"),
        (Self::InvalidNamespace, "invalid-namespace"),
        (Self::NotAuthorized, "not-authorized"),
        (Self::NotWellFormed, "not-well-formed"),
        (Self::PolicyViolation, "policy-violation"),
        (Self::ResourceConstraint, "resource-constraint"),
        (Self::RestrictedXml, "restricted-xml"),
        (Self::SystemShutdown, "system-shutdown"),
        (Self::Undefined, "undefined-condition"),
        (Self::UnsupportedEncoding, "unsupported-encoding"),
        (Self::UnsupportedFeature, "unsupported-feature"),
        (Self::UnsupportedStanzaType, "unsupported-stanza-type"),
        (Self::UnsupportedVersion, "unsupported-version"),
    ];

    /// The element's name.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(condition, _)| *condition == self)
            .map_or("undefined-condition", |(_, name)| name)
    }

    /// The condition of an error that a peer sent; one that is unknown counts as undefined.
    pub(crate) fn received(error: &Element) -> Self {
        error
            .children
            .iter()
            .filter(|child| child.namespace == STREAM_ERRORS)
            .find_map(|child| {
                Self::ALL
                    .iter()
                    .find(|(_, name)| *name == child.name)
                    .map(|(condition, _)| *condition)
            })
            .unwrap_or(Self::Undefined)
    }
}

impl From<ReadError> for Condition {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Encoding => Self::UnsupportedEncoding,
            ReadError::Malformed => Self::NotWellFormed,
            ReadError::Restricted => Self::RestrictedXml,
            ReadError::Text => Self::BadFormat,
            ReadError::TooLarge => Self::PolicyViolation,
        }
    }
}

/// Whether an element is a stream error.
pub(crate) fn is_error(element: &Element) -> bool {
    element.is(STREAMS, "error")
}

/// A stream error and the closing tag that has to follow it (RFC 6120 §4.9.1.1).
pub(crate) fn error(condition: Condition, text: &str) -> String {
    let text = match text {
        "" => String::new(),
        text => format!(
            "<text xmlns='{STREAM_ERRORS}' xml:lang='en'>{}</text>",
            escape(text)
        ),
    };
    format!(
        "<stream:error><{} xmlns='{STREAM_ERRORS}'/>{text}</stream:error>{}",
        condition.name(),
        closing()
    )
}

/// The closing tag of this side's stream.
pub(crate) fn closing() -> &'static str {
    "</stream:stream>"
}
