//! Selects cases by id or glob, by what they judge, and by tag.

use std::collections::BTreeSet;

use simulated_partners::nearest::did_you_mean;

use super::guess::{is_security, nearest};
use crate::case::{Case, Set, Tag};
use crate::glob::Glob;
use crate::requirement::{Entry, Level, NoEntry, Registry};

/// What to run: ids, prefixes of ids, globs, and ids of requirements and known bugs. `*` matches
/// anything within a segment, `**` any number of segments, and a prefix selects everything below
/// it. Tags, levels and what is skipped narrow the selection. The default is everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    wanted: Vec<Wanted>,
    skipped: Vec<Wanted>,
    tags: Vec<Tag>,
    levels: Option<Levels>,
}

/// Levels of requirements, and the ids of all requirements with one of them.
#[derive(Clone, Debug)]
struct Levels {
    levels: Vec<Level>,
    ids: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Wanted {
    text: String,
    by: By,
}

#[derive(Clone, Debug)]
enum By {
    /// The cases that look for a known bug.
    Bug(String),
    Id(Glob),
    /// The cases that judge a requirement.
    Requirement {
        id: String,
        unjudgeable: Option<String>,
    },
}

/// A selection error.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    /// An invalid glob.
    #[error("{pattern:?} is not a pattern")]
    Syntax {
        /// As given.
        pattern: String,
        /// What is wrong with it.
        source: fast_glob::Error,
    },
    /// No requirement and no known bug has this id.
    #[error(transparent)]
    NoEntry(#[from] NoEntry),
    /// No case has this id or lies below it.
    #[error("no case matches {pattern:?}{}", suggestion(pattern, nearest))]
    Unknown {
        /// As given.
        pattern: String,
        /// Similar ids, the best guess first.
        nearest: Vec<String>,
    },
    /// No case judges the requirement or looks for the bug.
    #[error("no case is about {id}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Untested {
        id: String,
        /// Why it cannot be judged from outside, if so.
        why: Option<String>,
    },
    /// None of the otherwise selected cases has one of the tags.
    #[error("none of these cases is tagged {}", words(tags))]
    Untagged { tags: Vec<Tag> },
    /// None of the otherwise selected cases judges a requirement of one of the levels.
    #[error(
        "none of these cases judges a requirement of the level {}",
        words(levels)
    )]
    NoLevel { levels: Vec<Level> },
    /// Everything that was selected is skipped as well.
    #[error("nothing is left: all of the selected cases are skipped")]
    AllSkipped,
}

fn suggestion(pattern: &str, nearest: &[String]) -> String {
    if nearest.is_empty() && is_security(pattern) {
        "; hostile scenarios lie in the folders of their areas, and `--tag hostile` selects them"
            .to_owned()
    } else {
        did_you_mean(nearest)
    }
}

fn words(of: &[impl ToString]) -> String {
    let words: Vec<String> = of.iter().map(ToString::to_string).collect();
    words.join(" or ")
}

impl Selection {
    /// Selects everything that any of the texts selects, or everything if there are none.
    ///
    /// # Errors
    /// When a text is not a glob, or has the form of the id of a requirement or bug that the registry does
    /// not have.
    pub fn new(texts: &[String], registry: &Registry) -> Result<Self, SelectionError> {
        Ok(Self {
            wanted: all_wanted(texts, registry)?,
            ..Self::default()
        })
    }

