//! Which cases somebody may have meant.

use std::collections::BTreeSet;

use super::selection::glob;
use crate::case::{Case, Set};
use crate::glob::Glob;
use crate::requirement::Registry;

/// How many guesses are offered.
pub(super) const GUESSES: usize = 3;
/// Below this likeness a guess is no help.
const LIKENESS: f64 = 0.5;
/// Where hostile scenarios lay before they lay by area.
const SECURITY: &str = "security";

/// Ids, or prefixes as long as the pattern, that are most like it; the best first. A single word is
/// also compared with each segment, so that the name of a partner or a scenario leads to its cases.
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
        // Where the pattern's own segment matches it stays, so that one guess stands for all rows.
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

/// Whether a pattern asks for the folder of the hostile scenarios, which is no more.
pub(super) fn is_security(pattern: &str) -> bool {
    first(pattern).0.eq_ignore_ascii_case(SECURITY)
}

/// A pattern that begins with the code of an area (`t90/**`), or with the folder of the hostile
/// scenarios (`security/TLS-16-…`), with the folder of the area in its place.
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

/// A pattern's first segment, and the rest with the slash before it.
fn first(pattern: &str) -> (&str, &str) {
    pattern.split_at(pattern.find('/').unwrap_or(pattern.len()))
}
