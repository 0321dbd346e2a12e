use rstest::rstest;

use super::*;
use crate::outcome::{Closer, Phase};

fn fit(reason: Reason, direction: Direction, refusal: (Phase, Closer, Signal)) -> &'static str {
    let (phase, closer, signal) = refusal;
    match admits(
        reason,
        direction,
        &Refusal {
            phase,
            closer,
            signal,
        },
    ) {
        Match::Expected => "expected",
        Match::Tolerated(_) => "tolerated",
        Match::No => "no",
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
    for &reason in Reason::ALL {
        for signal in [Signal::StreamEnd, Signal::Fin, Signal::Silence] {
            let refusal = (Phase::Stanza, Closer::Target, signal);
            for direction in [Direction::Outbound, Direction::Inbound] {
                assert_eq!(fit(reason, direction, refusal.clone()), "no", "{reason}");
            }
        }
    }
}

#[test]
fn every_reason_has_a_pattern() {
    for &reason in Reason::ALL {
        let found = PATTERNS.iter().any(|pattern| pattern.reason == reason);
        assert!(found, "{reason}");
    }
}
