//! The entries of a baseline.

use serde::{Deserialize, Serialize};
use strum::Display;
use time::Date;

use crate::glob::Glob;

/// All entries of a file, in its order.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The file as the user knows it.
    pub file: String,
    /// What it lists.
    pub entries: Vec<Entry>,
}

/// One known deviation.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The line where it begins, counted from 1.
    pub line: usize,
    /// Id of a case, or a glob.
    pub case: String,
    /// What the cases show.
    pub shown: String,
    /// The verdict that is known.
    pub covers: Covers,
    pub why: String,
    /// Where more is said of it.
    pub link: Option<String>,
    /// The last day on which it counts.
    pub expires: Option<Date>,
    pub(super) glob: Glob,
}

impl Entry {
    /// Whether the entry speaks of a case.
    pub fn matches(&self, id: &str) -> bool {
        self.glob.is_match(id)
    }

    /// Whether it has ceased to count.
    pub fn expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|last| today > last)
    }
}

impl Baseline {
    /// Where an entry stands: `known.toml:12`.
    pub(super) fn place(&self, entry: &Entry) -> String {
        format!("{}:{}", self.file, entry.line)
    }

    /// The entries that speak of a case. One with its very id makes globs of no account.
    pub(super) fn of(&self, id: &str) -> Vec<&Entry> {
        let exact: Vec<&Entry> = self.entries.iter().filter(|e| e.case == id).collect();
        if exact.is_empty() {
            self.entries.iter().filter(|e| e.matches(id)).collect()
        } else {
            exact
        }
    }
}

/// Which verdict an entry is about.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Covers {
    /// A failure.
    #[default]
    Fail,
    /// A warning, which is a failure where a run is strict. Without that the entry has no effect.
    Warn,
}
