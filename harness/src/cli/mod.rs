//! The command line: one file per subcommand.
//!
//! Results go to standard output, everything else to standard error. [`Exit`] documents the exit
//! codes.

mod cert;
mod check;
mod compare;
mod config;
mod coverage;
mod demands;
mod diff;
mod doctor;
mod dump;
mod expecting;
mod explain;
mod export;
mod following;
mod gateway;
mod init;
mod json_file;
mod judging;
mod keep;
mod learn;
mod list;
mod load;
mod logging;
mod merge;
mod new_files;
mod number;
mod origin;
mod out;
mod output;
mod personas;
mod predict;
mod proxy;
mod replay;
mod report;
mod requirement;
mod run;
mod saved_file;
mod schema;
mod select;
mod serve;
mod sheet;
mod shell;
mod signal;
mod target;
mod words;
mod worth;

use crate::subject::end_all;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use reference_proxy_admin::{Args as ProxyArgs, understood};

pub use crate::error::{CliError, Exit};
use crate::transcript::{printable, printable_lines};
pub use target::Chosen;

const AFTER_HELP: &str = "\
Exit codes:
  0  all as expected
  1  at least one unexpected result
  2  wrong usage, or a mistake in a file
  3  environment or harness error, interrupted, or undecided cases
  4  no case was selected, or the target supports none of them

Each option of `run` can also be set by a variable: --jobs by S2SPEC_JOBS
and so on, and most of them by a file s2spec.toml in this folder or above.
NO_COLOR, CLICOLOR_FORCE, CI and COLUMNS are respected; RUST_LOG shows logs.";

/// Conformance tests and partner simulator for XMPP server-to-server federation.
///
/// Without a command, runs every case against the embedded reference proxy.
#[derive(Debug, Parser)]
#[command(name = "s2spec", version = crate::VERSION, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    run: run::Options,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run cases and print the matrix (the default)
    Run(Box<run::Args>),
    /// List the ids of cases, one per line
    List(list::Args),
    /// Explain a case and its allowed outcomes, or a requirement
    Explain(explain::Args),
    /// Check scenarios and other files, and show every mistake
    Check(check::Args),
    /// Count the requirements that scenarios cover, by area and level
    Coverage(coverage::Args),
    /// Check whether a target can be tested: ports, certificate, trust, DNS, clock
    Doctor(doctor::Args),
    /// Run a simulated partner, to try your own server against it
    Serve(serve::Args),
    /// Put a load on a target: many partners, many stanzas, and what becomes of them
    Load(load::Args),
    /// Write the report of an earlier run again: HTML, JUnit and Markdown
    Report(report::Args),
    /// Run the case of a bundle again, and compare
    Replay(replay::Args),
    /// Show what differs between two reports
    Diff(diff::Args),
    /// Put the reports of parts of a run together
    Merge(merge::Args),
    /// Run several targets, and show them side by side
    Compare(compare::Args),
    /// List the personas
    Personas(personas::Args),
    /// Write a target file for your own server
    Init(init::Args),
    /// Say from the rules alone whether two sides will federate, and what would help
    Predict(predict::Args),
    /// Write a persona of a running server: what it offers and does
    Learn(learn::Args),
    /// Print the configuration that makes a real server one side of a case
    Export(export::Args),
    /// Issue a certificate for your server from the lab's authority
    Cert(cert::Args),
    /// Print a built-in scenario or persona, to start your own from
    Dump(dump::Args),
    /// Print a completion script for a shell
    Completions(shell::Completions),
    /// Print or write man pages
    Man(shell::Man),
    /// Run the embedded reference proxy alone, or administer it
    Proxy(ProxyArgs),
    /// Run the gateway between the proxy and local users, or talk through it
    Gateway(reference_gateway::command::Args),
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Color {
    /// On a terminal, unless the environment disables colors.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    fn apply(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::AlwaysAnsi,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let exit = from_arguments(std::env::args_os());
    // Here rather than in a command, because tests run several in one process.
    end_all();
    exit.into()
}

impl Cli {
    /// The command line of these arguments, with what `s2spec.toml` says.
    ///
    /// # Errors
    /// The outer one if that file has mistakes, the inner one if the arguments have.
    fn parsed(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Result<Self, clap::Error>, CliError> {
        let arguments: Vec<OsString> = understood(arguments).into_iter().collect();
        let mut command = Self::command();
        if config::is_for(&arguments) {
            command = config::Config::find(&command)?.apply(command);
        }
        let matches = command.try_get_matches_from_mut(&arguments);
        let parsed = matches.and_then(|matches| Self::from_arg_matches(&matches));
        Ok(parsed.map_err(|error| origin::named(error, &mut command, &arguments)))
    }
}

fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut texts = arguments.iter().map(|one| one.to_string_lossy());
    let gives_orders = texts.any(|text| printable(&text) != text);
    let cli = match Cli::parsed(arguments) {
        Ok(Ok(cli)) => cli,
        Ok(Err(error)) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Expected
            };
            // If the reader is gone, there is nothing left to say.
            if gives_orders {
                output::note(&printable_lines(&error.render().to_string()));
            } else {
                let _ = error.print();
            }
            return exit;
        }
        Err(error) => {
            output::error(&error);
            return error.exit();
        }
    };
    let result = match cli.command {
        None => run::command(&cli.run.into()),
        Some(Command::Run(args)) => run::command(&args),
        Some(Command::List(args)) => list::command(&args),
        Some(Command::Explain(args)) => explain::command(&args),
        Some(Command::Check(args)) => check::command(&args),
        Some(Command::Coverage(args)) => coverage::command(&args),
        Some(Command::Doctor(args)) => doctor::command(&args),
        Some(Command::Serve(args)) => serve::command(&args),
        Some(Command::Load(args)) => load::command(&args),
        Some(Command::Report(args)) => report::command(&args),
        Some(Command::Replay(args)) => replay::command(&args),
        Some(Command::Diff(args)) => diff::command(&args),
        Some(Command::Merge(args)) => merge::command(&args),
        Some(Command::Compare(args)) => compare::command(&args),
        Some(Command::Personas(args)) => personas::command(&args),
        Some(Command::Init(args)) => init::command(&args),
        Some(Command::Predict(args)) => predict::command(&args),
        Some(Command::Learn(args)) => learn::command(&args),
        Some(Command::Export(args)) => export::command(&args),
        Some(Command::Cert(args)) => cert::command(&args),
        Some(Command::Dump(args)) => dump::command(&args),
        Some(Command::Completions(args)) => shell::completions(&args),
        Some(Command::Man(args)) => shell::man(&args),
        Some(Command::Proxy(args)) => proxy::command(&args),
        Some(Command::Gateway(args)) => gateway::command(&args),
    };
    result.unwrap_or_else(|error| {
        output::error(&error);
        error.exit()
    })
}

#[cfg(test)]
mod tests;
