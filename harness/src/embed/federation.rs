//! Runs a selection of cases as tests.

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use simulated_partners::persona::Persona;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};

use super::subject::Subject;
use super::trial::{Bench, Rerun};
use crate::baseline::BaselineCheck;
use crate::case::{Case, Set, Tag};
use crate::console::terminal;
use crate::error::{CliError, Exit};
use crate::matrix::{self, Selection, SelectionError};
use crate::oracle::Profile;
use crate::policy::PolicyNumber;
use crate::requirement::Registry;
use crate::runner::{self, Deadlines, Plan, SLOTS};
use crate::subject::{self, Placement, Target};
use crate::suite::{Files, Policies, Suite};

/// The exit status of a program ended by SIGINT, as a shell reports it: 128 plus the signal.
const INTERRUPTED: u8 = 130;
/// The maximum number of results waiting to be delivered.
const EVENTS: usize = 64;

/// Federation tests of a server, one per case.
///
/// Without [`Federation::cases`], these are all cases.
pub struct Federation {
    subject: Subject,
    patterns: Vec<String>,
    tags: Vec<Tag>,
    left_out: Vec<String>,
    files: Files,
    personas: Vec<Persona>,
    policies: Option<String>,
    profile: Profile,
    seed: u64,
    timeout: Duration,
}

/// Creates tests of a target: a value that implements [`InProcess`](super::InProcess), or any other
/// [`Subject`].
pub fn federation(target: impl Into<Subject>) -> Federation {
    Federation {
        subject: target.into(),
        patterns: Vec::new(),
        tags: Vec::new(),
        left_out: Vec::new(),
        files: Files::default(),
        personas: Vec::new(),
        policies: None,
        profile: Profile::default(),
        seed: 1,
        timeout: Duration::from_secs(10),
    }
}

impl Federation {
    /// Adds cases by id, prefix of an id, or glob (`policies`, `personas/row07/**`, `**/inbound`),
    /// or by a requirement or known bug that they judge (`TLS-06`, `B05`).
    #[must_use]
    pub fn cases(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Keeps only cases with this tag, or with one of several.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.tags.push(tag);
        self
    }

    /// Excludes selected cases, with the same syntax.
    #[must_use]
    pub fn without(mut self, pattern: impl Into<String>) -> Self {
        self.left_out.push(pattern.into());
        self
    }

    /// Reads scenarios from this folder or file instead of the built-in ones, as `--scenarios` does.
    #[must_use]
    pub fn scenarios(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.scenarios = Some(path.into());
        self
    }

    /// Also reads requirements from this folder or file, as `--requirements` does.
    #[must_use]
    pub fn requirements(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = self.files.with_requirements(path.into());
        self
    }

    /// Also reads personas from this folder or file, as `--personas` does. Scenarios may name them.
    #[must_use]
    pub fn personas(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = self.files.with_personas(&[path.into()]);
        self
    }

    /// Adds a persona that no file has to the matrix.
    #[must_use]
    pub fn persona(mut self, persona: Persona) -> Self {
        self.personas.push(persona);
        self
    }

    /// Runs scenarios in these policies, such as `7` or `7,13`, or in `all` valid ones, as `s2spec run
    /// --policy` does. By default they run in the policies of the target file, or else in those that each
    /// is written for.
    #[must_use]
    pub fn policies(mut self, policies: impl Into<String>) -> Self {
        self.policies = Some(policies.into());
        self
    }

    /// How to interpret the target's policies: whether required SASL leaves room for dialback, and
    /// whether the target refuses bad certificates in the handshake.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Seed of stream ids, dialback secrets and certificate serials; 1 by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Time limit of a case; ten seconds by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the tests selected by the program's arguments, which are those of every Rust test, and
    /// stops everything that was started. Return its result from `main`.
    #[must_use = "the exit code tells cargo whether tests failed"]
    pub fn run(self) -> ExitCode {
        let code = self.run_with(&Arguments::from_args());
        subject::end_all();
        code
    }

    /// [`run`](Federation::run) with these arguments. The first is the program's name.
    #[must_use = "the exit code tells cargo whether tests failed"]
    pub fn run_from<A>(self, arguments: impl IntoIterator<Item = A>) -> ExitCode
    where
        A: Into<OsString> + Clone,
    {
        self.run_with(&Arguments::from_iter(arguments))
    }

    fn run_with(self, arguments: &Arguments) -> ExitCode {
        match self.try_run(arguments) {
            Ok(code) => code,
            Err((exit, why)) => {
                terminal::note(&why);
                exit.into()
            }
        }
    }

