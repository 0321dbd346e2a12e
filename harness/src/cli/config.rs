//! `s2spec.toml`: the options and targets of a project.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Command};
use simulated_partners::diagnostic::Diagnostic;
use simulated_partners::document::{Document, FileError, Source};
use simulated_partners::nearest::{did_you_mean, nearest};
use toml::Spanned;
use toml::de::DeValue;

use super::target::Chosen;
use crate::error::CliError;

/// The name of the file, in the current folder or one above it.
const NAME: &str = "s2spec.toml";
/// The variable that names another file, or none if it is empty.
const VARIABLE: &str = "S2SPEC_PROJECT";
/// The commands whose options the file sets.
const COMMANDS: [&str; 7] = [
    "run", "list", "explain", "doctor", "coverage", "check", "learn",
];
/// Options that share no more than their name with one of `run`.
const OTHERWISE: [(&str, &str); 3] = [("doctor", "policy"), ("learn", "policy"), ("learn", "out")];
/// Options of a single run, which a file cannot sensibly set.
const OF_ONE_RUN: [&str; 6] = [
    "failed",
    "repeat",
    "until-fail",
    "write-baseline",
    "json",
    "events",
];

/// Whether a command line is of a command whose options the file sets.
pub(super) fn is_for(arguments: &[OsString]) -> bool {
    let Some(first) = arguments.get(1).and_then(|word| word.to_str()) else {
        return true;
    };
    first.starts_with('-') || COMMANDS.contains(&first)
}

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The values of options, by their long names.
    options: BTreeMap<String, Vec<String>>,
    /// Target files by their names.
    targets: BTreeMap<String, PathBuf>,
}

impl Config {
    /// Reads the file that applies here, if there is one.
    ///
    /// # Errors
    /// When it cannot be read or has mistakes.
    pub(super) fn find(command: &Command) -> Result<Self, CliError> {
        let named = std::env::var_os(VARIABLE).map(PathBuf::from);
        let path = match named {
            Some(none) if none.as_os_str().is_empty() => None,
            Some(path) => Some(path),
            None => std::env::current_dir().ok().and_then(|here| {
                let mut all = here.ancestors().map(|folder| folder.join(NAME));
                all.find(|path| path.is_file())
            }),
        };
        match path {
            Some(path) => Ok(Self::load(&path, command)?),
            None => Ok(Self::default()),
        }
    }

