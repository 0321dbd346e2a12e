//! What a refusal looks like on the wire for each reason: who ends it, when, and how.

use crate::case::Direction;
use crate::expectation::Reason;
use crate::outcome::{Refusal, Signal};

mod table;
#[cfg(test)]
mod tests;

use table::PATTERNS;

/// How well an observed refusal fits a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// As expected.
    Expected,
    /// Tolerated, with the reason.
    Tolerated(&'static str),
    /// It does not match this reason.
    No,
}

/// A kind of signal; conditions are separated by spaces.
enum SignalPattern {
    AnyDialbackError,
    AnySaslFailure,
    AnyStreamError,
    AnyTlsAlert,
    ConfigRefused,
    DialbackError(&'static str),
    DialbackInvalid,
    Fin,
    NoConnection,
    Reset,
    SaslFailure(&'static str),
    Silence,
    StreamEnd,
    StreamError(&'static str),
    TlsBroken,
    TlsFailure,
}

impl SignalPattern {
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
            (Self::DialbackError(wanted), Signal::DialbackError(condition))
            | (Self::SaslFailure(wanted), Signal::SaslFailure(condition))
            | (Self::StreamError(wanted), Signal::StreamError(condition)) => {
                wanted.split(' ').any(|wanted| wanted == condition)
            }
            _ => false,
        }
    }
}

/// Whether a refusal seen on the wire matches this reason.
pub(super) fn admits(reason: Reason, direction: Direction, refusal: &Refusal) -> Match {
    let pattern = PATTERNS.iter().find(|pattern| {
        pattern.reason == reason
            && pattern.direction.is_none_or(|only| only == direction)
            && pattern.closers.contains(&refusal.closer)
            && pattern.phases.contains(&refusal.phase)
            && pattern
                .signals
                .iter()
                .any(|signal| signal.matches(&refusal.signal))
    });
    pattern.map_or(Match::No, |pattern| {
        pattern.tolerated.map_or(Match::Expected, Match::Tolerated)
    })
}
