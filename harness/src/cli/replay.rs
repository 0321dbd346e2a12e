//! `s2spec replay`: runs the case of a bundle again and compares.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use tokio::sync::{Semaphore, mpsc, watch};

use super::following::Following;
use super::run::WIND_DOWN;
use super::target::{Chosen, Tested};
use super::{logging, output, saved_file};
use crate::baseline::BaselineCheck;
use crate::bundle::{Bundle, Difference, End};
use crate::case::{Case, MAIN};
use crate::console::paragraph;
use crate::console::words::counted;
use crate::error::{CliError, Exit};
use crate::oracle::Profile;
use crate::record::{CaseResult, Run};
use crate::report::{Progress, Report};
use crate::runner::{self, Deadlines, Plan, SLOTS};
use crate::subject::Target;
use crate::transcript::printable;

/// The largest bundle that is read.
const LARGEST: u64 = 1 << 26;
/// The number of events waiting.
const EVENTS: usize = 16;

/// Arguments of `replay`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A bundle, as `run` leaves it for each failing case
    file: PathBuf,

    #[arg(
        short,
        long,
        value_name = "TARGET",
        help = format!("The server to run it on: {} [default: that of the bundle, if it is built in]", Chosen::forms())
    )]
    target: Option<Chosen>,

    /// Allow targets and name servers on other machines; targets receive broken and hostile streams
    #[arg(long, env = "S2SPEC_ALLOW_REMOTE", value_parser = FalseyValueParser::new())]
    allow_remote: bool,
}

/// Runs it.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    logging::start("off");
    let file = args.file.display();
    let bundle = saved(&args.file)?;
    let case = bundle
        .case()
        .map_err(|e| CliError::Usage(format!("{file} cannot be run: {e}")))?;
    let tested = Tested {
        target: chosen(args.target.as_ref(), &bundle)?,
        allow_remote: args.allow_remote,
    };
    let (target, _) = tested.read()?.open(profile(&bundle))?;
    let name = target.name();
    let result = again(&bundle, case, target)?;
    output::show(text(&bundle, &name, &result, output::width()))?;
    Ok(match bundle.differs(&result) {
        None => Exit::Expected,
        Some(_) => Exit::Unexpected,
    })
}

fn saved(file: &Path) -> Result<Bundle, CliError> {
    let text = saved_file::read(file, LARGEST, "a bundle")?;
    let no_bundle =
        |why: String| CliError::Usage(format!("{} is no bundle: {why}", file.display()));
    if let Some(why) = saved_file::other_kind(&text, saved_file::Kind::Bundle) {
        return Err(no_bundle(why));
    }
    Bundle::read(&text).map_err(|e| no_bundle(e.to_string()))
}

/// The target that was asked for, or else that of the bundle. A bundle never names a target file: its
/// commands would be run.
fn chosen(asked: Option<&Chosen>, bundle: &Bundle) -> Result<Chosen, CliError> {
    if let Some(asked) = asked {
        return Ok(asked.clone());
    }
    let built_in = bundle.target.built_in.as_deref();
    match built_in.map(str::parse) {
        Some(Ok(Chosen::File(_))) | Some(Err(_)) | None => Err(CliError::Usage(format!(
            "the bundle is of {}, which is not built in: --target says on which server to run it",
            printable(&bundle.target.name)
        ))),
        Some(Ok(built_in)) => Ok(built_in),
    }
}

fn profile(bundle: &Bundle) -> Profile {
    Profile {
        mode: bundle.options.mode,
        strict_certificates: bundle.options.strict_certificates,
    }
}

/// Runs the case alone, without its control: what it proves was judged when it was run first.
fn again(bundle: &Bundle, case: Case, target: Arc<dyn Target>) -> Result<CaseResult, CliError> {
    let profile = profile(bundle);
    let cases = [case];
    let mut jobs = runner::jobs(&cases, &cases, target.as_ref(), profile);
    for job in &mut jobs {
        job.control = None;
    }
    let plan = Plan {
        jobs,
        target,
        profile,
        deadlines: Deadlines::within(Duration::from_secs_f64(bundle.options.timeout)),
        doubts: true,
        asks_again: false,
        budget: None,
        slots: Arc::new(Semaphore::new(SLOTS)),
        seed: bundle.seed,
        keep_events: true,
        keeps: None,
        check: Arc::new(BaselineCheck::none()),
        prove: false,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| CliError::environment("cannot start threads", e))?;
    let mut following = Following {
        progress: Progress::new(false, output::charset()),
        events: None,
        max_fail: None,
        bundles: None,
    };
    let report = runtime.block_on(async {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (interrupt, interrupted) = watch::channel(false);
        tokio::spawn(runner::run(plan, events, interrupted));
        following.follow(receiver, &interrupt).await
    });
    runtime.shutdown_timeout(WIND_DOWN);
    ran(report)
}

/// The result, if the case was run to its end.
fn ran(mut report: Report) -> Result<CaseResult, CliError> {
    let trouble = report.trouble.join("; ");
    let why = match report.records.pop_first() {
        None if report.interrupted => "it was interrupted".to_owned(),
        None => trouble,
        Some((_, record)) => match &record.result.run {
            Run::Ended { .. } => return Ok(record.result),
            Run::Unsupported(why) => format!("the target cannot run it: {why}"),
            Run::Failed(why) => why.clone(),
            Run::NotRun(why) => why.to_string(),
        },
    };
    Err(CliError::environment("not run", why))
}

/// What became of it, in words.
fn text(bundle: &Bundle, target: &str, result: &CaseResult, width: usize) -> String {
    let id = printable(&result.case.id);
    let Some(Difference { ends, parting }) = bundle.differs(result) else {
        let same = format!(
            "same: {id} on {target} {}, and so is the canonical transcript ({})",
            words(&bundle.end),
            counted(bundle.events(), "event")
        );
        return paragraph("", 0, &same, width);
    };
    let name = printable(&bundle.target.name);
    let different = format!("different: {id} on {target}, in the bundle on {name}");
    let mut text = paragraph("", 0, &different, width);
    if let Some([then, now]) = ends {
        text += &paragraph("  then it ", 10, &words(&then), width);
        text += &paragraph("  now it  ", 10, &words(&now), width);
    }
    match parting {
        Some((partner, (number, [then, now], _))) => {
            let of = match partner.as_str() {
                MAIN => String::new(),
                other => format!(" of {}", printable(other)),
            };
            let line = |line: Option<String>| match line {
                Some(line) => printable(&line),
                None => "(nothing more)".to_owned(),
            };
            text += &format!(
                "  the first event{of} that differs is number {number}:\n    then {}\n    now  {}\n",
                line(then),
                line(now)
            );
        }
        None => text += "  the canonical transcript is the same\n",
    }
    text
}

fn words(end: &End) -> String {
    let outcome = end.outcome.as_deref();
    let outcome = outcome.map(|outcome| format!("ended with `{}`", printable(outcome)));
    let weight = match end.weight.as_deref() {
        None => "nothing was wrong".to_owned(),
        Some(weight) => format!("the heaviest finding was `{}`", printable(weight)),
    };
    let faults = end.faults.iter().map(|fault| printable(fault));
    let faults: String = faults.map(|fault| format!(" ({fault})")).collect();
    match outcome {
        Some(outcome) => format!("{outcome}, {weight}{faults}"),
        None => format!("ended so that {weight}{faults}"),
    }
}

#[cfg(test)]
mod tests;
