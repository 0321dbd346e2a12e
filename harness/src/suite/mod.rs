//! The built-in files and the user's own, read once, and the cases that they make.

mod policies;
mod target;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use simulated_partners::document::{FileError, Source};

use crate::case::{Case, Set};
use crate::console::terminal::shell_word;
use crate::error::CliError;
use crate::kind::{Kind, files_of};
use crate::matrix::{self, Selection};
use crate::policy::PolicyNumber;
use crate::scenario::{Catalogue, Library};
use crate::settings;

pub use policies::{Policies, PolicyName};
pub use target::target_file;

/// The user's own files.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Files {
    /// Read scenarios from this folder or file instead of the built-in ones
    #[arg(long, value_name = "PATH", env = "S2SPEC_SCENARIOS")]
    pub scenarios: Option<PathBuf>,

    #[command(flatten)]
    beside: Beside,
}

/// Files that come in addition to the built-in ones.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Beside {
    /// Also read requirements from this folder or file; repeat it for several
    #[arg(long, value_name = "PATH", env = "S2SPEC_REQUIREMENTS")]
    requirements: Vec<PathBuf>,

    /// Also read personas from this folder or file; repeat it for several
    #[arg(long, value_name = "PATH", env = "S2SPEC_PERSONAS")]
    personas: Vec<PathBuf>,
}

impl Beside {
    /// What scenarios may name with these files and others, and the mistakes in all of them.
    ///
    /// # Errors
    /// When a file of these cannot be read, or when there is none at a path.
    pub fn catalogue(
        &self,
        requirements: &[Source],
        personas: &[Source],
    ) -> Result<(Catalogue, Vec<FileError>), CliError> {
        let together = |kind, paths, others: &[Source]| {
            let mut all = some(kind, paths)?;
            all.extend_from_slice(others);
            // A file may be named twice, by two paths.
            let mut seen = BTreeSet::new();
            all.retain(|one| {
                let path = Path::new(one.file());
                seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
            });
            Ok::<_, CliError>(all)
        };
        let requirements = together(Kind::Requirements, &self.requirements, requirements)?;
        let personas = together(Kind::Persona, &self.personas, personas)?;
        Ok(Catalogue::builtin().with(&requirements, &personas))
    }
}

impl Files {
    /// The same with personas from these folders and files.
    pub fn with_personas(mut self, paths: &[PathBuf]) -> Self {
        self.beside.personas.extend_from_slice(paths);
        self
    }

    /// The same with requirements from this folder or file.
    pub fn with_requirements(mut self, path: PathBuf) -> Self {
        self.beside.requirements.push(path);
        self
    }

    /// The options that name these files.
    pub fn options(&self) -> Vec<String> {
        let scenarios = self.scenarios.iter().map(|path| ("scenarios", path));
        let beside = &self.beside;
        let requirements = beside.requirements.iter();
        let requirements = requirements.map(|path| ("requirements", path));
        let personas = beside.personas.iter().map(|path| ("personas", path));
        scenarios
            .chain(requirements)
            .chain(personas)
            .map(|(name, path)| format!("--{name} {}", shell_word(path)))
            .collect()
    }

    /// Reads them.
    ///
    /// # Errors
    /// When a file cannot be read or has mistakes, or when there is none at a path.
    pub fn read(&self) -> Result<Suite, CliError> {
        let (catalogue, mut wrong) = self.beside.catalogue(&[], &[])?;
        let mut own = None;
        if let Some(path) = &self.scenarios {
            let found = some(Kind::Scenario, std::slice::from_ref(path))?;
            let (library, errors) = Library::read(&found, &catalogue);
            wrong.extend(errors);
            own = Some(library);
        }
        if !wrong.is_empty() {
            return Err(CliError::Files(wrong));
        }
        Ok(Suite {
            own,
            catalogue,
            policies: None,
            named: Vec::new(),
        })
    }
}

/// The files of a kind at or below paths, each of which has to have some.
fn some(kind: Kind, paths: &[PathBuf]) -> Result<Vec<Source>, CliError> {
    let mut all = Vec::new();
    let mut wrong: Vec<FileError> = Vec::new();
    for path in paths {
        match files_of(kind, std::slice::from_ref(path)) {
            Ok(found) if found.is_empty() => {
                let path = path.display();
                let text =
                    format!("no file below {path} is {kind} (`s2spec check` reads all kinds)");
                return Err(CliError::NothingSelected(text));
            }
            Ok(found) => all.extend(found),
            Err(errors) => wrong.extend(errors),
        }
    }
    if wrong.is_empty() {
        Ok(all)
    } else {
        Err(CliError::Files(wrong))
    }
}

