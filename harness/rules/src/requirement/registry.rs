//! The registry of all requirements.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{FileError, Source};
use simulated_partners::nearest::nearest;

use super::{Area, Bug, Entry, NoEntry, Requirement, RequirementId, file};
use crate::embedded;

/// The file that lists bugs rather than the requirements of an area.
const BUGS: &str = "bugs";

/// The requirements of all areas, and the known bugs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    areas: Vec<Area>,
    requirements: BTreeMap<RequirementId, Requirement>,
    bugs: Vec<Bug>,
}

impl Registry {
    /// The registry embedded at build time.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Registry> = LazyLock::new(|| {
            let files = embedded::FILES
                .iter()
                .copied()
                .filter(|(name, _)| name.starts_with(embedded::REQUIREMENTS));
            Registry::read(files).expect("a test reads all files of the registry")
        });
        &BUILTIN
    }

    /// Reads files, given by path and text: `bugs.toml` and `<folder>.toml`, in any folder.
    ///
    /// # Errors
    /// All mistakes, file by file. Whether the requirements named by bugs exist is checked only if the
    /// areas have no mistakes.
    pub fn read<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<FileError>> {
        let mut registry = Self::default();
        let mut wrong = Vec::new();
        let mut bugs = Vec::new();
        for (path, text) in files {
            let source = Source::new(path, text);
            let stem = path.rsplit('/').next().unwrap_or(path);
            let stem = stem.strip_suffix(".toml").unwrap_or(stem);
            if stem == BUGS {
                bugs.push(source);
                continue;
            }
            match file::area(stem, &source) {
                Ok((area, _)) if registry.area(&area.code).is_some() => {
                    let title = format!("the area {} has another file already", area.code);
                    let twice = Diagnostic::new(0..0, title).help("an area has one file");
                    wrong.push(source.wrong(vec![twice]));
                }
                Ok((area, requirements)) => {
                    registry.areas.push(area);
                    let requirements = requirements
                        .into_iter()
                        .map(|requirement| (requirement.id.clone(), requirement));
                    registry.requirements.extend(requirements);
                }
                Err(error) => wrong.push(error),
            }
        }
        registry.areas.sort_by(|a, b| a.code.cmp(&b.code));
        for source in bugs {
            match file::bugs(&source, Some(&registry).filter(|_| wrong.is_empty())) {
                Ok(list) => registry.bugs.extend(list),
                Err(error) => wrong.push(error),
            }
        }
        if wrong.is_empty() {
            Ok(registry)
        } else {
            Err(wrong)
        }
    }

    /// Looks up the requirement id found at a place in a file.
    ///
    /// # Errors
    /// When the text is not an id, or no requirement has it, with suggestions.
    pub fn named(&self, id: &str, place: Range<usize>) -> Result<&Requirement, Diagnostic> {
        let Ok(requirement) = id.parse::<RequirementId>() else {
            let title = format!("`{id}` is not a requirement id");
            return Err(Diagnostic::new(place, title)
                .help("expected an area and a number, such as `STR-01`"));
        };
        self.get(&requirement)
            .ok_or_else(|| self.unknown_requirement(place, &requirement))
    }

    /// The error for an unknown requirement, with suggestions.
    pub(super) fn unknown_requirement(
        &self,
        place: Range<usize>,
        requirement: &RequirementId,
    ) -> Diagnostic {
        let wrong = Diagnostic::new(place, format!("there is no requirement {requirement}"));
        let first = self.of(requirement.area()).next();
        let last = self.of(requirement.area()).next_back();
        match first.zip(last) {
            Some((first, last)) => wrong.help(format!(
                "the area {} has requirements from {} to {}",
                requirement.area(),
                first.id,
                last.id
            )),
            None => {
                let names: Vec<&str> = self.areas.iter().map(|a| a.code.as_str()).collect();
                wrong.help(format!("there are the areas {}", names.join(", ")))
            }
        }
    }

    /// The areas, by code.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// The area with that code or folder, in any letter case.
    pub fn area(&self, name: &str) -> Option<&Area> {
        self.areas.iter().find(|area| {
            area.code.eq_ignore_ascii_case(name) || area.folder.eq_ignore_ascii_case(name)
        })
    }

    /// All requirements, by id.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Requirement> {
        self.requirements.values()
    }

    /// The requirements of an area, by number.
    pub fn of<'a>(&'a self, area: &str) -> impl DoubleEndedIterator<Item = &'a Requirement> {
        self.requirements
            .values()
            .filter(move |requirement| requirement.id.area() == area)
    }

    pub fn get(&self, id: &RequirementId) -> Option<&Requirement> {
        self.requirements.get(id)
    }

    /// The known bugs, by id.
    pub fn bugs(&self) -> &[Bug] {
        &self.bugs
    }

    pub fn bug(&self, id: &str) -> Option<&Bug> {
        self.bugs.iter().find(|bug| bug.id == id)
    }

    /// Looks up an id in any letter case; `None` if the text does not have the form of an id.
    ///
    /// # Errors
    /// When it has the form of an id, but does not exist.
    pub fn find(&self, text: &str) -> Option<Result<Entry<'_>, NoEntry>> {
        let id = text.to_ascii_uppercase();
        if file::is_bug(&id) {
            let ids = self.bugs.iter().map(|bug| bug.id.clone());
            let found = self.bug(&id).map(Entry::Bug);
            return Some(found.ok_or_else(|| no_entry("known bug", id, ids)));
        }
        let requirement = id.parse::<RequirementId>().ok();
        let (area, number) = id.split_once('-')?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        if requirement.is_none() && !(digits && self.area(area).is_some()) {
            return None;
        }
        let found = requirement
            .and_then(|requirement| self.get(&requirement))
            .map(Entry::Requirement);
        let ids = self.requirements.keys().map(ToString::to_string);
        Some(found.ok_or_else(|| no_entry("requirement", id, ids)))
    }

    /// The bugs that a requirement tests for.
    pub fn bugs_of<'a>(&'a self, requirement: &RequirementId) -> impl Iterator<Item = &'a Bug> {
        self.bugs
            .iter()
            .filter(move |bug| bug.requirements.contains(requirement))
    }
}

fn no_entry(kind: &'static str, id: String, all: impl Iterator<Item = String>) -> NoEntry {
    let all: Vec<String> = all.collect();
    let alike = nearest(&id, all.iter().map(String::as_str));
    let nearest = alike.into_iter().map(str::to_owned).collect();
    NoEntry { kind, id, nearest }
}
