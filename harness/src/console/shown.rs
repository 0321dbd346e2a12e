//! Describes a result in a few words.
//!
//! `sasl-tls`, `stalled at connect`, `refused: stream error policy-violation at stream, ended by
//! target`; other problems follow: `tls-dialback, but no answer came back`. If a scenario's
//! requirements are violated: `breaks STR-08, STR-09`, or `leaves open` them if the case is undecided. One
//! without requirements `breaks what the scenario wants`.

use crate::finding::{Against, Finding};
use crate::judge::{WANTED, broken, heaviest, unproven};
use crate::record::CaseResult;
use crate::verdict::Weight;

/// The description of a result, if the case was run.
pub fn shown(result: &CaseResult) -> Option<String> {
    let outcome = result.outcome()?;
    if let Some(fault) = fault(result) {
        return Some(format!("{outcome}, but {fault}"));
    }
    let mut broken: Vec<String> = broken(result.findings())
        .iter()
        .map(ToString::to_string)
        .collect();
    let heaviest = heaviest(result.findings());
    let of_its_own = |finding: &Finding| {
        finding.against == Against::Scenario && Some(finding.weight) == heaviest
    };
    if result.findings().iter().any(of_its_own) && heaviest > Some(Weight::May) {
        broken.push(WANTED.to_owned());
    }
    let mut findings = result.findings().iter();
    let rule = findings.find_map(|finding| match finding.against {
        Against::Rule(id) if Some(finding.weight) == heaviest => Some(id),
        _ => None,
    });
    if let Some(rule) = rule.filter(|_| heaviest > Some(Weight::May)) {
        broken.push(rule.to_owned());
    }
    if broken.is_empty() {
        return Some(outcome.to_string());
    }
    let what = match heaviest {
        Some(Weight::Undecided) => "leaves open",
        _ => "breaks",
    };
    Some(format!("{what} {}", broken.join(", ")))
}

/// Problems other than the outcome.
fn fault(result: &CaseResult) -> Option<String> {
    let fault = result
        .findings()
        .iter()
        .find_map(|finding| match finding.against {
            Against::Fault(fault) => Some(fault.to_string()),
            Against::Outcome | Against::Requirements(_) | Against::Scenario | Against::Rule(_) => {
                None
            }
        });
    fault.or_else(|| Some(format!("its control {}", unproven(result)?.1)))
}
