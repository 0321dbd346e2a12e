//! All scenarios: those that came with the source, and those of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use simulated_partners::persona::{Mistake, Mistakes};

use super::check::check;
use super::file::File;
use super::script;
use crate::case::Case;
use crate::embedded;

/// More than any scenario needs; what is longer was not meant as one.
const MAX_FILE: u64 = 1 << 20;
/// The folder of the registry, which holds no scenarios.
const REQUIREMENTS: &str = "requirements";

/// Scenarios by their place below `scenarios/`, such as `streams/STR-08-header-then-features`.
#[derive(Clone, Debug, Default)]
pub struct Library {
    files: BTreeMap<String, File>,
}

/// Why scenarios cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file has mistakes.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Library {
    /// The scenarios of this build.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Library> = LazyLock::new(|| {
            let files = embedded::FILES
                .iter()
                .filter(|(path, _)| !path.starts_with(embedded::REQUIREMENTS))
                .map(|(path, text)| {
                    let name = path.trim_end_matches(".toml");
                    let file = read(name, path, text).unwrap_or_else(|mistakes| {
                        panic!("a test reads all scenarios of the build:\n{mistakes}")
                    });
                    (name.to_owned(), file)
                });
            Library {
                files: files.collect(),
            }
        });
        &BUILTIN
    }

    /// The scenarios of a folder that is laid out as `scenarios/` is, or a single file in such a
    /// folder. All mistakes of all files come at once.
    ///
    /// # Errors
    /// Each thing that is wrong.
    pub fn load(path: &Path) -> Result<Self, Vec<LibraryError>> {
        let mut paths = Vec::new();
        collect(path, &mut paths).map_err(|error| vec![error])?;
        let mut library = Self::default();
        let mut errors = Vec::new();
        for file in paths {
            match load(&file) {
                Ok((name, scenario)) => {
                    library.files.insert(name, scenario);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(library)
        } else {
            Err(errors)
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Them all with their names, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(name, file)| (name.as_str(), file))
    }

    /// All their cases, in order.
    pub fn cases(&self) -> Vec<Case> {
        self.files
            .iter()
            .flat_map(|(name, file)| script::cases(name, file).unwrap_or_default())
            .collect()
    }
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), LibraryError> {
    let failed = |source| LibraryError::Read {
        path: path.to_owned(),
        source,
    };
    if path.is_file() {
        paths.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() && entry.file_name().is_some_and(|name| name != REQUIREMENTS) {
            collect(&entry, paths)?;
        } else if entry.extension().is_some_and(|ending| ending == "toml") {
            paths.push(entry);
        }
    }
    Ok(())
}

fn load(path: &Path) -> Result<(String, File), LibraryError> {
    let failed = |source| LibraryError::Read {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let part = |part: Option<&std::ffi::OsStr>| {
        part.map(|part| part.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let area = part(path.parent().and_then(Path::file_name));
    let name = format!("{area}/{}", part(path.file_stem()));
    let shown = path.display().to_string();
    let file = read(&name, &shown, &text).map_err(LibraryError::Mistakes)?;
    Ok((name, file))
}

/// Reads a scenario's text. `name` is its place, `shown` what mistakes are reported with.
pub(super) fn read(name: &str, shown: &str, text: &str) -> Result<File, Mistakes> {
    let mistakes = |list: Vec<Mistake>| Mistakes {
        file: shown.to_owned(),
        text: text.to_owned(),
        list,
    };
    let file: File =
        toml::from_str(text).map_err(|error| mistakes(vec![Mistake::from_toml(&error, text)]))?;
    let found = check(name, &file, text);
    if found.is_empty() {
        Ok(file)
    } else {
        Err(mistakes(found))
    }
}

/// The JSON schema of a scenario file, for editors.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
