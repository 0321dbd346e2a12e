//! Reads a baseline.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use simulated_partners::persona::{Mistake, Mistakes};
use time::{Date, Month};
use toml::Spanned;
use toml::value::Datetime;

use super::entry::{Baseline, Covers, Entry};
use crate::case::Case;
use crate::glob::Glob;
use crate::matrix;

/// The format that this version reads and writes.
pub(super) const FORMAT: i64 = 1;

/// An entry for each case there is would be shorter.
const MAX_FILE: u64 = 4 << 20;

/// Why there is no baseline to be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The text is none: all mistakes, with places.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The file cannot be read.
    #[error("cannot read baseline {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    #[serde(default)]
    known: Vec<Spanned<Known>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Known {
    case: Spanned<String>,
    outcome: Spanned<String>,
    #[serde(default)]
    verdict: Covers,
    why: Spanned<String>,
    link: Option<Spanned<String>>,
    expires: Option<Spanned<Datetime>>,
}

impl Baseline {
    /// Reads a baseline file. An entry that speaks of none of `all` the cases is a mistake.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Baseline::parse`].
    pub fn load(path: &Path, all: &[Case]) -> Result<Self, BaselineError> {
        let failed = |source| BaselineError::Read {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(failed)?;
        if text.len() as u64 > MAX_FILE {
            return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
        }
        Self::parse(&path.display().to_string(), &text, all)
    }

    /// Reads a baseline's text; `file` is what mistakes and results are reported with.
    ///
    /// # Errors
    /// When there are mistakes in it.
    pub fn parse(file: &str, text: &str, all: &[Case]) -> Result<Self, BaselineError> {
        read(text, all)
            .map(|entries| Self {
                file: file.to_owned(),
                entries,
            })
            .map_err(|list| {
                BaselineError::Mistakes(Mistakes {
                    file: file.to_owned(),
                    text: text.to_owned(),
                    list,
                })
            })
    }
}

fn read(text: &str, all: &[Case]) -> Result<Vec<Entry>, Vec<Mistake>> {
    check_format(text).map_err(|mistake| vec![mistake])?;
    let file: File = toml::from_str(text).map_err(|error| vec![from_toml(&error, text)])?;
    let mut mistakes = Vec::new();
    let mut entries = Vec::new();
    let mut seen: BTreeMap<(String, String, Covers), Range<usize>> = BTreeMap::new();
    for known in &file.known {
        let line = line_of(text, known.span().start);
        let known = known.get_ref();
        match entry(known, line, all) {
            Ok(entry) => {
                let key = (entry.case.clone(), entry.shown.clone(), entry.covers);
                match seen.get(&key) {
                    Some(first) => mistakes.push(
                        Mistake::new(known.case.span(), "listed twice")
                            .also(Some(first.clone()), "first here")
                            .help("leave one of the two out"),
                    ),
                    None => {
                        seen.insert(key, known.case.span());
                        entries.push(entry);
                    }
                }
            }
            Err(list) => mistakes.extend(list),
        }
    }
    if mistakes.is_empty() {
        Ok(entries)
    } else {
        Err(mistakes)
    }
}

fn entry(known: &Known, line: usize, all: &[Case]) -> Result<Entry, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let case = known.case.get_ref();
    let glob = match Glob::new(case) {
        Ok(glob) => {
            if !all.iter().any(|case| glob.is_match(&case.id)) {
                mistakes.push(unknown_case(known, all));
            }
            Some(glob)
        }
        Err(error) => {
            let mistake = Mistake::new(known.case.span(), "`case` is no glob")
                .label(error.to_string())
                .help("`*` stands for anything within a segment, `{a,b}` for either, `**` for segments");
            mistakes.push(mistake);
            None
        }
    };
    if known.why.get_ref().trim().is_empty() {
        mistakes.push(
            Mistake::new(known.why.span(), "`why` is empty")
                .label("nobody could tell whether this may stay")
                .help(
                    "name the clause that leaves it open, the documented choice of the server, or \
                     its bug",
                ),
        );
    }
    if let Some(link) = &known.link {
        let text = link.get_ref();
        if !["http://", "https://"].iter().any(|s| text.starts_with(s)) {
            mistakes.push(
                Mistake::new(link.span(), "`link` is no address")
                    .help("a link begins with `https://` or `http://`"),
            );
        }
    }
    let expires = known.expires.as_ref().map(|last| {
        day(last.get_ref()).ok_or_else(|| {
            Mistake::new(last.span(), "`expires` is no date")
                .help("write the last day on which the entry counts, such as `2027-01-31`")
        })
    });
    let expires = match expires.transpose() {
        Ok(expires) => expires,
        Err(mistake) => {
            mistakes.push(mistake);
            None
        }
    };
    match glob {
        Some(glob) if mistakes.is_empty() => Ok(Entry {
            line,
            case: case.clone(),
            shown: known.outcome.get_ref().clone(),
            covers: known.verdict,
            why: known.why.get_ref().trim().to_owned(),
            link: known.link.as_ref().map(|link| link.get_ref().clone()),
            expires,
            glob,
        }),
        _ => Err(mistakes),
    }
}

fn unknown_case(known: &Known, all: &[Case]) -> Mistake {
    let mistake = Mistake::new(known.case.span(), "no case is called so");
    let nearest = matrix::nearest(known.case.get_ref(), all);
    if nearest.is_empty() {
        mistake.help("`s2spec list` shows all ids; a glob stands for the whole of an id")
    } else if nearest.contains(known.case.get_ref()) {
        // A beginning of ids is enough on the command line, but here it would be too easily more
        // than was meant.
        mistake.help(format!(
            "a glob stands for the whole of an id: `{}/**`",
            known.case.get_ref().trim_end_matches('/')
        ))
    } else {
        mistake.help(format!("did you mean {}?", nearest.join(" or ")))
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

fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// A file of another format is told from one with unknown words.
fn check_format(text: &str) -> Result<(), Mistake> {
    let root = toml::de::DeTable::parse(text)
        .map_err(|error| from_toml(&error, text))?
        .into_inner();
    let Some(format) = root.get("format") else {
        return Err(Mistake::new(0..0, "`format` is missing")
            .help(format!("begin the file with `format = {FORMAT}`")));
    };
    let number = format
        .get_ref()
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    if number == Some(FORMAT) {
        Ok(())
    } else {
        Err(Mistake::new(format.span(), "unknown format")
            .help(format!("this version reads `format = {FORMAT}`")))
    }
}

/// Parts a message such as "unknown field `a`, expected `b`" into what is wrong and what is valid.
fn from_toml(error: &toml::de::Error, text: &str) -> Mistake {
    let message = error.message().trim_end();
    let span = error.span().unwrap_or(text.len()..text.len());
    if let Some((title, valid)) = message.split_once(", expected ") {
        return Mistake::new(span, title).help(format!("expected {valid}"));
    }
    let mistake = Mistake::new(span, message);
    let missing = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'));
    match missing {
        Some("case") => mistake.help("add `case` with the id of a case, or a glob"),
        Some("outcome") => mistake
            .help("add `outcome` with what the case shows: what a report says after `observed`"),
        Some("why") => mistake.help("add `why` with the reason that this is known and may stay"),
        _ => mistake,
    }
}
