//! Reads a baseline file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{Document, FileError, Hints, Source};
use time::{Date, Month};
use toml::value::Datetime;

use super::entry::{Baseline, Covers, Entry};
use crate::case::Case;
use crate::glob::Glob;
use crate::matrix;

const HINTS: &Hints = &[
    (
        "case",
        "`case = \"personas/row07/google-talk/inbound\"`: the id of a case, or a glob",
    ),
    (
        "outcome",
        "`outcome = \"tcp-dialback\"`: what a report says after `observed`",
    ),
    (
        "why",
        "`why = \"…\"` with the reason that this is known and may stay",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    known: Vec<Known>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Known {
    case: String,
    outcome: String,
    #[serde(default)]
    verdict: Covers,
    why: String,
    link: Option<String>,
    expires: Option<Datetime>,
}

impl Baseline {
    /// Reads a baseline file. An entry that matches none of the cases in `all` is a mistake.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Baseline::parse`].
    pub fn load(path: &Path, all: &[Case]) -> Result<Self, FileError> {
        Self::parse(&Source::load(path)?, all)
    }

    /// Reads a baseline that is about to be written anew: without the entries whose `why` was not filled
    /// in, and with those of cases that are no more.
    ///
    /// # Errors
    /// When the file cannot be read, or contains other mistakes.
    pub fn load_explained(path: &Path) -> Result<Self, FileError> {
        Self::read(&Source::load(path)?, None)
    }

    /// Parses a baseline.
    ///
    /// # Errors
    /// When it contains mistakes.
    pub fn parse(source: &Source, all: &[Case]) -> Result<Self, FileError> {
        Self::read(source, Some(all))
    }

    fn read(source: &Source, all: Option<&[Case]>) -> Result<Self, FileError> {
        let mut document = Document::parse(source)?;
        let file: Option<File> = document.read(HINTS);
        let entries = file.map(|file| entries(&file, source, &mut document, all));
        document.finish(entries).map(|entries| Self {
            file: source.file().to_owned(),
            head: head(source.text()),
            tail: comment(source.text(), usize::MAX),
            entries,
        })
    }
}

/// The lines to the one with `format`, if something is written above it.
fn head(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().position(|line| line.starts_with("format"));
    let above = end.map_or(&[][..], |end| &lines[..end]);
    above.iter().map(|line| format!("{line}\n")).collect()
}

/// The comment above a line, counted from 1.
fn comment(text: &str, line: usize) -> String {
    let above: Vec<&str> = text.lines().take(line.saturating_sub(1)).collect();
    let is_comment = |line: &&&str| line.trim().is_empty() || line.starts_with('#');
    let length = above.iter().rev().take_while(is_comment).count();
    let lines = &above[above.len() - length..];
    lines.join("\n").trim_matches('\n').to_owned()
}

/// The valid entries; mistakes in the others are reported.
fn entries(
    file: &File,
    source: &Source,
    document: &mut Document<'_>,
    all: Option<&[Case]>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut seen: BTreeMap<(String, String, Covers), Range<usize>> = BTreeMap::new();
    for (at, known) in file.known.iter().enumerate() {
        if all.is_none() && known.why.trim().is_empty() {
            continue;
        }
        let line = source.line(document.place(&format!("known.{at}")).start);
        let mut check = Check {
            path: format!("known.{at}"),
            document,
            found: Vec::new(),
        };
        let entry = check.entry(known, line, all).map(|entry| Entry {
            comment: comment(source.text(), line),
            ..entry
        });
        let found = check.found;
        let case = document.place(&format!("known.{at}.case"));
        document.report_all(found);
        let Some(entry) = entry else { continue };
        let key = (entry.case.clone(), entry.shown.clone(), entry.covers);
        match seen.get(&key) {
            Some(first) => document.report(
                Diagnostic::new(case, "listed twice")
                    .also(Some(first.clone()), "first here")
                    .help("leave one of the two out"),
            ),
            None => {
                seen.insert(key, case);
                entries.push(entry);
            }
        }
    }
    entries
}

/// The entry being checked.
struct Check<'d, 'a> {
    path: String,
    document: &'d Document<'a>,
    found: Vec<Diagnostic>,
}

impl Check<'_, '_> {
    fn wrong(&mut self, key: &str, title: &str, label: &str, help: impl Into<String>) {
        let place = self.document.place(&format!("{}.{key}", self.path));
        self.found
            .push(Diagnostic::new(place, title).label(label).help(help));
    }

    fn entry(&mut self, known: &Known, line: usize, all: Option<&[Case]>) -> Option<Entry> {
        let glob = Glob::new(&known.case);
        match &glob {
            Ok(glob) => match all {
                Some(all) if !all.iter().any(|case| glob.is_match(&case.id)) => self.wrong(
                    "case",
                    "no case is called so",
                    "",
                    instead(&known.case, all),
                ),
                _ => {}
            },
            Err(error) => self.wrong(
                "case",
                "`case` is no glob",
                &error.to_string(),
                "`*` matches anything within a segment, `{a,b}` alternatives, `**` any segments",
            ),
        }
        if known.why.trim().is_empty() {
            self.wrong(
                "why",
                "`why` is empty",
                "without it readers do not know whether the entry may stay",
                "name the clause that leaves it open, the documented choice of the server, or its bug",
            );
        }
        let is_address =
            |link: &String| ["http://", "https://"].iter().any(|s| link.starts_with(s));
        if !known.link.as_ref().is_none_or(is_address) {
            self.wrong(
                "link",
                "`link` is no address",
                "",
                "a link begins with `https://` or `http://`",
            );
        }
        let expires = known.expires.as_ref().and_then(day);
        if known.expires.is_some() && expires.is_none() {
            self.wrong(
                "expires",
                "`expires` is no date",
                "",
                "write the last day on which the entry applies, such as `2027-01-31`",
            );
        }
        Some(Entry {
            line,
            comment: String::new(),
            case: known.case.clone(),
            shown: known.outcome.clone(),
            covers: known.verdict,
            why: known.why.trim().to_owned(),
            link: known.link.clone(),
            expires,
            glob: glob.ok()?,
        })
        .filter(|_| self.found.is_empty())
    }
}

/// Suggests an id for a case that does not exist.
fn instead(case: &str, all: &[Case]) -> String {
    let nearest = matrix::nearest(case, all);
    if nearest.is_empty() {
        "`s2spec list` shows all ids; a glob stands for the whole of an id".to_owned()
    } else if nearest.iter().any(|near| near == case) {
        // A prefix of ids is fine on the command line, but here it would too easily match more
        // than intended.
        format!(
            "a glob stands for the whole of an id: `{}/**`",
            case.trim_end_matches('/')
        )
    } else {
        format!("did you mean {}?", nearest.join(" or "))
    }
}

/// A date without a time.
fn day(datetime: &Datetime) -> Option<Date> {
    let Datetime {
        date: Some(date),
        time: None,
        offset: None,
    } = datetime
    else {
        return None;
    };
    let month = Month::try_from(date.month).ok()?;
    Date::from_calendar_date(i32::from(date.year), month, date.day).ok()
}
