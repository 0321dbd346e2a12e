//! The closed vocabulary in which a persona deviates: *when* something happens, *do* something else.

use serde::{Deserialize, Serialize};

/// Replaces the engine's own answer at one point of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reaction {
    /// The point.
    pub when: When,
    /// What happens instead of the correct answer, in order.
    #[serde(rename = "do")]
    pub actions: Vec<Do>,
}

/// Points at which a reaction can take over. "Sent" points come right after the partner's own send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// A connection was accepted.
    Accepted,
    /// The target's first stream header was received: in place of header and features.
    Header,
    /// The header was sent: in place of the features.
    Features,
    /// `<starttls/>` was received.
    Starttls,
    /// `<proceed/>` was sent (listening): in place of the handshake.
    ProceedSent,
    /// `<proceed/>` was received (dialling): in place of the handshake.
    ProceedReceived,
    /// `<auth/>` was received.
    Auth,
    /// An untyped `db:result` was received.
    DbResult,
    /// An untyped `db:verify` was received.
    DbVerify,
    /// A stanza was received.
    Stanza,
}

/// What a partner does at such a point.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Do {
    /// Sends text as it is, with placeholders `{id}`, `{from}`, `{to}`, `{domain}`, `{target}`, `{key}` filled in.
    Send(String),
    /// Answers with a correct stream header without these attributes.
    HeaderWithout(Vec<String>),
    /// Sends the correct features for this state.
    Features,
    /// Ends the stream and closes TCP.
    Close,
    /// Resets TCP.
    Reset,
    /// Says nothing and leaves the connection open.
    Hold,
    /// Sends bytes that are no TLS where the handshake should be, then closes.
    BreakTls,
    /// Speaks TLS 1.0 at the record layer.
    LegacyTls,
    /// Goes on as a correct server would, after the actions before.
    Proceed,
}
