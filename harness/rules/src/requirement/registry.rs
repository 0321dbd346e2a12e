//! The registry of all requirements.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{FileError, Source};
use simulated_partners::nearest::nearest;

use super::{Area, Bug, Entry, NoEntry, Requirement, RequirementId, file};
use crate::embedded;

/// The key of a file that lists bugs rather than the requirements of an area.
const BUG: &str = "bug";

/// The requirements of all areas, and the known bugs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Registry {
    areas: Vec<Area>,
    requirements: BTreeMap<RequirementId, Requirement>,
    bugs: Vec<Bug>,
    /// The files that it was read from, and the ids that each of them is about.
    sources: Vec<(BTreeSet<String>, Arc<Source>)>,
}

impl Registry {
    /// The registry embedded at build time.
    pub fn builtin() -> &'static Arc<Self> {
        static BUILTIN: LazyLock<Arc<Registry>> = LazyLock::new(|| {
            let files: Vec<Source> = embedded::FILES
                .iter()
                .filter(|(name, _)| name.starts_with(embedded::REQUIREMENTS))
                .map(|(name, text)| Source::new(name, text))
                .collect();
            let (registry, wrong) = Registry::default().with(&files);
            assert!(wrong.is_empty(), "a test reads all files of the registry");
            Arc::new(registry)
        });
        &BUILTIN
    }

    /// The registry with more files, each with the requirements of an area or with known bugs, and the
    /// mistakes of those that are left out. Whether the requirements named by bugs exist is checked only if
    /// the areas have no mistakes.
    pub fn with(&self, files: &[Source]) -> (Self, Vec<FileError>) {
        let mut registry = self.clone();
        let mut wrong = Vec::new();
        let is_of_bugs = |file: &&Source| file.keys().iter().any(|key| key == BUG);
        let (bugs, areas): (Vec<&Source>, Vec<&Source>) = files.iter().partition(is_of_bugs);
        for source in areas {
            let stem = Path::new(source.file()).file_stem().unwrap_or_default();
            match file::area(&stem.to_string_lossy(), source, &registry) {
                Ok((area, requirements)) => {
                    if registry.area_of(&area.code).is_none() {
                        registry.areas.push(area);
                    }
                    let requirements = requirements
                        .into_iter()
                        .map(|requirement| (requirement.id.clone(), requirement));
                    let requirements: Vec<_> = requirements.collect();
                    let ids = requirements.iter().map(|(id, _)| id.to_string());
                    registry.note(ids.collect(), source);
                    registry.requirements.extend(requirements);
                }
                Err(error) => wrong.push(error),
            }
        }
        registry.areas.sort_by(|a, b| a.code.cmp(&b.code));
        for source in bugs {
            match file::bugs(source, Some(&registry).filter(|_| wrong.is_empty())) {
                Ok(list) => {
                    let ids = list.iter().map(|bug| bug.id.clone());
                    registry.note(ids.collect(), source);
                    let new = list.into_iter().filter(|bug| self.bug(&bug.id).is_none());
                    registry.bugs.extend(new);
                }
                Err(error) => wrong.push(error),
            }
        }
        (registry, wrong)
    }

    /// The registry with files in place of its own files of the same areas, and with their bugs in place of
    /// those with the same ids: what another version of it said.
    pub fn with_instead(&self, files: &[Source]) -> (Self, Vec<FileError>) {
        let is_of_bugs = |file: &Source| file.keys().iter().any(|key| key == BUG);
        let (bugs, areas): (Vec<Source>, Vec<Source>) = files.iter().cloned().partition(is_of_bugs);
        let (other, mut wrong) = Self::default().with(&areas);
        let mut registry = self.clone();
        let is_kept = |code: &str| other.area_of(code).is_none();
        registry.areas.retain(|area| is_kept(&area.code));
        registry.requirements.retain(|id, _| is_kept(id.area()));
        registry.areas.extend(other.areas.iter().cloned());
        registry.areas.sort_by(|a, b| a.code.cmp(&b.code));
        registry.requirements.extend(other.requirements.clone());
        let is_replaced = |about: &BTreeSet<String>| {
            let mut others = other.requirements.keys().map(ToString::to_string);
            others.any(|id| about.contains(&id))
        };
        registry.sources.retain(|(about, _)| !is_replaced(about));
        registry.sources.extend(other.sources.iter().cloned());
        for source in &bugs {
            match file::bugs(source, None) {
                Ok(list) => {
                    registry
                        .bugs
                        .retain(|bug| list.iter().all(|other| other.id != bug.id));
                    let ids = list.iter().map(|bug| bug.id.clone());
                    registry.note(ids.collect(), source);
                    registry.bugs.extend(list);
                }
                Err(error) => wrong.push(error),
            }
        }
        (registry, wrong)
    }

    /// Keeps a file, unless there is one of the same ids.
    fn note(&mut self, about: BTreeSet<String>, source: &Source) {
        if self.sources.iter().all(|(known, _)| *known != about) {
            self.sources.push((about, Arc::new(source.clone())));
        }
    }

    /// The files that say something of one of these ids, each of a requirement or a known bug.
    pub fn sources_of(&self, ids: &BTreeSet<&str>) -> Vec<&Source> {
        let sources = self.sources.iter();
        sources
            .filter(|(about, _)| ids.iter().any(|id| about.contains(*id)))
            .map(|(_, source)| &**source)
            .collect()
    }

    /// Whether an area is new, or the same as one that is there.
    pub(super) fn takes(&self, area: &Area, requirements: &[Requirement]) -> bool {
        self.area_of(&area.code)
            .is_none_or(|known| known == area && self.of(&area.code).eq(requirements))
    }

    /// The area with that code.
    fn area_of(&self, code: &str) -> Option<&Area> {
        self.areas.iter().find(|area| area.code == code)
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
                wrong.help(format!(
                    "there are the areas {}; `--requirements` reads your own",
                    names.join(", ")
                ))
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

/// A registry is too large to be shown in full.
impl fmt::Debug for Registry {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Registry of {} requirements", self.requirements.len())
    }
}

fn no_entry(kind: &'static str, id: String, all: impl Iterator<Item = String>) -> NoEntry {
    let all: Vec<String> = all.collect();
    let alike = nearest(&id, all.iter().map(String::as_str));
    let nearest = alike.into_iter().map(str::to_owned).collect();
    NoEntry { kind, id, nearest }
}
