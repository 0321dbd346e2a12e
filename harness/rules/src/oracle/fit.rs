//! Compares an outcome with the allowed ends.

use crate::case::Direction;
use crate::expectation::{End, Expectation};
use crate::outcome::Outcome;

use super::refusal::{Match, admits};

/// How well an outcome fits what is allowed: the best fit over all allowed ends.
pub fn fit(expectation: &Expectation, direction: Direction, outcome: &Outcome) -> Match {
    let fits = expectation.allowed.iter().map(|allowed| {
        let fit = match (&allowed.end, outcome) {
            (End::Established(wanted), Outcome::Established(method)) if wanted == method => {
                Match::Expected
            }
            (End::Refused(reason), Outcome::Refused(refusal)) => {
                admits(*reason, direction, refusal)
            }
            (_, Outcome::Established(_) | Outcome::Refused(_) | Outcome::Stalled(_)) => Match::No,
        };
        match (fit, allowed.warn) {
            (Match::Expected, Some(ground)) => Match::Tolerated(ground),
            (fit, _) => fit,
        }
    });
    let mut best = Match::No;
    for fit in fits {
        match fit {
            Match::Expected => return Match::Expected,
            Match::Tolerated(_) if best == Match::No => best = fit,
            Match::Tolerated(_) | Match::No => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expectation::{Allowed, Reason};
    use crate::outcome::{Closer, Method, Phase, Refusal, Signal};

    fn refused(phase: Phase, signal: Signal) -> Outcome {
        Outcome::Refused(Refusal {
            phase,
            closer: Closer::Target,
            signal,
        })
    }

    #[test]
    fn outcomes_are_judged_by_their_best_fit() {
        let expectation = Expectation {
            rule: "out.5.clear-retry",
            clause: "RFC 6120 §5.4.3.2",
            allowed: vec![
                Allowed::refused(Reason::TlsFail),
                Allowed::established(Method::TcpDialback).warned("downgradable"),
            ],
        };
        let judge = |outcome| fit(&expectation, Direction::Outbound, &outcome);
        assert_eq!(
            judge(refused(Phase::Tls, Signal::TlsBroken)),
            Match::Expected
        );
        assert_eq!(
            judge(Outcome::Established(Method::TcpDialback)),
            Match::Tolerated("downgradable")
        );
        assert_eq!(judge(Outcome::Established(Method::SaslTls)), Match::No);
        assert_eq!(judge(Outcome::Stalled(Phase::Tls)), Match::No);
        let elsewhere = refused(Phase::Dialback, Signal::DialbackInvalid);
        assert_eq!(judge(elsewhere), Match::No);
    }
}
