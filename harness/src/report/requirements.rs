//! What a run has shown of each requirement.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use strum::{Display, VariantArray};

use super::gather::Report;
use crate::judge::Strength;
use crate::record::{Record, Run};
use crate::requirement::{Registry, Requirement};
use crate::verdict::{Verdict, Weight};

/// A run of fewer requirements is about single cases.
const TOLD: usize = 20;

/// How a requirement stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Display, VariantArray, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Standing {
    /// A case failed because of it, expected or not.
    Breached,
    /// A case warned because of it.
    Departed,
    /// Cases that judge it were run, and none of them can say.
    Open,
    /// At least one case that judges it passed, and none spoke against it.
    Held,
    /// No case that judges it was run.
    NotTested,
}

/// A requirement and what the run has shown of it.
pub(super) struct Shown<'a> {
    /// The requirement.
    pub requirement: &'a Requirement,
    /// How it stands.
    pub standing: Standing,
    /// How many of the cases that judge it passed.
    pub passed: usize,
    /// The cases that speak against it.
    pub against: Vec<&'a str>,
    /// Why it was not tested, or cannot be said.
    pub why: Option<String>,
}

/// What the cases of one requirement say.
#[derive(Default)]
struct Votes<'a> {
    passed: usize,
    breached: Vec<&'a str>,
    departed: Vec<&'a str>,
    open: BTreeMap<String, usize>,
    unsupported: BTreeMap<&'a str, usize>,
}

/// All requirements, in the order of the registry.
pub(super) fn requirements(report: &Report) -> Vec<Shown<'_>> {
    let registry = match report.records.values().next() {
        Some(record) => record.result.case.registry(),
        None => Registry::builtin(),
    };
    let mut votes: BTreeMap<&str, Votes<'_>> = BTreeMap::new();
    for record in report.records.values() {
        for id in judged(record) {
            votes.entry(id).or_default().count(record, id);
        }
    }
    registry
        .all()
        .map(|requirement| {
            let votes = votes.remove(requirement.id.to_string().as_str());
            votes.unwrap_or_default().of(requirement)
        })
        .collect()
}

/// The requirements that a case judges, as a whole or in one of its expectations.
fn judged(record: &Record) -> BTreeSet<&str> {
    let case = &record.result.case;
    let of_expectations = (case.script.expect.iter()).flat_map(|expect| &expect.requirements);
    let of_findings = (record.result.findings().iter()).flat_map(|one| one.against.ids());
    let all = case.requirements().iter().chain(of_expectations);
    all.chain(of_findings).map(String::as_str).collect()
}

impl<'a> Votes<'a> {
    fn count(&mut self, record: &'a Record, id: &str) {
        let result = &record.result;
        let own = result
            .findings()
            .iter()
            .filter(|finding| finding.against.ids().iter().any(|one| one == id));
        let heaviest = own.map(|finding| finding.weight).max();
        let name = result.case.id.as_str();
        match (&result.run, heaviest) {
            (Run::Unsupported(why), _) => *self.unsupported.entry(why).or_default() += 1,
            (Run::Failed(_) | Run::NotRun(_), _) => self.leave_open(record.verdict),
            (Run::Ended { .. }, Some(Weight::Must)) => self.breached.push(name),
            (Run::Ended { .. }, Some(Weight::Should)) => self.departed.push(name),
            (Run::Ended { .. }, _) => match record.verdict {
                Verdict::Undecided | Verdict::Disputed | Verdict::Unstable | Verdict::Error => {
                    self.leave_open(record.verdict);
                }
                _ => self.passed += 1,
            },
        }
    }

    fn leave_open(&mut self, verdict: Verdict) {
        *self.open.entry(verdict.to_string()).or_default() += 1;
    }

    fn of(self, requirement: &'a Requirement) -> Shown<'a> {
        let (standing, against, why) = if !self.breached.is_empty() {
            (Standing::Breached, self.breached, None)
        } else if !self.departed.is_empty() {
            (Standing::Departed, self.departed, None)
        } else if self.passed > 0 {
            (Standing::Held, Vec::new(), None)
        } else if !self.open.is_empty() {
            let words: Vec<String> = (self.open.iter())
                .map(|(verdict, number)| format!("{number} {verdict}"))
                .collect();
            (Standing::Open, Vec::new(), Some(words.join(", ")))
        } else {
            let lacking = self.unsupported.iter().max_by_key(|(_, number)| **number);
            let why = lacking.map(|(why, _)| (*why).to_owned());
            let why = why.or_else(|| requirement.unjudgeable.clone());
            let why = why.unwrap_or_else(|| "no case that judges it was selected".to_owned());
            (Standing::NotTested, Vec::new(), Some(why))
        };
        Shown {
            requirement,
            standing,
            passed: self.passed,
            against,
            why,
        }
    }
}

/// How many requirements stand how, by what stands behind them; empty if few were tested.
pub(super) fn counted(report: &Report) -> String {
    let mut counts: BTreeMap<Strength, BTreeMap<Standing, usize>> = BTreeMap::new();
    let all = requirements(report);
    let tested = all.iter().filter(|one| one.standing != Standing::NotTested);
    if tested.count() < TOLD {
        return String::new();
    }
    for one in &all {
        let of_strength = counts.entry(Strength::of(one.requirement.level));
        let of_strength = of_strength.or_default();
        *of_strength.entry(one.standing).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(strength, standings)| {
            let standings: Vec<String> = [
                (Standing::Held, "held"),
                (Standing::Breached, "breached"),
                (Standing::Departed, "departed from"),
                (Standing::Open, "open"),
                (Standing::NotTested, "not tested"),
            ]
            .iter()
            .filter_map(|(standing, word)| Some(format!("{} {word}", standings.get(standing)?)))
            .collect();
            format!("{}: {}", describe(*strength), standings.join(", "))
        })
        .collect();
    format!("Requirements {}.", parts.join("; "))
}

/// What stands behind a clause, in words.
pub(super) fn describe(strength: Strength) -> &'static str {
    match strength {
        Strength::Demanded => "demanded by a standard",
        Strength::Recommended => "recommended by one",
        Strength::Unwritten => "derived, for security or practice",
    }
}
