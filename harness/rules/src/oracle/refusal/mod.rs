//! What a refusal looks like on the wire for each reason: who ends it, when, and with what.

use crate::case::Direction;
use crate::outcome::{Closer, Phase, Refusal, Signal};

use super::fit::Fit;
use crate::expectation::Reason;

mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

/// A line of the table: refusals of this look fit this reason so well. The first line that matches
/// decides; what no line matches does not fit.
struct Look {
    reason: Reason,
    closers: &'static [Closer],
    /// First and last phase in which it may happen. What is forbidden under a reason (a key in
    /// clear where TLS is missing) belongs to a later phase and so fits no line.
    phases: (Phase, Phase),
    signals: &'static [Shape],
    /// The ground, where only tolerated.
    tolerated: Option<&'static str>,
}

/// A kind of signal.
enum Shape {
    AnyDialbackError,
    AnySaslFailure,
    AnyStreamError,
    AnyTlsAlert,
    ConfigRefused,
    DialbackErrors(&'static [&'static str]),
    DialbackInvalid,
    Fin,
    NoConnection,
    Reset,
    SaslFailures(&'static [&'static str]),
    Silence,
    StreamEnd,
    StreamErrors(&'static [&'static str]),
    TlsBroken,
    TlsFailure,
}

impl Shape {
    fn matches(&self, signal: &Signal) -> bool {
        match (self, signal) {
            (Self::AnyDialbackError, Signal::DialbackError(_))
            | (Self::AnySaslFailure, Signal::SaslFailure(_))
            | (Self::AnyStreamError, Signal::StreamError(_))
            | (Self::AnyTlsAlert, Signal::TlsAlert(_))
            | (Self::ConfigRefused, Signal::ConfigRefused(_))
            | (Self::DialbackInvalid, Signal::DialbackInvalid)
            | (Self::Fin, Signal::Fin)
            | (Self::NoConnection, Signal::NoConnection)
            | (Self::Reset, Signal::Reset)
            | (Self::Silence, Signal::Silence)
            | (Self::StreamEnd, Signal::StreamEnd)
            | (Self::TlsBroken, Signal::TlsBroken)
            | (Self::TlsFailure, Signal::TlsFailure) => true,
            (Self::DialbackErrors(wanted), Signal::DialbackError(condition))
            | (Self::SaslFailures(wanted), Signal::SaslFailure(condition))
            | (Self::StreamErrors(wanted), Signal::StreamError(condition)) => {
                wanted.contains(&condition.as_str())
            }
            _ => false,
        }
    }
}

/// Whether a refusal seen on the wire is one for this reason (the table of who closes, and with
/// what).
pub(super) fn admits(reason: Reason, direction: Direction, refusal: &Refusal) -> Fit {
    let looks = match direction {
        Direction::Outbound => outbound::LOOKS,
        Direction::Inbound => inbound::LOOKS,
    };
    looks
        .iter()
        .find(|look| {
            look.reason == reason
                && look.closers.contains(&refusal.closer)
                && (look.phases.0..=look.phases.1).contains(&refusal.phase)
                && look
                    .signals
                    .iter()
                    .any(|shape| shape.matches(&refusal.signal))
        })
        .map_or(Fit::No, |look| {
            look.tolerated.map_or(Fit::Expected, Fit::Tolerated)
        })
}

use Shape::{AnyStreamError, Fin, Reset, StreamEnd};

const ANYBODY: &[Closer] = &[Closer::Target, Closer::Partner, Closer::Nobody];
const TARGET: &[Closer] = &[Closer::Target];
const PARTNER: &[Closer] = &[Closer::Partner];

/// Ends of a stream or of TCP that say nothing.
const WORDLESS: &[Shape] = &[StreamEnd, Fin, Reset];
/// All ends of a stream or of TCP.
const ANY_END: &[Shape] = &[StreamEnd, AnyStreamError, Fin, Reset];

const OTHER_CONDITION: &str = "another error condition than the standards name for it";
const ABRUPT: &str = "TCP was ended without an end of the stream";
const NO_REASON_GIVEN: &str = "ended without saying why";
const NO_ANSWER: &str = "no answer at all: only a timeout ends it";
const CALLED_INVALID: &str = "the key is called invalid without having been verified";
const ANSWER_MISSING: &str = "the typed answer to the key is missing";
const KEY_WITHOUT_ID: &str = "a key was made for a stream that cannot carry dialback";
