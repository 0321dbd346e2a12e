//! Points of a negotiation, and where on a connection they lie.

use schemars::JsonSchema;
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
    JsonSchema,
    Display,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum When {
    /// A connection was accepted: before anything, and in place of nothing.
    Accepted,
    /// The target was dialled: in place of the first stream header.
    Connected,
    /// A stream header was received on an accepted connection, after each restart too: in place of
    /// header and features.
    Header,
    /// The answering header was sent, after each restart too: in place of the features.
    Features,
    /// The target's header came (dialling), after each restart too: in place of waiting for
    /// features.
    HeaderReceived,
    /// Features came (dialling): in place of choosing from them.
    FeaturesReceived,
    /// `<starttls/>` was received.
    Starttls,
    /// `<proceed/>` was sent (listening): in place of the handshake.
    ProceedSent,
    /// `<proceed/>` was received (dialling): in place of the handshake.
    ProceedReceived,
    /// A handshake is complete. Dialling: in place of the new header. Accepted: before anything,
    /// and in place of nothing.
    Secured,
    /// A handshake failed. Nothing more can be sent.
    TlsFailed,
    /// `<auth/>` was received.
    Auth,
    /// A SASL `<response/>` was received.
    Response,
    /// A SASL `<challenge/>` was received.
    ChallengeReceived,
    /// SASL `<success/>` was received: in place of the restart.
    SuccessReceived,
    /// A SASL `<failure/>` was received: in place of trying something else.
    FailureReceived,
    /// An untyped `db:result` was received.
    DbResult,
    /// An untyped `db:verify` was received.
    DbVerify,
    /// A typed `db:result` was received.
    ResultReceived,
    /// A typed `db:verify` was received.
    VerificationReceived,
    /// The connection is authenticated. Dialling: in place of the stanza that was to be sent.
    /// Accepted: in place of nothing.
    Established,
    /// A stanza was received.
    Stanza,
    /// A stream error was received.
    StreamError,
    /// The target's end of its stream was received: in place of ours.
    StreamEnd,
    /// Any other element was received.
    Element,
}

impl When {
    /// All points.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The point as a file spells it.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether only connections dialled by this side get there in a correct negotiation.
    pub(super) const fn only_on(self) -> Option<Direction> {
        match self {
            Self::Accepted | Self::Header | Self::Features | Self::ProceedSent => {
                Some(Direction::Outbound)
            }
            Self::Connected | Self::HeaderReceived => Some(Direction::Inbound),
            _ => None,
        }
    }
}

/// How far a connection is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// In clear, and nobody's identity is proved.
    Clear,
    /// TLS is up, and nobody's identity is proved.
    Secured,
    /// An identity is proved: SASL succeeded or a key was found valid.
    Authenticated,
}
