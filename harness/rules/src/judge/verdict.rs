//! Combines findings, control and repetitions into one verdict.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::clause::WANTED;
use crate::finding::{Against, Finding};
use crate::outcome::Outcome;
use crate::record::{CaseResult, Control, ControlState, Run};
use crate::requirement::RequirementId;
use crate::verdict::{Verdict, Weight};

/// The verdict on a case and its reason in a sentence, independent of the target.
pub fn verdict(result: &CaseResult) -> (Verdict, String) {
    let findings = match &result.run {
        Run::Unsupported(why) => return (Verdict::Unsupported, why.clone()),
        Run::Failed(why) => return (Verdict::Error, why.clone()),
        Run::NotRun(why) => return (Verdict::NotRun, why.to_string()),
        Run::Ended { findings, .. } => findings,
    };
    if let Some(why) = result.repeated.as_ref().and_then(|r| r.unstable.as_ref()) {
        return (Verdict::Unstable, why.clone());
    }
    let (verdict, why) = of_findings(findings);
    match (unproven(result), &result.control) {
        (Some((verdict, what)), Some(Control { id, .. })) => {
            let why = format!(
                "refused as expected, but its control {id} {what}: this refusal proves nothing"
            );
            (verdict, why)
        }
        (None, Some(control))
            if control.state == ControlState::Pending && needs_control(result) =>
        {
            (verdict, format!("{why}; its control was not run"))
        }
        _ => (verdict, why),
    }
}

/// What a result is, and what its control did, if that makes it prove nothing.
pub fn unproven(result: &CaseResult) -> Option<(Verdict, &'static str)> {
    let control = result.control.as_ref().filter(|_| needs_control(result))?;
    match control.state {
        ControlState::Accepted | ControlState::Pending => None,
        ControlState::Missed => Some((Verdict::Warn, "was not accepted")),
        ControlState::Failed => Some((Verdict::Error, "could not be run")),
        ControlState::Open => Some((Verdict::Undecided, "was not decided")),
    }
}

/// The heaviest finding decides; all are listed, the heaviest first.
fn of_findings(findings: &[Finding]) -> (Verdict, String) {
    let verdict = match heaviest(findings) {
        None | Some(Weight::May) => Verdict::Pass,
        Some(Weight::Should) => Verdict::Warn,
        Some(Weight::Disputed) => Verdict::Disputed,
        Some(Weight::Undecided) => Verdict::Undecided,
        Some(Weight::Must) => Verdict::Fail,
    };
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| Reverse(finding.weight));
    let texts: Vec<String> = sorted
        .iter()
        .map(|finding| match &finding.against {
            Against::Requirements(ids) => {
                let recorded = if finding.weight == Weight::May {
                    " (recorded)"
                } else {
                    ""
                };
                format!("{}{recorded}: {}", ids.join(", "), finding.text)
            }
            Against::Scenario => format!("{WANTED}: {}", finding.text),
            Against::Rule(id) => format!("{id}: {}", finding.text),
            Against::Outcome | Against::Fault(_) => finding.text.clone(),
        })
        .collect();
    if texts.is_empty() {
        return (verdict, "as allowed".to_owned());
    }
    (verdict, texts.join("; "))
}

/// The deciding weight.
pub fn heaviest(findings: &[Finding]) -> Option<Weight> {
    findings.iter().map(|finding| finding.weight).max()
}

/// The ids of the requirements that the heaviest findings violate.
pub fn broken(findings: &[Finding]) -> BTreeSet<RequirementId> {
    let heaviest = heaviest(findings);
    findings
        .iter()
        .filter(|finding| Some(finding.weight) == heaviest && finding.weight > Weight::May)
        .flat_map(|finding| finding.against.ids())
        .filter_map(|id| id.parse().ok())
        .collect()
}

/// Whether a result proves nothing without its control: a refusal, or a scenario with a control, that
/// has no findings.
pub fn needs_control(result: &CaseResult) -> bool {
    let Run::Ended { outcome, findings } = &result.run else {
        return false;
    };
    let may_be_refused = matches!(outcome, Outcome::Refused(_)) || !result.case.script.by_oracle();
    may_be_refused && heaviest(findings) <= Some(Weight::Should)
}

/// The result as another case's control. `None` if the target turned out to lack
/// something, so there is no control.
pub fn control_state(result: &CaseResult) -> Option<ControlState> {
    Some(match &result.run {
        Run::Unsupported(_) => return None,
        Run::Failed(_) => ControlState::Failed,
        Run::NotRun(_) => ControlState::Pending,
        Run::Ended { findings, .. } if heaviest(findings) == Some(Weight::Undecided) => {
            ControlState::Open
        }
        Run::Ended { outcome, findings } => {
            // A scenario counts as accepted if it showed what it must show.
            let accepted =
                matches!(outcome, Outcome::Established(_)) || !result.case.script.by_oracle();
            if accepted && heaviest(findings) <= Some(Weight::Should) {
                ControlState::Accepted
            } else {
                ControlState::Missed
            }
        }
    })
}
