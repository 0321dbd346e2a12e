//! What is wrong with a result, as entries of a baseline name it: one deviation for each of its causes.

use std::fmt;

use super::entry::Covers;
use crate::case::Sees;
use crate::finding::{Against, Finding, Sign};
use crate::judge::{self, WANTED, clause};
use crate::record::CaseResult;
use crate::verdict::{Verdict, Weight};

/// One thing that is wrong with a result. The [causes](crate::judge::causes) of a run tell the same ones apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deviation {
    /// How much it weighs.
    pub(super) level: Covers,
    pub(super) what: What,
    /// What was seen although a MUST forbids it, such as `delivered`.
    pub(super) seen: Option<Sees>,
    /// How the case ended, in the words of the report.
    pub(super) outcome: String,
    /// The rule of the oracle that decides the case, unless a scenario does.
    pub(super) rule: Option<&'static str>,
}

/// What a deviation goes against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// The requirement with this id.
    Requirement(String),
    /// What no case may show, in the words of the report.
    Fault(String),
    /// The ends that the rule of the oracle allows.
    End,
}

impl Deviation {
    /// The deviations of a result, each once.
    pub(super) fn all(result: &CaseResult) -> Vec<Self> {
        let Some(outcome) = result.outcome().map(ToString::to_string) else {
            return Vec::new();
        };
        let rule = result.allowed.as_ref().map(|allowed| allowed.rule);
        let of_findings = result.findings().iter().filter_map(|finding| {
            let what = what(result, finding);
            Some((level(finding.weight)?, what, seen(result, finding)))
        });
        let mut all: Vec<Self> = of_findings
            .chain(unproven(result))
            .map(|(level, what, seen)| Self {
                level,
                what,
                seen,
                outcome: outcome.clone(),
                rule,
            })
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outcome,
            level,
            seen,
            ..
        } = self;
        match &self.what {
            What::Requirement(id) if *level == Covers::Undecided => write!(to, "leaves open {id}"),
            What::Requirement(id) => match seen {
                Some(sees) => write!(to, "breaks {id} by `{sees}`"),
                None => write!(to, "breaks {id}"),
            },
            What::Fault(fault) => write!(to, "{outcome}, but {fault}"),
            What::End => to.write_str(outcome),
        }
    }
}

const fn level(weight: Weight) -> Option<Covers> {
    match weight {
        Weight::Must => Some(Covers::Fail),
        Weight::Undecided => Some(Covers::Undecided),
        Weight::Should => Some(Covers::Warn),
        Weight::Disputed | Weight::May => None,
    }
}

fn what(result: &CaseResult, finding: &Finding) -> What {
    let requirement = clause(result, finding).requirement;
    match (&finding.against, requirement) {
        (Against::Outcome, _) => What::End,
        (_, Some(id)) => What::Requirement(id),
        (Against::Fault(fault), None) => What::Fault(fault.to_string()),
        (Against::Requirements(_), None) if finding.sign == Sign::Aftermath => {
            What::Fault("the target no longer worked afterwards".to_owned())
        }
        (Against::Scenario, None) => What::Fault(WANTED.to_owned()),
        (Against::Rule(id), None) => What::Fault(format!("it breaks {id}")),
        // An id that is in no registry.
        (Against::Requirements(ids), None) => What::Requirement(ids.join(", ")),
    }
}

/// A requirement can be broken by less than is wanted and by what it is there to prevent, and a known
/// breach of the first kind says nothing of the second.
fn seen(result: &CaseResult, finding: &Finding) -> Option<Sees> {
    let expect = result.case.script.expect.get(finding.expectation?)?;
    let breaks = matches!(finding.against, Against::Requirements(_));
    (breaks && expect.never && finding.weight == Weight::Must).then_some(expect.sees)
}

/// A refusal that proves nothing without its control.
fn unproven(result: &CaseResult) -> Option<(Covers, What, Option<Sees>)> {
    let (verdict, what) = judge::unproven(result)?;
    let level = match verdict {
        Verdict::Warn => Covers::Warn,
        Verdict::Undecided => Covers::Undecided,
        _ => return None,
    };
    Some((level, What::Fault(format!("its control {what}")), None))
}
