//! The conformance suite and the sets `settings` and `failover` in the terminal: one line per area.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::Report;
use crate::case::{Set, Tag};
use crate::verdict::Verdict;

/// The headings of the columns. Those of the second kind are shown only where they count something.
pub const COLUMNS: [&str; 6] = ["pass", "warn", "fail", "xfail", "unsupported", "error"];
const RARE: [&str; 2] = ["undecided", "not run"];

/// The cases of an area by column.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn count(&mut self, verdict: Verdict) {
        let column = match verdict {
            Verdict::Pass => "pass",
            Verdict::Warn | Verdict::Disputed => "warn",
            Verdict::Fail | Verdict::Unstable | Verdict::Xpass => "fail",
            Verdict::Xfail => "xfail",
            Verdict::Unsupported => "unsupported",
            Verdict::Error => "error",
            Verdict::Undecided => "undecided",
            Verdict::NotRun => "not run",
        };
        *self.0.entry(column).or_default() += 1;
    }

    fn of(&self, column: &str) -> usize {
        self.0.get(column).copied().unwrap_or_default()
    }

    fn shown(&self, column: &str) -> String {
        match self.of(column) {
            0 => "–".to_owned(),
            number => number.to_string(),
        }
    }
}

/// A table of each of these sets of which a case was run. Cases with a tag are counted again below the
/// areas.
pub(super) fn render(report: &Report) -> String {
    let tables = [
        (Set::Settings, "settings: one line per setting"),
        (Set::Failover, "failover: one line per way"),
        (Set::Scenarios, "scenarios: one line per area"),
    ];
    let tables = tables.map(|(set, title)| table(report, set, title));
    tables.concat()
}

fn table(report: &Report, set: Set, title: &str) -> String {
    let mut areas: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut tags: BTreeMap<Tag, Tally> = BTreeMap::new();
    let records = report
        .records
        .values()
        .filter(|record| record.result.case.set == set && !record.result.added_as_control);
    // The ids of scenarios begin with their area, all others with their set.
    let place = usize::from(set != Set::Scenarios);
    for record in records {
        let case = &record.result.case;
        let area = case.id.split('/').nth(place).unwrap_or_default();
        areas.entry(area).or_default().count(record.verdict);
        for tag in case.scenario().iter().flat_map(|scenario| &scenario.tags) {
            tags.entry(*tag).or_default().count(record.verdict);
        }
    }
    if areas.is_empty() {
        return String::new();
    }
    let mut out = format!("{}\n", title.bold());
    let rare = RARE.into_iter();
    let rare = rare.filter(|column| areas.values().any(|tally| tally.of(column) > 0));
    let columns: Vec<&str> = COLUMNS.into_iter().chain(rare).collect();
    let mut line = |name: &str, cell: &dyn Fn(&str) -> String| {
        let cells = columns.iter().map(|column| (width(column), cell(column)));
        let cells: String = cells
            .map(|(width, cell)| format!("{cell:>width$}"))
            .collect();
        let _ = writeln!(out, "{name:<22}{cells}");
    };
    line("", &str::to_owned);
    for (area, tally) in &areas {
        line(area, &|column| tally.shown(column));
    }
    for (tag, tally) in &tags {
        line(&format!("of these {tag}"), &|column| tally.shown(column));
    }
    out.push('\n');
    out
}

/// The columns of the terminal for one of the table.
fn width(heading: &str) -> usize {
    (heading.len() + 2).max(6)
}
