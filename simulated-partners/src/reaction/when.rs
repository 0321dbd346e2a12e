//! Points of a negotiation, and the stages of a connection.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use crate::event::Direction;

/// Points at which a reaction can take over. "Sent" points come right after the partner's own send.
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
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum When {
    /// A connection was accepted; replaces nothing.
    Accepted,
    /// The target was dialled; replaces the first stream header.
    Connected,
    /// A stream header was received on an accepted connection, also after a restart; replaces
    /// header and features.
    Header,
    /// The response header was sent, also after a restart; replaces the features.
    Features,
    /// The target's header was received (dialling), also after a restart; replaces waiting for
    /// features.
    HeaderReceived,
    /// Features were received (dialling); replaces choosing from them.
    FeaturesReceived,
    /// `<starttls/>` was received.
    Starttls,
    /// `<proceed/>` was sent (listening); replaces the handshake.
    ProceedSent,
    /// `<proceed/>` was received (dialling); replaces the handshake.
    ProceedReceived,
    /// A handshake was completed. Dialling: replaces the new header. Accepted: replaces
    /// nothing.
    Secured,
    /// A handshake failed. Nothing more can be sent.
    TlsFailed,
    /// `<auth/>` was received.
    Auth,
    /// A SASL `<response/>` was received.
    Response,
    /// A SASL `<challenge/>` was received.
    ChallengeReceived,
    /// SASL `<success/>` was received; replaces the restart.
    SuccessReceived,
    /// A SASL `<failure/>` was received; replaces trying another method.
    FailureReceived,
    /// An untyped `db:result` was received.
    DbResult,
    /// An untyped `db:verify` was received.
    DbVerify,
    /// A typed `db:result` was received.
    ResultReceived,
    /// A typed `db:verify` was received.
    VerificationReceived,
    /// The connection is authenticated. Dialling: replaces the stanza to be sent.
    /// Accepted: replaces nothing.
    Established,
    /// A stanza was received.
    Stanza,
    /// A stream error was received.
    StreamError,
    /// The target's end of its stream was received; replaces ours.
    StreamEnd,
    /// Any other element was received.
    Element,
    /// Whitespace was received between elements, such as a keep-alive (RFC 6120 §4.6.1); replaces
    /// nothing. It is not kept while a list is paused.
    Whitespace,
}

impl When {
    /// All points.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Its name in files.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether only connections dialled by this side reach it in a correct negotiation.
    pub(super) const fn only_on(self) -> Option<Direction> {
        self.row().0
    }

    /// What the partner has to offer, or it is never reached.
    pub(crate) const fn needs(self) -> Option<Offered> {
        self.row().1
    }

    /// The fact that tells of deviations there.
    pub(crate) const fn fact(self) -> Option<&'static str> {
        self.row().2
    }

    /// The table of points.
    const fn row(self) -> (Option<Direction>, Option<Offered>, Option<&'static str>) {
        let listening = Some(Direction::Outbound);
        let dialling = Some(Direction::Inbound);
        let (tls, external) = (Some(Offered::Tls), Some(Offered::External));
        match self {
            Self::Accepted => (listening, None, Some("stream")),
            Self::Connected => (dialling, None, None),
            Self::Header => (listening, None, Some("stream")),
            Self::Features => (listening, None, Some("stream")),
            Self::HeaderReceived => (dialling, None, Some("stream")),
            Self::FeaturesReceived => (None, None, None),
            Self::Starttls => (None, tls, Some("starttls")),
            Self::ProceedSent => (listening, tls, Some("starttls")),
            Self::ProceedReceived => (None, tls, Some("starttls")),
            Self::Secured | Self::TlsFailed => (None, tls, None),
            Self::Auth => (None, external, Some("external")),
            Self::Response
            | Self::ChallengeReceived
            | Self::SuccessReceived
            | Self::FailureReceived => (None, external, None),
            Self::DbVerify => (None, None, Some("authority")),
            Self::DbResult
            | Self::ResultReceived
            | Self::VerificationReceived
            | Self::Established
            | Self::Stanza
            | Self::StreamError
            | Self::StreamEnd
            | Self::Element
            | Self::Whitespace => (None, None, None),
        }
    }
}

/// A part of an offer without which some points are never reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// TLS.
    Tls,
    /// SASL EXTERNAL.
    External,
}

/// The stage of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Plaintext and not authenticated.
    Clear,
    /// TLS and not authenticated.
    Secured,
    /// Authenticated: SASL succeeded or a key was found valid.
    Authenticated,
}
