//! Groups the results of a run by what is behind them: one cause, with its consequences under it.
//!
//! A defect shows in many cases. Where the target does something wrong in itself, that is the cause. That
//! something else does not happen, that a control fails or a target is worse off afterwards may follow from
//! it, and is listed under it only if there is evidence.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use strum::Display;

use super::clause::{Clause, clause, lead};
use super::sign::is_there_but_differs;
use crate::case::{Direction, MAIN};
use crate::finding::{Against, Finding, Sign, Step};
use crate::observe::{Observation, Observer};
use crate::outcome::Outcome;
use crate::record::{ControlState, Record};
use crate::verdict::Verdict;

/// A defect of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cause {
    /// What it violates.
    pub clause: Clause,
    /// The verdict on its cases.
    pub verdict: Verdict,
    /// What was expected and what was observed in the first of its cases.
    pub text: String,
    /// The cases that show it, the clearest first.
    pub cases: Vec<String>,
    /// What seems to follow from it.
    pub consequences: Vec<Consequence>,
}

/// Cases that seem to fail because of a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Consequence {
    /// The evidence.
    pub because: Because,
    /// The cases.
    pub cases: Vec<String>,
}

/// Why a case counts as a consequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// Its control shows the cause, or is a consequence of it.
    #[strum(to_string = "its control fails")]
    Control,
    /// The same breach is on its wire.
    #[strum(to_string = "the same is on the wire")]
    Breach,
    /// It ended at the same point in the same way.
    #[strum(to_string = "it ended in the same way")]
    End,
    /// The target no longer worked after a case of the same scenario.
    #[strum(to_string = "the target no longer worked afterwards")]
    Aftermath,
}

/// The causes of everything that failed, warned or is disputed, the most telling first.
pub fn causes<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Cause> {
    let all: BTreeMap<&str, &Record> = records
        .into_iter()
        .map(|record| (record.result.case.id.as_str(), record))
        .collect();
    let looked_for = looked_for(all.values().copied());
    let mut groups: BTreeMap<Key, Vec<Shown<'a>>> = BTreeMap::new();
    for record in all.values() {
        if let Some(shown) = Shown::of(record) {
            groups.entry(shown.key()).or_default().push(shown);
        }
    }
    let mut groups: Vec<Vec<Shown<'a>>> = groups.into_values().collect();
    for group in &mut groups {
        group.sort_by_key(Shown::rank);
    }
    groups.sort_by_cached_key(|group| order(group, &looked_for));
    attribute(groups)
}

/// How many cases look for each requirement.
fn looked_for<'a>(records: impl Iterator<Item = &'a Record>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records.filter(|record| record.result.outcome().is_some()) {
        for id in record.result.case.requirements() {
            *counts.entry(id.clone()).or_default() += 1;
        }
    }
    counts
}

/// A case with its most telling finding.
struct Shown<'a> {
    record: &'a Record,
    /// `None` if only its control is missed.
    finding: Option<&'a Finding>,
    clause: Clause,
}

/// What the cases of a group have in common.
type Key = (Reverse<u8>, Clause, String);

