//! The sets `settings` and `failover`: a table for each setting and direction.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::cell;
use crate::console::words::counted;
use crate::report::saved::{Case, Saved};

/// The words of an id that a table is made of: `settings/access/global/xmpp/inbound`.
struct Place<'a> {
    /// `access`
    area: &'a str,
    /// `global`
    row: String,
    /// `xmpp`
    column: &'a str,
}

impl<'a> Place<'a> {
    /// None for a case of another set.
    fn of(case: &'a Case) -> Option<Self> {
        let words: Vec<&str> = case.id.split('/').collect();
        let (["settings" | "failover", area], rest) = words.split_at_checked(2)? else {
            return None;
        };
        let [middle @ .., column, _direction] = rest else {
            return None;
        };
        let row = middle.join(" ");
        Some(Self { area, row, column })
    }
}

pub(super) fn section(saved: &Saved) -> Markup {
    let mut tables: BTreeMap<_, Vec<(Place<'_>, &Case)>> = BTreeMap::new();
    for case in &saved.cases {
        if let Some(place) = Place::of(case) {
            let table = (case.set.as_str(), place.area, case.direction.as_str());
            tables.entry(table).or_default().push((place, case));
        }
    }
    html! {
        @if !tables.is_empty() {
            section #settings {
                h2 { "Settings" }
                p { "What each setting does. Each cell links to its case." }
                @for ((set, area, direction), cases) in &tables {
                    details {
                        summary { (set) " " (area) ", " (direction) " (" (counted(cases.len(), "case")) ")" }
                        (setting(area, direction, cases))
                    }
                }
            }
        }
    }
}

fn setting(area: &str, direction: &str, cases: &[(Place<'_>, &Case)]) -> Markup {
    let columns: BTreeSet<&str> = cases.iter().map(|(place, _)| place.column).collect();
    let mut rows: BTreeMap<&str, BTreeMap<&str, &Case>> = BTreeMap::new();
    for (place, case) in cases {
        rows.entry(&place.row)
            .or_default()
            .insert(place.column, case);
    }
    html! {
        div.wide tabindex="0" role="region" aria-label=(format!("{area}, {direction}")) {
            table.heat {
                thead { tr {
                    th scope="col" { (area) }
                    @for column in &columns { th scope="col" { (column) } }
                } }
                tbody {
                    @for (row, cells) in &rows {
                        tr {
                            th scope="row" { (row) }
                            @for column in &columns {
                                td { @if let Some(case) = cells.get(column) { (cell(case, &case.id)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
