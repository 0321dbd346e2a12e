//! The entries of a baseline.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::Display;
use time::Date;

use super::deviation::{Deviation, What};
use crate::case::Sees;
use crate::glob::{Glob, GlobError};

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

/// The cause of known deviations, and the cases that may show it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The line where it starts, counted from 1.
    pub line: usize,
    /// The comment above it.
    pub comment: String,
    pub cause: Named,
    /// A case id or glob.
    pub case: Pattern,
    pub why: String,
    /// A link with more information.
    pub link: Option<String>,
    /// The last day on which it applies.
    pub expires: Option<Date>,
}

/// A cause as an entry names it. What is left out may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The requirements that it breaks.
    pub requirements: Vec<String>,
    /// What was seen of them although it must not be; nothing else of this kind is covered.
    pub seen: Vec<Sees>,
    /// What no case may show, in the words of the report.
    pub fault: Option<String>,
    /// The rule of the oracle, or a glob of rules.
    pub rule: Option<Pattern>,
    /// How cases end, in the words of the report, or a glob.
    pub outcome: Option<Pattern>,
    /// The expected verdict.
    pub covers: Covers,
}

/// A glob with its text.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub text: String,
    pub glob: Glob,
}

impl Pattern {
    /// Reads a glob.
    ///
    /// # Errors
    /// What is wrong with it and where.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        Ok(Self {
            text: text.to_owned(),
            glob: Glob::new(text)?,
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Named {
    /// Whether a deviation is one of this cause.
    pub(super) fn fits(&self, deviation: &Deviation) -> bool {
        let is_known = |sees| self.seen.contains(&sees);
        self.fits_but_for_what_was_seen(deviation) && deviation.seen.is_none_or(is_known)
    }

    /// The same, even if something was seen that must not be.
    pub(super) fn fits_but_for_what_was_seen(&self, deviation: &Deviation) -> bool {
        let is_of = match &deviation.what {
            What::Requirement(id) => self.requirements.contains(id),
            What::Fault(fault) => self.fault.as_ref() == Some(fault),
            What::End => self.requirements.is_empty() && self.fault.is_none(),
        };
        let allows = |pattern: &Option<Pattern>, text: Option<&str>| {
            let matches = |one: &Pattern| text.is_some_and(|text| one.glob.is_match(text));
            pattern.as_ref().is_none_or(matches)
        };
        is_of
            && self.covers.includes(deviation.level)
            && allows(&self.rule, deviation.rule)
            && allows(&self.outcome, Some(&deviation.outcome))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome.as_ref().map_or("*", |one| &one.text);
        match &self.fault {
            Some(fault) => write!(to, "{outcome}, but {fault}"),
            None if self.requirements.is_empty() => to.write_str(outcome),
            None if self.covers == Covers::Undecided => {
                write!(to, "leaves open {}", self.requirements.join(" or "))
            }
            None => write!(to, "breaks {}", self.requirements.join(" or ")),
        }
    }
}

impl Entry {
    /// Whether the entry matches a case. A pattern for a scenario matches it in each policy.
    pub fn matches(&self, id: &str) -> bool {
        let in_policy = |(_, last): &(&str, &str)| last.starts_with("row") && !self.names_cases();
        let plain = id.rsplit_once('/').filter(in_policy);
        self.case.glob.is_match(id) || plain.is_some_and(|(id, _)| self.case.glob.is_match(id))
    }

    /// Whether it lists its cases by their names, so that each of them has to show it. Of those that
    /// only a `*` matches, one has to.
    pub fn names_cases(&self) -> bool {
        !self.case.text.contains('*')
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

    /// Takes the entries of another file that are not in this one.
    pub fn absorb(&mut self, other: Self) {
        for entry in other.entries {
            let same = |one: &Entry| (&one.case, &one.cause) == (&entry.case, &entry.cause);
            if !self.entries.iter().any(same) {
                self.entries.push(entry);
            }
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
    /// A failure in some cases and a warning in others.
    #[serde(rename = "fail or warn")]
    #[strum(to_string = "fail or warn")]
    FailOrWarn,
}

impl Covers {
    fn includes(self, level: Self) -> bool {
        self == level || self == Self::FailOrWarn && matches!(level, Self::Fail | Self::Warn)
    }
}
