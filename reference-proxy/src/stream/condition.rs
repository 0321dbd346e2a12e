//! Stream errors (RFC 6120 §4.9).

use std::fmt;

use strum::{Display, EnumString, IntoStaticStr};

use crate::xml::namespace::{STREAM_ERRORS, STREAMS};
use crate::xml::{Element, ReadError, escape};

/// The closing tag of a stream.
pub const CLOSING: &str = "</stream:stream>";

/// The conditions that this proxy sends or distinguishes (RFC 6120 §4.9.3).
#[derive(Clone, Copy, Debug, Display, EnumString, IntoStaticStr, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "the standard describes them")]
pub enum Condition {
    BadFormat,
    BadNamespacePrefix,
    Conflict,
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
    Reset,
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
    /// As a word.
    pub(crate) fn word(self) -> &'static str {
        self.into()
    }
}

/// A stream error that a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// An unknown one counts as undefined.
    pub condition: Condition,
    /// In the peer's words.
    pub said: String,
}

impl StreamError {
    /// Reads an error.
    #[must_use]
    pub fn received(error: &Element) -> Self {
        let mut children = error.children.iter();
        let condition = children.find_map(|child| {
            let ours = child.namespace == STREAM_ERRORS;
            child.name.parse().ok().filter(|_| ours)
        });
        Self {
            condition: condition.unwrap_or(Condition::Undefined),
            said: error.said(STREAM_ERRORS),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.said.as_str() {
            "" => self.condition.fmt(f),
            said => f.write_str(said),
        }
    }
}

impl From<ReadError> for Condition {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Encoding => Self::UnsupportedEncoding,
            ReadError::Malformed => Self::NotWellFormed,
            ReadError::Prefix => Self::BadNamespacePrefix,
            ReadError::Restricted => Self::RestrictedXml,
            ReadError::Text => Self::BadFormat,
            ReadError::TooLarge => Self::PolicyViolation,
        }
    }
}

/// Whether an element is a stream error.
pub fn is_error(element: &Element) -> bool {
    element.is(STREAMS, "error")
}

/// A stream error and the closing tag that has to follow it (RFC 6120 §4.9.1.1).
pub fn error(condition: Condition, text: &str) -> String {
    let text = match text {
        "" => String::new(),
        text => format!(
            "<text xmlns='{STREAM_ERRORS}' xml:lang='en'>{}</text>",
            escape(text)
        ),
    };
    error_with(condition, &text)
}

/// The same with an element of an application's own inside (RFC 6120 §4.9.4).
pub(crate) fn error_with(condition: Condition, inner: &str) -> String {
    format!("<stream:error><{condition} xmlns='{STREAM_ERRORS}'/>{inner}</stream:error>{CLOSING}")
}
