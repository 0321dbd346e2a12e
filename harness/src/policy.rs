//! The 18 rows: what a target is set to for one partner domain (Lync's negotiation settings).

use serde::Serialize;

/// Support for one part of the negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing happens without it.
    Required,
    /// Used where the partner has it.
    Optional,
    /// Neither offered nor used.
    NotSupported,
}

/// TLS × SASL × dialback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `TlsNegotiation`.
    pub tls: Level,
    /// `SaslNegotiation`.
    pub sasl: Level,
    /// `SupportDialbackNegotiation`.
    pub dialback: bool,
}

/// Number of a row in the negotiation table, 1 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Row(u8);
