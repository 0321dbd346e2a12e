//! Remarks on repeated cases.

use super::gather::{Repeating, Report};
use super::terminal::View;
use crate::console::failure::{parting, wrapped};
use crate::console::words::counted;
use crate::record::Record;
use crate::transcript::printable;
use crate::verdict::Verdict;

/// `round 3 of 20, `, or nothing.
pub(super) fn progress(repeating: Option<Repeating>) -> String {
    match repeating {
        None => String::new(),
        Some(Repeating {
            round,
            of: Some(of),
            ..
        }) => format!("round {round} of {of} "),
        Some(Repeating { round, .. }) => format!("round {round} "),
    }
}

/// `; each run 20 times, none unstable`, or nothing.
pub(super) fn summary(report: &Report) -> String {
    if report.rounds <= 1 {
        return String::new();
    }
    let repeated = |record: &&Record| record.result.repeated.is_some();
    let count = report.records.values().filter(repeated).count();
    let unstable = match report.tally().unstable {
        0 => "none".to_owned(),
        number => number.to_string(),
    };
    format!(
        "; {count} of them run {} times, {unstable} unstable",
        report.rounds
    )
}

/// Cases that ended the same each time but with differences on further connections: not a verdict, but
/// worth reporting.
pub(super) fn remarks(report: &Report, view: &View, out: &mut String) {
    let went_otherwise: Vec<&Record> = report
        .records
        .values()
        .filter(|record| record.verdict != Verdict::Unstable)
        .filter(|record| {
            let repeated = record.result.repeated.as_ref();
            repeated.is_some_and(|repeated| repeated.went_otherwise > 0)
        })
        .collect();
    let Some(first) = went_otherwise.first() else {
        return;
    };
    let shown = if view.verbose {
        went_otherwise.as_slice()
    } else {
        std::slice::from_ref(first)
    };
    let text = format!(
        "{} ended the same each time, with other transcripts of further connections, which the \
         standards leave open{}",
        counted(went_otherwise.len(), "case"),
        if view.verbose { ":" } else { "; such as" }
    );
    out.push_str(&wrapped("remark", &text, view.width));
    for record in shown {
        out.push_str(&wrapped("", &record.result.case.id, view.width));
        for (name, text) in parting(record) {
            out.push_str(&wrapped(&name, &printable(&text), view.width));
        }
    }
    out.push('\n');
}
