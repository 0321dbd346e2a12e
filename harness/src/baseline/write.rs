//! Creates a baseline from the failures of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use simulated_partners::document::FORMAT;
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
    /// The number of its entries that turned out wrong, which are comments now.
    pub gone: usize,
}

/// The failures of a run as the text of a baseline: those explained by the old baseline keep their
/// explanation, the others get an empty `why`. Entries for cases that did not run are kept, and those that
/// turned out wrong become comments, so that no reason is lost. A glob covers several cases only if all of them show the same.
pub fn write(
    target: &str,
    records: &BTreeMap<String, Record>,
    check: &BaselineCheck,
    all: &[Case],
) -> Written {
    let old = check.baseline.as_ref();
    let mut text = match old {
        Some(old) if !old.head.is_empty() => old.head.clone(),
        _ => format!(
            "# Known deviations of {}, as s2spec {} saw them.\n\
             # Each entry needs a `why`: the clause that leaves it open, a documented choice of the\n\
             # server, or its bug. A reader refuses an entry without.\n",
            one_line(target),
            env!("CARGO_PKG_VERSION"),
        ),
    };
    let _ = writeln!(text, "format = {FORMAT}");
    let (kept, gone) = old.map_or_else(Default::default, |old| {
        let wrong = contradicted(old, records, check.strict);
        let numbered = old.entries.iter().enumerate();
        let (gone, kept): (Vec<_>, Vec<_>) = numbered.partition(|(at, _)| wrong.contains(at));
        let plain = |list: Vec<(usize, _)>| list.into_iter().map(|(_, entry)| entry).collect();
        (plain(kept), plain(gone))
    });
    let kept: Vec<&Entry> = kept;
    let gone: Vec<&Entry> = gone;
    for entry in &kept {
        if !entry.comment.is_empty() {
            let _ = write!(text, "\n{}", entry.comment);
        }
        text.push_str(&entry_text(entry));
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
            text.push_str(&known_text(&pattern, shown, *covers, ""));
        }
    }
    if let Some(old) = old.filter(|old| !old.tail.is_empty()) {
        let _ = writeln!(text, "\n{}", old.tail);
    }
    if !gone.is_empty() {
        text.push_str("\n# No longer seen like this:\n");
    }
    for entry in &gone {
        if !entry.comment.is_empty() {
            let _ = writeln!(text, "{}", entry.comment);
        }
        for line in entry_text(entry).trim().lines() {
            let _ = writeln!(text, "# {line}");
        }
    }
    Written {
        text,
        new,
        kept: kept.len(),
        gone: gone.len(),
    }
}

/// The numbers of the entries that a case of the run contradicts.
fn contradicted(
    baseline: &Baseline,
    records: &BTreeMap<String, Record>,
    strict: bool,
) -> BTreeSet<usize> {
    let mut wrong = BTreeSet::new();
    for (id, record) in records {
        if says_something(record) && record.verdict != Verdict::Xfail {
            wrong.extend(baseline.numbers_of(id));
        }
    }
    // Entries for warnings count in strict runs only.
    wrong.retain(|at| strict || baseline.entries[*at].covers != Covers::Warn);
    wrong
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

fn entry_text(entry: &Entry) -> String {
    let mut out = known_text(&entry.case, &entry.shown, entry.covers, &entry.why);
    if let Some(link) = &entry.link {
        let _ = writeln!(out, "link = {}", quoted(link));
    }
    if let Some(last) = entry.expires {
        let _ = writeln!(out, "expires = {last}");
    }
    out
}

fn known_text(case: &str, shown: &str, covers: Covers, why: &str) -> String {
    let verdict = match covers {
        Covers::Fail => String::new(),
        Covers::Undecided | Covers::Warn => format!("verdict = \"{covers}\"\n"),
    };
    format!(
        "\n[[known]]\ncase = {}\noutcome = {}\n{verdict}why = {}\n",
        quoted(case),
        quoted(shown),
        quoted(why)
    )
}

/// A TOML string, escaped where necessary.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