    fn load(path: &Path, command: &Command) -> Result<Self, FileError> {
        let source = Source::load(path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        Self::read(&source, folder, command)
    }

    /// Paths in it are relative to the folder.
    fn read(source: &Source, folder: &Path, command: &Command) -> Result<Self, FileError> {
        let mut document = Document::parse(source)?;
        let mut config = Self::default();
        let targets = document.take_table("targets").unwrap_or_default();
        for (name, value) in targets {
            match value.get_ref().as_str() {
                Some(file) if file.ends_with(".toml") => {
                    let path = folder.join(file);
                    config.targets.insert(name.into_inner().into_owned(), path);
                }
                _ => document.report(
                    Diagnostic::new(value.span(), "this is no target file")
                        .help("name a file that ends in .toml, such as \"targets/staging.toml\""),
                ),
            }
        }
        let options = document.take_table("options").unwrap_or_default();
        for (key, value) in options {
            match config.option(command, key.get_ref(), &value, folder) {
                Ok(values) => match config.refused(command, key.get_ref(), &values) {
                    None => {
                        config.options.insert(key.into_inner().into_owned(), values);
                    }
                    Some(why) => document.report(
                        Diagnostic::new(value.span(), "this value does not fit the option")
                            .help(why),
                    ),
                },
                Err(Wrong::Key(help)) => document
                    .report(Diagnostic::new(key.span(), "no such option can be set").help(help)),
                Err(Wrong::Value(expected)) => document.report(
                    Diagnostic::new(value.span(), "this value does not fit the option")
                        .help(format!("expected {expected}")),
                ),
            }
        }
        let unknown: Vec<_> = document.table().keys().map(Spanned::span).collect();
        document.report_all(unknown.into_iter().map(|place| {
            Diagnostic::new(place, "unknown key").help("the file has `options` and `targets`")
        }));
        document.finish(Some(config))
    }

    /// The values of one option.
    fn option(
        &self,
        command: &Command,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        folder: &Path,
    ) -> Result<Vec<String>, Wrong> {
        if OF_ONE_RUN.contains(&name) {
            return Err(Wrong::Key(format!(
                "`{name}` is of a single run: give --{name} as an argument, or set S2SPEC_{}",
                name.replace('-', "_").to_uppercase()
            )));
        }
        let Some(argument) = settable(command).find(|one| one.get_long() == Some(name)) else {
            let known: Vec<&str> = settable(command).filter_map(clap::Arg::get_long).collect();
            let alike = nearest(name, known.iter().copied());
            return Err(Wrong::Key(format!(
                "options have the names that `s2spec run --help` shows, without --{}",
                did_you_mean(&alike)
            )));
        };
        let takes_path = argument.get_value_names().is_some_and(|names| {
            names
                .iter()
                .any(|one| ["FILE", "PATH", "DIR"].contains(&one.as_str()))
        });
        let placed = |text: &str| {
            let is_file = takes_path || (name == "target" && text.ends_with(".toml"));
            match is_file {
                true => folder.join(text).display().to_string(),
                false => text.to_owned(),
            }
        };
        match (argument.get_action(), value.get_ref()) {
            (ArgAction::SetTrue, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
            (ArgAction::SetTrue, _) => Err(Wrong::Value("true or false")),
            (ArgAction::Append, DeValue::Array(all)) => {
                let texts = all.iter().map(|one| text(one.get_ref()));
                let texts: Option<Vec<_>> = texts.collect();
                let texts = texts.ok_or(Wrong::Value("strings"))?;
                Ok(texts.iter().map(|text| placed(text)).collect())
            }
            (_, value) => {
                let text = text(value).ok_or(Wrong::Value("a string or a number"))?;
                Ok(vec![placed(&text)])
            }
        }
    }

    /// Why an option does not take values.
    fn refused(&self, command: &Command, name: &str, values: &[String]) -> Option<String> {
        let mut alone = command.find_subcommand("run")?.clone();
        let of_variables: Vec<_> = alone
            .get_arguments()
            .map(|one| one.get_id().clone())
            .collect();
        for id in of_variables {
            alone = alone.mut_arg(id, |one| one.env(Resettable::Reset));
        }
        let only = Self {
            options: [(name.to_owned(), values.to_vec())].into(),
            targets: self.targets.clone(),
        };
        let alone = only.apply(Command::new("s2spec").subcommand(alone));
        let error = alone.try_get_matches_from(["s2spec", "run"]).err()?;
        Some(reason(&error))
    }

    /// The same command with these values where neither an argument nor a variable gives another.
    pub(super) fn apply(self, mut command: Command) -> Command {
        for (name, values) in &self.options {
            let set = |argument: clap::Arg| {
                let values: Vec<&'static str> = values.iter().map(|one| leak(one)).collect();
                argument.default_values(values)
            };
            command = with(command, name, set);
        }
        let targets = self.targets;
        with(command, "target", move |argument| {
            let targets = targets.clone();
            argument.value_parser(move |text: &str| Chosen::named(text, &targets))
        })
    }
}

/// Why a line of the file is wrong.
enum Wrong {
    Key(String),
    /// With what is expected.
    Value(&'static str),
}

/// What is expected, without what was found and where.
fn reason(error: &clap::Error) -> String {
    let valid = error.get(ContextKind::ValidValue);
    match (error.source(), valid) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(words))) => format!("expected {}", words.join(", ")),
        (None, _) => error.kind().to_string(),
    }
}

