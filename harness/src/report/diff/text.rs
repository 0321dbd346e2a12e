//! Differences as text for a terminal, and as Markdown.

use std::fmt::Write as _;

use super::{Change, Changed, Diff};
use crate::console::paragraph::paragraph;
use crate::console::words::counted;
use crate::report::markdown::{code, plain};
use crate::report::saved::Case;
use crate::transcript::printable;

/// How many cases of a kind are shown in Markdown.
const SHOWN: usize = 50;
/// How many of those that ran in one report alone are shown, as examples.
const EXAMPLES: usize = 5;

/// How many cases of a kind are listed, of those that the format has room for.
pub(super) fn listed(kind: Change, room: usize) -> usize {
    match kind.is_only_counted() {
        true => EXAMPLES,
        false => room,
    }
}

/// For a terminal of this width.
pub fn to_text(diff: &Diff<'_>, width: usize) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "before: {}", printable(&diff.before.target));
    let _ = writeln!(out, "after:  {}\n", printable(&diff.after.target));
    for (kind, cases) in &diff.changes {
        let _ = writeln!(out, "{} ({}):", kind.title(), cases.len());
        let listed = listed(*kind, cases.len());
        for case in cases.iter().take(listed) {
            let _ = writeln!(out, "  {}: {}", case.id, verdicts(case));
            let why = why(*kind, case);
            if !why.is_empty() {
                out.push_str(&paragraph("      ", 6, &printable(&why), width));
            }
        }
        if cases.len() > listed {
            let _ = writeln!(out, "  and {} more", cases.len() - listed);
        }
        out.push('\n');
    }
    if !diff.requirements.is_empty() {
        let _ = writeln!(out, "Requirements ({}):", diff.requirements.len());
        for (id, was, is) in &diff.requirements {
            let _ = writeln!(out, "  {id}: {was} → {is}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", counts(diff));
    out
}

/// As Markdown.
pub fn to_markdown(diff: &Diff<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "## s2spec: {} → {}\n\n{}\n",
        plain(&diff.before.target),
        plain(&diff.after.target),
        counts(diff)
    );
    for (kind, cases) in &diff.changes {
        let _ = writeln!(out, "### {} ({})\n", kind.title(), cases.len());
        let listed = listed(*kind, SHOWN);
        for case in cases.iter().take(listed) {
            let why = why(*kind, case);
            let why = match why.is_empty() {
                true => String::new(),
                false => format!(": {}", code(&why)),
            };
            let _ = writeln!(out, "- {} {}{why}", code(case.id), verdicts(case));
        }
        if cases.len() > listed {
            let _ = writeln!(out, "- and {} more", cases.len() - listed);
        }
        out.push('\n');
    }
    if !diff.requirements.is_empty() {
        let _ = writeln!(out, "### Requirements\n");
        for (id, was, is) in &diff.requirements {
            let _ = writeln!(out, "- {id}: {was} → {is}");
        }
    }
    out
}

/// `3 new failures, 1 fixed; 6616 cases as before`.
pub(super) fn counts(diff: &Diff<'_>) -> String {
    let parts: Vec<String> = diff
        .changes
        .iter()
        .map(|(kind, cases)| format!("{}: {}", kind.title().to_lowercase(), cases.len()))
        .collect();
    let changed = match parts.is_empty() {
        true => "no difference".to_owned(),
        false => parts.join(", "),
    };
    format!("{changed}; {} as before", counted(diff.same, "case"))
}

/// `pass → fail`.
pub(super) fn verdicts(case: &Changed<'_>) -> String {
    let verdict = |one: Option<&Case>| one.map_or("none", |case| case.verdict.as_str()).to_owned();
    format!("{} → {}", verdict(case.before), verdict(case.after))
}

/// What tells the two apart.
pub(super) fn why(kind: Change, case: &Changed<'_>) -> String {
    let said = |one: Option<&Case>| one.map(|case| case.why.clone()).unwrap_or_default();
    match kind {
        Change::NewFailure | Change::NewlyFailing | Change::NoLongerRun | Change::NewlyRun => {
            said(case.after)
        }
        Change::Fixed => format!("was: {}", said(case.before)),
        Change::Verdict | Change::Reason => {
            let sides = [("was", said(case.before)), ("is", said(case.after))];
            let told = sides.iter().filter(|(_, said)| !said.is_empty());
            let told: Vec<String> = told.map(|(word, said)| format!("{word}: {said}")).collect();
            told.join("; ")
        }
        Change::Outcome => {
            let ended = |one: Option<&Case>| one.map(Case::ended).unwrap_or_default();
            format!("was: {}; is: {}", ended(case.before), ended(case.after))
        }
    }
}
