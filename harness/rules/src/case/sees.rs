//! The vocabulary of `sees`: what can be observed.

use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, Error as _};
use simulated_partners::wire::{Element, NS_STREAM, Unit};
use strum::{EnumIter, IntoEnumIterator as _, IntoStaticStr};

use crate::finding::Step;

/// Something that can be observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, IntoStaticStr)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "kebab-case"))]
#[strum(serialize_all = "kebab-case")]
pub enum Sees {
    /// The target opened a connection to a partner.
    Connection,
    /// A partner could not connect to the target.
    ConnectFailed,
    /// The target's XML declaration.
    Declaration,
    /// Its stream header.
    Header,
    /// A plaintext handshake message exchanged by hand; `message` is its name.
    Handshake,
    /// A handshake was completed.
    Tls,
    /// The certificate that the target showed in a handshake: `with.key`, `bits`, `purposes`, `names`,
    /// `certificates` (in its chain), `days`, `days-left`, `ca`, `subject`.
    Certificate,
    /// A handshake failed, or TLS broke down, because of the target. `condition` is the alert's name
    /// (RFC 8446 §6), or `closed`.
    TlsFailed,
    /// Any stanza.
    Stanza,
    /// Any top-level element that has no word of its own.
    OtherElement,
    /// Any top-level element.
    Element,
    /// A stream error that violates RFC 6120 §4.9.2, in addition to `stream-error`. `condition`
    /// says what is wrong with it.
    MalformedError,
    /// A stanza whose error violates RFC 6120 §8.3, in addition to the stanza. `condition` says what is
    /// wrong with it.
    MalformedStanzaError,
    /// A stanza whose error has another type than RFC 6120 §8.3.3 recommends for its condition, in
    /// addition to the stanza. `condition` is that of the error.
    MistypedStanzaError,
    /// `</stream:stream>`.
    StreamEnd,
    /// Whitespace between elements.
    Whitespace,
    /// Bytes from the target that are not a legal stream.
    Illegal,
    /// Any XML that the target sent.
    Anything,
    /// The connection ended; `condition` is `stream`, `fin` or `reset`, and `with.by` is `target` or
    /// `partner`.
    Closed,
    /// A side was authenticated.
    Established,
    /// A partner gave up waiting for the target.
    GaveUp,
    /// A stanza reached the inner side.
    Delivered,
    /// A result reached the inner side.
    Answered,
    /// An error reached the inner side.
    Returned,
    /// The target ended its link to the inner side.
    LinkEnded,
    /// A DNS query: `with.name` and `with.kind`.
    Query,
    /// A partner raised a signal: `with.name`.
    Raised,
    /// A unit of the target's stream.
    #[strum(disabled)]
    #[cfg_attr(feature = "schema", schemars(untagged))]
    Unit(Unit),
}

/// A name that no standard gives to an element.
const OTHER: &str = "something-else";

/// How a connection ends.
const ENDS: [&str; 3] = ["stream", "fin", "reset"];

impl Sees {
    /// All words.
    pub fn all() -> impl Iterator<Item = Self> {
        let units = Unit::ALL.iter().copied().map(Self::Unit);
        units.chain(Self::iter())
    }

    /// Its word in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unit(unit) => unit.into(),
            other => other.into(),
        }
    }

    /// Whether a stream ends with it.
    pub fn ends_a_stream(self) -> bool {
        let error = Self::Unit(Unit::StreamError);
        [Self::Closed, Self::StreamEnd, error].contains(&self)
    }

    /// Whether this word includes another.
    pub fn covers(self, other: Self) -> bool {
        let unit = match other {
            Self::Unit(unit) => Some(unit),
            _ => None,
        };
        let is_element = unit.is_some() || other == Self::OtherElement;
        match self {
            Self::Stanza => unit.is_some_and(Unit::is_stanza),
            Self::Element => is_element,
            Self::Anything => {
                is_element
                    || matches!(
                        other,
                        Self::Declaration
                            | Self::Header
                            | Self::StreamEnd
                            | Self::Whitespace
                            | Self::Illegal
                    )
            }
            one => one == other,
        }
    }

    /// An element that it stands for, if it is one.
    pub fn element(self) -> Option<Element> {
        match self {
            Self::Unit(unit) => Some(unit.element()),
            Self::Header => Some(Element::prefixed("stream", NS_STREAM, "stream")),
            Self::MalformedError => Some(Unit::StreamError.element()),
            Self::Delivered
            | Self::Returned
            | Self::MalformedStanzaError
            | Self::MistypedStanzaError => Some(Unit::Message.element()),
            Self::Answered => Some(Unit::Iq.element()),
            Self::OtherElement => Some(Element::new(OTHER, OTHER)),
            _ => None,
        }
    }

    /// The part of a negotiation that it belongs to.
    pub const fn step(self) -> Step {
        match self {
            Self::Query => Step::Dns,
            Self::Connection | Self::ConnectFailed => Step::Connect,
            Self::Declaration | Self::Header => Step::Header,
            Self::Handshake | Self::Tls | Self::Certificate | Self::TlsFailed => Step::Tls,
            Self::Established
            | Self::Stanza
            | Self::OtherElement
            | Self::Element
            | Self::MalformedStanzaError
            | Self::MistypedStanzaError
            | Self::Whitespace
            | Self::Anything
            | Self::Illegal
            | Self::Delivered
            | Self::Answered
            | Self::Returned
            | Self::Raised => Step::Stanza,
            Self::MalformedError
            | Self::StreamEnd
            | Self::Closed
            | Self::GaveUp
            | Self::LinkEnded => Step::End,
            Self::Unit(unit) => Step::of_unit(unit),
        }
    }

    /// The conditions that it can have, if any; empty if they are not a closed set.
    pub fn conditions(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Unit(unit) => unit.conditions(),
            Self::Returned | Self::Stanza | Self::MistypedStanzaError => Unit::Message.conditions(),
            Self::Closed => Some(&ENDS),
            Self::TlsFailed
            | Self::ConnectFailed
            | Self::GaveUp
            | Self::Illegal
            | Self::MalformedError
            | Self::MalformedStanzaError
            | Self::OtherElement
            | Self::Element
            | Self::Anything => Some(&[]),
            _ => None,
        }
    }
}

impl fmt::Display for Sees {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Sees {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        static WORDS: LazyLock<Vec<&str>> = LazyLock::new(|| Sees::all().map(Sees::word).collect());
        let word = String::deserialize(from)?;
        Self::all()
            .find(|sees| sees.word() == word)
            .ok_or_else(|| D::Error::unknown_variant(&word, &WORDS))
    }
}