impl<'a> Shown<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        severity(record.verdict)?;
        let finding = lead(&record.result);
        let clause = match finding {
            Some(finding) => clause(&record.result, finding),
            None => Clause {
                requirement: None,
                level: crate::requirement::Level::Derived,
                source: String::new(),
                text: String::new(),
            },
        };
        Some(Self {
            record,
            finding,
            clause,
        })
    }

    fn id(&self) -> &'a str {
        &self.record.result.case.id
    }

    fn sign(&self) -> Sign {
        self.finding.map_or(Sign::Aftermath, |finding| finding.sign)
    }

    fn step(&self) -> Step {
        self.finding.map_or(Step::End, |finding| finding.step)
    }

    fn direction(&self) -> Direction {
        self.record.result.case.direction
    }

    /// Whether it is what a refusal is compared with: every partner that does nothing wrong gets so far.
    fn is_control(&self) -> bool {
        let case = &self.record.result.case;
        self.record.result.added_as_control
            || case.scenario().is_some_and(|scenario| scenario.is_control)
    }

    fn misses_control(&self) -> bool {
        let control = self.record.result.control.as_ref();
        control.is_some_and(|control| control.state == ControlState::Missed)
    }

    /// What distinguishes the cause. A case of the matrix is known by how it ended, because one defect
    /// meets many rules.
    fn key(&self) -> Key {
        let severity = Reverse(severity(self.record.verdict).unwrap_or_default());
        match self.finding {
            Some(finding) if finding.against == Against::Outcome => {
                let nowhere = Clause {
                    requirement: None,
                    level: self.clause.level,
                    source: String::new(),
                    text: self.direction().to_string(),
                };
                (severity, nowhere, finding.text.clone())
            }
            Some(_) => (severity, self.clause.clone(), String::new()),
            None => (severity, self.clause.clone(), self.record.why.clone()),
        }
    }

    /// The most telling case of a group comes first.
    fn rank(&self) -> (Sign, bool, bool, Step, &'a str) {
        (
            self.sign(),
            self.is_control(),
            self.misses_control(),
            self.step(),
            self.id(),
        )
    }

    /// How it ended, if it did not get through.
    fn end(&self) -> Option<(Direction, &'a Outcome)> {
        match self.record.result.outcome() {
            Some(outcome @ (Outcome::Refused(_) | Outcome::Stalled(_))) => {
                Some((self.direction(), outcome))
            }
            Some(Outcome::Established(_)) | None => None,
        }
    }

    fn observations(&self) -> Vec<Observation> {
        let name = Arc::from(MAIN);
        let mut observer = Observer::default();
        let events = self.record.result.events.iter();
        events
            .flat_map(|event| observer.look(&name, event.at, event))
            .collect()
    }
}

/// How much a verdict weighs; `None` if the target is not blamed.
fn severity(verdict: Verdict) -> Option<u8> {
    match verdict {
        Verdict::Fail => Some(3),
        Verdict::Disputed => Some(2),
        Verdict::Warn => Some(1),
        Verdict::Pass
        | Verdict::Unsupported
        | Verdict::Unstable
        | Verdict::Error
        | Verdict::Undecided
        | Verdict::NotRun
        | Verdict::Xfail
        | Verdict::Xpass => None,
    }
}

/// The order of causes: what is wrong in itself first, the earliest step first, and of these the
/// requirement that most of its cases fail.
type Order = (
    Reverse<u8>,
    Sign,
    bool,
    bool,
    Step,
    u8,
    Reverse<usize>,
    Clause,
);

fn order(group: &[Shown<'_>], looked_for: &BTreeMap<String, usize>) -> Order {
    let Some(first) = group.first() else {
        unreachable!("a group has a case");
    };
    let named = match first.finding.map(|finding| &finding.against) {
        Some(Against::Requirements(ids)) => u8::try_from(ids.len()).unwrap_or(u8::MAX),
        Some(Against::Fault(_) | Against::Scenario | Against::Rule(_)) => 1,
        Some(Against::Outcome) | None => u8::MAX,
    };
    let all = first
        .clause
        .requirement
        .as_ref()
        .and_then(|id| looked_for.get(id));
    let share = group.len() * 100 / all.copied().unwrap_or(usize::MAX).max(group.len());
    (
        Reverse(severity(first.record.verdict).unwrap_or_default()),
        first.sign(),
        first.is_control(),
        first.misses_control(),
        first.step(),
        named,
        Reverse(share),
        first.clause.clone(),
    )
}

/// A cause that is being put together: its own cases, and what follows from it.
struct Found<'a> {
    own: Vec<Shown<'a>>,
    consequences: BTreeMap<Because, Vec<String>>,
}

/// Moves each case that a cause before its own explains under that cause.
fn attribute(groups: Vec<Vec<Shown<'_>>>) -> Vec<Cause> {
    let mut found: Vec<Found<'_>> = Vec::new();
    // To which cause a case belongs.
    let mut homes: BTreeMap<String, usize> = BTreeMap::new();
    for group in groups {
        let mut own = Vec::new();
        for shown in group {
            match explanation(&shown, &found, &homes) {
                Some((home, because)) => {
                    homes.insert(shown.id().to_owned(), home);
                    let cases = found[home].consequences.entry(because).or_default();
                    cases.push(shown.id().to_owned());
                }
                None => own.push(shown),
            }
        }
        if !own.is_empty() {
            for shown in &own {
                homes.insert(shown.id().to_owned(), found.len());
            }
            found.push(Found {
                own,
                consequences: BTreeMap::new(),
            });
        }
    }
    found
        .into_iter()
        .map(|found| cause(&found.own, found.consequences))
        .collect()
}

