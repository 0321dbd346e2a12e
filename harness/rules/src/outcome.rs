//! How a case ended, as the partner saw it on the wire.

use std::fmt;

use serde::Serialize;
use strum::{Display, VariantArray};

pub use simulated_partners::event::Method;

/// The end of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A stanza got through, authenticated by this method.
    Established(Method),
    /// It was refused.
    Refused(Refusal),
    /// Nothing more happened before the deadline.
    Stalled(Phase),
}

impl Outcome {
    /// Whether nothing but a deadline of ours ended it.
    pub const fn is_silence(&self) -> bool {
        match self {
            Self::Established(_) => false,
            Self::Stalled(_) => true,
            Self::Refused(refusal) => matches!(
                (refusal.closer, &refusal.signal),
                (Closer::Partner, Signal::Silence)
            ),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Established(method) => write!(to, "{method}"),
            Self::Refused(refusal) => write!(to, "refused: {refusal}"),
            Self::Stalled(phase) => write!(to, "stalled at {phase}"),
        }
    }
}

/// How a case ended, `not run` if it did not.
pub fn outcome_text(outcome: Option<&Outcome>) -> String {
    outcome.map_or_else(|| "not run".to_owned(), ToString::to_string)
}

/// Where, by whom and how a case was refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Refusal {
    /// The phase reached.
    pub phase: Phase,
    /// Who ended it first.
    pub closer: Closer,
    /// The first sign of it.
    pub signal: Signal,
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            phase,
            closer,
            signal,
        } = self;
        write!(to, "{signal} at {phase}, ended by {closer}")
    }
}

/// Phases of a negotiation, in order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display, VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Phase {
    /// The target rejects the configuration.
    Config,
    /// TCP connect.
    Connect,
    /// From the first header to the features.
    Stream,
    /// From `<starttls/>` to `<proceed/>` or `<failure/>`.
    Starttls,
    /// From `<proceed/>` through the handshake to the features of the new stream.
    Tls,
    /// After the features of the last stream (restarted or not): a method has to be chosen.
    Method,
    /// From `<auth/>` to its answer and the restart.
    Sasl,
    /// From the untyped `db:result` to its typed answer.
    Dialback,
    /// Authenticated: the stanza is sent.
    Stanza,
}

/// Who ended it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display, VariantArray,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Closer {
    /// The server under test.
    Target,
    /// The simulated server.
    Partner,
    /// Neither: it stayed open, and the case ended on other evidence (a returned stanza).
    Nobody,
}

/// The first sign of the refusal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Signal {
    /// The target rejected the configuration, with this reason.
    ConfigRefused(String),
    /// No connection was made: outbound, the target never dialled; inbound, TCP was refused.
    NoConnection,
    /// `<stream:error/>` with this condition.
    StreamError(String),
    /// SASL `<failure/>` with this condition.
    SaslFailure(String),
    /// Typed dialback element of type `error` with this condition.
    DialbackError(String),
    /// Typed `db:result` of type `invalid`.
    DialbackInvalid,
    /// STARTTLS `<failure/>`.
    TlsFailure,
    /// A TLS alert by name; sent by the closer.
    TlsAlert(String),
    /// The handshake was cut off or answered with data that is not TLS.
    TlsBroken,
    /// `</stream:stream>` with no error.
    StreamEnd,
    /// TCP end without `</stream:stream>`.
    Fin,
    /// TCP reset.
    Reset,
    /// None: the connection stayed open and silent.
    Silence,
}

impl fmt::Display for Signal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigRefused(why) => write!(to, "configuration refused ({why})"),
            Self::NoConnection => to.write_str("no connection"),
            Self::StreamError(condition) => write!(to, "stream error {condition}"),
            Self::SaslFailure(condition) => write!(to, "SASL failure {condition}"),
            Self::DialbackError(condition) => write!(to, "dialback error {condition}"),
            Self::DialbackInvalid => to.write_str("dialback invalid"),
            Self::TlsFailure => to.write_str("STARTTLS failure"),
            Self::TlsAlert(name) => write!(to, "TLS alert {name}"),
            Self::TlsBroken => to.write_str("broken TLS handshake"),
            Self::StreamEnd => to.write_str("end of stream"),
            Self::Fin => to.write_str("end of TCP"),
            Self::Reset => to.write_str("TCP reset"),
            Self::Silence => to.write_str("silence"),
        }
    }
}
