//! Creates a baseline from the failures of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use simulated_partners::document::FORMAT;
use time::Date;
use toml::Value;

use super::check::BaselineCheck;
use super::cover::cover;
use super::entry::{Baseline, Covers, Entry};
use super::shown::shown;
use crate::case::Case;
use crate::record::Record;
use crate::verdict::Verdict;

/// A new baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The text of the file.
    pub text: String,
    /// The number of new entries, whose `why` must be filled in.
    pub new: usize,
    /// The number of entries kept from the old baseline.
    pub kept: usize,
}

/// The failures of a run as the text of a baseline: those explained by the old baseline keep their
/// explanation, the others get an empty `why`. Entries for cases that did not run are kept, and those that
/// turned out wrong are dropped. A glob covers several cases only if all of them show the same.
pub fn write(
    target: &str,
    records: &BTreeMap<String, Record>,
    check: &BaselineCheck,
    all: &[Case],
) -> Written {
    let old = check.baseline.as_ref();
    let mut text = format!(
        "# Known deviations of {}, as s2spec {} saw them.\n\
         # Each entry needs a `why`: the clause that leaves it open, a documented choice of the\n\
         # server, or its bug. A reader refuses an entry without.\n\
         format = {FORMAT}\n",
        one_line(target),
        env!("CARGO_PKG_VERSION"),
    );
    let kept = old.map_or_else(Vec::new, |old| still_right(old, records, check.strict));
    for entry in &kept {
        entry_text(
            &mut text,
            &entry.case,
            &entry.shown,
            entry.covers,
            &entry.why,
            entry.link.as_deref(),
            entry.expires,
        );
    }
    let explained = |record: &Record| {
        record.verdict == Verdict::Xfail
            && kept
                .iter()
                .any(|entry| entry.matches(&record.result.case.id))
    };
    let mut failures: BTreeMap<(Covers, String), BTreeSet<&str>> = BTreeMap::new();
    let mut unsupported: BTreeSet<&str> = BTreeSet::new();
    for (id, record) in records {
        if record.verdict == Verdict::Unsupported {
            unsupported.insert(id);
        } else if let Some(failure) = failure(record)
            && !explained(record)
        {
            failures.entry(failure).or_default().insert(id);
        }
    }
    let mut new = 0;
    for ((covers, shown), ids) in &failures {
        let others = all
            .iter()
            .map(|case| case.id.as_str())
            .filter(|id| !ids.contains(id) && !unsupported.contains(id))
            .collect();
        for pattern in cover(ids, &others) {
            new += 1;
            entry_text(&mut text, &pattern, shown, *covers, "", None, None);
        }
    }
    Written {
        text,
        new,
        kept: kept.len(),
    }
}

/// The entries that no case of the run contradicts.
fn still_right<'a>(
    baseline: &'a Baseline,
    records: &BTreeMap<String, Record>,
    strict: bool,
) -> Vec<&'a Entry> {
    let mut wrong: BTreeSet<usize> = BTreeSet::new();
    for (id, record) in records {
        if says_something(record) && record.verdict != Verdict::Xfail {
            wrong.extend(baseline.of(id).iter().map(|entry| entry.line));
        }
    }
    let untouched = |entry: &Entry| entry.covers == Covers::Warn && !strict;
    baseline
        .entries
        .iter()
        .filter(|entry| untouched(entry) || !wrong.contains(&entry.line))
        .collect()
}

const fn says_something(record: &Record) -> bool {
    match record.verdict {
        Verdict::Pass
        | Verdict::Warn
        | Verdict::Fail
        | Verdict::Disputed
        | Verdict::Undecided
        | Verdict::Xfail
        | Verdict::Xpass => true,
        Verdict::Unsupported | Verdict::Unstable | Verdict::Error | Verdict::NotRun => false,
    }
}

/// The text of an entry for a result.
fn failure(record: &Record) -> Option<(Covers, String)> {
    match record.verdict {
        Verdict::Fail | Verdict::Undecided | Verdict::Xfail => {}
        _ => return None,
    }
    let was = record
        .settled
        .as_ref()
        .map_or(record.verdict, |settled| settled.was);
    let covers = match was {
        Verdict::Warn => Covers::Warn,
        Verdict::Undecided => Covers::Undecided,
        _ => Covers::Fail,
    };
    Some((covers, shown(&record.result)?))
}

fn entry_text(
    out: &mut String,
    case: &str,
    shown: &str,
    covers: Covers,
    why: &str,
    link: Option<&str>,
    expires: Option<Date>,
) {
    let _ = write!(
        out,
        "\n[[known]]\ncase = {}\noutcome = {}\n",
        quoted(case),
        quoted(shown)
    );
    if covers != Covers::Fail {
        let _ = writeln!(out, "verdict = \"{covers}\"");
    }
    let _ = writeln!(out, "why = {}", quoted(why));
    if let Some(link) = link {
        let _ = writeln!(out, "link = {}", quoted(link));
    }
    if let Some(last) = expires {
        let _ = writeln!(out, "expires = {last}");
    }
}

/// A TOML string, escaped where necessary.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
