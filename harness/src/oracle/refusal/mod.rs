//! What a refusal looks like on the wire for each reason: who ends it, when, and with what.

use crate::matrix::Direction;
use crate::outcome::{Closer, Phase, Refusal, Signal};

use super::expectation::{Fit, Reason};

mod inbound;
mod outbound;

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

impl Reason {
    /// Whether a refusal seen on the wire is one for this reason (the table of who closes, and with
    /// what).
    pub fn admits(self, direction: Direction, refusal: &Refusal) -> Fit {
        let looks = match direction {
            Direction::Outbound => outbound::LOOKS,
            Direction::Inbound => inbound::LOOKS,
        };
        looks
            .iter()
            .find(|look| {
                look.reason == self
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn fit(reason: Reason, direction: Direction, refusal: (Phase, Closer, Signal)) -> &'static str {
        let (phase, closer, signal) = refusal;
        match reason.admits(
            direction,
            &Refusal {
                phase,
                closer,
                signal,
            },
        ) {
            Fit::Expected => "expected",
            Fit::Tolerated(_) => "tolerated",
            Fit::No => "no",
        }
    }

    fn error(condition: &str) -> Signal {
        Signal::StreamError(condition.to_owned())
    }

    fn dialback(condition: &str) -> Signal {
        Signal::DialbackError(condition.to_owned())
    }

    #[rstest]
    #[case(Reason::Config, Phase::Config, Closer::Target, Signal::ConfigRefused("row 6".into()), "expected")]
    #[case(
        Reason::Config,
        Phase::Connect,
        Closer::Nobody,
        Signal::NoConnection,
        "expected"
    )]
    #[case(Reason::Config, Phase::Sasl, Closer::Target, Signal::StreamEnd, "no")]
    #[case(
        Reason::NoTls,
        Phase::Method,
        Closer::Target,
        error("policy-violation"),
        "expected"
    )]
    #[case(
        Reason::NoTls,
        Phase::Method,
        Closer::Target,
        Signal::StreamEnd,
        "expected"
    )]
    #[case(
        Reason::NoTls,
        Phase::Method,
        Closer::Target,
        error("not-authorized"),
        "tolerated"
    )]
    #[case(Reason::NoTls, Phase::Method, Closer::Target, Signal::Fin, "tolerated")]
    #[case(
        Reason::NoTls,
        Phase::Starttls,
        Closer::Partner,
        Signal::TlsFailure,
        "expected"
    )]
    #[case(
        Reason::NoTls,
        Phase::Dialback,
        Closer::Partner,
        dialback("policy-violation"),
        "no"
    )]
    #[case(Reason::NoTls, Phase::Tls, Closer::Partner, Signal::TlsBroken, "no")]
    #[case(
        Reason::PeerTls,
        Phase::Method,
        Closer::Target,
        error("unsupported-feature"),
        "expected"
    )]
    #[case(
        Reason::PeerTls,
        Phase::Dialback,
        Closer::Partner,
        dialback("policy-violation"),
        "expected"
    )]
    #[case(Reason::PeerTls, Phase::Method, Closer::Nobody, Signal::Silence, "no")]
    #[case(
        Reason::TlsFail,
        Phase::Starttls,
        Closer::Partner,
        Signal::TlsFailure,
        "expected"
    )]
    #[case(Reason::TlsFail, Phase::Tls, Closer::Target, Signal::TlsAlert("protocol_version".into()), "expected")]
    #[case(Reason::TlsFail, Phase::Tls, Closer::Target, Signal::Fin, "expected")]
    #[case(Reason::TlsFail, Phase::Dialback, Closer::Target, Signal::Fin, "no")]
    #[case(Reason::BadCert, Phase::Tls, Closer::Target, Signal::TlsAlert("unknown_ca".into()), "expected")]
    #[case(
        Reason::BadCert,
        Phase::Method,
        Closer::Target,
        error("not-authorized"),
        "expected"
    )]
    #[case(Reason::BadCert, Phase::Tls, Closer::Partner, Signal::TlsAlert("unknown_ca".into()), "no")]
    #[case(Reason::SaslFail, Phase::Sasl, Closer::Partner, Signal::SaslFailure("not-authorized".into()), "expected")]
    #[case(
        Reason::SaslFail,
        Phase::Sasl,
        Closer::Target,
        Signal::StreamEnd,
        "expected"
    )]
    #[case(
        Reason::SaslFail,
        Phase::Dialback,
        Closer::Target,
        Signal::StreamEnd,
        "no"
    )]
    #[case(
        Reason::NoMethod,
        Phase::Method,
        Closer::Target,
        error("unsupported-feature"),
        "expected"
    )]
    #[case(Reason::NoMethod, Phase::Method, Closer::Nobody, Signal::Silence, "no")]
    #[case(
        Reason::NoMethod,
        Phase::Stanza,
        Closer::Target,
        Signal::StreamEnd,
        "no"
    )]
    #[case(
        Reason::PeerBroken,
        Phase::Connect,
        Closer::Nobody,
        Signal::NoConnection,
        "expected"
    )]
    #[case(
        Reason::PeerBroken,
        Phase::Stream,
        Closer::Partner,
        Signal::Reset,
        "expected"
    )]
    #[case(
        Reason::PeerBroken,
        Phase::Stream,
        Closer::Target,
        error("connection-timeout"),
        "expected"
    )]
    #[case(
        Reason::PeerBroken,
        Phase::Dialback,
        Closer::Partner,
        Signal::DialbackInvalid,
        "tolerated"
    )]
    #[case(
        Reason::PeerBroken,
        Phase::Stream,
        Closer::Nobody,
        Signal::Silence,
        "no"
    )]
    fn outbound_refusals_look_as_their_reason_wants(
        #[case] reason: Reason,
        #[case] phase: Phase,
        #[case] closer: Closer,
        #[case] signal: Signal,
        #[case] wanted: &str,
    ) {
        let seen = fit(reason, Direction::Outbound, (phase, closer, signal));
        assert_eq!(seen, wanted);
    }

    #[rstest]
    #[case(
        Reason::Config,
        Phase::Method,
        Closer::Partner,
        Signal::StreamEnd,
        "expected"
    )]
    #[case(
        Reason::Config,
        Phase::Stream,
        Closer::Target,
        error("host-unknown"),
        "tolerated"
    )]
    #[case(
        Reason::NoTls,
        Phase::Dialback,
        Closer::Target,
        dialback("policy-violation"),
        "expected"
    )]
    #[case(
        Reason::NoTls,
        Phase::Dialback,
        Closer::Target,
        error("not-authorized"),
        "expected"
    )]
    #[case(
        Reason::NoTls,
        Phase::Dialback,
        Closer::Partner,
        Signal::Silence,
        "tolerated"
    )]
    #[case(Reason::NoTls, Phase::Tls, Closer::Target, Signal::TlsAlert("unknown_ca".into()), "no")]
    #[case(
        Reason::TlsFail,
        Phase::Tls,
        Closer::Partner,
        Signal::TlsBroken,
        "expected"
    )]
    #[case(Reason::BadCert, Phase::Tls, Closer::Target, Signal::TlsAlert("bad_certificate".into()), "expected")]
    #[case(Reason::BadCert, Phase::Sasl, Closer::Target, Signal::SaslFailure("not-authorized".into()), "expected")]
    #[case(
        Reason::BadCert,
        Phase::Method,
        Closer::Partner,
        Signal::StreamEnd,
        "expected"
    )]
    #[case(
        Reason::BadCert,
        Phase::Stanza,
        Closer::Target,
        Signal::StreamEnd,
        "no"
    )]
    #[case(
        Reason::NoMethod,
        Phase::Method,
        Closer::Partner,
        Signal::StreamEnd,
        "expected"
    )]
    #[case(
        Reason::NoMethod,
        Phase::Dialback,
        Closer::Nobody,
        Signal::Silence,
        "expected"
    )]
    #[case(
        Reason::NoMethod,
        Phase::Dialback,
        Closer::Target,
        error("unsupported-stanza-type"),
        "expected"
    )]
    #[case(
        Reason::NoMethod,
        Phase::Dialback,
        Closer::Target,
        Signal::DialbackInvalid,
        "tolerated"
    )]
    #[case(
        Reason::VerificationNegative,
        Phase::Dialback,
        Closer::Target,
        Signal::DialbackInvalid,
        "expected"
    )]
    #[case(
        Reason::VerificationNegative,
        Phase::Dialback,
        Closer::Target,
        dialback("forbidden"),
        "expected"
    )]
    #[case(
        Reason::VerificationNegative,
        Phase::Dialback,
        Closer::Target,
        Signal::Fin,
        "tolerated"
    )]
    #[case(
        Reason::VerificationNegative,
        Phase::Method,
        Closer::Target,
        Signal::StreamEnd,
        "no"
    )]
    #[case(
        Reason::VerificationImpossible,
        Phase::Dialback,
        Closer::Target,
        dialback("remote-server-timeout"),
        "expected"
    )]
    #[case(
        Reason::VerificationImpossible,
        Phase::Dialback,
        Closer::Target,
        error("remote-connection-failed"),
        "tolerated"
    )]
    #[case(
        Reason::VerificationImpossible,
        Phase::Dialback,
        Closer::Nobody,
        Signal::Silence,
        "no"
    )]
    #[case(
        Reason::PeerGivesUp,
        Phase::Method,
        Closer::Partner,
        error("policy-violation"),
        "expected"
    )]
    #[case(
        Reason::PeerGivesUp,
        Phase::Starttls,
        Closer::Target,
        Signal::TlsFailure,
        "expected"
    )]
    #[case(
        Reason::PeerGivesUp,
        Phase::Method,
        Closer::Target,
        Signal::StreamEnd,
        "no"
    )]
    #[case(
        Reason::PeerTls,
        Phase::Method,
        Closer::Target,
        Signal::StreamEnd,
        "no"
    )]
    #[case(Reason::SaslFail, Phase::Sasl, Closer::Target, Signal::StreamEnd, "no")]
    fn inbound_refusals_look_as_their_reason_wants(
        #[case] reason: Reason,
        #[case] phase: Phase,
        #[case] closer: Closer,
        #[case] signal: Signal,
        #[case] wanted: &str,
    ) {
        let seen = fit(reason, Direction::Inbound, (phase, closer, signal));
        assert_eq!(seen, wanted);
    }

    #[test]
    fn no_end_after_authentication_is_a_refusal() {
        for reason in Reason::ALL {
            for signal in [Signal::StreamEnd, Signal::Fin, Signal::Silence] {
                let refusal = (Phase::Stanza, Closer::Target, signal);
                for direction in [Direction::Outbound, Direction::Inbound] {
                    assert_eq!(fit(reason, direction, refusal.clone()), "no", "{reason}");
                }
            }
        }
    }

    #[test]
    fn every_reason_has_a_look() {
        for reason in Reason::ALL {
            let mut looks = outbound::LOOKS.iter().chain(inbound::LOOKS);
            assert!(looks.any(|look| look.reason == reason), "{reason}");
        }
    }
}
