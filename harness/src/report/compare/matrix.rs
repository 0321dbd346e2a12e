//! The matrix of several targets in one: a table for each set and direction, in each cell a mark for each target.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::{Compared, Row, differ};
use crate::console::words::counted;
use crate::report::html::verdict_mark;
use crate::report::saved::Case;
use crate::transcript::printable;

/// The cells of a table, by partner and policy.
type Cells<'a> = BTreeMap<&'a str, BTreeMap<u8, &'a Row<'a>>>;

pub(super) fn section(reports: &[Compared], cases: &BTreeMap<&str, Row<'_>>) -> Markup {
    let mut tables: BTreeMap<(&str, &str), Cells<'_>> = BTreeMap::new();
    for row in cases.values() {
        let Some(case) = row.iter().flatten().find(|case| case.is_of_matrix()) else {
            continue;
        };
        let table = tables.entry((&case.set, &case.direction)).or_default();
        let partner = table.entry(&case.partner.name).or_default();
        partner.insert(case.row, row);
    }
    html! {
        @if !tables.is_empty() {
            section #matrix {
                h2 { "Matrix" }
                p {
                    "A row for each partner, a column for each policy. In each cell, from left to right: "
                    @for (at, one) in reports.iter().enumerate() {
                        @if at > 0 { ", " }
                        (printable(&one.saved.target))
                    }
                    ". Where they ended differently, the cell has a frame."
                }
                @for ((set, direction), cells) in &tables {
                    @let different = cells.values().flat_map(BTreeMap::values).filter(|row| differ(row)).count();
                    details open[*set == "personas"] {
                        summary { (set) ", " (direction) " (" (counted(different, "difference")) ")" }
                        (table(reports, &format!("{set}, {direction}"), cells))
                    }
                }
            }
        }
    }
}

fn table(reports: &[Compared], name: &str, cells: &Cells<'_>) -> Markup {
    let policies: BTreeSet<u8> = cells.values().flat_map(BTreeMap::keys).copied().collect();
    html! {
        div.wide tabindex="0" role="region" aria-label=(name) {
            table.heat {
                thead { tr {
                    th scope="col" { "partner" }
                    @for policy in &policies { th scope="col" { (policy) } }
                } }
                tbody {
                    @for (partner, of_policy) in cells {
                        tr {
                            th scope="row" { (partner) }
                            @for policy in &policies {
                                @match of_policy.get(policy) {
                                    None => td {},
                                    Some(row) => td class=[differ(row).then_some("differs")] { (marks(reports, row)) },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A mark for each target, which leads to the case in its own report.
fn marks(reports: &[Compared], row: &[Option<&Case>]) -> Markup {
    html! {
        span.side-by-side {
            @for (one, case) in reports.iter().zip(row) {
                @match case {
                    None => span { " " },
                    Some(case) => {
                        @let label = format!("{}: {} {}", printable(&one.saved.target), case.verdict, case.ended());
                        a class=(format!("v-{}", case.verdict)) href=[one.link(&case.id)] aria-label=(label) title=(label) {
                            (verdict_mark(case))
                        }
                    },
                }
            }
        }
    }
}