    /// Leaves out everything that any of the texts selects.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn skipping(
        mut self,
        texts: &[String],
        registry: &Registry,
    ) -> Result<Self, SelectionError> {
        self.skipped = all_wanted(texts, registry)?;
        Ok(self)
    }

    /// Keeps only cases that judge a requirement of one of the levels, if any are given.
    #[must_use]
    pub fn of_levels(mut self, levels: &[Level], registry: &Registry) -> Self {
        let of_level = registry.all().filter(|row| levels.contains(&row.level));
        self.levels = (!levels.is_empty()).then(|| Levels {
            levels: levels.to_vec(),
            ids: of_level.map(|row| row.id.to_string()).collect(),
        });
        self
    }

    /// Keeps only cases that have one of the tags, if any are given.
    #[must_use]
    pub fn tagged(mut self, tags: &[Tag]) -> Self {
        self.tags.extend(tags);
        self
    }

    /// Whether a case is selected.
    pub fn contains(&self, case: &Case) -> bool {
        self.names(case)
            && self.has_tag(case)
            && self.has_level(case)
            && !self.skipped.iter().any(|one| one.selects(case))
    }

    fn names(&self, case: &Case) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|one| one.selects(case))
    }

    fn has_tag(&self, case: &Case) -> bool {
        self.tags.is_empty() || self.tags.iter().any(|tag| case.has_tag(*tag))
    }

    fn has_level(&self, case: &Case) -> bool {
        let judges = |ids: &BTreeSet<String>| {
            let scenario = case.scenario();
            scenario.is_some_and(|one| one.requirements.iter().any(|id| ids.contains(id)))
        };
        self.levels
            .as_ref()
            .is_none_or(|levels| judges(&levels.ids))
    }

    /// Whether a file with this text might contain selected cases with ids that start with `place`.
    /// Other files need not be read.
    pub fn reaches(&self, place: &str, text: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|one| one.reaches(place, text))
    }

    /// The selected cases, in the order of `all`.
    ///
    /// # Errors
    /// When a text selects nothing, with the nearest ids, or when the rest leaves nothing.
    pub fn select<'a>(&self, all: &'a [Case]) -> Result<Vec<&'a Case>, SelectionError> {
        for one in self.wanted.iter().chain(&self.skipped) {
            if !all.iter().any(|case| one.selects(case)) {
                return Err(one.nothing(all));
            }
        }
        let mut selected: Vec<&Case> = all.iter().filter(|case| self.names(case)).collect();
        let named = !selected.is_empty();
        selected.retain(|case| self.has_tag(case));
        if named && selected.is_empty() {
            let tags = self.tags.clone();
            return Err(SelectionError::Untagged { tags });
        }
        selected.retain(|case| self.has_level(case));
        if let (true, Some(Levels { levels, .. })) = (selected.is_empty(), &self.levels) {
            let levels = levels.clone();
            return Err(SelectionError::NoLevel { levels });
        }
        selected.retain(|case| self.contains(case));
        if named && selected.is_empty() {
            return Err(SelectionError::AllSkipped);
        }
        Ok(selected)
    }
}

fn all_wanted(texts: &[String], registry: &Registry) -> Result<Vec<Wanted>, SelectionError> {
    texts
        .iter()
        .map(|text| Wanted::new(text, registry))
        .collect()
}

impl Wanted {
    fn new(given: &str, registry: &Registry) -> Result<Self, SelectionError> {
        let text = given.trim().trim_matches('/').to_owned();
        let entry = (!text.contains('/')).then(|| registry.find(&text));
        let by = match entry.flatten().transpose()? {
            Some(Entry::Bug(bug)) => By::Bug(bug.id.clone()),
            Some(Entry::Requirement(row)) => By::Requirement {
                id: row.id.to_string(),
                unjudgeable: row.unjudgeable.clone(),
            },
            None => match glob(&text) {
                Ok(glob) => By::Id(glob),
                Err(source) => {
                    let pattern = given.to_owned();
                    return Err(SelectionError::Syntax { pattern, source });
                }
            },
        };
        Ok(Self { text, by })
    }

    fn selects(&self, case: &Case) -> bool {
        match &self.by {
            By::Bug(id) => case
                .scenario()
                .is_some_and(|scenario| scenario.bugs.contains(id)),
            By::Id(glob) => lies_below(case, glob),
            By::Requirement { id, .. } => case.judges(id),
        }
    }

    /// Whether the text before a pattern's first wildcard is compatible with a place. If not,
    /// the pattern selects nothing there.
    fn reaches(&self, place: &str, text: &str) -> bool {
        match &self.by {
            By::Bug(id) | By::Requirement { id, .. } => text.contains(id),
            By::Id(glob) => {
                let (plain, place) = (glob.plain_start(), place.to_ascii_lowercase());
                plain.starts_with(&place) || place.starts_with(plain)
            }
        }
    }

    fn nothing(&self, all: &[Case]) -> SelectionError {
        match &self.by {
            By::Bug(id) => SelectionError::Untested {
                id: id.clone(),
                why: None,
            },
            By::Requirement { id, unjudgeable } => SelectionError::Untested {
                id: id.clone(),
                why: unjudgeable.clone(),
            },
            By::Id(_) => SelectionError::Unknown {
                pattern: self.text.clone(),
                nearest: nearest(&self.text, all),
            },
        }
    }
}

