//! Reads a baseline file.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{Document, FileError, Hints, Source};
use time::{Date, Month};
use toml::value::Datetime;

use super::entry::{Baseline, Covers, Entry, Named, Pattern};
use crate::case::{Case, Sees};
use crate::matrix;
use crate::requirement::Registry;

const HINTS: &Hints = &[
    (
        "outcome",
        "`outcome = \"tcp-dialback\"`: how the case ends, in the words of a report",
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
    #[serde(default)]
    requirements: Vec<String>,
    #[serde(default)]
    seen: Vec<Sees>,
    fault: Option<String>,
    rule: Option<String>,
    outcome: Option<String>,
    /// Left out, it is all cases.
    case: Option<String>,
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
    let mut seen: Vec<(Entry, Range<usize>)> = Vec::new();
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
        let place = document.place(&format!("known.{at}"));
        document.report_all(found);
        let Some(entry) = entry else { continue };
        let same = |one: &&(Entry, _)| one.0.cause == entry.cause && one.0.case == entry.case;
        match seen.iter().find(same) {
            Some((_, first)) => document.report(
                Diagnostic::new(place, "listed twice")
                    .also(Some(first.clone()), "first here")
                    .help("leave one of the two out"),
            ),
            None => seen.push((entry, place)),
        }
    }
    seen.into_iter().map(|(entry, _)| entry).collect()
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

    /// Reads a glob, if it is one.
    fn pattern(&mut self, key: &str, text: &str) -> Option<Pattern> {
        let pattern = Pattern::new(text);
        if let Err(error) = &pattern {
            self.wrong(
                key,
                &format!("`{key}` is no glob"),
                &error.to_string(),
                "`*` matches anything within a segment, `{a,b}` alternatives, `**` any segments",
            );
        }
        pattern.ok()
    }

    /// The cause that an entry names.
    fn cause(&mut self, known: &Known, all: Option<&[Case]>) -> Named {
        let is_of_cases = |id: &String| {
            let mut cases = all.into_iter().flatten();
            cases.any(|case| case.judges(id))
        };
        for (at, id) in known.requirements.iter().enumerate() {
            let place = self
                .document
                .place(&format!("{}.requirements.{at}", self.path));
            if let Err(unknown) = Registry::builtin().named(id, place)
                && all.is_some()
                && !is_of_cases(id)
            {
                self.found.push(unknown);
            }
        }
        if known.requirements.is_empty() && known.fault.is_none() && known.outcome.is_none() {
            let place = self.document.place(&self.path);
            self.found.push(
                Diagnostic::new(place, "the entry names no cause").help(
                    "add `requirements = [\"TLS-06\"]`, or `fault` or `outcome` in the words of a report",
                ),
            );
        }
        if known.fault.is_some() && !known.requirements.is_empty() {
            self.wrong(
                "fault",
                "a second cause",
                "",
                "an entry names `requirements` or a `fault`",
            );
        }
        if !known.seen.is_empty() && known.requirements.is_empty() {
            self.wrong(
                "seen",
                "`seen` without `requirements`",
                "",
                "add the requirements that forbid it, or leave it out",
            );
        }
        let mut read = |key, text: &Option<String>| {
            let text = text.as_ref()?;
            self.pattern(key, text)
        };
        Named {
            rule: read("rule", &known.rule),
            outcome: read("outcome", &known.outcome),
            requirements: known.requirements.clone(),
            seen: known.seen.clone(),
            fault: known.fault.clone(),
            covers: known.verdict,
        }
    }

    fn entry(&mut self, known: &Known, line: usize, all: Option<&[Case]>) -> Option<Entry> {
        let cause = self.cause(known, all);
        let case = self.pattern("case", known.case.as_deref().unwrap_or("**"));
        if let (Some(case), Some(all)) = (&case, all)
            && !all.iter().any(|one| case.glob.is_match(&one.id))
        {
            self.wrong("case", "no case is called so", "", instead(&case.text, all));
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
            cause,
            case: case?,
            why: known.why.trim().to_owned(),
            link: known.link.clone(),
            expires,
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
