//! Stream errors (RFC 6120 §4.9).

use strum::{Display, EnumString};

use crate::xml::namespace::{STREAM_ERRORS, STREAMS};
use crate::xml::{Element, ReadError, escape};

/// The closing tag of a stream.
pub(crate) const CLOSING: &str = "</stream:stream>";

/// The conditions that this proxy sends or distinguishes (RFC 6120 §4.9.3).
#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Condition {
    BadFormat,
    ConnectionTimeout,
    HostGone,
    HostUnknown,
    ImproperAddressing,
    InternalServerError,
    InvalidFrom,
    InvalidNamespace,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    ResourceConstraint,
    RestrictedXml,
    SystemShutdown,
    #[strum(serialize = "undefined-condition")]
    Undefined,
    UnsupportedEncoding,
    UnsupportedFeature,
    UnsupportedStanzaType,
    UnsupportedVersion,
}

impl Condition {
    /// The condition of an error that a peer sent; an unknown one counts as undefined.
    pub(crate) fn received(error: &Element) -> Self {
        let mut children = error.children.iter();
        children
            .find_map(|child| {
                let ours = child.namespace == STREAM_ERRORS;
                child.name.parse().ok().filter(|_| ours)
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
    format!("<stream:error><{condition} xmlns='{STREAM_ERRORS}'/>{text}</stream:error>{CLOSING}")
}