    fn try_run(self, arguments: &Arguments) -> Result<ExitCode, (Exit, String)> {
        let suite = self.files.read().map_err(|error| unread(&error))?;
        let suite = suite.in_policies(self.rows()?);
        let mut all = suite.all();
        all.extend(matrix::cases_of(Set::Personas, &self.personas));
        let selected = self.selected(&all, &suite)?;
        let target = self.subject.target.clone()?;
        let bench = Bench::new(self.rerun());
        let trials: Vec<Trial> = selected
            .iter()
            .map(|case| trial(case, target.as_ref(), &bench, arguments))
            .collect();
        let wanted: Vec<Case> = selected
            .iter()
            .zip(&trials)
            .filter(|(_, trial)| !arguments.is_filtered_out(trial) && !arguments.is_ignored(trial))
            .map(|(case, _)| (*case).clone())
            .collect();
        if arguments.list || wanted.is_empty() {
            return Ok(libtest_mimic::run(arguments, trials).exit_code());
        }
        let mut arguments = arguments.clone();
        let threads = arguments.test_threads.unwrap_or_else(threads).max(1);
        arguments.test_threads = Some(threads);
        let plan = Plan {
            jobs: runner::jobs(&all, &wanted, target.as_ref(), self.profile),
            target,
            profile: self.profile,
            deadlines: Deadlines::within(self.timeout),
            doubts: true,
            asks_again: true,
            budget: None,
            slots: Arc::new(Semaphore::new(threads)),
            seed: self.seed,
            keep_events: false,
            keeps: None,
            check: Arc::new(BaselineCheck::none()),
            prove: false,
        };
        drop(all);
        let _turn = self.subject.turn().map_err(|error| {
            let why = format!("cannot wait for other tests of the same server: {error}");
            failed(Exit::Environment, &why)
        })?;
        let runtime = runtime().map_err(|error| {
            let why = format!("cannot start threads: {error}");
            failed(Exit::Environment, &why)
        })?;
        Ok(tested(&runtime, plan, &bench, &wanted, &arguments, trials))
    }

    fn selected<'a>(
        &self,
        all: &'a [Case],
        suite: &Suite,
    ) -> Result<Vec<&'a Case>, (Exit, String)> {
        let registry: &Registry = &suite.catalogue.registry;
        let mut selected = Selection::new(&self.patterns, registry)
            .and_then(|selection| selection.tagged(&self.tags).select(all))
            .map_err(|error| unselected(&error))?;
        if !self.left_out.is_empty() {
            let left_out =
                Selection::new(&self.left_out, registry).map_err(|error| unselected(&error))?;
            // A pattern that matches nothing is an error here, too.
            left_out.select(all).map_err(|error| unselected(&error))?;
            selected.retain(|case| !left_out.contains(case));
        }
        if selected.is_empty() {
            let why = "every selected case is excluded again";
            return Err(failed(Exit::NothingSelected, why));
        }
        Ok(selected)
    }

    /// The policies of scenarios.
    fn rows(&self) -> Result<Option<Vec<PolicyNumber>>, (Exit, String)> {
        let Some(text) = &self.policies else {
            return Ok(self.subject.policies.clone());
        };
        let asked: Result<Policies, _> = text.parse();
        match asked {
            Ok(Policies(rows)) => Ok(Some(rows)),
            Err(why) => Err(failed(Exit::Usage, &format!("policies {text:?}: {why}"))),
        }
    }

    fn rerun(&self) -> Rerun {
        match &self.subject.options {
            Some(options) => {
                let policies = self.policies.iter().map(|text| format!("--policy {text}"));
                let more = self.files.options().into_iter().chain(policies);
                Rerun::CommandLine(options.iter().cloned().chain(more).collect())
            }
            None => Rerun::Cargo(cargo_arguments()),
        }
    }
}

