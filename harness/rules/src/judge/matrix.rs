//! Compares an outcome with what the oracle allows.

use std::collections::BTreeSet;

use simulated_partners::event::Leg;

use super::fault::Fault;
use super::reading::{Bounce, Evidence};
use crate::case::Direction;
use crate::expectation::{End, Expectation};
use crate::oracle::never::Deed;
use crate::oracle::{Fit, Opinion, fit};
use crate::outcome::{Outcome, method_name};
use crate::verdict::Verdict;

/// A verdict with its ground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The word.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub why: String,
    /// What is wrong beside the outcome.
    pub fault: Option<Fault>,
}

/// Everything a verdict is made from.
pub struct Facts<'a> {
    /// Who dials.
    pub direction: Direction,
    /// What the oracle allows.
    pub expectation: &'a Expectation,
    /// What other tables say of the same case.
    pub opinions: &'a [Opinion],
    /// What happened.
    pub outcome: &'a Outcome,
    /// Forbidden things that the target did.
    pub violations: &'a BTreeSet<(Leg, Deed)>,
    /// What was seen beside the partner's wire.
    pub evidence: Evidence,
    /// Whether an answer had to come back.
    pub answer_due: bool,
}

/// Judges a case: first what may never happen, then what the tables allow, then whether the stanza
/// went where the wire says.
pub fn judge(facts: &Facts<'_>) -> Judgement {
    if let Some((leg, deed)) = facts.violations.first() {
        return Judgement {
            fault: Some(Fault::Forbidden(*deed)),
            ..fail(format!("forbidden here: the target {deed} (leg {})", leg.0))
        };
    }
    if let Some(fault) = contradiction(facts) {
        return Judgement {
            fault: Some(fault),
            ..fail(fault.sentence())
        };
    }
    match fit(facts.expectation, facts.direction, facts.outcome) {
        Fit::Expected => Judgement {
            verdict: Verdict::Pass,
            why: "as allowed".to_owned(),
            fault: None,
        },
        Fit::Tolerated(ground) => Judgement {
            verdict: Verdict::Warn,
            why: ground.to_owned(),
            fault: None,
        },
        Fit::No => disputed(facts).unwrap_or_else(|| fail(mismatch(facts))),
    }
}

fn fail(why: String) -> Judgement {
    Judgement {
        verdict: Verdict::Fail,
        why,
        fault: None,
    }
}

/// What is missing although the wire looks right: a stanza that got lost or through.
fn contradiction(facts: &Facts<'_>) -> Option<Fault> {
    let Evidence {
        arrived,
        answered,
        bounced,
    } = facts.evidence;
    match facts.outcome {
        Outcome::Established(_) if facts.answer_due && !answered => Some(Fault::Unanswered),
        Outcome::Refused(_) if arrived.is_seen() => Some(Fault::Arrived),
        Outcome::Refused(_)
            if facts.direction == Direction::Outbound && bounced == Bounce::NotSeen =>
        {
            Some(Fault::NotReturned)
        }
        Outcome::Established(_) | Outcome::Refused(_) | Outcome::Stalled(_) => None,
    }
}

fn disputed(facts: &Facts<'_>) -> Option<Judgement> {
    let opinion = facts
        .opinions
        .iter()
        .find(|opinion| opinion.disputes(facts.expectation, facts.outcome))?;
    Some(Judgement {
        verdict: Verdict::Disputed,
        why: format!(
            "{} allows it, {} does not",
            opinion.source, facts.expectation.clause
        ),
        fault: None,
    })
}

fn mismatch(facts: &Facts<'_>) -> String {
    match facts.outcome {
        Outcome::Stalled(phase) => format!("nothing more happened ({phase}) before the deadline"),
        Outcome::Established(method) => {
            format!(
                "established by {}, which is not allowed",
                method_name(*method)
            )
        }
        Outcome::Refused(refusal) => {
            let wanted = facts
                .expectation
                .allowed
                .iter()
                .any(|a| matches!(a.end, End::Refused(_)));
            if wanted {
                format!("refused, but not for an allowed reason: {refusal}")
            } else {
                format!("refused, although it has to be established: {refusal}")
            }
        }
    }
}
