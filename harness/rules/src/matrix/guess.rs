//! Suggests cases for a mistyped pattern.

use std::collections::BTreeSet;

use super::selection::glob;
use crate::case::{Case, Set};
use crate::glob::Glob;
use crate::requirement::Registry;

/// The maximum number of suggestions.
pub(super) const GUESSES: usize = 3;
/// Below this similarity a suggestion is not helpful.
const LIKENESS: f64 = 0.5;
/// The former folder of hostile scenarios.
const SECURITY: &str = "security";

/// Ids, or prefixes of the pattern's length, that are most similar to it; the best first. A single word is
/// also compared with each segment, so the name of a partner or scenario leads to its cases.
pub fn nearest(pattern: &str, all: &[Case]) -> Vec<String> {
    let asked = by_area(pattern);
    if asked.is_none() && is_security(pattern) {
        return Vec::new();
    }
    let pattern = asked.as_deref().unwrap_or(pattern);
    let wanted: Vec<&str> = pattern.split('/').collect();
    let globs: Vec<Option<Glob>> = wanted.iter().map(|segment| glob(segment).ok()).collect();
    let mut candidates = BTreeSet::new();
    for case in all {
        let segments: Vec<&str> = case.id.split('/').collect();
        // A segment that matches is kept as a pattern, so one suggestion covers all rows.
        let guess: Vec<&str> = segments
            .iter()
            .zip(&wanted)
            .zip(&globs)
            .map(|((segment, wanted), glob)| match glob {
                Some(glob) if glob.is_match(&segment.to_ascii_lowercase()) => *wanted,
                _ => *segment,
            })
            .collect();
        let guess = guess.join("/");
        candidates.insert((guess.clone(), guess));
        candidates.extend(match (wanted.as_slice(), case.set, segments.as_slice()) {
            ([_], Set::Scenarios, [area, file, ..]) => {
                Some((format!("{area}/{file}"), (*file).to_owned()))
            }
            ([_], _, [set, _, name, ..]) => Some((format!("{set}/*/{name}"), (*name).to_owned())),
            _ => None,
        });
    }
    let mut ranked: Vec<(f64, String)> = candidates
        .into_iter()
        .map(|(candidate, compared)| {
            let likeness = strsim::normalized_damerau_levenshtein(pattern, &compared);
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    ranked.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.cmp(b)));
    let found = ranked.first().is_some_and(|(_, best)| best == pattern);
    ranked.truncate(if found { 1 } else { GUESSES });
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Whether a pattern names the former folder of hostile scenarios.
pub(super) fn is_security(pattern: &str) -> bool {
    first(pattern).0.eq_ignore_ascii_case(SECURITY)
}

/// A pattern that begins with an area's code (`t90/**`), or with the former folder of hostile
/// scenarios (`security/TLS-16-…`), rewritten with the area's folder.
fn by_area(pattern: &str) -> Option<String> {
    let (first, rest) = first(pattern);
    let code = if is_security(pattern) {
        rest.trim_start_matches('/').split('-').next()?
    } else {
        first
    };
    let folder = &Registry::builtin().area(code)?.folder;
    (!folder.eq_ignore_ascii_case(first)).then(|| format!("{folder}{rest}"))
}

/// A pattern's first segment, and the rest with its leading slash.
fn first(pattern: &str) -> (&str, &str) {
    pattern.split_at(pattern.find('/').unwrap_or(pattern.len()))
}