fn cause(shown: &[Shown<'_>], consequences: BTreeMap<Because, Vec<String>>) -> Cause {
    let first = &shown[0];
    Cause {
        clause: first.clause.clone(),
        verdict: first.record.verdict,
        text: first
            .finding
            .map_or_else(|| first.record.why.clone(), |finding| finding.text.clone()),
        cases: shown.iter().map(|one| one.id().to_owned()).collect(),
        consequences: consequences
            .into_iter()
            .map(|(because, mut cases)| {
                cases.sort();
                Consequence { because, cases }
            })
            .collect(),
    }
}

/// The cause that explains a case, with the evidence.
fn explanation(
    shown: &Shown<'_>,
    found: &[Found<'_>],
    homes: &BTreeMap<String, usize>,
) -> Option<(usize, Because)> {
    // What is wrong in itself needs no other cause, unless the same fault came before it.
    if shown.sign() == Sign::Wrong {
        let observations = shown.observations();
        let earlier = |group: &[Shown<'_>]| {
            group[0].step() < shown.step() && shows_again(&group[0], shown, &observations)
        };
        let home = found.iter().position(|cause| earlier(&cause.own))?;
        return Some((home, Because::Breach));
    }
    if shown.misses_control() {
        let control = shown.record.result.control.as_ref()?;
        if let Some(home) = homes.get(&control.id) {
            return Some((*home, Because::Control));
        }
    }
    shown.finding?;
    if shown.sign() == Sign::Aftermath
        && let Some(home) = homes.iter().find_map(|(id, home)| {
            (scenario(id) == scenario(shown.id()) && id != shown.id()).then_some(*home)
        })
    {
        return Some((home, Because::Aftermath));
    }
    let observations = shown.observations();
    let breach = found
        .iter()
        .position(|cause| shows_again(&cause.own[0], shown, &observations));
    if let Some(home) = breach {
        return Some((home, Because::Breach));
    }
    let end = shown.end()?;
    let is_later = |group: &[Shown<'_>]| {
        shown.is_control()
            || shown.record.result.case.script.by_oracle()
            || group[0].step() < shown.step()
    };
    let home = found.iter().position(|cause| {
        is_later(&cause.own) && cause.own.iter().any(|one| one.end() == Some(end))
    })?;
    Some((home, Because::End))
}

/// The folder and file of a case's scenario, or the set of a matrix case.
fn scenario(id: &str) -> &str {
    let end = id.match_indices('/').nth(1).map(|(at, _)| at);
    &id[..end.unwrap_or(id.len())]
}

/// Whether the breach that a cause is known by is on the wire of another case, too: the target sent the
/// same thing with the same fault.
fn shows_again(first: &Shown<'_>, other: &Shown<'_>, observations: &[Observation]) -> bool {
    let expect = first.finding.and_then(|finding| {
        let script = &first.record.result.case.script;
        script.expect.get(finding.expectation?)
    });
    let Some(expect) = expect else { return false };
    let is_basic = matches!(
        expect.sees.step(),
        Step::Header | Step::Features | Step::Tls | Step::Sasl | Step::Dialback
    );
    let is_comparable = is_basic
        && first.sign() == Sign::Wrong
        && first.direction() == other.direction()
        && first.record.result.case.row == other.record.result.case.row
        && !expect.is_negative()
        && expect.condition.is_empty()
        && expect.connection.is_none();
    is_comparable
        && !observations.is_empty()
        && is_there_but_differs(expect, observations, &|text| wildcards(text))
}

/// A pattern in which anything may stand for a placeholder.
fn wildcards(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('{') {
        let Some((_, after)) = tail.split_once('}') else {
            break;
        };
        result.push_str(head);
        result.push('*');
        rest = after;
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests;
