//! Findings for a case that the oracle decides.

use std::collections::BTreeSet;

use simulated_partners::event::ConnectionId;

use crate::case::Direction;
use crate::evidence::{Bounce, Evidence};
use crate::expectation::{End, Expectation};
use crate::finding::{Against, Fault, Finding, Sign, Step, Violation};
use crate::oracle::{Match, Opinion, fit};
use crate::outcome::Outcome;
use crate::verdict::Weight;

/// The input for judging such a case.
pub struct OracleCase<'a> {
    /// Who dials.
    pub direction: Direction,
    /// The ends that the oracle allows.
    pub allowed: &'a Expectation,
    /// What other sources say about the case.
    pub opinions: &'a [Opinion],
    /// What happened.
    pub outcome: &'a Outcome,
    /// Prohibited things that the target did.
    pub violations: &'a BTreeSet<(ConnectionId, Violation)>,
    /// Observations other than the partner's wire.
    pub evidence: Evidence,
    /// Whether an answer was expected.
    pub answer_due: bool,
    /// Other streams that the partner itself ended with an error, in words.
    pub ended_by_partner: &'a [String],
    /// Why silence says nothing of the target, if it does not.
    pub undecided: Option<&'a str>,
    /// Whether the case was ended after a breach, so that what was not seen says nothing.
    pub cut: bool,
}

/// The findings: prohibited behaviour, a stanza whose delivery contradicts the wire, and an outcome that the
/// tables do not allow.
pub fn against_oracle(case: &OracleCase<'_>) -> Vec<Finding> {
    let prohibited = case
        .violations
        .iter()
        .map(|(connection, violation)| Finding {
            connection: Some(connection.0),
            ..Finding::of_fault(
                Fault::Prohibited(*violation),
                format!("must not: the target {violation} (#{})", connection.0),
            )
        });
    let rest = contradiction(case).into_iter().chain(outcome(case));
    prohibited
        .chain(rest.filter(|finding| finding.seen || !case.cut))
        .map(|finding| finding.unless_silence(case.undecided))
        .collect()
}

/// Problems that the wire does not show: a stanza that was lost or got through.
fn contradiction(case: &OracleCase<'_>) -> Option<Finding> {
    let Evidence {
        arrived,
        answered,
        bounced,
    } = case.evidence;
    match case.outcome {
        Outcome::Established(_) if case.answer_due && !answered => Some(Finding::of_fault(
            Fault::Unanswered,
            "the stanza arrived, but its answer did not come back",
        )),
        Outcome::Refused(_) if arrived.is_seen() => Some(Finding::of_fault(
            Fault::Arrived,
            "the stanza arrived although the stream was refused",
        )),
        Outcome::Refused(_)
            if case.direction == Direction::Outbound && bounced == Bounce::NotSeen =>
        {
            Some(Finding::of_fault(
                Fault::NotReturned,
                "the stanza was not returned to its sender (XEP-0220 §2.1.1)",
            ))
        }
        Outcome::Established(_) | Outcome::Refused(_) | Outcome::Stalled(_) => None,
    }
}

fn outcome(case: &OracleCase<'_>) -> Option<Finding> {
    let (weight, text) = match fit(case.allowed, case.direction, case.outcome) {
        Match::Expected => return None,
        Match::Tolerated(ground) => (Weight::Should, ground.to_owned()),
        Match::No => disputed(case).unwrap_or_else(|| (Weight::Must, explained(case))),
    };
    Some(Finding {
        against: Against::Outcome,
        weight,
        sign: Sign::Ending,
        step: Step::reached(case.outcome),
        text,
        connection: None,
        expectation: None,
        seen: !case.outcome.is_silence(),
    })
}

fn disputed(case: &OracleCase<'_>) -> Option<(Weight, String)> {
    let opinion = case
        .opinions
        .iter()
        .find(|opinion| opinion.disputes(case.allowed, case.outcome))?;
    let text = format!(
        "{} allows it, {} does not",
        opinion.source, case.allowed.clause
    );
    Some((Weight::Disputed, text))
}

/// What does not fit, and what the partner itself did about it on other connections.
fn explained(case: &OracleCase<'_>) -> String {
    let text = mismatch(case);
    match case.ended_by_partner {
        [] => text,
        ended => format!("{text}; before that, {}", ended.join(" and ")),
    }
}

fn mismatch(case: &OracleCase<'_>) -> String {
    match case.outcome {
        Outcome::Stalled(phase) => format!("nothing more happened ({phase}) before the deadline"),
        Outcome::Established(method) => {
            format!("established by {method}, which is not allowed")
        }
        Outcome::Refused(refusal) => {
            let wanted = case
                .allowed
                .allowed
                .iter()
                .any(|allowed| matches!(allowed.end, End::Refused(_)));
            if wanted {
                format!("refused, but not for an allowed reason: {refusal}")
            } else {
                format!("refused, although it must be established: {refusal}")
            }
        }
    }
}
