//! The conformance suite in the terminal: a line an area.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::Report;
use crate::case::Set;
use crate::verdict::Verdict;

/// Cases of an area by what became of them.
#[derive(Default)]
struct Tally {
    pass: usize,
    warn: usize,
    fail: usize,
    known: usize,
    unsupported: usize,
    error: usize,
}

impl Tally {
    fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Warn | Verdict::Disputed => &mut self.warn,
            Verdict::Fail | Verdict::Unstable | Verdict::Xpass => &mut self.fail,
            Verdict::Xfail => &mut self.known,
            Verdict::Unsupported => &mut self.unsupported,
            Verdict::Error => &mut self.error,
        } += 1;
    }
}

/// The table, or nothing where no scenario was run.
pub(super) fn render(report: &Report) -> String {
    let mut areas: BTreeMap<&str, Tally> = BTreeMap::new();
    let records = report
        .records
        .values()
        .filter(|record| record.case.set == Set::Scenarios && !record.added_as_control);
    for record in records {
        let area = record.case.id.split('/').next().unwrap_or_default();
        areas.entry(area).or_default().count(record.verdict);
    }
    if areas.is_empty() {
        return String::new();
    }
    let mut out = format!("{}\n", "scenarios: an area of the standards each".bold());
    let _ = writeln!(
        out,
        "{:<12}{:>6}{:>6}{:>6}{:>7}{:>13}{:>7}",
        "", "pass", "warn", "fail", "xfail", "unsupported", "error"
    );
    let shown = |number: usize| {
        if number == 0 {
            "–".to_owned()
        } else {
            number.to_string()
        }
    };
    for (area, tally) in areas {
        let Tally {
            pass,
            warn,
            fail,
            known,
            unsupported,
            error,
        } = tally;
        let _ = writeln!(
            out,
            "{area:<12}{:>6}{:>6}{:>6}{:>7}{:>13}{:>7}",
            shown(pass),
            shown(warn),
            shown(fail),
            shown(known),
            shown(unsupported),
            shown(error)
        );
    }
    out.push('\n');
    out
}
