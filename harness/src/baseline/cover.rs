//! Finds few patterns that match some ids and no others.

use std::collections::{BTreeMap, BTreeSet};

/// The maximum number of alternatives in one pair of braces, for readability.
const ALTERNATIVES: usize = 12;

/// Patterns that together match all `wanted` ids and none of the `other` ones, sorted. Ids are made of
/// segments; a pattern has `*` for whole segments, and `{a,b}` for a few alternatives.
pub(super) fn cover(wanted: &BTreeSet<&str>, others: &BTreeSet<&str>) -> Vec<String> {
    merged(&stars(wanted, others))
}

type Segments = Vec<BTreeSet<String>>;

/// First the patterns with `*`, the widest first.
fn stars(wanted: &BTreeSet<&str>, others: &BTreeSet<&str>) -> Vec<String> {
    let mut matched: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for id in wanted {
        for pattern in generalised(id) {
            matched.entry(pattern).or_default().insert(id);
        }
    }
    for id in others {
        for pattern in generalised(id) {
            matched.remove(&pattern);
        }
    }
    let mut rated: Vec<(String, BTreeSet<&str>)> = matched.into_iter().collect();
    let stars = |pattern: &str| pattern.matches('*').count();
    rated.sort_by(|(a, of_a), (b, of_b)| {
        let wide = of_b.len().cmp(&of_a.len());
        wide.then_with(|| stars(a).cmp(&stars(b)))
            .then_with(|| a.cmp(b))
    });
    let mut left = wanted.clone();
    let mut chosen = Vec::new();
    for (pattern, ids) in rated {
        if left.is_empty() {
            break;
        }
        // Skip patterns that add nothing to the previous ones.
        if ids.iter().any(|id| left.contains(id)) && (ids.len() > 1 || !pattern.contains('*')) {
            left.retain(|id| !ids.contains(id));
            chosen.push(pattern);
        }
    }
    chosen
}

/// The id itself, and all patterns with `*` for some of the segments after the first.
fn generalised(id: &str) -> Vec<String> {
    let segments: Vec<&str> = id.split('/').collect();
    let free = segments.len().saturating_sub(1).min(8);
    (0..1_u32 << free)
        .map(|mask| {
            let shown: Vec<&str> = segments
                .iter()
                .enumerate()
                .map(|(at, segment)| match at.checked_sub(1) {
                    Some(bit) if bit < free && mask & (1 << bit) != 0 => "*",
                    _ => segment,
                })
                .collect();
            shown.join("/")
        })
        .collect()
}

/// Merges patterns that differ in one segment into one with alternatives.
fn merged(patterns: &[String]) -> Vec<String> {
    let split = |pattern: &String| -> Segments {
        let segments = pattern.split('/');
        segments.map(|s| BTreeSet::from([s.to_owned()])).collect()
    };
    let mut left: Vec<Segments> = patterns.iter().map(split).collect();
    let longest = left.iter().map(Vec::len).max().unwrap_or_default();
    // From the right: directions and partners first, rows last.
    for at in (1..longest).rev() {
        let mut kept: Vec<Segments> = Vec::new();
        for pattern in left {
            match kept.iter_mut().find(|other| differ_at(other, &pattern, at)) {
                Some(other) => other[at].extend(pattern[at].iter().cloned()),
                None => kept.push(pattern),
            }
        }
        left = kept;
    }
    let mut written: Vec<String> = left.iter().map(written).collect();
    written.sort();
    written
}

fn differ_at(one: &Segments, other: &Segments, at: usize) -> bool {
    let star = |segments: &Segments| segments[at].contains("*");
    one.len() == other.len()
        && at < one.len()
        && !star(one)
        && !star(other)
        && one[at].len() + other[at].len() <= ALTERNATIVES
        && (0..one.len()).all(|i| i == at || one[i] == other[i])
}

fn written(segments: &Segments) -> String {
    let shown: Vec<String> = segments
        .iter()
        .map(|alternatives| {
            let list: Vec<&str> = alternatives.iter().map(String::as_str).collect();
            match list.as_slice() {
                [only] => (*only).to_owned(),
                several => format!("{{{}}}", several.join(",")),
            }
        })
        .collect();
    shown.join("/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::glob::Glob;

    fn all() -> Vec<String> {
        let mut ids = Vec::new();
        for row in ["row01", "row02", "row03"] {
            for partner in ["modern", "google-talk", "old"] {
                for way in ["inbound", "outbound"] {
                    ids.push(format!("personas/{row}/{partner}/{way}"));
                }
            }
        }
        ids
    }

    fn covered(wanted: &[&str]) -> Vec<String> {
        let all = all();
        let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
        let others = all
            .iter()
            .map(String::as_str)
            .filter(|id| !wanted.contains(id))
            .collect();
        cover(&wanted, &others)
    }

    #[test]
    fn one_id_stays_an_id() {
        assert_eq!(
            covered(&["personas/row01/old/inbound"]),
            ["personas/row01/old/inbound"]
        );
    }

    #[test]
    fn a_glob_stands_for_cases_only_where_all_of_them_share_it() {
        assert_eq!(
            covered(&[
                "personas/row01/old/inbound",
                "personas/row02/old/inbound",
                "personas/row03/old/inbound",
                "personas/row01/modern/outbound",
                "personas/row02/modern/outbound",
            ]),
            [
                "personas/*/old/inbound",
                "personas/{row01,row02}/modern/outbound"
            ]
        );
    }

    proptest! {
        #[test]
        fn exactly_the_wanted_ids_are_matched(chosen in proptest::collection::vec(any::<bool>(), 18)) {
            let all = all();
            let wanted: Vec<&str> = all
                .iter()
                .zip(&chosen)
                .filter(|(_, chosen)| **chosen)
                .map(|(id, _)| id.as_str())
                .collect();
            let globs: Vec<_> = covered(&wanted).iter().map(|p| Glob::new(p).unwrap()).collect();
            for id in &all {
                let matched = globs.iter().any(|g| g.is_match(id));
                prop_assert_eq!(matched, wanted.contains(&id.as_str()));
            }
        }
    }
}
