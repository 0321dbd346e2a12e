//! Findings for a case whose scenario says what must be observed.

use super::always::breaches;
use super::grade::{Grade, grade};
use crate::case::{Expect, Script};
use crate::finding::{Against, Finding};
use crate::observe::Observation;
use crate::outcome::Outcome;
use crate::requirement::Registry;
use crate::verdict::Weight;

/// The input for judging such a case.
pub struct ScriptCase<'a> {
    /// The script.
    pub script: &'a Script,
    /// The requirements that the scenario judges.
    pub requirements: &'a [String],
    /// The observations.
    pub observations: &'a [Observation],
    /// How the main partner's negotiation ended.
    pub outcome: &'a Outcome,
    /// A problem with the target afterwards, if any.
    pub health: Option<&'a str>,
    /// Fills in placeholders.
    pub fill: &'a dyn Fn(&str) -> String,
}

/// The findings: expectations that are not met, what no target may do in any scenario, an outcome that the scenario does not list, a target
/// that has broken.
pub fn against_script(case: &ScriptCase<'_>) -> Vec<Finding> {
    let unmet = case.script.expect.iter().filter_map(|expect| {
        let requirements = if expect.requirements.is_empty() {
            case.requirements
        } else {
            &expect.requirements
        };
        let weight = weight(expect, requirements);
        let (weight, text) = match grade(expect, case.observations, case.fill) {
            Grade::Met => return None,
            Grade::Tolerated(why) => (weight.min(Weight::Should), why),
            Grade::Unmet(why) => (weight, format!("{expect}: {why}")),
        };
        Some(finding(requirements, weight, text))
    });
    let must = |text| finding(case.requirements, Weight::Must, text);
    let always = breaches(&case.script.expect, case.observations)
        .into_iter()
        .map(|breach| match breach.requirement {
            Some(id) => finding(&[id.to_owned()], Weight::Must, breach.text),
            None => must(breach.text),
        });
    unmet
        .chain(always)
        .chain(outcome(case).map(must))
        .chain(case.health.map(|health| {
            must(format!(
                "after the case the target no longer accepts a conforming partner: {health}"
            ))
        }))
        .collect()
}

fn finding(requirements: &[String], weight: Weight, text: String) -> Finding {
    Finding {
        against: Against::Requirements(requirements.to_vec()),
        weight,
        text,
        connection: None,
    }
}

/// Why the scenario does not allow the outcome.
fn outcome(case: &ScriptCase<'_>) -> Option<String> {
    let allowed = &case.script.outcome;
    if allowed.is_empty() || allowed.iter().any(|word| word.admits(case.outcome)) {
        return None;
    }
    let words: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    Some(format!(
        "it ended as {}, where {} is allowed",
        case.outcome,
        words.join(" or ")
    ))
}

/// The weight of an unmet expectation: that of the strongest requirement behind it,
/// unless the scenario lowers it.
fn weight(expect: &Expect, requirements: &[String]) -> Weight {
    let registry = Registry::builtin();
    let strongest = requirements
        .iter()
        .filter_map(|id| registry.get(&id.parse().ok()?))
        .map(|requirement| requirement.level.weight())
        .max()
        .unwrap_or(Weight::Must);
    expect.level.map_or(strongest, |level| level.min(strongest))
}
