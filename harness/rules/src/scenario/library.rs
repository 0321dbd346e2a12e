//! All scenarios: the embedded ones, or those of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use simulated_partners::document::{FileError, Source};

use super::file::File;
use super::script;
use crate::case::Case;
use crate::embedded;
use crate::policy::PolicyNumber;

/// The folder of requirements, which contains no scenarios.
const REQUIREMENTS: &str = "requirements";

/// Scenarios by their path below `scenarios/`, such as `streams/STR-08-header-then-features`.
#[derive(Clone, Debug, Default)]
pub struct Library {
    files: BTreeMap<String, File>,
}

impl Library {
    /// The embedded scenarios.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Library> = LazyLock::new(|| Library::builtin_where(|_, _| true));
        &BUILTIN
    }

    /// The embedded scenarios selected by name and text; the others are not parsed.
    pub fn builtin_where(wanted: impl Fn(&str, &str) -> bool) -> Self {
        let files = embedded::FILES
            .iter()
            .filter(|(path, _)| !path.starts_with(embedded::REQUIREMENTS))
            .map(|(path, text)| (path.trim_end_matches(".toml"), path, text))
            .filter(|(name, _, text)| wanted(name, text))
            .map(|(name, path, text)| {
                let file = File::read(name, &Source::new(path, text)).unwrap_or_else(|error| {
                    panic!("a test reads all scenarios of the build:\n{error}")
                });
                (name.to_owned(), file)
            });
        Self {
            files: files.collect(),
        }
    }

    /// The scenarios of a folder with the layout of `scenarios/`, or of a single file in such a
    /// folder. All mistakes in all files are reported together.
    ///
    /// # Errors
    /// Each thing that is wrong.
    pub fn load(path: &Path) -> Result<Self, Vec<FileError>> {
        let mut library = Self::default();
        let mut wrong = Vec::new();
        for path in below(path).map_err(|error| vec![error])? {
            let area = path.parent().and_then(Path::file_name).unwrap_or_default();
            let stem = path.file_stem().unwrap_or_default();
            let name = format!("{}/{}", area.display(), stem.display());
            match Source::load(&path).and_then(|source| File::read(&name, &source)) {
                Ok(file) => {
                    library.files.insert(name, file);
                }
                Err(error) => wrong.push(error),
            }
        }
        if wrong.is_empty() {
            Ok(library)
        } else {
            Err(wrong)
        }
    }

    /// The number of scenarios.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All scenarios with their names, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(name, file)| (name.as_str(), file))
    }

    /// The cases of all scenarios in the policies that they name, in order.
    pub fn cases(&self) -> Vec<Case> {
        self.cases_in(None)
    }

    /// The cases of all scenarios in these policies, or else in those that they name.
    pub fn cases_in(&self, policies: Option<&[PolicyNumber]>) -> Vec<Case> {
        self.files
            .iter()
            .flat_map(|(name, file)| script::cases(name, file, policies))
            .collect()
    }
}

/// The scenario files at or below a path, in order.
fn below(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|source| FileError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    let mut paths = Vec::new();
    for entry in entries {
        if entry.is_dir() && entry.file_name().is_some_and(|name| name != REQUIREMENTS) {
            paths.extend(below(&entry)?);
        } else if entry.extension().is_some_and(|ending| ending == "toml") {
            paths.push(entry);
        }
    }
    paths.sort();
    Ok(paths)
}
