//! Several reports of the same cases as one HTML page, a column for each.

mod matrix;

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::html::{badge, document};
use super::saved::{Case, Saved};
use crate::console::words::counted;
use crate::transcript::printable;

/// One of the reports.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The report.
    pub saved: Saved,
    /// Where its own page is, as a link, if it has one.
    pub page: Option<String>,
}

impl Compared {
    /// A link to a case in its own page.
    fn link(&self, id: &str) -> Option<String> {
        self.page.as_ref().map(|page| format!("{page}#case={id}"))
    }
}

/// A case in each of the reports.
type Row<'a> = Vec<Option<&'a Case>>;

/// The page.
pub fn to_comparison(reports: &[Compared]) -> String {
    let mut cases: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for (at, report) in reports.iter().enumerate() {
        for case in &report.saved.cases {
            let row = cases
                .entry(&case.id)
                .or_insert_with(|| vec![None; reports.len()]);
            row[at] = Some(case);
        }
    }
    let (different, others): (Vec<_>, Vec<_>) = cases.iter().partition(|(_, row)| differ(row));
    let (alike, alone): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|(_, row)| matches!(ran(row).count(), 0 | 2..));
    let body = html! {
        header {
            h1 { "s2spec: " (reports.len()) " targets side by side" }
            p.facts { (counted(different.len(), "case")) " with different ends, " (alike.len()) " alike, " (alone.len()) " of one target alone." }
            nav aria-label="Sections" {
                a href="#summary" { "Summary" }
                a href="#requirements" { "Requirements" }
                @if cases.values().flatten().flatten().any(|case| case.is_of_matrix()) {
                    a href="#matrix" { "Matrix" }
                }
                a href="#different" { "Cases that differ" }
                a href="#alone" { "Cases of one target alone" }
                a href="#alike" { "Cases alike" }
            }
        }
        main #main {
            (summary(reports))
            (requirements(reports))
            (matrix::section(reports, &cases))
            (section(reports, "different", "Cases that differ", &different))
            (section(reports, "alone", "Cases that ran against one target alone", &alone))
            (section(reports, "alike", "Cases alike", &alike))
        }
    };
    document("s2spec: targets side by side", &body)
}

/// The cases of a row that ran.
fn ran<'a>(row: &[Option<&'a Case>]) -> impl Iterator<Item = &'a Case> {
    row.iter().copied().flatten().filter(|case| case.ran())
}

/// Whether the same case ended differently where it was run.
fn differ(row: &[Option<&Case>]) -> bool {
    let ends: BTreeSet<(&str, String)> = ran(row)
        .map(|case| (case.verdict.as_str(), case.ended()))
        .collect();
    ends.len() > 1
}

fn columns(reports: &[Compared], first: &[&str]) -> Markup {
    html! {
        thead { tr {
            @for name in first { th scope="col" { (name) } }
            @for report in reports {
                @let name = printable(&report.saved.target);
                th scope="col" {
                    @match &report.page {
                        Some(page) => a href=(page) { (name) },
                        None => (name),
                    }
                }
            }
        } }
    }
}

fn summary(reports: &[Compared]) -> Markup {
    let counts = [
        "pass",
        "warn",
        "fail",
        "disputed",
        "undecided",
        "error",
        "unsupported",
        "not-run",
    ];
    html! {
        section #summary {
            h2 { "Summary" }
            div.wide tabindex="0" role="region" aria-label="Summary" {
                table {
                    (columns(reports, &["verdict"]))
                    tbody { @for verdict in counts {
                        tr {
                            th scope="row" { (badge(verdict)) }
                            @for report in reports { td.number { (report.saved.count(verdict)) } }
                        }
                    } }
                }
            }
        }
    }
}

/// The requirements that do not stand alike.
fn requirements(reports: &[Compared]) -> Markup {
    let mut all: BTreeMap<&str, (String, Vec<&str>)> = BTreeMap::new();
    for (at, report) in reports.iter().enumerate() {
        for one in &report.saved.requirements {
            let clause = || format!("{} ({}, {})", one.text, one.source, one.level);
            let (_, row) = all
                .entry(&one.id)
                .or_insert_with(|| (clause(), vec![""; reports.len()]));
            row[at] = &one.standing;
        }
    }
    all.retain(|_, (_, row)| row.iter().collect::<BTreeSet<_>>().len() > 1);
    html! {
        section #requirements {
            h2 { "Requirements that stand differently (" (all.len()) ")" }
            div.wide tabindex="0" role="region" aria-label="Requirements" {
                table {
                    (columns(reports, &["requirement", "text"]))
                    tbody { @for (id, (clause, row)) in &all {
                        tr {
                            th scope="row" { (id) }
                            td.source { (clause) }
                            @for standing in row { td { (standing) } }
                        }
                    } }
                }
            }
        }
    }
}

fn section(reports: &[Compared], id: &str, title: &str, cases: &[(&&str, &Row<'_>)]) -> Markup {
    let mut areas: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (case, row) in cases {
        let area = case.split('/').next().unwrap_or_default();
        areas.entry(area).or_default().push((case, row));
    }
    html! {
        section id=(id) {
            h2 { (title) " (" (cases.len()) ")" }
            @for (area, cases) in &areas {
                details open[id == "different"] {
                    summary { (area) " (" (cases.len()) ")" }
                    div.wide tabindex="0" role="region" aria-label=(area) {
                        table {
                            (columns(reports, &["case"]))
                            tbody { @for (case, row) in cases {
                                tr {
                                    th scope="row" { code { (case) } }
                                    @for (report, case) in reports.iter().zip(row.iter()) {
                                        td { (cell_of(report, *case)) }
                                    }
                                }
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn cell_of(report: &Compared, case: Option<&Case>) -> Markup {
    html! {
        @match case {
            None => span.source { "not run" },
            Some(case) => {
                @let end = html! { (badge(&case.verdict)) " " span.source { (case.ended()) } };
                @match report.link(&case.id) {
                    Some(link) => a href=(link) title=(printable(&case.why)) { (end) },
                    None => span title=(printable(&case.why)) { (end) },
                }
            },
        }
    }
}
