//! `s2spec run`, and `s2spec` alone.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ArgAction;
use clap::builder::FalseyValueParser;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};

use super::demands::Demands;
use super::expecting::Expecting;
use super::following::{EventFile, Following};
use super::json_file::JsonFile;
use super::judging::Judging;
use super::keep::{Keeping, circumstances};
use super::target::{Server, Tested};
use super::worth::Worth;
use super::{Color, logging, number, out, output, select};
use crate::bundle::Circumstances;
use crate::case::Case;
use crate::console::{Rerun, Transcript};
use crate::coverage::doubles;
use crate::doctor::{self, Depth, Preflight, PublicDns, WithPreflight};
use crate::error::{CliError, Exit};
use crate::record::RunEvent;
use crate::report::{self, Progress, View};
use crate::requirement::Registry;
use crate::runner::{self, Budget, Deadlines, Plan, Repetition, SLOTS};
use crate::scenario::{Catalogue, Doubled, Library};
use crate::subject;

/// The default time limit of a case.
const DEFAULT_TIMEOUT: &str = "10";
const DEFAULT_SEED: u64 = 1;
/// The maximum number of events waiting to be shown.
const EVENTS: usize = 64;
/// The maximum time that unfinished tasks may delay the report.
pub(super) const WIND_DOWN: Duration = Duration::from_secs(2);

/// Selects, runs, reports.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    run(args, START, output::print)
}

