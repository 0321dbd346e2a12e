//! Two reports side by side: what a newer version, or another server, does otherwise.

mod page;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use strum::{IntoStaticStr, VariantArray};

use super::saved::{Case, Saved};

pub use page::to_html;
pub use text::{to_markdown, to_text};

/// What changed between two reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Change {
    /// It was well, and is not any more.
    NewFailure,
    /// It runs in the second report alone, and is not well.
    NewlyFailing,
    /// It was not well, and is now.
    Fixed,
    /// It ran in the first report alone.
    NoLongerRun,
    /// It runs in the second report alone, and is well.
    NewlyRun,
    /// Another verdict that neither breaks nor mends it.
    Verdict,
    /// It fails or warns as before, for another reason.
    Reason,
    /// It is established or refused as rightly as before, in another way.
    Outcome,
}

impl Change {
    /// A heading.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::NewFailure => "New failures",
            Self::NewlyFailing => "Newly run and failing",
            Self::Fixed => "Fixed",
            Self::NoLongerRun => "No longer run",
            Self::NewlyRun => "Newly run",
            Self::Verdict => "Another verdict",
            Self::Reason => "Another reason",
            Self::Outcome => "Another way to end",
        }
    }

    /// Whether the number of its cases says enough.
    const fn is_only_counted(self) -> bool {
        matches!(self, Self::NoLongerRun | Self::NewlyRun)
    }
}

/// One case that is not as before.
#[derive(Clone, Copy, Debug)]
pub struct Changed<'a> {
    /// Its id.
    pub id: &'a str,
    /// In the first report.
    pub before: Option<&'a Case>,
    /// In the second one.
    pub after: Option<&'a Case>,
}

/// All differences of two reports.
#[derive(Debug)]
pub struct Diff<'a> {
    /// The first report.
    pub before: &'a Saved,
    /// The second one.
    pub after: &'a Saved,
    /// The cases that differ, by id.
    pub changes: BTreeMap<Change, Vec<Changed<'a>>>,
    /// Requirements that stand otherwise: id, how they stood, how they stand.
    pub requirements: Vec<(&'a str, &'a str, &'a str)>,
    /// How many cases are the same in both.
    pub same: usize,
}

impl<'a> Diff<'a> {
    /// Compares two reports.
    pub fn of(before: &'a Saved, after: &'a Saved) -> Self {
        let by_id = |saved: &'a Saved| -> BTreeMap<&'a str, &'a Case> {
            let cases = saved.cases.iter();
            cases.map(|case| (case.id.as_str(), case)).collect()
        };
        let (old, new) = (by_id(before), by_id(after));
        let ids: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        let mut diff = Self {
            before,
            after,
            changes: BTreeMap::new(),
            requirements: standings(before, after),
            same: 0,
        };
        for id in ids {
            let (before, after) = (old.get(id).copied(), new.get(id).copied());
            match change(before, after) {
                Some(change) => {
                    diff.changes
                        .entry(change)
                        .or_default()
                        .push(Changed { id, before, after })
                }
                None => diff.same += 1,
            }
        }
        diff
    }

    /// Whether there is a change of one of these kinds.
    pub fn has(&self, kinds: &[Change]) -> bool {
        kinds.iter().any(|kind| self.changes.contains_key(kind))
    }
}

/// How a case changed; a case that did not run is like one that is not there.
fn change(before: Option<&Case>, after: Option<&Case>) -> Option<Change> {
    let ran = |case: &&Case| case.ran();
    match (before.filter(ran), after.filter(ran)) {
        (None, None) => None,
        (Some(_), None) => Some(Change::NoLongerRun),
        (None, Some(new)) if new.is_unexpected() => Some(Change::NewlyFailing),
        (None, Some(_)) => Some(Change::NewlyRun),
        (Some(old), Some(new)) => match (old.is_unexpected(), new.is_unexpected()) {
            (false, true) => Some(Change::NewFailure),
            (true, false) => Some(Change::Fixed),
            _ if old.verdict != new.verdict => Some(Change::Verdict),
            _ if grounds(old) != grounds(new) => Some(Change::Reason),
            _ if old.ended() != new.ended() => Some(Change::Outcome),
            _ => None,
        },
    }
}

/// What a case goes against, and what was seen.
fn grounds(case: &Case) -> BTreeSet<(&str, &str)> {
    let findings = case.findings.iter().filter(|one| one.weight != "recorded");
    findings
        .map(|one| (one.clause.source.as_str(), one.text.as_str()))
        .collect()
}

fn standings<'a>(before: &'a Saved, after: &'a Saved) -> Vec<(&'a str, &'a str, &'a str)> {
    let old: BTreeMap<&str, &str> = before
        .requirements
        .iter()
        .map(|one| (one.id.as_str(), one.standing.as_str()))
        .collect();
    let changed = after.requirements.iter().filter_map(|one| {
        let was = *old.get(one.id.as_str())?;
        (was != one.standing).then_some((one.id.as_str(), was, one.standing.as_str()))
    });
    changed.collect()
}

#[cfg(test)]
mod tests;
