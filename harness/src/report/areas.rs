//! The conformance suite in the terminal: one line per area.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::Report;
use crate::case::{Set, Tag};
use crate::verdict::Verdict;

/// The cases of an area by verdict.
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

    fn shown(&self) -> [String; 6] {
        let Self {
            pass,
            warn,
            fail,
            known,
            unsupported,
            error,
        } = self;
        [pass, warn, fail, known, unsupported, error].map(|number| match number {
            0 => "–".to_owned(),
            number => number.to_string(),
        })
    }
}

/// The table, or nothing if no scenario was run. Cases with a tag are counted again below the
/// areas.
pub(super) fn render(report: &Report) -> String {
    let mut areas: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut tags: BTreeMap<Tag, Tally> = BTreeMap::new();
    let records = report.records.values().filter(|record| {
        record.result.case.set == Set::Scenarios && !record.result.added_as_control
    });
    for record in records {
        let area = record.result.case.id.split('/').next().unwrap_or_default();
        areas.entry(area).or_default().count(record.verdict);
        for tag in record
            .result
            .case
            .scenario()
            .iter()
            .flat_map(|scenario| &scenario.tags)
        {
            tags.entry(*tag).or_default().count(record.verdict);
        }
    }
    if areas.is_empty() {
        return String::new();
    }
    let mut out = format!("{}\n", "scenarios: one line per area".bold());
    let headings = ["pass", "warn", "fail", "xfail", "unsupported", "error"];
    line(&mut out, "", headings.map(str::to_owned));
    for (area, tally) in areas {
        line(&mut out, area, tally.shown());
    }
    for (tag, tally) in tags {
        line(&mut out, &format!("of these {tag}"), tally.shown());
    }
    out.push('\n');
    out
}

fn line(out: &mut String, name: &str, cells: [String; 6]) {
    let [pass, warn, fail, known, unsupported, error] = cells;
    let _ = writeln!(
        out,
        "{name:<22}{pass:>6}{warn:>6}{fail:>6}{known:>7}{unsupported:>13}{error:>7}",
    );
}