/// `print` receives the table.
fn run(
    args: &Args,
    start: Start,
    print: fn(&str) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    let options = &args.options;
    options.color.apply();
    logging::start("off");
    options.keeping.check()?;
    let server = options.tested.read()?;
    let (wanted, suite) = &args.wanted.read(&server.sources(&options.sources))?;
    let all = match options.expecting.needs_all() {
        true => suite.all(),
        false => wanted.parts(suite),
    };
    let cases = wanted.among(&all, &suite.catalogue.registry)?;
    let cases: Vec<Case> = cases.into_iter().cloned().collect();
    let known = match options.expecting.needs_all() {
        true => suite.with_own_policies(&all),
        false => Vec::new(),
    };
    let check = Arc::new(options.expecting.check(&known)?);
    let gains = match server.file() {
        Some(file) => Worth::of(file, wanted, suite, &cases),
        None => Worth::default(),
    };
    let new_baseline = options.expecting.open_new()?;
    if let Some(both) = options
        .json
        .as_ref()
        .filter(|json| options.events.as_ref() == Some(*json))
    {
        return Err(CliError::Usage(format!(
            "--json and --events both write to {}: each needs a place of its own",
            both.display()
        )));
    }
    let json = options.json.as_deref().map(JsonFile::open).transpose()?;
    let events = options.events.as_deref().map(EventFile::open).transpose()?;
    let out = options.out.open()?;
    let folder = out.as_ref().map(out::Out::folder);
    let keeps = options.keeping.keeps(folder);
    let kept = options.circumstances(&suite.catalogue)?;
    let jobs = match options.jobs {
        Some(jobs) => jobs,
        None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(jobs.get())
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    let (interrupt, interrupted) = watch::channel(false);
    let profile = options.judging.profile();
    let target = examined(options, server, &runtime)?;
    out.as_ref().map_or(Ok(()), out::Out::remove_bundles)?;
    let mut jobs_of_run = runner::jobs(&all, &cases, target.as_ref(), profile);
    match options.budget {
        Some(_) => runner::most_telling_first(&mut jobs_of_run),
        None => runner::waiting_first(&mut jobs_of_run),
    }
    let repetition = options.expecting.repetition();
    let plan = Plan {
        jobs: jobs_of_run,
        target,
        profile,
        deadlines: Deadlines::within(options.timeout),
        doubts: true,
        asks_again: repetition == Repetition::Once && options.max_fail().is_none(),
        budget: options.budget.map(Budget::from_now),
        slots: Arc::new(Semaphore::new(jobs.get().saturating_mul(SLOTS))),
        seed: options.seed,
        keep_events: options.transcripts || keeps.is_some_and(|keeps| keeps.passes),
        keeps,
        check: Arc::clone(&check),
        prove: options.prove,
    };
    let view = options.view();
    let mut following = Following {
        progress: Progress::new(!options.quiet, view.charset),
        events,
        max_fail: options.max_fail(),
        bundles: options.keeping.bundles(folder, kept, options.transcripts),
    };
    let mut report = runtime.block_on(async {
        let events = start(plan, repetition, interrupted);
        following.follow(events, &interrupt).await
    });
    report.unneeded = check.unneeded(&report.records, &known);
    report.rerun = options.rerun();
    let written = following.end(&mut report);
    // After a second interrupt, cases are still running: their tasks end here. Processes that they
    // started end with the program.
    runtime.shutdown_timeout(WIND_DOWN);

    let on_stdout = matches!(json, Some(JsonFile::Stdout)) || options.events_on_stdout();
    let more = gains.more(view.width);
    if !on_stdout {
        print(&(report::render(&report, &view) + &view.charset.fit(more)))?;
    }
    let text = match json.is_some() || out.is_some() || out::is_on_github() {
        true => report::to_json(&report)
            .map_err(|e| CliError::environment("cannot write the report as JSON", e))?,
        false => String::new(),
    };
    if let Some(json) = json {
        json.write(&text)?;
    }
    if options.prove {
        say_what_is_not_doubled(&cases);
    }
    if on_stdout {
        for trouble in &report.trouble {
            output::note(&format!("trouble: {trouble}"));
        }
    }
    let baseline = match new_baseline {
        Some(new) => new.write(&report, &check, &known),
        None => Ok(()),
    };
    if report.ran_nothing() {
        output::note("error: none of the selected cases was run");
    }
    let exit = options.demands.exit(&report);
    // The other forms are made from the text, and take as much memory again.
    drop((report, known, cases, all));
    match out {
        Some(out) => out.write(&text)?,
        None if out::is_on_github() => out::only_on_github(&text)?,
        None => {}
    }
    baseline?;
    written?;
    Ok(exit)
}

/// Says which of the scenarios no double is known to fail: that its expectations can fail one by one does
/// not show that a server with the defect meets none of them.
fn say_what_is_not_doubled(cases: &[Case]) {
    let run: BTreeSet<&str> = cases
        .iter()
        .filter_map(|case| Some(case.scenario()?.file.as_str()))
        .collect();
    let all = doubles(Library::builtin(), Registry::builtin());
    let lacking: Vec<&str> = all
        .into_iter()
        .filter(|(name, has)| *has != Doubled::Yes && run.contains(name))
        .map(|(name, _)| name)
        .collect();
    if !lacking.is_empty() {
        output::note(&format!(
            "no double is known to fail {} of these scenarios: {}",
            lacking.len(),
            lacking.join(", ")
        ));
    }
}

/// Starts the runner. Called inside a tokio runtime; the events end with [`RunEvent::Ended`].
type Start = fn(Plan, Repetition, watch::Receiver<bool>) -> mpsc::Receiver<RunEvent>;

/// The runner of this build.
const START: Start = |plan, repetition, interrupt| {
    let (events, receiver) = mpsc::channel(EVENTS);
    tokio::spawn(runner::repeat(plan, repetition, events, interrupt));
    receiver
};

/// Options of `run` and of `s2spec` alone.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    tested: Tested,

    /// Skip the preflight check of the target
    #[arg(long, env = "S2SPEC_NO_DOCTOR", value_parser = FalseyValueParser::new())]
    no_doctor: bool,

    /// Number of threads; each runs several cases at a time [default: one for each core]
    #[arg(short, long, value_name = "N", value_parser = number::threads, env = "S2SPEC_JOBS")]
    jobs: Option<NonZeroUsize>,

    /// Seed of stream ids, dialback secrets and certificate serials
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_SEED, value_parser = number::seed,
          env = "S2SPEC_SEED")]
    seed: u64,

    /// Also write the report as JSON; `-` prints it instead of the table
    #[arg(long, value_name = "FILE", env = "S2SPEC_JSON")]
    json: Option<PathBuf>,

    /// Also write each event of the run as a line of JSON while it goes; `-` prints them instead of the table
    #[arg(long, value_name = "FILE", env = "S2SPEC_EVENTS")]
    events: Option<PathBuf>,

    #[command(flatten)]
    out: out::Where,

    #[command(flatten)]
    keeping: Keeping,

    /// Stop after this many unexpected results; what is running is finished
    #[arg(long, value_name = "N", value_parser = number::at_least_one::<NonZeroUsize>, env = "S2SPEC_MAX_FAIL")]
    max_fail: Option<NonZeroUsize>,

    /// Stop after the first unexpected result: `--max-fail 1`
    #[arg(long, conflicts_with = "max_fail", env = "S2SPEC_FAIL_FAST", value_parser = FalseyValueParser::new())]
    fail_fast: bool,

    #[command(flatten)]
    demands: Demands,

    /// Time limit for each case
    #[arg(long, value_name = "SECONDS", default_value = DEFAULT_TIMEOUT,
          value_parser = number::timeout, env = "S2SPEC_TIMEOUT")]
    timeout: Duration,

    /// Time limit for the whole run, such as `90s` or `5m`; the cases that show the most come first
    #[arg(long, value_name = "DURATION", value_parser = number::budget, env = "S2SPEC_BUDGET")]
    budget: Option<Duration>,

    #[command(flatten)]
    sources: select::Sources,

    #[command(flatten)]
    judging: Judging,

    #[command(flatten)]
    expecting: Expecting,

    /// Print the transcript of every case
    #[arg(long, env = "S2SPEC_TRANSCRIPTS", value_parser = FalseyValueParser::new())]
    transcripts: bool,

    /// Prove that each expectation of a scenario can fail
    #[arg(long, env = "S2SPEC_PROVE", value_parser = FalseyValueParser::new())]
    prove: bool,

    /// When to use color
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        env = "S2SPEC_COLOR"
    )]
    color: Color,

    /// Print whole stanzas with their namespaces in transcripts, however long
    #[arg(long, env = "S2SPEC_FULL", value_parser = FalseyValueParser::new())]
    full: bool,

    /// Print every unexpected case in full; `-vv` also prints their whole transcripts
    #[arg(short, long, env = "S2SPEC_VERBOSE", action = ArgAction::Count, value_parser = verbosity)]
    verbose: u8,

    /// Print only what is unexpected, and the counts
    #[arg(short, long, conflicts_with = "verbose", env = "S2SPEC_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
}

