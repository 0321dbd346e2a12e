//! The matrix as a heat map: a table for each set and direction, policies by partners.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::{badge, cell, legend, links};
use crate::console::words::counted;
use crate::report::explanation::explain;
use crate::report::saved::{Case, Saved};

pub(super) fn section(saved: &Saved) -> Markup {
    let mut tables: BTreeMap<(&str, &str), Vec<&Case>> = BTreeMap::new();
    for case in saved.cases.iter().filter(|case| case.is_of_matrix()) {
        tables
            .entry((&case.set, &case.direction))
            .or_default()
            .push(case);
    }
    html! {
        @if !tables.is_empty() {
            section #matrix {
                h2 { "Matrix" }
                (explained(saved))
                p {
                    "A row for each partner, a column for each policy of the target. "
                    "Each cell links to its case."
                }
                (legend(saved))
                @for ((set, direction), cases) in &tables {
                    details open[*set == "personas"] {
                        summary { (set) ", " (direction) " (" (counted(cases.len(), "case")) ")" }
                        (table(set, direction, cases))
                    }
                }
            }
        }
    }
}

/// What the cases have in common that failed or warned.
fn explained(saved: &Saved) -> Markup {
    html! {
        @for (verdict, words) in [("fail", "failures"), ("warn", "warnings")] {
            @let all = explain(saved, verdict);
            @if !all.found.is_empty() || !all.rest.is_empty() {
                h3 { "What the " (words) " have in common" }
                ul.explained {
                    @for one in &all.found {
                        li {
                            details {
                                summary {
                                    (badge(verdict)) " all " (one.cases.len()) ": " (one.conditions.join(" and "))
                                    @if let Some(why) = &one.why { span.source { " (" (why) ")" } }
                                }
                                (links(&one.cases))
                            }
                        }
                    }
                    @if !all.rest.is_empty() {
                        li {
                            details {
                                summary { (badge(verdict)) " " (all.rest.len()) " more, one by one" }
                                (links(&all.rest))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table(set: &str, direction: &str, cases: &[&Case]) -> Markup {
    let rows: BTreeSet<u8> = cases.iter().map(|case| case.row).collect();
    let mut partners: BTreeMap<&str, BTreeMap<u8, &Case>> = BTreeMap::new();
    for case in cases {
        partners
            .entry(&case.partner.name)
            .or_default()
            .insert(case.row, case);
    }
    html! {
        div.wide tabindex="0" role="region" aria-label=(format!("{set}, {direction}")) {
            table.heat {
                thead { tr {
                    th scope="col" { "partner" }
                    @for row in &rows { th scope="col" { (row) } }
                } }
                tbody {
                    @for (partner, cells) in &partners {
                        tr {
                            th scope="row" { (partner) }
                            @for row in &rows {
                                td { @if let Some(case) = cells.get(row) { (cell(case, &format!("{} policy {}", case.partner.name, case.row))) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
