//! The value of `--target`: a built-in server, or a target file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use clap::builder::FalseyValueParser;
use simulated_partners::nearest::{did_you_mean, nearest};

use super::select::Sources;
use crate::doctor::Extra;
use crate::error::CliError;
use crate::oracle::Profile;
use crate::subject::Target;
use crate::subject::built_in::{self, Folder};
use crate::subject::reference::Reference;
use crate::subject::remote::{Remote, TargetFile};
use crate::suite::{Policies, target_file};

/// The name of the embedded proxy.
const REFERENCE: &str = "reference";

/// A target by its name, or the file of another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// The embedded proxy.
    #[default]
    Reference,
    /// A server of this machine that s2spec sets up.
    BuiltIn(&'static Folder),
    /// A target described by a file.
    File(PathBuf),
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reference => to.write_str(REFERENCE),
            Self::BuiltIn(folder) => to.write_str(folder.name),
            Self::File(path) => write!(to, "{}", path.display()),
        }
    }
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.ends_with(".toml") {
            return Ok(Self::File(text.into()));
        }
        if text == REFERENCE {
            return Ok(Self::Reference);
        }
        built_in::named(text).map(Self::BuiltIn).ok_or_else(|| {
            let alike = nearest(text, Self::names());
            format!("expected {}{}", Self::forms(), did_you_mean(&alike))
        })
    }
}

impl Chosen {
    /// A target by a name that a project gave to its file, or as usual.
    ///
    /// # Errors
    /// When there is no such target, with the nearest names.
    pub(super) fn named(text: &str, files: &BTreeMap<String, PathBuf>) -> Result<Self, String> {
        if let Some(file) = files.get(text) {
            return Ok(Self::File(file.clone()));
        }
        text.parse().map_err(|error: String| match files.len() {
            0 => error,
            _ => {
                let names: Vec<&str> = files.keys().map(String::as_str).collect();
                format!("{error}; s2spec.toml names {}", names.join(", "))
            }
        })
    }

    fn names() -> impl Iterator<Item = &'static str> {
        [REFERENCE]
            .into_iter()
            .chain(built_in::all().iter().map(|folder| folder.name))
    }

    /// What can be written for it.
    pub(super) fn forms() -> String {
        let names: Vec<&str> = Self::names().collect();
        format!("{}, or a target file ending in .toml", names.join(", "))
    }

    /// Whether it is the default target.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which server is under test.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Tested {
    #[arg(
        short,
        long,
        value_name = "TARGET",
        default_value_t,
        env = "S2SPEC_TARGET",
        help = format!("The server under test: {}", Chosen::forms())
    )]
    pub(super) target: Chosen,

    /// Allow targets and name servers on other machines; targets receive broken and hostile streams
    #[arg(long, env = "S2SPEC_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    pub(super) allow_remote: bool,
}

/// The server under test, with its file read.
pub(super) enum Server {
    Reference,
    BuiltIn(&'static Folder),
    File(Box<TargetFile>),
}

impl Tested {
    /// Reads the target file, if one describes the target.
    ///
    /// # Errors
    /// As [`target_file`].
    pub(super) fn read(&self) -> Result<Server, CliError> {
        Ok(match &self.target {
            Chosen::Reference => Server::Reference,
            Chosen::BuiltIn(folder) => Server::BuiltIn(folder),
            Chosen::File(path) => Server::File(Box::new(target_file(path, self.allow_remote)?)),
        })
    }
}

impl Server {
    /// The target file, if one describes it.
    pub(super) fn file(&self) -> Option<&TargetFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Reference | Self::BuiltIn(_) => None,
        }
    }

    /// Where cases come from: in the policies of a target file, unless others are asked for.
    pub(super) fn sources(&self, sources: &Sources) -> Sources {
        let own = || Some(Policies(self.file()?.rows().collect()));
        let mut sources = sources.clone();
        sources.policies = sources.policies.or_else(own);
        sources
    }

    /// The target, with additional information from its file.
    ///
    /// # Errors
    /// When a built-in server is not installed.
    pub(super) fn open(self, profile: Profile) -> Result<(Arc<dyn Target>, Extra), CliError> {
        let target: Arc<dyn Target> = match self {
            Self::Reference => Arc::new(Reference {
                strict_certificates: profile.strict_certificates,
            }),
            Self::BuiltIn(folder) => Arc::new(folder.find().map_err(|why| {
                CliError::environment(format!("cannot run {}", folder.name), why)
            })?),
            Self::File(file) => {
                let extra = extra(&file);
                return Ok((Arc::new(Remote::new(*file)), extra));
            }
        };
        Ok((target, Extra::default()))
    }
}

/// The doctor's view of a target file.
fn extra(file: &TargetFile) -> Extra {
    let switched = file.policies.iter().any(|policy| policy.switch.is_some());
    Extra {
        place: Some((file.domain.clone(), file.address)),
        runs_already: file.start.is_none() && !switched,
        inner: file.inner,
    }
}
