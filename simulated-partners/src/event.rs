//! What happened on the wire in one case, as a partner saw it.
//!
//! Outcomes, transcripts and reports are all made from this stream of events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantArray};

use crate::wire::{Element, Frame, Kind};

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Party {
    /// The proxy or server under test.
    Target,
    /// The simulated server.
    Partner,
}

/// A connection of a case, numbered from 1 in order of opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u16);

/// Who dials. As everywhere, seen from the target.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    EnumString,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Direction {
    /// The target dials the partner.
    Outbound,
    /// The partner dials the target.
    Inbound,
}

impl Direction {
    /// Both directions.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// Who dialled a connection and why, seen from the target.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    Display,
    EnumString,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ConnectionKind {
    /// The target dialled the partner, for stanzas or to verify a key.
    Outbound,
    /// The partner dialled the target to deliver a stanza.
    Inbound,
    /// The partner dialled the target, as its authoritative server, to verify a key
    /// (XEP-0220 §2.1.2).
    Verification,
}

impl ConnectionKind {
    /// Who dialled.
    pub const fn direction(self) -> Direction {
        match self {
            Self::Outbound => Direction::Outbound,
            Self::Inbound | Self::Verification => Direction::Inbound,
        }
    }
}

/// How two servers authenticated each other.
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
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Method {
    /// SASL EXTERNAL over TLS (XEP-0178).
    SaslTls,
    /// Server dialback over TLS (XEP-0220).
    TlsDialback,
    /// Server dialback without TLS.
    TcpDialback,
}

impl Method {
    /// All methods, best first.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// The size of an event besides its bytes.
const OVERHEAD: usize = 256;

/// One observation.
#[derive(Clone, Debug)]
pub struct Event {
    /// The connection it happened on.
    pub connection: ConnectionId,
    /// Time since the partner was started.
    pub at: Duration,
    /// The event.
    pub kind: EventKind,
}

/// The kind of an event.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// TCP was connected.
    Opened(ConnectionKind),
    /// TCP could not be connected.
    ConnectFailed(ConnectionKind, std::io::ErrorKind),
    /// A whole unit of the stream, in either direction.
    Frame {
        /// Who sent it.
        from: Party,
        /// Whether TLS protected it.
        encrypted: bool,
        /// The unit with its raw bytes.
        frame: Arc<Frame>,
    },
    /// Bytes that are not part of a legal stream: sent deliberately by the partner, or a fault of the
    /// target (`fault` says which).
    Raw {
        /// Who sent them.
        from: Party,
        /// The first bytes, at most 1 KiB.
        bytes: Vec<u8>,
        /// The rule that they violate, if the target sent them.
        fault: Option<String>,
    },
    /// The target sent a handshake message in an exchange made by hand: its name
    /// (`message`) and content.
    Handshake(BTreeMap<&'static str, String>),
    /// A TLS handshake was completed.
    TlsUp(TlsSession),
    /// A TLS handshake failed.
    TlsFailed {
        /// Who ended it.
        by: Party,
        /// What the partner saw or did.
        signal: TlsSignal,
    },
    /// The connection is authenticated from the partner's point of view: `<success/>` was exchanged and the
    /// stream restarted, or a typed `valid` was exchanged.
    Established(Method),
    /// The connection ended, or one side announced its end first (`</stream:stream>` is a
    /// separate [`EventKind::Frame`] before this).
    Closed {
        /// Who ended it first.
        by: Party,
        /// How TCP ended.
        how: Close,
    },
    /// The partner sent the same text many times.
    Repeated {
        /// The first bytes, at most 1 KiB.
        bytes: Vec<u8>,
        /// How often.
        times: u32,
    },
    /// The partner raised a signal of its scenario.
    Raised(String),
    /// Something that the partner should have done or seen and did not, as it can keep no more: what
    /// that was. It says nothing about the target.
    LeftOut(&'static str),
    /// The partner's own deadline passed and it gave up waiting.
    GaveUp {
        /// What it was waiting for, such as `features`.
        waiting_for: &'static str,
    },
}

impl EventKind {
    /// The element that this party sent, if the event is one.
    pub fn element_from(&self, party: Party) -> Option<&Element> {
        match self {
            Self::Frame { from, frame, .. } if *from == party => match &frame.kind {
                Kind::Element(element) => Some(element),
                _ => None,
            },
            _ => None,
        }
    }

    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        OVERHEAD
            + match self {
                // The parsed form takes about as much again.
                Self::Frame { frame, .. } => 2 * frame.raw.len(),
                Self::Raw { bytes, .. } | Self::Repeated { bytes, .. } => bytes.len(),
                Self::Raised(name) => name.len(),
                Self::Handshake(facts) => facts.values().map(String::len).sum(),
                Self::Opened(_)
                | Self::ConnectFailed(..)
                | Self::TlsUp(_)
                | Self::TlsFailed { .. }
                | Self::Established(_)
                | Self::Closed { .. }
                | Self::LeftOut(_)
                | Self::GaveUp { .. } => 0,
            }
    }
}

/// How a TCP connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum Close {
    /// After `</stream:stream>` from at least one side.
    Stream,
    /// A FIN (or TLS close_notify) without a stream end before it.
    Fin,
    /// A reset.
    Reset,
}

/// How a failed handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsSignal {
    /// An alert, by its name in RFC 8446 §6 in snake case, such as `unknown_ca`.
    Alert(String),
    /// TCP was closed or reset in the middle.
    Closed,
    /// Bytes that are not TLS, or TLS that could not be parsed.
    Garbage(String),
}

/// What a handshake agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSession {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The suite's IANA name.
    pub suite: String,
    /// The server name that the initiator sent.
    pub sni: Option<String>,
    /// The verdict on the target's certificate.
    pub target_certificate: CertificateSeen,
    /// What is in it, by name; empty without one that can be read.
    pub shown: BTreeMap<&'static str, String>,
    /// The domains of the target for which it is good.
    pub certified_for: Vec<String>,
    /// The negotiated application protocol (RFC 7301).
    pub alpn: Option<String>,
    /// The application protocols that the target offered, if it opened the connection.
    pub offered: Vec<String>,
    /// Whether the target requested a certificate, if it accepted the connection.
    pub asked: bool,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// Whether the target sent, or accepted, early data (RFC 8446 §2.3).
    pub early_data: bool,
}

/// The verdict on the target's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CertificateSeen {
    /// None was presented, or none was requested.
    #[default]
    None,
    /// Chain, dates and name are valid.
    Good,
    /// Invalid, with the reason.
    Bad(String),
}
