//! The standards' names for the elements of a stream and their conditions: one row
//! each.

use serde::Serialize;
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::condition::{Conditions, SASL, STANZA, STREAM, TLS};
use super::{Element, NS_DIALBACK, NS_SASL, NS_SERVER, NS_STREAM, NS_TLS};

/// A top-level element that has a word of its own.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Unit {
    /// Its features.
    Features,
    /// A stream error.
    StreamError,
    /// `<starttls/>`.
    Starttls,
    /// `<proceed/>`.
    Proceed,
    /// `<failure/>` of STARTTLS.
    TlsFailure,
    /// `<auth/>`.
    Auth,
    /// `<challenge/>`.
    Challenge,
    /// `<response/>`.
    Response,
    /// `<abort/>`.
    Abort,
    /// `<success/>`.
    Success,
    /// `<failure/>` of SASL.
    SaslFailure,
    /// `db:result`; the attribute `type` distinguishes answers from requests.
    DbResult,
    /// `db:verify`.
    DbVerify,
    /// A message.
    Message,
    /// A presence.
    Presence,
    /// An IQ.
    Iq,
}

/// The protocol that a unit belongs to. Each has a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// The stream itself (RFC 6120 §4).
    Stream,
    /// STARTTLS (RFC 6120 §5).
    Starttls,
    /// SASL (RFC 6120 §6).
    Sasl,
    /// Server dialback (XEP-0220).
    Dialback,
    /// Stanzas (RFC 6120 §8).
    Stanza,
}

impl Unit {
    /// All units.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The table: protocol, local name, and conditions.
    const fn row(self) -> (Group, &'static str, Option<&'static Conditions>) {
        match self {
            Self::Features => (Group::Stream, "features", None),
            Self::StreamError => (Group::Stream, "error", Some(&STREAM)),
            Self::Starttls => (Group::Starttls, "starttls", None),
            Self::Proceed => (Group::Starttls, "proceed", None),
            Self::TlsFailure => (Group::Starttls, "failure", Some(&TLS)),
            Self::Auth => (Group::Sasl, "auth", None),
            Self::Challenge => (Group::Sasl, "challenge", None),
            Self::Response => (Group::Sasl, "response", None),
            Self::Abort => (Group::Sasl, "abort", None),
            Self::Success => (Group::Sasl, "success", None),
            Self::SaslFailure => (Group::Sasl, "failure", Some(&SASL)),
            Self::DbResult => (Group::Dialback, "result", Some(&STANZA)),
            Self::DbVerify => (Group::Dialback, "verify", Some(&STANZA)),
            Self::Message => (Group::Stanza, "message", Some(&STANZA)),
            Self::Presence => (Group::Stanza, "presence", Some(&STANZA)),
            Self::Iq => (Group::Stanza, "iq", Some(&STANZA)),
        }
    }

    /// The unit of an element, if it is one.
    pub fn of(element: &Element) -> Option<Self> {
        Self::ALL.iter().copied().find(|unit| unit.is(element))
    }

    /// Whether an element is this unit.
    pub fn is(self, element: &Element) -> bool {
        element.is(self.group().namespace(), self.name())
    }

    /// Its protocol.
    pub const fn group(self) -> Group {
        self.row().0
    }

    /// Its local name.
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether it is a stanza.
    pub const fn is_stanza(self) -> bool {
        matches!(self.group(), Group::Stanza)
    }

    /// The conditions defined for it, if it can report an error; empty if no standard
    /// lists them.
    pub fn conditions(self) -> Option<&'static [&'static str]> {
        self.row().2.map(|conditions| conditions.defined)
    }

    /// The condition of an error.
    pub fn condition(self, element: &Element) -> Option<&str> {
        self.row().2?.find(element)
    }

    /// Sets the condition of an error.
    pub fn with_condition(self, element: Element, condition: &str) -> Element {
        match self.row().2 {
            Some(conditions) => conditions.add(element, condition),
            None => element,
        }
    }

    /// An empty element, with the prefix that stream headers declare.
    pub fn element(self) -> Element {
        let (group, name, _) = self.row();
        match group.prefix() {
            Some(prefix) => Element::prefixed(prefix, group.namespace(), name),
            None => Element::new(group.namespace(), name),
        }
    }
}

impl Group {
    /// The namespace of all its units.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Stream => NS_STREAM,
            Self::Starttls => NS_TLS,
            Self::Sasl => NS_SASL,
            Self::Dialback => NS_DIALBACK,
            Self::Stanza => NS_SERVER,
        }
    }

    /// The prefix of all its units, if stream headers declare one.
    pub const fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Stream => Some("stream"),
            Self::Dialback => Some("db"),
            Self::Starttls | Self::Sasl | Self::Stanza => None,
        }
    }
}
