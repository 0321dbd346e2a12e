//! How directly a finding shows a defect: whether it is a cause, or may be a consequence of another one.

use serde::Serialize;
use simulated_partners::wire::Unit;
use strum::Display;

use crate::outcome::{Outcome, Phase};

/// How directly a finding shows a defect, the most direct first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Sign {
    /// The target sent or did something that is wrong in itself.
    Wrong,
    /// Something did not happen, which an earlier defect may have prevented.
    Missing,
    /// Something happened, but not as often as it should.
    Few,
    /// The case as a whole ended otherwise than it should.
    Ending,
    /// The target was worse off after the case.
    Aftermath,
}

/// A part of a negotiation, in the order in which a server reaches them. What goes wrong in one can
/// spoil those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// The look-up in DNS.
    Dns,
    /// The TCP connection.
    Connect,
    /// The stream headers.
    Header,
    /// The features.
    Features,
    /// From `<starttls/>` to the end of the handshake.
    Tls,
    /// SASL.
    Sasl,
    /// Dialback.
    Dialback,
    /// Stanzas.
    Stanza,
    /// The end of a stream, by an error or without one.
    End,
}

impl Step {
    /// The step to which a unit of a stream belongs.
    pub(crate) const fn of_unit(unit: Unit) -> Self {
        match unit {
            Unit::Features => Self::Features,
            Unit::Starttls | Unit::Proceed | Unit::TlsFailure => Self::Tls,
            Unit::Auth
            | Unit::Challenge
            | Unit::Response
            | Unit::Abort
            | Unit::Success
            | Unit::SaslFailure => Self::Sasl,
            Unit::DbResult | Unit::DbVerify => Self::Dialback,
            Unit::Message | Unit::Presence | Unit::Iq => Self::Stanza,
            Unit::StreamError => Self::End,
        }
    }

    /// The step that a case had reached when it ended.
    pub(crate) const fn reached(outcome: &Outcome) -> Self {
        let phase = match outcome {
            Outcome::Established(_) => Phase::Stanza,
            Outcome::Refused(refusal) => refusal.phase,
            Outcome::Stalled(phase) => *phase,
        };
        match phase {
            Phase::Config | Phase::Connect => Self::Connect,
            Phase::Stream => Self::Header,
            Phase::Starttls | Phase::Tls => Self::Tls,
            Phase::Method => Self::Features,
            Phase::Sasl => Self::Sasl,
            Phase::Dialback => Self::Dialback,
            Phase::Stanza => Self::Stanza,
        }
    }
}