/// Whether a glob matches an id or one of its parents. All scenarios also lie below the name
/// of their set.
fn lies_below(case: &Case, glob: &Glob) -> bool {
    let id = case.id.to_ascii_lowercase();
    (case.set == Set::Scenarios && glob.is_match(&case.set.to_string()))
        || glob.is_match(&id)
        || id
            .match_indices('/')
            .any(|(end, _)| glob.is_match(&id[..end]))
}

/// A pattern for lower-case ids, so letter case does not matter.
pub(super) fn glob(text: &str) -> Result<Glob, fast_glob::Error> {
    Glob::new(&text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;
    use crate::matrix::guess::GUESSES;

    fn selected(patterns: &[&str]) -> Result<usize, SelectionError> {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let all = cases(&builtin());
        Ok(Selection::new(&patterns, Registry::builtin())?
            .select(&all)?
            .len())
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
    #[case(&["policies/row07", "policies/row07/row03/inbound"], 36)]
    #[case(&["policies/row07", "policies/row08"], 72)]
    fn patterns_select(#[case] patterns: &[&str], #[case] count: usize) {
        assert_eq!(selected(patterns).expect("known"), count);
    }

    #[test]
    fn a_direction_is_half_of_everything() {
        let outbound = selected(&["**/outbound"]).expect("known");
        assert_eq!(outbound * 2, cases(&builtin()).len());
    }

    #[test]
    fn nothing_given_selects_everything() {
        let all = cases(&builtin());
        assert_eq!(selected(&[]).expect("known"), all.len());
    }

    #[test]
    fn what_is_skipped_is_left_out() {
        let all = cases(&builtin());
        let registry = Registry::builtin();
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let left = |wanted: &[&str], skipped: &[&str]| {
            let selection = Selection::new(&texts(wanted), registry)?;
            let selection = selection.skipping(&texts(skipped), registry)?;
            Ok::<_, SelectionError>(selection.select(&all)?.len())
        };
        assert_eq!(
            left(&["policies/row07"], &["**/inbound"]).expect("18 are left"),
            18
        );
        assert!(matches!(
            left(&["policies/row07/**/inbound"], &["**/inbound"]),
            Err(SelectionError::AllSkipped)
        ));
        assert!(matches!(
            left(&["policies"], &["policies/row7"]),
            Err(SelectionError::Unknown { .. })
        ));
    }

    #[test]
    fn cases_are_kept_by_the_level_of_what_they_judge() {
        let all = crate::scenario::Library::builtin().cases();
        let registry = Registry::builtin();
        let of = |levels: &[Level]| {
            let selection = Selection::default().of_levels(levels, registry);
            selection.select(&all).map(|cases| cases.len())
        };
        let everything = of(&[]).expect("all");
        let (must, should) = (
            of(&[Level::Must]).expect("some"),
            of(&[Level::Should]).expect("some"),
        );
        assert!(must > should && must < everything);
        let matrix = cases(&builtin());
        let selection = Selection::default().of_levels(&[Level::Must], registry);
        assert!(matches!(
            selection.select(&matrix),
            Err(SelectionError::NoLevel { .. })
        ));
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

    #[rstest]
    #[case(&["personas/row07/google-talk"], "personas", true)]
    #[case(&["personas/row07/google-talk"], "policies", false)]
    #[case(&["per*"], "personas", true)]
    #[case(&["p{ersonas,olicies}"], "policies", true)]
    #[case(&["**/inbound"], "policies", true)]
    #[case(&["TLS/tls-06*"], "tls/TLS-06-injection", true)]
    #[case(&["tls/TLS-06-injection/control"], "tls/TLS-06-injection", true)]
    #[case(&["tls/TLS-06-injection"], "tls/TLS-07-other", false)]
    #[case(&["policies", "tls"], "tls/TLS-07-other", true)]
    #[case(&["TLS-06"], "xml/XML-01-other", true)]
    #[case(&["TLS-07"], "xml/XML-01-other", false)]
    #[case(&[], "personas", true)]
    fn places_out_of_reach_need_not_be_read(
        #[case] patterns: &[&str],
        #[case] place: &str,
        #[case] reached: bool,
    ) {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let selection = Selection::new(&patterns, Registry::builtin()).expect("good patterns");
        assert_eq!(
            selection.reaches(place, "requirements = ['TLS-06']"),
            reached
        );
    }

    #[test]
    fn star_does_not_cross_segments() {
        assert!(selected(&["policies/*row03*"]).expect("row 3") > 0);
        assert!(selected(&["policies*inbound"]).is_err());
    }

    #[test]
    fn nonsense_gets_no_suggestion_and_broken_globs_are_distinguished() {
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
