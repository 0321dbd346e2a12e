//! From ids on the command line to cases.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use strum::VariantArray as _;

use super::error::CliError;
use super::policy::Policies;
use super::suite::{Files, Suite};
use crate::case::{Case, Tag};
use crate::cause::with_causes;
use crate::matrix::{Selection, SelectionError};
use crate::requirement::Registry;

/// Where to look for requirements that are not there.
pub(super) const ELSEWHERE: &str =
    "(`s2spec coverage` shows all areas, and `--requirements` reads your own)";

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
    pub(super) fn among<'a>(
        &self,
        all: &'a [Case],
        registry: &Registry,
    ) -> Result<Vec<&'a Case>, CliError> {
        among(all, registry, &self.ids, &self.tags)
    }

    /// The cases of those parts of the suite that may contain selected ones. If nothing matches, all
    /// are loaded, for an error that names similar ids.
    pub(super) fn parts(&self, suite: &Suite) -> Vec<Case> {
        let registry = &suite.catalogue.registry;
        match Selection::new(&self.ids, registry) {
            Ok(selection) => {
                let parts = suite.parts(&selection);
                match self.among(&parts, registry) {
                    Ok(_) => parts,
                    Err(_) => suite.all(),
                }
            }
            Err(_) => suite.all(),
        }
    }
}

/// Where cases come from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Sources {
    #[command(flatten)]
    files: Files,

    /// Run scenarios in these policies, such as `7` or `7,13`, or in `all` valid ones [default: those of
    /// the target file, or else the ones that each scenario is written for]
    #[arg(long = "policy", value_name = "N", env = "S2SPEC_POLICY")]
    pub(super) policies: Option<Policies>,
}

impl Sources {
    /// The options that differ from the defaults.
    pub(super) fn options(&self) -> Vec<String> {
        let policies = self.policies.as_ref();
        let policies = policies.map(|policies| format!("--policy {policies}"));
        self.files.options().into_iter().chain(policies).collect()
    }

    /// Reads all files.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub(super) fn read(&self) -> Result<Suite, CliError> {
        let policies = self.policies.clone().map(|Policies(rows)| rows);
        Ok(self.files.read()?.in_policies(policies))
    }
}

/// The cases selected by ids and tags; all by default.
///
/// # Errors
/// When an id is malformed or selects nothing, or when no case has the tag.
pub(super) fn among<'a>(
    all: &'a [Case],
    registry: &Registry,
    ids: &[String],
    tags: &[Tag],
) -> Result<Vec<&'a Case>, CliError> {
    let selection = Selection::new(ids, registry);
    let selected = selection.and_then(|selection| selection.tagged(tags).select(all));
    selected.map_err(|error| match &error {
        SelectionError::Syntax { .. } => CliError::Usage(with_causes(&error)),
        SelectionError::Unknown { .. } => {
            CliError::NothingSelected(format!("{error} (`s2spec list` shows all ids)"))
        }
        SelectionError::NoEntry(_) => CliError::NothingSelected(format!("{error} {ELSEWHERE}")),
        SelectionError::Untested { .. } | SelectionError::Untagged { .. } => {
            CliError::NothingSelected(error.to_string())
        }
    })
}
