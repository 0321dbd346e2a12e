//! What the target is, as far as a run has seen it.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::report::saved::{Case, Saved};

pub(super) fn section(saved: &Saved) -> Markup {
    let ran = |case: &&Case| case.ran() && case.verdict != "error";
    let cases: Vec<&Case> = saved.cases.iter().filter(ran).collect();
    if cases.is_empty() {
        return html! {};
    }
    let policies: BTreeSet<u8> = cases.iter().map(|case| case.row).collect();
    let policies: Vec<String> = policies.iter().map(u8::to_string).collect();
    let versions: BTreeSet<&str> = cases
        .iter()
        .flat_map(|case| tls_versions(&case.wire))
        .collect();
    let offers: BTreeSet<&str> = cases.iter().flat_map(|case| offered(&case.wire)).collect();
    html! {
        section #target {
            h2 { "The target" }
            dl {
                dt { "Policies" } dd { (policies.join(", ")) }
                @for (direction, words) in [("outbound", "Dials"), ("inbound", "Is dialled")] {
                    @let methods = methods(&cases, direction);
                    @if !methods.is_empty() {
                        dt { (words) }
                        dd { (methods.iter().map(|(method, count)| format!("{method} ({count})")).collect::<Vec<_>>().join(", ")) }
                    }
                }
                @if !versions.is_empty() {
                    dt { "TLS" } dd { (versions.into_iter().collect::<Vec<_>>().join(", ")) }
                }
                @if !offers.is_empty() {
                    dt { "Offers" } dd { (offers.into_iter().collect::<Vec<_>>().join(", ")) }
                }
            }
        }
    }
}

/// How many cases of a direction each method established.
fn methods<'a>(cases: &[&'a Case], direction: &str) -> BTreeMap<&'a str, usize> {
    let mut methods = BTreeMap::new();
    for case in cases.iter().filter(|case| case.direction == direction) {
        if let Some(method) = case.method() {
            *methods.entry(method).or_default() += 1;
        }
    }
    methods
}

/// The versions of TLS in the line of a negotiation: `TLS1.3`.
fn tls_versions(wire: &str) -> impl Iterator<Item = &str> {
    wire.split([' ', '+']).filter(|word| {
        word.strip_prefix("TLS1.")
            .is_some_and(|minor| minor.len() == 1 && minor.as_bytes()[0].is_ascii_digit())
    })
}

/// What the target lists in its features: `T:header+features[EXTERNAL,dialback]`.
fn offered(wire: &str) -> impl Iterator<Item = &str> {
    let units = wire.split(' ').filter(|word| word.starts_with("T:"));
    let lists = units.filter_map(|unit| Some(unit.split_once("features[")?.1.split_once(']')?.0));
    let words = lists.flat_map(|list| list.split(','));
    // A mark says that it is required.
    let words = words.map(|word| word.trim_end_matches('!'));
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_says_what_the_target_offers() {
        let wire = "P:header T:header+features[starttls] P:starttls T:proceed TLS1.3 T:header+features[EXTERNAL,dialback]";
        assert_eq!(
            offered(wire).collect::<Vec<_>>(),
            ["starttls", "EXTERNAL", "dialback"]
        );
        assert_eq!(tls_versions(wire).collect::<Vec<_>>(), ["TLS1.3"]);
    }
}
