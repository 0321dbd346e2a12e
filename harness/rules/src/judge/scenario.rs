//! From graded expectations to one verdict.

use super::grade::Grade;
use crate::case::Script;
use crate::case::{Expect, Weight};
use crate::requirement::{Registry, VerdictClass};
use crate::verdict::Verdict;

/// An expectation with its grade.
#[derive(Clone, Debug)]
pub struct Line {
    /// What was wanted.
    pub expect: Expect,
    /// How it stands.
    pub grade: Grade,
}

/// How all expectations of a case stand.
#[derive(Clone, Debug)]
pub struct Verdicts {
    /// One by one, in the order of the file.
    pub lines: Vec<Line>,
    /// What is wrong with the target afterwards.
    pub alive: Option<String>,
    /// Why the outcome is not an allowed one.
    pub outcome: Option<String>,
}

/// A requirement that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Breach {
    /// The requirements behind the expectation.
    pub rows: Vec<String>,
    /// What it means.
    pub weight: Weight,
    /// What was wanted and what was seen.
    pub what: String,
}

impl Verdicts {
    /// Everything that is not as it should be.
    pub fn breaches(&self, script: &Script) -> Vec<Breach> {
        let mut breaches: Vec<Breach> = self
            .lines
            .iter()
            .filter_map(|line| {
                let rows = rows(&line.expect, script).to_vec();
                let (weight, what) = match &line.grade {
                    Grade::Met => return None,
                    Grade::Tolerated(why) => (
                        weight(&line.expect, script).min(Weight::Should),
                        why.clone(),
                    ),
                    Grade::Unmet(why) => (
                        weight(&line.expect, script),
                        format!("{}: {why}", line.expect),
                    ),
                };
                Some(Breach { rows, weight, what })
            })
            .collect();
        breaches.extend(self.outcome.clone().map(|what| Breach {
            rows: script.requirements.clone(),
            weight: Weight::Must,
            what,
        }));
        breaches.extend(self.alive.clone().map(|what| Breach {
            rows: script.requirements.clone(),
            weight: Weight::Must,
            what: format!("afterwards the target is not alive: {what}"),
        }));
        breaches
    }
}

/// The verdict that breaches make, and why.
pub fn judged(breaches: &[Breach]) -> (Verdict, String) {
    let verdict = match breaches.iter().map(|breach| breach.weight).max() {
        None | Some(Weight::May) => Verdict::Pass,
        Some(Weight::Should) => Verdict::Warn,
        Some(Weight::Must) => Verdict::Fail,
    };
    let mut sorted: Vec<&Breach> = breaches.iter().collect();
    sorted.sort_by_key(|breach| std::cmp::Reverse(breach.weight));
    let texts: Vec<String> = sorted
        .iter()
        .map(|breach| {
            let recorded = if breach.weight == Weight::May {
                " (recorded)"
            } else {
                ""
            };
            format!("{}{recorded}: {}", breach.rows.join(", "), breach.what)
        })
        .collect();
    let why = if texts.is_empty() {
        "everything was seen that had to be".to_owned()
    } else {
        texts.join("; ")
    };
    (verdict, why)
}

/// The requirements behind an expectation.
fn rows<'a>(expect: &'a Expect, script: &'a Script) -> &'a [String] {
    if expect.rows.is_empty() {
        &script.requirements
    } else {
        &expect.rows
    }
}

/// What a breach means: as much as the strongest of the requirements behind it, unless the scenario
/// says less.
fn weight(expect: &Expect, script: &Script) -> Weight {
    let registry = Registry::builtin();
    let strongest = rows(expect, script)
        .iter()
        .filter_map(|row| registry.get(&row.parse().ok()?))
        .map(|requirement| match requirement.level.verdict_class() {
            VerdictClass::Fail => Weight::Must,
            VerdictClass::Warn => Weight::Should,
            VerdictClass::Recorded => Weight::May,
        })
        .max()
        .unwrap_or(Weight::Must);
    expect.level.map_or(strongest, |level| level.min(strongest))
}
