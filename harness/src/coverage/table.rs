//! Coverage by area and level, for a terminal and for a document.

use std::fmt::Write as _;

use super::policies::{by_policy, policies_to_markdown};
use super::{Count, Coverage};
use crate::requirement::{Area, Level, Requirement};
use crate::scenario::Library;

/// Marks the start of the table in a document.
pub const START: &str = "<!-- coverage -->";
pub const END: &str = "<!-- /coverage -->";

/// The counts of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The areas, by code, with their counts.
    pub areas: Vec<(Area, Counts)>,
    /// The totals.
    pub total: Counts,
    /// Known bugs, and how many of them scenarios look for; `None` in a table of selected areas.
    pub bugs: Option<Bugs>,
}

/// Counts of known bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bugs {
    /// All bugs.
    pub known: usize,
    /// Bugs that a scenario names.
    pub hunted: usize,
}

impl Bugs {
    fn text(self) -> String {
        format!(
            "Known bugs of real servers hunted by name: {} of {}.\n",
            self.hunted, self.known
        )
    }
}

/// The counts of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// By level, in the order of [`Level::ALL`].
    pub levels: Vec<Count>,
    /// Over all levels.
    pub all: Count,
}

impl Table {
    /// Creates the table of some areas, or of all if none is named.
    pub fn new(coverage: &Coverage<'_>, areas: &[&Area]) -> Self {
        let registry = coverage.registry();
        let counts = |areas: &[&Area]| {
            let requirements: Vec<&Requirement> =
                areas.iter().flat_map(|a| registry.of(&a.code)).collect();
            Counts {
                levels: Level::ALL
                    .iter()
                    .map(|level| {
                        coverage.count(
                            requirements
                                .iter()
                                .copied()
                                .filter(|one| one.level == *level),
                        )
                    })
                    .collect(),
                all: coverage.count(requirements.iter().copied()),
            }
        };
        let shown_all = areas.is_empty();
        let shown: Vec<&Area> = registry
            .areas()
            .iter()
            .filter(|area| areas.is_empty() || areas.contains(area))
            .collect();
        let total = counts(&shown);
        let areas = shown
            .into_iter()
            .map(|area| (area.clone(), counts(&[area])))
            .collect();
        let bugs = || {
            let known = registry.bugs().len();
            let hunted = known - coverage.open_bugs().count();
            Bugs { known, hunted }
        };
        let bugs = (shown_all && !registry.bugs().is_empty()).then(bugs);
        Self { areas, total, bugs }
    }
}

/// Formats the table for a terminal, 79 columns wide.
pub fn to_text(table: &Table) -> String {
    let mut out = String::new();
    let headings = ["must", "derived", "secur.", "should", "pract.", "may"];
    let last = ["all", "covered", "unjudg.", "open"].map(str::to_owned);
    text_line(&mut out, "", &headings.map(str::to_owned), &last);
    for (area, counts) in &table.areas {
        count_line(&mut out, &area.code, counts);
    }
    if table.areas.len() != 1 {
        count_line(&mut out, "all", &table.total);
    }
    out.push('\n');
    out.push_str(&table.bugs.map(Bugs::text).unwrap_or_default());
    out.push_str(
        "\
Of each level: covered by a scenario / of those that can be judged from outside.
A breach of must, derived and security fails, one of should and practice warns,
one of may is recorded. --open and --unjudgeable list requirements.
",
    );
    out
}

fn count_line(out: &mut String, name: &str, counts: &Counts) {
    let all = &counts.all;
    let levels: Vec<String> = counts.levels.iter().map(Count::share).collect();
    text_line(
        out,
        name,
        &levels,
        &[all.total(), all.covered, all.unjudgeable, all.open].map(|number| number.to_string()),
    );
}

fn text_line(out: &mut String, name: &str, levels: &[String], last: &[String; 4]) {
    const WIDTHS: [usize; 10] = [8, 8, 7, 8, 7, 7, 5, 8, 8, 5];
    let mut line = format!("{name:<4}");
    for (cell, width) in levels.iter().chain(last).zip(WIDTHS) {
        let _ = write!(line, "{cell:>width$}");
    }
    out.push_str(&line);
    out.push('\n');
}

/// Formats the table in Markdown.
pub fn to_markdown(table: &Table) -> String {
    let mut out = String::from("| area | folder | | ");
    for level in Level::ALL {
        let _ = write!(out, "{level} | ");
    }
    out.push_str("total | covered | unjudgeable | open |\n|---|---|---|");
    out.push_str(&"--:|".repeat(Level::ALL.len() + 4));
    out.push('\n');
    for (area, counts) in &table.areas {
        markdown_line(&mut out, [&area.code, &area.folder, &area.title], counts);
    }
    markdown_line(&mut out, ["all", "", ""], &table.total);
    if let Some(bugs) = table.bugs {
        out.push('\n');
        out.push_str(&bugs.text());
    }
    out
}

fn markdown_line(out: &mut String, names: [&str; 3], counts: &Counts) {
    let _ = write!(out, "| {} |", names.join(" | "));
    for count in &counts.levels {
        let _ = write!(out, " {} |", count.share());
    }
    let all = &counts.all;
    let _ = writeln!(
        out,
        " {} | {} | {} | {} |",
        all.total(),
        all.covered,
        all.unjudgeable,
        all.open
    );
}

/// Everything between the marks of the document: the table of all areas, and that of the policies.
pub fn page(table: &Table, library: &Library) -> String {
    format!(
        "{}\n{}",
        to_markdown(table),
        policies_to_markdown(&by_policy(library))
    )
}

/// A document with the text between [`START`] and [`END`] replaced; `None` if a mark is missing.
pub fn in_document(document: &str, markdown: &str) -> Option<String> {
    let (before, rest) = document.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}\n{markdown}{END}{after}"))
}
