//! From ids on the command line to cases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use simulated_partners::persona;
use strum::VariantArray as _;

use super::error::CliError;
use super::policy::Policies;
use crate::case::{Case, Set, Tag};
use crate::cause::with_causes;
use crate::matrix::{self, Selection, SelectionError};
use crate::scenario::Library;

/// The selection of cases.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Wanted {
    /// Case ids, prefixes or globs (`policies`, 'personas/row07/**', '**/inbound'), or ids of
    /// requirements and known bugs (TLS-06, B05) [default: all cases]
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Only run cases with this tag; repeat it for cases with any of the tags
    #[arg(
        long = "tag",
        value_name = "TAG",
        env = "S2SPEC_TAG",
        value_delimiter = ',',
        value_parser = tags()
    )]
    tags: Vec<Tag>,
}

fn tags() -> impl TypedValueParser<Value = Tag> {
    let words = Tag::VARIANTS.iter().map(|tag| <&str>::from(*tag));
    PossibleValuesParser::new(words).map(|word| word.parse().expect("it is one of these words"))
}

impl Wanted {
    /// Selects by one id.
    pub(super) fn one(id: &str) -> Self {
        Self {
            ids: vec![id.to_owned()],
            tags: Vec::new(),
        }
    }

    /// Exactly the selected cases among all.
    ///
    /// # Errors
    /// When an id is malformed or selects nothing, or when no case has the tag.
    pub(super) fn among<'a>(&self, all: &'a [Case]) -> Result<Vec<&'a Case>, CliError> {
        among(all, &self.ids, &self.tags)
    }

    /// The cases of those parts of the suite that may contain selected ones. If nothing matches, all
    /// are loaded, for an error that names similar ids.
    ///
    /// # Errors
    /// As [`Sources::all`].
    pub(super) fn parts(&self, sources: &Sources) -> Result<Vec<Case>, CliError> {
        match Selection::new(&self.ids) {
            Ok(selection) => {
                let parts = sources.parts(&selection)?;
                match self.among(&parts) {
                    Ok(_) => Ok(parts),
                    Err(_) => sources.all(),
                }
            }
            Err(_) => sources.all(),
        }
    }
}

/// The source of scenarios.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Sources {
    /// Read scenarios from this folder or file instead of the built-in ones
    #[arg(long, value_name = "PATH", env = "S2SPEC_SCENARIOS")]
    pub(super) scenarios: Option<PathBuf>,

    /// Run scenarios in these policies, such as `7` or `7,13`, or in `all` valid ones [default: those of
    /// the target file, or else the ones that each scenario is written for]
    #[arg(long = "policy", value_name = "N", env = "S2SPEC_POLICY")]
    pub(super) policies: Option<Policies>,
}

impl Sources {
    /// The options that differ from the defaults.
    pub(super) fn options(&self) -> Vec<String> {
        let scenarios = self.scenarios.as_ref();
        let scenarios = scenarios.map(|path| format!("--scenarios {}", path.display()));
        let policies = self.policies.as_ref();
        let policies = policies.map(|policies| format!("--policy {policies}"));
        scenarios.into_iter().chain(policies).collect()
    }

    /// All cases, and those of scenarios in the policies that they are written for.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub(super) fn with_own_policies(&self, all: &[Case]) -> Result<Vec<Case>, CliError> {
        let mut cases = all.to_vec();
        if self.policies.is_some() {
            let plain = Self {
                policies: None,
                ..self.clone()
            };
            let known: BTreeSet<String> = cases.iter().map(|case| case.id.clone()).collect();
            let own = plain.all()?.into_iter();
            cases.extend(own.filter(|case| !known.contains(&case.id)));
        }
        Ok(cases)
    }

    /// Every case: of the built-in personas, the two generated sets, and the conformance suite.
    ///
    /// # Errors
    /// When a scenario cannot be read, or has mistakes.
    pub(super) fn all(&self) -> Result<Vec<Case>, CliError> {
        self.parts(&Selection::default())
    }

    /// The cases of all sets and scenario files that a selection may match.
    fn parts(&self, selection: &Selection) -> Result<Vec<Case>, CliError> {
        let personas = persona::builtin();
        let mut cases: Vec<Case> = Set::ALL
            .iter()
            .filter(|set| selection.reaches(&set.to_string(), ""))
            .flat_map(|set| matrix::cases_of(*set, &personas))
            .collect();
        let every = selection.reaches(&Set::Scenarios.to_string(), "");
        let policies = self.policies.as_ref().map(|policies| policies.0.as_slice());
        let chosen;
        let library = match &self.scenarios {
            None if every => Library::builtin(),
            None => {
                chosen = Library::builtin_where(|name, text| selection.reaches(name, text));
                &chosen
            }
            Some(path) => {
                chosen = load(path)?;
                &chosen
            }
        };
        cases.extend(library.cases_in(policies));
        Ok(cases)
    }
}

/// The scenarios of a folder or file.
///
/// # Errors
/// When a file cannot be read or has mistakes, or when there is none.
fn load(path: &Path) -> Result<Library, CliError> {
    let library = Library::load(path).map_err(CliError::Files)?;
    if library.is_empty() {
        return Err(nothing_below(path));
    }
    Ok(library)
}

/// The error for a folder without scenarios.
pub(super) fn nothing_below(path: &Path) -> CliError {
    CliError::NothingSelected(format!(
        "no scenario files (`<area>/<ID>-<slug>.toml`) below {}",
        path.display()
    ))
}

/// The cases selected by ids and tags; all by default.
///
/// # Errors
/// When an id is malformed or selects nothing, or when no case has the tag.
pub(super) fn among<'a>(
    all: &'a [Case],
    ids: &[String],
    tags: &[Tag],
) -> Result<Vec<&'a Case>, CliError> {
    let selected = Selection::new(ids).and_then(|selection| selection.tagged(tags).select(all));
    selected.map_err(|error| match &error {
        SelectionError::Syntax { .. } => CliError::Usage(with_causes(&error)),
        SelectionError::Unknown { .. } => {
            CliError::NothingSelected(format!("{error} (`s2spec list` shows all ids)"))
        }
        SelectionError::NoEntry(_) => {
            CliError::NothingSelected(format!("{error} (`s2spec coverage` shows all areas)"))
        }
        SelectionError::Untested { .. } | SelectionError::Untagged { .. } => {
            CliError::NothingSelected(error.to_string())
        }
    })
}
