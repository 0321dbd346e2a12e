//! Cases by id or glob.

use std::collections::BTreeSet;

use crate::case::{Case, Set};
use crate::glob::Glob;

/// What to run: ids, prefixes of ids and globs. `*` stands for anything within a segment, `**` for
/// any number of segments; a prefix selects everything below it.
#[derive(Clone, Debug)]
pub struct Selection {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    glob: Glob,
}

/// A selection that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// Not a glob.
    #[error("{pattern:?} is not a pattern")]
    Syntax {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        source: fast_glob::Error,
    },
    /// Nothing has this id, nor lies below it.
    #[error("no case matches {pattern:?}{}", suggestion(nearest))]
    Unknown {
        /// As given.
        pattern: String,
        /// What was perhaps meant, the best guess first.
        nearest: Vec<String>,
    },
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", nearest.join(" or "))
    }
}

impl Selection {
    /// A selection of all that any of the patterns selects; everything if there are none.
    ///
    /// # Errors
    /// When a pattern is no glob.
    pub fn new(patterns: &[String]) -> Result<Self, SelectionError> {
        let patterns = patterns
            .iter()
            .map(|given| {
                let text = given.trim().trim_matches('/').to_owned();
                let glob = glob(&text).map_err(|source| SelectionError::Syntax {
                    pattern: given.clone(),
                    source,
                })?;
                Ok(Pattern { text, glob })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether a case is selected.
    pub fn contains(&self, case: &Case) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.selects(case))
    }

    /// The selected cases, in the order of `all`.
    ///
    /// # Errors
    /// When a pattern selects nothing, with the nearest ids.
    pub fn select<'a>(&self, all: &'a [Case]) -> Result<Vec<&'a Case>, SelectionError> {
        for pattern in &self.patterns {
            if !all.iter().any(|case| pattern.selects(case)) {
                return Err(SelectionError::Unknown {
                    pattern: pattern.text.clone(),
                    nearest: nearest(&pattern.text, all),
                });
            }
        }
        Ok(all.iter().filter(|case| self.contains(case)).collect())
    }
}

impl Pattern {
    /// Whether the pattern matches an id or something that the id lies below. All scenarios lie below
    /// the name of their set, too.
    fn selects(&self, case: &Case) -> bool {
        let id = case.id.to_ascii_lowercase();
        let set = case.set.to_string();
        (case.set == Set::Scenarios && self.glob.is_match(&set))
            || self.glob.is_match(&id)
            || id
                .match_indices('/')
                .any(|(end, _)| self.glob.is_match(&id[..end]))
    }
}

/// A pattern for ids in lower case: nobody has to know where an id has capitals.
fn glob(text: &str) -> Result<Glob, fast_glob::Error> {
    Glob::new(&text.to_ascii_lowercase())
}

/// How many guesses are offered.
const GUESSES: usize = 3;
/// Below this likeness a guess is no help.
const LIKENESS: f64 = 0.5;

/// Ids, or prefixes as long as the pattern, that are most like it; the best first. A single word is
/// also compared with each segment, so that a partner's name leads to its cases.
pub fn nearest(pattern: &str, all: &[Case]) -> Vec<String> {
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
        candidates.insert(guess.join("/"));
        if let ([_], [set, _, name, ..]) = (wanted.as_slice(), segments.as_slice()) {
            candidates.insert(format!("{set}/*/{name}"));
        }
    }
    let mut ranked: Vec<(f64, String)> = candidates
        .into_iter()
        .map(|candidate| {
            let compared = match (wanted.as_slice(), candidate.rsplit_once("/*/")) {
                ([_], Some((_, name))) => name,
                _ => &candidate,
            };
            let likeness = strsim::normalized_damerau_levenshtein(pattern, compared);
            (likeness, candidate)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    ranked.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.cmp(b)));
    ranked.truncate(GUESSES);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;

    fn selected(patterns: &[&str]) -> Result<usize, SelectionError> {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let all = cases(&builtin());
        Ok(Selection::new(&patterns)?.select(&all)?.len())
    }

    #[rstest]
    #[case(&["personas/row07/google-talk/inbound"], 1)]
    #[case(&["policies"], 648)]
    #[case(&["policies/"], 648)]
    #[case(&["POLICIES"], 648)]
    #[case(&["policies/row07"], 36)]
    #[case(&["policies/*/row03/inbound"], 18)]
    #[case(&["policies/*/row03"], 36)]
    #[case(&["policies/row0[12]/**"], 72)]
    #[case(&["policies/row{17,18}"], 72)]
    #[case(&["**/google-talk/*"], 36)]
    #[case(&["**/outbound"], 1494)]
    #[case(&["policies/row07", "policies/row07/row03/inbound"], 36)]
    #[case(&["policies/row07", "policies/row08"], 72)]
    fn patterns_select(#[case] patterns: &[&str], #[case] count: usize) {
        assert_eq!(selected(patterns).expect("known"), count);
    }

    #[test]
    fn nothing_given_selects_everything() {
        let all = cases(&builtin());
        assert_eq!(selected(&[]).expect("known"), all.len());
    }

    #[rstest]
    #[case("policies/row7", "policies/row07")]
    #[case(
        "personas/row07/gogle-talk/inbound",
        "personas/row07/google-talk/inbound"
    )]
    #[case("personas/*/gogle-talk", "personas/*/google-talk")]
    #[case("google-talc", "personas/*/google-talk")]
    #[case("polices", "policies")]
    fn unknown_ids_bring_the_nearest(#[case] pattern: &str, #[case] meant: &str) {
        let SelectionError::Unknown { nearest, .. } = selected(&[pattern]).expect_err("unknown")
        else {
            panic!("another error");
        };
        assert_eq!(nearest[0], meant);
        assert!(nearest.len() <= GUESSES);
    }

    #[test]
    fn star_does_not_cross_segments() {
        assert!(selected(&["policies/*row03*"]).expect("row 3") > 0);
        assert!(selected(&["policies*inbound"]).is_err());
    }

    #[test]
    fn nonsense_has_no_guess_and_broken_globs_are_told_apart() {
        assert!(matches!(
            selected(&["qqqqqqqqqqqqqqqqqqqqqqqqqqq"]),
            Err(SelectionError::Unknown { nearest, .. }) if nearest.is_empty()
        ));
        assert!(matches!(
            selected(&["policies/[row"]),
            Err(SelectionError::Syntax { .. })
        ));
    }
}
