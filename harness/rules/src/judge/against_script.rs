//! Findings for a case whose scenario says what must be observed.

use super::always::breaches;
use super::grade::{Grade, grade};
use super::sign::sign;
use crate::case::{Expect, Script, Sees};
use crate::evidence::Ailment;
use crate::finding::{Against, Finding, Sign, Step};
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
    pub health: Option<Ailment>,
    /// Fills in placeholders.
    pub fill: &'a dyn Fn(&str) -> String,
    /// Why silence says nothing of the target, if it does not.
    pub undecided: Option<&'a str>,
    /// Whether an expectation is not judged, because the case ended before it could be met.
    pub is_open: &'a dyn Fn(&Expect) -> bool,
}

/// The findings: expectations that are not met, what no target may do in any scenario, an outcome that the scenario does not list, a target
/// that has broken.
pub fn against_script(case: &ScriptCase<'_>) -> Vec<Finding> {
    let rule = case.script.administration.as_ref().map(|one| one.rule.id);
    let against = |ids: &[String]| rule.map_or_else(|| Against::requirements(ids), Against::Rule);
    let expected = case.script.expect.iter().enumerate();
    let unmet = expected.filter_map(|(at, expect)| {
        let requirements = if expect.requirements.is_empty() {
            case.requirements
        } else {
            &expect.requirements
        };
        let weight = weight(expect, requirements, case.script.registry());
        let (weight, sign, seen, text) = match grade(expect, case.observations, case.fill) {
            Grade::Met => return None,
            Grade::Tolerated(why) => (weight.min(Weight::Should), Sign::Wrong, true, why),
            Grade::Unmet(_) if (case.is_open)(expect) => return None,
            Grade::Unmet(why) => (
                weight,
                sign(expect, case.observations, case.fill),
                // A partner that gives up has seen nothing.
                expect.is_negative() && expect.sees != Sees::GaveUp || weight < Weight::Should,
                format!("{expect}: {why}"),
            ),
        };
        let finding = Finding {
            against: against(requirements),
            weight,
            sign,
            step: expect.sees.step(),
            text,
            connection: None,
            expectation: Some(at),
            seen,
        };
        Some(finding.unless_silence(case.undecided))
    });
    let as_a_whole = |weight, sign, step, text| Finding {
        against: against(case.requirements),
        weight,
        sign,
        step,
        text,
        connection: None,
        expectation: None,
        seen: true,
    };
    let always = breaches(&case.script.expect, case.observations);
    let always = always.into_iter().map(|breach| {
        let finding = as_a_whole(Weight::Must, Sign::Wrong, breach.step, breach.text);
        match breach.requirement {
            Some(id) => Finding {
                against: Against::Requirements(vec![id.to_owned()]),
                ..finding
            },
            None => finding,
        }
    });
    let strongest = strongest(case.requirements, case.script.registry());
    let ending = outcome(case).map(|text| {
        let step = Step::reached(case.outcome);
        let finding = Finding {
            seen: !case.outcome.is_silence(),
            ..as_a_whole(strongest, Sign::Ending, step, text)
        };
        finding.unless_silence(case.undecided)
    });
    let aftermath = case.health.map(|health| {
        let text =
            format!("after the case the target no longer accepts a correct partner: {health}");
        let finding = Finding {
            seen: health != Ailment::Silent,
            ..as_a_whole(Weight::Must, Sign::Aftermath, Step::End, text)
        };
        finding.unless_silence(case.undecided)
    });
    unmet.chain(always).chain(ending).chain(aftermath).collect()
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
pub fn weight(expect: &Expect, requirements: &[String], registry: &Registry) -> Weight {
    let strongest = strongest(requirements, registry);
    expect.level.map_or(strongest, |level| level.min(strongest))
}

/// The weight of the strongest requirement. What a scenario without any wants is a must: somebody wrote it
/// down to see it fail.
fn strongest(requirements: &[String], registry: &Registry) -> Weight {
    requirements
        .iter()
        .filter_map(|id| registry.get(&id.parse().ok()?))
        .map(|requirement| requirement.level.weight())
        .max()
        .unwrap_or(Weight::Must)
}