fn text<'a>(value: &'a DeValue<'_>) -> Option<Cow<'a, str>> {
    match value {
        DeValue::String(text) => Some(Cow::Borrowed(text.as_ref())),
        DeValue::Integer(number) => Some(Cow::Owned(number.to_string())),
        DeValue::Float(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The options that the file can set: those of `run`.
fn settable(command: &Command) -> impl Iterator<Item = &clap::Arg> {
    let run = command.find_subcommand("run").into_iter();
    run.flat_map(Command::get_arguments).filter(|argument| {
        let long = argument.get_long();
        long.is_some_and(|long| long != "help" && !OF_ONE_RUN.contains(&long))
    })
}

/// Changes an option of the program itself and of each command that has it.
fn with(command: Command, name: &str, change: impl Fn(clap::Arg) -> clap::Arg) -> Command {
    let changed = |command: Command| {
        let is_other = OTHERWISE.contains(&(command.get_name(), name));
        let is_it = |argument: &&clap::Arg| !is_other && argument.get_long() == Some(name);
        let found = command.get_arguments().find(is_it);
        let found = found.map(|argument| argument.get_id().clone());
        match found {
            Some(id) => command.mut_arg(id, &change),
            None => command,
        }
    };
    let every = COMMANDS.iter().copied();
    every.fold(changed(command), |command, name| {
        match command.find_subcommand(name) {
            Some(_) => command.mut_subcommand(name, changed),
            None => command,
        }
    })
}

/// For the life of the program, which reads few values.
fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn read(text: &str) -> Result<Config, String> {
        let source = Source::new("s2spec.toml", text);
        Config::read(&source, Path::new("project"), &Cli::command()).map_err(|error| match error {
            FileError::Mistakes(wrong) => wrong.render(false),
            error => error.to_string(),
        })
    }

    #[test]
    fn options_are_those_of_the_command_and_paths_those_of_the_file() {
        let config = read(
            "format = 1\n[options]\ntarget = 'staging'\njobs = 2\ntimeout = 2.5\nstrict = true\n\
             skip = ['dns/**', 'TLS-06']\nbaseline = 'known.toml'\n[targets]\nstaging = 'a/target.toml'\n",
        )
        .unwrap();
        let matches = config
            .apply(Cli::command())
            .try_get_matches_from(["s2spec", "run", "--jobs", "3"])
            .unwrap();
        let (_, run) = matches.subcommand().unwrap();
        let path = run.get_one::<PathBuf>("baseline").unwrap();
        assert_eq!(path, Path::new("project/known.toml"));
        let target = run.get_one::<Chosen>("target").unwrap();
        assert_eq!(*target, Chosen::File("project/a/target.toml".into()));
        assert_eq!(run.get_many::<String>("skip").unwrap().count(), 2);
        assert!(run.get_flag("strict"));
        let jobs = run.get_one::<std::num::NonZeroUsize>("jobs").unwrap();
        assert_eq!(jobs.get(), 3, "an argument comes first");
    }

    #[test]
    fn what_an_option_does_not_take_is_shown_with_its_place() {
        for (line, help) in [
            ("jobs = 9999", "expected a number from 1 to 256"),
            ("verbose = 'loud'", "expected 0, 1 or 2"),
            ("level = ['must', 'xx']", "expected must, derived"),
            ("target = 'stagin'", "s2spec.toml names staging"),
            ("repeat = 3", "`repeat` is of a single run: give --repeat"),
            ("write-baseline = 'x'", "or set S2SPEC_WRITE_BASELINE"),
        ] {
            let text = format!("format = 1\n[targets]\nstaging = 'a.toml'\n[options]\n{line}\n");
            let wrong = read(&text).unwrap_err();
            assert!(wrong.contains("s2spec.toml:5:"), "{wrong}");
            assert!(wrong.contains(help), "{help}: {wrong}");
        }
    }

    #[test]
    fn every_mistake_is_shown_with_its_place() {
        let wrong = read(
            "format = 1\nother = 1\n[options]\ntarg = 'x'\nstrict = 'yes'\nskip = [1, true]\nfailed = true\n\
             [targets]\nstaging = 7\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(wrong);
    }
}