/// What cases are made of.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Requirements, known bugs and personas.
    pub catalogue: Catalogue,
    /// The user's own scenarios, in place of the built-in ones.
    own: Option<Library>,
    policies: Option<Vec<PolicyNumber>>,
    /// Scenario files, each with a policy in which it runs beside those that it is written for.
    named: Vec<(String, PolicyNumber)>,
}

/// The scenario file and the policy of an id such as `xml/XML-01-comment/inside/row07`.
pub fn scenario_in_policy(id: &str) -> Option<(&str, PolicyNumber)> {
    let (variant, label) = id.rsplit_once('/')?;
    let row = PolicyNumber::all().find(|row| row.label() == label)?;
    let set = id.split('/').next()?;
    let mut segments = variant.match_indices('/').map(|(at, _)| at);
    let file = match (segments.next(), segments.next()) {
        (Some(_), Some(end)) => &variant[..end],
        (Some(_), None) => variant,
        (None, _) => return None,
    };
    let is_set = Set::ALL.iter().any(|one| one.to_string() == set);
    (!is_set).then_some((file, row))
}

impl Suite {
    /// The same with scenarios in these policies, or else in those that they are written for.
    pub fn in_policies(self, policies: Option<Vec<PolicyNumber>>) -> Self {
        Self { policies, ..self }
    }

    /// The same with scenarios in the policies that these ids end with, unless policies were asked for.
    pub fn naming(mut self, ids: &[String]) -> Self {
        for (file, row) in ids.iter().filter_map(|id| scenario_in_policy(id)) {
            let named = (file.to_owned(), row);
            if self.policies.is_none() && !self.named.contains(&named) {
                self.named.push(named);
            }
        }
        self
    }

    /// The scenarios.
    pub fn library(&self) -> &Library {
        self.own.as_ref().unwrap_or_else(|| Library::builtin())
    }

    /// Every case: of all personas, the generated sets, and the scenarios.
    pub fn all(&self) -> Vec<Case> {
        self.parts(&Selection::default())
    }

    /// All cases, and those of scenarios in the policies that they are written for.
    pub fn with_own_policies(&self, all: &[Case]) -> Vec<Case> {
        let mut cases = all.to_vec();
        if self.policies.is_some() {
            let known: BTreeSet<String> = cases.iter().map(|case| case.id.clone()).collect();
            let own = self.clone().in_policies(None).all().into_iter();
            cases.extend(own.filter(|case| !known.contains(&case.id)));
        }
        cases
    }

    /// The cases of all sets and scenario files that a selection may match.
    pub fn parts(&self, selection: &Selection) -> Vec<Case> {
        let mut cases: Vec<Case> = Set::ALL
            .iter()
            .filter(|set| selection.reaches(&set.to_string(), ""))
            .flat_map(|set| {
                let of_matrix = matrix::cases_of(*set, self.catalogue.personas());
                [of_matrix, settings::cases_of(*set)].concat()
            })
            .collect();
        let every = selection.reaches(&Set::Scenarios.to_string(), "");
        let policies = self.policies.as_deref();
        let reached = |name: &str, text: &str| every || selection.reaches(name, text);
        cases.extend(match &self.own {
            Some(library) => library.cases_in(policies),
            None => Library::builtin_cases(reached, policies),
        });
        let more = self.in_named_policies(&cases);
        cases.extend(more);
        cases
    }

    /// The cases of named files in their policies, but for those that are there anyway.
    fn in_named_policies(&self, known: &[Case]) -> Vec<Case> {
        let mut more = Vec::new();
        for (file, row) in &self.named {
            let policies = Some(std::slice::from_ref(row));
            let is_it = |name: &str| name.eq_ignore_ascii_case(file);
            let cases = match &self.own {
                Some(library) => library.cases_in(policies),
                None => Library::builtin_cases(|name, _| is_it(name), policies),
            };
            let of_it = |case: &Case| case.scenario().is_some_and(|one| is_it(&one.file));
            more.extend(cases.into_iter().filter(of_it));
        }
        let known: BTreeSet<&str> = known.iter().map(|case| case.id.as_str()).collect();
        more.retain(|case| !known.contains(case.id.as_str()));
        more
    }
}
