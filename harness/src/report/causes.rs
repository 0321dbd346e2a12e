//! What failed or warned, by cause: the clause, the number of cases, the clearest case, and what seems
//! to follow from it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::gather::Report;
use super::requirements::describe;
use super::terminal::View;
use crate::console::failure::{self, wrapped};
use crate::console::mark::Mark;
use crate::console::paragraph::paragraph;
use crate::console::words::counted;
use crate::judge::{Cause, Clause};
use crate::transcript::printable;
use crate::verdict::Verdict;

/// The number of causes shown with their clearest case; of more there is a line each.
const AT_LENGTH: usize = 10;
/// The number of lines after those.
const LISTED: usize = 40;

fn failed(causes: &[Cause]) -> Vec<&Cause> {
    let failed = |cause: &&Cause| cause.verdict == Verdict::Fail;
    causes.iter().filter(failed).collect()
}

/// How many causes are shown with cases.
fn number_at_length(failed: &[&Cause], view: &View) -> usize {
    if view.verbose {
        failed.len()
    } else {
        AT_LENGTH.min(failed.len())
    }
}

/// The cases of a cause that are shown.
fn shown<'a>(cause: &'a Cause, view: &View) -> &'a [String] {
    if view.verbose {
        &cause.cases
    } else {
        &cause.cases[..1]
    }
}

/// The failed cases that are shown in full.
pub(super) fn at_length<'a>(causes: &'a [Cause], view: &View) -> BTreeSet<&'a str> {
    let failed = failed(causes);
    let number = number_at_length(&failed, view);
    let cases = failed
        .into_iter()
        .take(number)
        .flat_map(|cause| shown(cause, view));
    cases.map(String::as_str).collect()
}

/// The causes of failures, each with the report of its clearest case.
pub(super) fn failures(causes: &[Cause], report: &Report, view: &View, out: &mut String) {
    let failed = failed(causes);
    let at_length = number_at_length(&failed, view);
    for cause in &failed[..at_length] {
        heading(cause, view, out);
        for id in shown(cause, view) {
            let Some(record) = report.records.get(id) else {
                continue;
            };
            out.push_str(&failure::block(
                record,
                &view.rerun.command(id),
                view.width,
                view.charset,
                view.transcript,
            ));
        }
        out.push('\n');
    }
    let rest = &failed[at_length..];
    if rest.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "{} (-v for details):",
        counted(rest.len(), "more cause")
    );
    for cause in rest.iter().take(LISTED) {
        let text = format!(
            "{}; {}, such as {}",
            name(&cause.clause),
            counted(cause.cases.len(), "case"),
            cause.cases[0]
        );
        out.push_str(&wrapped("fail", &printable(&text), view.width));
    }
    if rest.len() > LISTED {
        let _ = writeln!(out, "  and {} more", rest.len() - LISTED);
    }
    out.push('\n');
}

/// One line for the cause, one for each kind of consequence.
fn heading(cause: &Cause, view: &View, out: &mut String) {
    let mark = Mark::Fail;
    let says = match cause.clause.requirement {
        Some(_) => &cause.clause.text,
        None => &cause.text,
    };
    let title = format!(
        "{}, {}: {says}",
        name(&cause.clause),
        counted(cause.cases.len(), "case")
    );
    out.push_str(&paragraph(
        &format!("{} ", mark.symbol(view.charset).style(mark.colour())),
        2,
        &printable(&title),
        view.width,
    ));
    for consequence in &cause.consequences {
        let text = format!(
            "{}: {}{}",
            counted(consequence.cases.len(), "case"),
            consequence.because,
            ids(&consequence.cases, view.verbose)
        );
        out.push_str(&wrapped("may follow", &text, view.width));
    }
}

/// Warnings and disputes: a line for each cause.
pub(super) fn remarks(causes: &[Cause], view: &View, out: &mut String) {
    for (verdict, title) in [(Verdict::Warn, "warn"), (Verdict::Disputed, "disputed")] {
        for cause in causes.iter().filter(|cause| cause.verdict == verdict) {
            let follow: usize = cause.consequences.iter().map(|one| one.cases.len()).sum();
            let mut cases = format!(
                "{}{}",
                counted(cause.cases.len(), "case"),
                ids(&cause.cases, view.verbose)
            );
            if follow > 0 {
                let _ = write!(cases, "; {follow} more may follow from it");
            }
            let clause = name(&cause.clause);
            let text = if clause.is_empty() {
                format!("{} ({cases})", cause.text)
            } else {
                format!("{clause}: {} ({cases})", cause.text)
            };
            out.push_str(&wrapped(title, &printable(&text), view.width));
        }
    }
}

/// `, such as the first`, or all of them.
fn ids(cases: &[String], all: bool) -> String {
    match cases {
        [] => String::new(),
        [only] => format!(", {only}"),
        several if all => format!(", {}", several.join(" ")),
        [first, ..] => format!(", such as {first}"),
    }
}

/// `STR-05 (must, RFC 6120 §4.7.5)`.
fn name(clause: &Clause) -> String {
    match &clause.requirement {
        Some(id) => format!("{id} ({}, {})", clause.level, clause.source),
        None if clause.source.is_empty() => String::new(),
        None => format!("{}, {}", clause.level, clause.source),
    }
}

/// How many cases failed or warned, by what stands behind the clause; nothing if none did.
pub(super) fn strengths(report: &Report) -> String {
    let all = report.strengths();
    let parts: Vec<String> = all
        .iter()
        .map(|(strength, counts)| {
            let words = describe(*strength);
            let counts = [(counts.fail, "fail"), (counts.warn, "warn")];
            let counts: Vec<String> = counts
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect();
            format!("{words}: {}", counts.join(", "))
        })
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("By clause: {}.", parts.join("; "))
    }
}
