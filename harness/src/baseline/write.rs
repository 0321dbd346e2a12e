//! Creates a baseline from the failures of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use simulated_partners::document::FORMAT;
use toml::Value;

use super::check::BaselineCheck;
use super::cover::cover;
use super::deviation::{Deviation, What};
use super::entry::{Covers, Entry, Named, Pattern};
use crate::case::{Case, Sees};
use crate::glob::Glob;
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

/// The failures of a run as the text of a baseline, one entry per cause: those explained by the old baseline keep
/// their explanation, the others get an empty `why`. Entries for cases that did not run are kept, and those that
/// turned out wrong become comments, so that no reason is lost. A new entry matches only cases that show its
/// cause.
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
            crate::VERSION,
        ),
    };
    let _ = writeln!(text, "format = {FORMAT}");
    let (kept, gone) = old.map_or_else(Default::default, |old| {
        let stale = check.stale(records, all);
        let wrong = |entry: &&Entry| {
            let is_stale = stale.iter().any(|(_, one)| std::ptr::eq(*one, *entry));
            is_stale || contradicted(entry, records, check.strict)
        };
        let (gone, kept): (Vec<&Entry>, Vec<&Entry>) = old.entries.iter().partition(wrong);
        (kept, gone)
    });
    for entry in &kept {
        if !entry.comment.is_empty() {
            let _ = write!(text, "\n{}", entry.comment);
        }
        text.push_str(&entry_text(entry));
    }
    let failures = failures(records, &kept);
    let unsupported: BTreeSet<&str> = records
        .iter()
        .filter(|(_, record)| record.verdict == Verdict::Unsupported)
        .map(|(id, _)| id.as_str())
        .collect();
    for (cause, ids) in &failures {
        let others = all
            .iter()
            .map(|case| case.id.as_str())
            .filter(|id| !ids.contains(id) && !unsupported.contains(id))
            .collect();
        let patterns = cover(ids, &others);
        let case = match patterns.as_slice() {
            [only] => only.clone(),
            several => format!("{{{}}}", several.join(",")),
        };
        text.push_str(&cause.text(&case, ""));
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
        new: failures.len(),
        kept: kept.len(),
        gone: gone.len(),
    }
}

/// Whether a case that an entry lists by name shows something else.
fn contradicted(entry: &Entry, records: &BTreeMap<String, Record>, strict: bool) -> bool {
    // Entries for warnings count in strict runs only.
    let counts = strict || entry.cause.covers != Covers::Warn;
    let listed = records.iter().filter(|(id, _)| entry.matches(id));
    let mut decided = listed.filter(|(_, record)| says_something(record));
    counts
        && entry.names_cases()
        && decided.any(|(_, record)| {
            let shown = Deviation::all(&record.result);
            !shown.iter().any(|one| entry.cause.fits(one))
        })
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

/// What decides failures and no kept entry lists, with the cases that show it.
fn failures<'a>(
    records: &'a BTreeMap<String, Record>,
    kept: &[&Entry],
) -> BTreeMap<New, BTreeSet<&'a str>> {
    let mut failures: BTreeMap<New, BTreeSet<&str>> = BTreeMap::new();
    for (id, record) in records {
        let was = match record.verdict {
            Verdict::Fail | Verdict::Undecided | Verdict::Xfail => record
                .settled
                .as_ref()
                .map_or(record.verdict, |settled| settled.was),
            _ => continue,
        };
        let level = match was {
            Verdict::Warn => Covers::Warn,
            Verdict::Undecided => Covers::Undecided,
            _ => Covers::Fail,
        };
        let explained = |one: &Deviation| {
            let mut entries = kept.iter();
            entries.any(|entry| entry.matches(id) && entry.cause.fits(one))
        };
        for deviation in Deviation::all(&record.result) {
            if deviation.level == level && !explained(&deviation) {
                failures.entry(New::of(deviation)).or_default().insert(id);
            }
        }
    }
    failures
}

/// A cause that is new. One that is known by its requirement may end in any way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct New {
    level: Covers,
    what: What,
    seen: Option<Sees>,
    rule: Option<&'static str>,
    outcome: Option<String>,
}

impl New {
    fn of(deviation: Deviation) -> Self {
        let Deviation {
            level,
            what,
            seen,
            outcome,
            rule,
        } = deviation;
        let ends = what == What::End;
        Self {
            level,
            rule: rule.filter(|_| ends),
            outcome: Some(outcome).filter(|_| ends),
            what,
            seen,
        }
    }

    fn text(&self, case: &str, why: &str) -> String {
        let (requirements, fault) = match &self.what {
            What::Requirement(id) => (vec![id.clone()], None),
            What::Fault(fault) => (Vec::new(), Some(fault.as_str())),
            What::End => (Vec::new(), None),
        };
        let outcome = self.outcome.as_deref().map(Glob::escaped);
        known_text(
            &requirements,
            self.seen.as_slice(),
            [
                ("fault", fault),
                ("rule", self.rule),
                ("outcome", outcome.as_deref()),
                ("case", Some(case)),
            ],
            self.level,
            why,
        )
    }
}

fn entry_text(entry: &Entry) -> String {
    let Named {
        requirements,
        seen,
        fault,
        rule,
        outcome,
        covers,
    } = &entry.cause;
    let pattern = |one: &'_ Option<Pattern>| one.as_ref().map(|one| one.text.clone());
    let (rule, outcome) = (pattern(rule), pattern(outcome));
    let case = Some(entry.case.text.as_str()).filter(|case| *case != "**");
    let mut out = known_text(
        requirements,
        seen,
        [
            ("fault", fault.as_deref()),
            ("rule", rule.as_deref()),
            ("outcome", outcome.as_deref()),
            ("case", case),
        ],
        *covers,
        &entry.why,
    );
    if let Some(link) = &entry.link {
        let _ = writeln!(out, "link = {}", quoted(link));
    }
    if let Some(last) = entry.expires {
        let _ = writeln!(out, "expires = {last}");
    }
    out
}

fn known_text(
    requirements: &[String],
    seen: &[Sees],
    keys: [(&str, Option<&str>); 4],
    covers: Covers,
    why: &str,
) -> String {
    let mut out = "\n[[known]]\n".to_owned();
    let words: Vec<String> = seen.iter().map(ToString::to_string).collect();
    for (key, list) in [("requirements", requirements), ("seen", words.as_slice())] {
        if !list.is_empty() {
            let texts: Vec<String> = list.iter().map(|text| quoted(text)).collect();
            let _ = writeln!(out, "{key} = [{}]", texts.join(", "));
        }
    }
    for (key, value) in keys {
        if let Some(value) = value {
            let _ = writeln!(out, "{key} = {}", quoted(value));
        }
    }
    if covers != Covers::Fail {
        let _ = writeln!(out, "verdict = \"{covers}\"");
    }
    let _ = writeln!(out, "why = {}", quoted(why));
    out
}

/// A TOML string, escaped where necessary.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
