//! Makes the case of a bundle from the bundle's own files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use simulated_partners::document::{FileError, Source};
use simulated_partners::persona::Persona;

use super::{Bundle, Text};
use crate::case::{Case, Set};
use crate::matrix;
use crate::policy::PolicyNumber;
use crate::scenario::{self, Catalogue, File};
use crate::settings;

/// Why a bundle makes no case.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no such policy.
    #[error(
        "its policy is {number}; expected a number from 1 to {}",
        PolicyNumber::COUNT
    )]
    Policy {
        /// What it says.
        number: u8,
    },
    /// Something that a case of its set needs is not there.
    #[error("it is of the set {0}, and has no {1}")]
    Lacks(Set, &'static str),
    /// Its files have mistakes for this s2spec.
    #[error("this s2spec cannot read its files: {}", listed(.0))]
    Files(Vec<FileError>),
    /// Its scenario is another one.
    #[error("its scenario makes no case {0}")]
    Id(String),
}

fn listed(files: &[FileError]) -> String {
    let files: Vec<String> = files.iter().map(ToString::to_string).collect();
    files.join("; ")
}

impl From<FileError> for Unusable {
    fn from(error: FileError) -> Self {
        Self::Files(vec![error])
    }
}

impl Text {
    fn source(&self) -> Source {
        Source::new(&self.file, &self.text)
    }
}

impl Bundle {
    /// The case, of which nothing is taken from the built-in scenarios and personas.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn case(&self) -> Result<Case, Unusable> {
        let named = &self.case;
        let number = named.policy;
        let row = PolicyNumber::new(number).ok_or(Unusable::Policy { number })?;
        let partner = match named.set {
            Set::Scenarios => return self.of_scenario(row),
            // Their rules are tables of the program, and no files.
            Set::Settings | Set::Failover => {
                let mut all = settings::cases_of(named.set).into_iter();
                let found = all.find(|case| case.id == named.id);
                return found.ok_or_else(|| Unusable::Id(named.id.clone()));
            }
            Set::Personas => {
                let file = self.personas.values().next();
                let file = file.ok_or(Unusable::Lacks(named.set, "persona"))?;
                Persona::of_file(&file.source())?
            }
            Set::Policies | Set::Offers => {
                let made = self.partner.as_ref();
                let made = made.ok_or(Unusable::Lacks(named.set, "partner"))?;
                Persona::correct(&made.name, &made.title, made.offer.clone())
            }
        };
        let partner = Arc::new(partner);
        let id = named.id.clone();
        Ok(matrix::case(id, named.set, row, &partner, named.direction))
    }

    fn of_scenario(&self, row: PolicyNumber) -> Result<Case, Unusable> {
        let id = &self.case.id;
        let text = self.scenario.as_ref();
        let text = text.ok_or(Unusable::Lacks(Set::Scenarios, "scenario"))?;
        let requirements: Vec<Source> = self.requirements.iter().map(Text::source).collect();
        let personas = self.personas.iter();
        let personas: BTreeMap<String, Source> = personas
            .map(|(word, text)| (word.clone(), text.source()))
            .collect();
        let catalogue = Catalogue::kept(&requirements, personas).map_err(Unusable::Files)?;
        // A scenario is named after its folder and its file; ids begin with that.
        let mut parts = id.split('/');
        let name = match (parts.next(), parts.next()) {
            (Some(area), Some(name)) => Path::new(area).join(name),
            _ => return Err(Unusable::Id(id.clone())),
        };
        let name = name.display().to_string();
        let file = File::read(&name, &text.source(), &catalogue)?;
        let own = scenario::cases(&name, &file, None).into_iter();
        let elsewhere = || scenario::cases(&name, &file, Some(&[row])).into_iter();
        let is_this = |case: &Case| case.id == *id && case.row == row;
        own.chain(elsewhere())
            .find(is_this)
            .ok_or_else(|| Unusable::Id(id.clone()))
    }
}
