//! What the files of `data/` say: one defect each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

/// A defect that someone who writes a server could make.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutant {
    pub(crate) id: String,
    /// A file below `reference-proxy/src`.
    file: String,
    /// A text that this file has once, inside a function. Where it has blanks, the file may have
    /// any number of them, and line breaks.
    find: String,
    replace: String,
    /// Other places of the same defect.
    #[serde(default)]
    also: Vec<Change>,
    /// What the proxy does wrong, in a sentence.
    pub(crate) breaks: String,
    /// What it breaks. The first finding has to name one of them.
    pub(crate) requirements: BTreeSet<String>,
    /// The cases that have to notice it; by default those of the requirements.
    #[serde(default)]
    cases: Vec<String>,
    /// What of the proxy's own tests has to notice it, by the names of tests or parts of them, where no
    /// case can: `invisible` says why.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Why nobody can see it from outside, or why no standard forbids it.
    pub(crate) invisible: Option<String>,
    /// Why the suite does not fail it, or why the level is lower than that of its requirements.
    pub(crate) lenient: Option<String>,
    /// How strongly it is forbidden; by default as the strongest of its requirements.
    level: Option<Level>,
}

/// How strongly a mutant is forbidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// By a should or by practice alone: a warning is right.
    Should,
    /// By a must, by what follows from one, or for security.
    #[default]
    Must,
}

/// One place of a mutant, with the same keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    pub(crate) file: String,
    pub(crate) find: String,
    pub(crate) replace: String,
}

impl Mutant {
    pub(crate) fn changes(&self) -> Vec<Change> {
        let first = Change {
            file: self.file.clone(),
            find: self.find.clone(),
            replace: self.replace.clone(),
        };
        std::iter::once(first).chain(self.also.clone()).collect()
    }

    pub(crate) fn level(&self) -> Level {
        self.level.unwrap_or_default()
    }

    pub(crate) fn cases(&self) -> Vec<String> {
        match self.cases.is_empty() {
            true => self.requirements.iter().cloned().collect(),
            false => self.cases.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    mutant: Vec<Mutant>,
}

/// The files of mutants cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataError {
    #[error("could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not right: {source}", path.display())]
    Mistaken {
        path: PathBuf,
        #[source]
        source: toml::de::Error,
    },
    #[error("there are two mutants called {0}")]
    Twice(String),
    #[error("mutant {0}: there is no requirement {1}")]
    Unknown(String, String),
}

/// The parts of a file of requirements that say how strong each is.
#[derive(Deserialize)]
struct Requirements {
    #[serde(default)]
    requirement: Vec<Requirement>,
}

#[derive(Deserialize)]
struct Requirement {
    id: String,
    level: String,
}

/// All mutants, in the order of their files.
pub(crate) fn load() -> Result<Vec<Mutant>, DataError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut mutants = Vec::new();
    for path in files(&folder)? {
        let text = read(&path)?;
        let file: File =
            toml::from_str(&text).map_err(|source| DataError::Mistaken { path, source })?;
        mutants.extend(file.mutant);
    }
    let levels = levels()?;
    for mutant in &mut mutants {
        let strongest = level(mutant, &levels)?;
        mutant.level.get_or_insert(strongest);
    }
    let mut ids = BTreeSet::new();
    match mutants.iter().find(|mutant| !ids.insert(&mutant.id)) {
        Some(twice) => Err(DataError::Twice(twice.id.clone())),
        None => Ok(mutants),
    }
}

/// The level of each requirement.
fn levels() -> Result<BTreeMap<String, Level>, DataError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/requirements");
    let mut levels = BTreeMap::new();
    for path in files(&folder)? {
        let text = read(&path)?;
        let file: Requirements =
            toml::from_str(&text).map_err(|source| DataError::Mistaken { path, source })?;
        let rows = file.requirement.into_iter();
        levels.extend(rows.map(|row| match row.level.as_str() {
            "must" | "derived" | "security" => (row.id, Level::Must),
            _ => (row.id, Level::Should),
        }));
    }
    Ok(levels)
}

/// That of the strongest requirement. Rules of the oracle, whose names have dots, are musts.
fn level(mutant: &Mutant, levels: &BTreeMap<String, Level>) -> Result<Level, DataError> {
    let mut all = Vec::new();
    for id in &mutant.requirements {
        all.push(match levels.get(id) {
            Some(level) => *level,
            None if id.contains('.') => Level::Must,
            None => return Err(DataError::Unknown(mutant.id.clone(), id.clone())),
        });
    }
    match !all.is_empty() && all.iter().all(|level| *level == Level::Should) {
        true => Ok(Level::Should),
        false => Ok(Level::Must),
    }
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, DataError> {
    let broken = |source| DataError::Read {
        path: folder.to_owned(),
        source,
    };
    fs::read_dir(folder)
        .map_err(broken)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(broken))
        .collect()
}

fn read(path: &Path) -> Result<String, DataError> {
    fs::read_to_string(path).map_err(|source| DataError::Read {
        path: path.to_owned(),
        source,
    })
}