/// Runs a plan, and the tests that await its results.
fn tested(
    runtime: &Runtime,
    plan: Plan,
    bench: &Bench,
    wanted: &[Case],
    arguments: &Arguments,
    trials: Vec<Trial>,
) -> ExitCode {
    let results = bench.expect(wanted.iter().map(|case| case.id.as_str()));
    let (interrupt, interrupted) = watch::channel(false);
    let (events, receiver) = mpsc::channel(EVENTS);
    let watcher = runtime.spawn(break_off_on_signal(interrupt));
    let running = runtime.spawn(runner::run(plan, events, interrupted));
    let following = runtime.spawn(results.follow(receiver));
    let conclusion = libtest_mimic::run(arguments, trials);

    // All instances have stopped once these have ended.
    let ended = runtime.block_on(async { (running.await, following.await) });
    watcher.abort();
    let mut remarks = bench.remarks();
    for ended in [ended.0, ended.1] {
        if let Err(error) = ended {
            remarks.trouble.push(format!("a bug in s2spec: {error}"));
        }
    }
    for line in remarks.lines() {
        terminal::note(&line);
    }
    if conclusion.has_failed() {
        conclusion.exit_code()
    } else if remarks.interrupted {
        terminal::note("interrupted: tests without a result are shown as ignored");
        ExitCode::from(INTERRUPTED)
    } else if remarks.trouble.is_empty() {
        conclusion.exit_code()
    } else {
        Exit::Environment.into()
    }
}

/// The user's own files have mistakes.
fn unread(error: &CliError) -> (Exit, String) {
    (error.exit(), error.report(false))
}

fn unselected(error: &SelectionError) -> (Exit, String) {
    let exit = match error {
        SelectionError::Syntax { .. } => Exit::Usage,
        SelectionError::NoEntry(_)
        | SelectionError::Unknown { .. }
        | SelectionError::Untested { .. }
        | SelectionError::Untagged { .. }
        | SelectionError::NoLevel { .. }
        | SelectionError::AllSkipped => Exit::NothingSelected,
    };
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    failed(exit, &format!("{error}{}", cause.unwrap_or_default()))
}

/// A failure before there are results, as shown to the user.
fn failed(exit: Exit, why: &str) -> (Exit, String) {
    (exit, format!("error: {why}"))
}

/// A case as a test. A listing before the run marks unsupported cases with a flag,
/// and running them reports the reason.
fn trial(case: &Case, target: &dyn Target, bench: &Bench, arguments: &Arguments) -> Trial {
    let bench = bench.clone();
    let id = case.id.clone();
    let trial = Trial::ignorable_test(id.clone(), move || bench.run(&id));
    let by_flag = arguments.list || arguments.ignored;
    trial.with_ignored_flag(by_flag && matches!(target.place(case), Placement::Unsupported(_)))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// `RUST_TEST_THREADS`, else the command line's number of concurrent cases.
fn threads() -> usize {
    let asked = std::env::var("RUST_TEST_THREADS").ok();
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    asked
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| cores.saturating_mul(SLOTS))
}

/// Ctrl-C or a test runner's deadline: running cases end, no others begin, and instances are stopped
/// in order. A second signal does not wait for that.
async fn break_off_on_signal(interrupt: watch::Sender<bool>) {
    let (Ok(mut interrupted), Ok(mut terminated)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Then signals end the process at once, which is acceptable. The end of this task must
        // not count as an interrupt.
        return std::future::pending().await;
    };
    for first in [true, false] {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        if first {
            interrupt.send_replace(true);
        } else {
            abandon();
        }
    }
}

#[expect(
    clippy::exit,
    reason = "requested twice; nothing else ends running tests"
)]
fn abandon() {
    subject::end_all();
    std::process::exit(INTERRUPTED.into());
}

/// The arguments for cargo that run this test program: `-p my-server --test federation`.
fn cargo_arguments() -> String {
    let package = std::env::var("CARGO_PKG_NAME");
    let program = std::env::current_exe().ok();
    arguments_for(package.as_deref().ok(), program.as_deref())
}

fn arguments_for(package: Option<&str>, program: Option<&Path>) -> String {
    let mut arguments = Vec::new();
    arguments.extend(package.map(|package| format!("-p {package}")));
    let folder = program
        .and_then(Path::parent)
        .and_then(Path::file_name)
        .map(|folder| folder.to_string_lossy());
    let kind = match folder.as_deref() {
        Some("examples") => "--example",
        _ => "--test",
    };
    let stem = program
        .and_then(Path::file_stem)
        .map(|stem| stem.to_string_lossy());
    arguments.extend(stem.map(|stem| format!("{kind} {}", without_hash(&stem))));
    arguments.join(" ")
}

/// Cargo adds a hash to the names of test programs.
fn without_hash(stem: &str) -> &str {
    match stem.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            name
        }
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_run_a_test_again_names_package_and_program() {
        let program = Path::new("/t/debug/deps/federation-0123456789abcdef");
        assert_eq!(
            arguments_for(Some("my-server"), Some(program)),
            "-p my-server --test federation"
        );
        let program = Path::new("/t/debug/examples/my-tests");
        assert_eq!(arguments_for(None, Some(program)), "--example my-tests");
    }
}