/// Arguments of `run`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    wanted: select::Wanted,

    #[command(flatten)]
    options: Options,
}

impl From<Options> for Args {
    fn from(options: Options) -> Self {
        Self {
            wanted: select::Wanted::default(),
            options,
        }
    }
}

impl Args {
    /// Looks at the target and what is asked of it, before anything is run.
    ///
    /// # Errors
    /// As the run itself.
    pub(super) fn examine(&self) -> Result<(), CliError> {
        let options = &self.options;
        options.keeping.check()?;
        let server = options.tested.read()?;
        let (wanted, suite) = self.wanted.read(&server.sources(&options.sources))?;
        wanted.among(&wanted.parts(&suite), &suite.catalogue.registry)?;
        server.open(options.judging.profile()).map(drop)
    }
}

impl Options {
    /// The command to run a case of this run again.
    fn rerun(&self) -> Rerun {
        let mut options = Vec::new();
        if !self.tested.target.is_default() {
            let target = self.tested.target.to_string();
            options.push(format!("--target {}", output::shell_word(target.as_ref())));
        }
        if self.tested.allow_remote {
            options.push("--allow-remote".to_owned());
        }
        if self.no_doctor {
            options.push("--no-doctor".to_owned());
        }
        options.extend(self.sources.options());
        options.extend(self.judging.options());
        options.extend(self.expecting.options());
        if self.seed != DEFAULT_SEED {
            options.push(format!("--seed {}", self.seed));
        }
        if Ok(self.timeout) != number::timeout(DEFAULT_TIMEOUT) {
            options.push(format!("--timeout {}", self.timeout.as_secs_f64()));
        }
        Rerun { options }
    }

    fn view(&self) -> View {
        View {
            width: output::width(),
            charset: output::charset(),
            verbose: self.verbose > 0,
            quiet: self.quiet,
            transcripts: self.transcripts,
            transcript: match (self.full, self.transcripts || self.verbose > 1) {
                (true, _) => Transcript::Full,
                (false, true) => Transcript::Whole,
                (false, false) => Transcript::End,
            },
            rerun: self.rerun(),
        }
    }

    fn circumstances(&self, catalogue: &Catalogue) -> Result<Circumstances, CliError> {
        let profile = self.judging.profile();
        circumstances(&self.tested, profile, self.seed, self.timeout, catalogue)
    }

    fn max_fail(&self) -> Option<NonZeroUsize> {
        self.max_fail
            .or_else(|| self.fail_fast.then_some(NonZeroUsize::MIN))
    }

    fn events_on_stdout(&self) -> bool {
        self.events.as_deref() == Some(Path::new("-"))
    }
}

/// How often `-v` is given; variables may also say whether.
fn verbosity(text: &str) -> Result<u8, String> {
    match text {
        "" | "false" | "no" | "off" => Ok(0),
        "true" | "yes" | "on" => Ok(1),
        number => number.parse().map_err(|_| "expected 0, 1 or 2".to_owned()),
    }
}

/// The target of a run. The target of a file is examined first: at once if it must already be running, else
/// each time it has been started.
fn examined(
    options: &Options,
    server: Server,
    runtime: &Runtime,
) -> Result<Arc<dyn subject::Target>, CliError> {
    let profile = options.judging.profile();
    let has_file = server.file().is_some();
    let (target, extra) = server.open(profile)?;
    if options.no_doctor || !has_file {
        return Ok(target);
    }
    let patience = options.timeout / 2;
    if !extra.runs_already {
        return Ok(Arc::new(WithPreflight::new(
            target, extra, profile, patience,
        )));
    }
    let preflight = Preflight {
        row: None,
        profile,
        seed: options.seed,
        patience,
        depth: Depth::Quick,
        public_dns: PublicDns::System { remote: false },
        extra,
    };
    let diagnosis = runtime
        .block_on(doctor::preflight(target.as_ref(), &preflight))
        .map_err(|why| CliError::environment("not run", why))?;
    match diagnosis.blocking() {
        None => Ok(target),
        Some((check, finding)) => {
            let why = doctor::refusal(check, finding, &diagnosis.partners);
            Err(CliError::environment("not run", why))
        }
    }
}

#[cfg(test)]
mod tests;
