//! Which requirements have a scenario, cannot have one, or still need one.
//!
//! Knows only the requirements and bugs that scenarios name, which [`Covering`] holds. Start at
//! [`Coverage::new`].

mod count;
mod doubles;
mod json;
mod policies;
mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::requirement::{Bug, Registry, Requirement, RequirementId};
use crate::scenario::Library;

pub use count::Count;
pub use doubles::doubles;
pub use json::{SCHEMA, to_json};
pub use table::{END, START, Table, in_document, page, to_markdown, to_text};

#[cfg(test)]
mod tests;

/// The id of a scenario: its file's path below `scenarios/`, without the ending.
pub type ScenarioId = String;

/// The requirements and bugs that scenarios name, inverted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covering {
    /// Requirements and the scenarios that test them.
    pub requirements: BTreeMap<RequirementId, Vec<ScenarioId>>,
    /// Bugs and the scenarios that look for them.
    pub bugs: BTreeMap<String, Vec<ScenarioId>>,
}

impl From<&Library> for Covering {
    fn from(library: &Library) -> Self {
        let mut covering = Self::default();
        for (name, file) in library.files() {
            let requirements = file.requirements().into_iter();
            for requirement in requirements.filter_map(|requirement| requirement.parse().ok()) {
                covering
                    .requirements
                    .entry(requirement)
                    .or_default()
                    .push(name.to_owned());
            }
            for bug in &file.plain.bugs {
                let hunters = covering.bugs.entry(bug.clone()).or_default();
                hunters.push(name.to_owned());
            }
        }
        covering
    }
}

/// The state of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// At least one scenario tests it.
    Covered,
    /// No scenario tests it yet.
    Open,
    /// No scenario can test it, for the reason in the registry.
    Unjudgeable,
}

/// The requirements with the scenarios that test them.
#[derive(Clone, Copy, Debug)]
pub struct Coverage<'a> {
    registry: &'a Registry,
    covering: &'a Covering,
}

impl<'a> Coverage<'a> {
    /// The coverage of these requirements by these scenarios.
    pub const fn new(registry: &'a Registry, covering: &'a Covering) -> Self {
        Self { registry, covering }
    }

    /// The requirements.
    pub const fn registry(&self) -> &'a Registry {
        self.registry
    }

    /// The scenarios that test a requirement, by id.
    pub fn scenarios(&self, requirement: &RequirementId) -> &'a [ScenarioId] {
        self.covering
            .requirements
            .get(requirement)
            .map_or(&[], Vec::as_slice)
    }

    /// The scenarios that look for a bug by name, by id.
    pub fn hunters(&self, bug: &Bug) -> &'a [ScenarioId] {
        self.covering.bugs.get(&bug.id).map_or(&[], Vec::as_slice)
    }

    /// The bugs that no scenario names.
    pub fn open_bugs(&self) -> impl Iterator<Item = &'a Bug> {
        self.registry
            .bugs()
            .iter()
            .filter(|bug| self.hunters(bug).is_empty())
    }

    /// The state of a requirement.
    pub fn state(&self, requirement: &Requirement) -> State {
        if !self.scenarios(&requirement.id).is_empty() {
            State::Covered
        } else if requirement.unjudgeable.is_some() {
            State::Unjudgeable
        } else {
            State::Open
        }
    }

    /// Counts requirements by state.
    pub fn count(&self, requirements: impl IntoIterator<Item = &'a Requirement>) -> Count {
        let mut count = Count::default();
        for requirement in requirements {
            count.add(self.state(requirement));
        }
        count
    }
}
