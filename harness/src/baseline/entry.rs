//! The entries of a baseline.

use serde::{Deserialize, Serialize};
use strum::Display;
use time::Date;

use crate::glob::Glob;

/// All entries of a file, in file order.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The file name as given by the user.
    pub file: String,
    /// What is written above the entries, with `format`.
    pub head: String,
    /// The comment below the last entry.
    pub tail: String,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// One known deviation.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The line where it starts, counted from 1.
    pub line: usize,
    /// The comment above it.
    pub comment: String,
    /// A case id or glob.
    pub case: String,
    /// The expected outcome of the cases.
    pub shown: String,
    /// The expected verdict.
    pub covers: Covers,
    pub why: String,
    /// A link with more information.
    pub link: Option<String>,
    /// The last day on which it applies.
    pub expires: Option<Date>,
    pub(super) glob: Glob,
}

impl Entry {
    /// Whether the entry matches a case.
    pub fn matches(&self, id: &str) -> bool {
        self.glob.is_match(id)
    }

    /// Whether it has expired.
    pub fn expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|last| today > last)
    }
}

impl Baseline {
    /// The place of an entry: `known.toml:12`.
    pub(super) fn place(&self, entry: &Entry) -> String {
        format!("{}:{}", self.file, entry.line)
    }

    /// The numbers of the entries that match a case.
    pub(super) fn numbers_of(&self, id: &str) -> Vec<usize> {
        let of = self.of(id);
        let is_one = |entry: &Entry| of.iter().any(|one| std::ptr::eq(*one, entry));
        let numbered = self.entries.iter().enumerate();
        numbered
            .filter(|(_, entry)| is_one(entry))
            .map(|(at, _)| at)
            .collect()
    }

    /// Takes the entries of another file that are not in this one.
    pub(crate) fn absorb(&mut self, other: Self) {
        for entry in other.entries {
            let same = |one: &Entry| {
                (&one.case, &one.shown, one.covers) == (&entry.case, &entry.shown, entry.covers)
            };
            if !self.entries.iter().any(same) {
                self.entries.push(entry);
            }
        }
    }

    /// The entries that match a case. One with its exact id takes precedence over globs.
    pub(super) fn of(&self, id: &str) -> Vec<&Entry> {
        let exact: Vec<&Entry> = self.entries.iter().filter(|e| e.case == id).collect();
        if exact.is_empty() {
            self.entries.iter().filter(|e| e.matches(id)).collect()
        } else {
            exact
        }
    }
}

/// The verdict that an entry expects.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Covers {
    /// A failure.
    #[default]
    Fail,
    /// A case that stays undecided.
    Undecided,
    /// A warning, which counts as a failure in a strict run. Otherwise the entry has no effect.
    Warn,
}
