//! Defects put into the embedded proxy, and which of them the suite notices.
//!
//! `data/` has the defects. All of them are in one program, and a variable of the environment chooses
//! one.

mod build;
mod mutant;
mod page;
mod run;
mod weave;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io};

use clap::Parser;

use build::Profile;
use mutant::Mutant;
use run::{Noticed, Runner, by_tests};

/// Runs the suite against defects of the embedded proxy.
#[derive(Parser)]
struct Options {
    /// Ids of mutants, or globs [default: all that can be seen from outside or by a test].
    ids: Vec<String>,
    /// Only find out whether all mutants compile.
    #[arg(long)]
    check: bool,
    /// Use the program that an earlier run has built.
    #[arg(long)]
    no_build: bool,
    /// Read scenarios from this folder instead of the built-in ones.
    #[arg(long)]
    scenarios: Option<PathBuf>,
    /// Build and run the program with optimisations, to see how long a run takes.
    #[arg(long)]
    release: bool,
    /// Run all cases, not only those named for a mutant.
    #[arg(long)]
    all_cases: bool,
    /// Only run mutants that survived so far.
    #[arg(long)]
    survivors: bool,
    /// How many mutants run at a time.
    #[arg(short, long, default_value_t = 2)]
    jobs: usize,
    /// After this many seconds, a run is ended.
    #[arg(long, default_value_t = 300)]
    limit: u64,
    /// Write a page with the results of all runs so far.
    #[arg(long)]
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    match work(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is the command line")]
            {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn work(options: &Options) -> Result<(), Box<dyn Error>> {
    let mutants = mutant::load()?;
    if options.check {
        return Ok(build::check(&mutants)?);
    }
    let results = build::root().join("target/mutants/results.json");
    let mut verdicts = run::earlier(&results);
    let survived = |mutant: &&Mutant| {
        let verdict = verdicts.get(&mutant.id);
        !options.survivors || verdict.is_some_and(|verdict| verdict.noticed == Noticed::No)
    };
    let chosen = mutants.iter().filter(|mutant| {
        let mut ids = options.ids.iter();
        match options.ids.is_empty() {
            true => mutant.invisible.is_none() || !mutant.tests.is_empty(),
            false => ids.any(|id| fast_glob::glob_match(id, &mutant.id)),
        }
    });
    let chosen: Vec<&Mutant> = chosen.filter(survived).collect();
    let profile = match options.release {
        true => Profile::Release,
        false => Profile::Debug,
    };
    let program = match options.no_build {
        true => build::program(profile),
        false => build::build(&mutants, profile)?,
    };
    let (tested, seen): (Vec<&Mutant>, Vec<&Mutant>) = chosen
        .into_iter()
        .partition(|mutant| !mutant.tests.is_empty());
    let runner = Runner {
        program,
        scenarios: options.scenarios.clone(),
        all_cases: options.all_cases,
        limit: Duration::from_secs(options.limit),
    };
    let mut trouble: Result<(), io::Error> = Ok(());
    let mut take = |mutant: &Mutant, verdict| {
        #[expect(clippy::print_stdout, reason = "this is the command line")]
        {
            println!("{}", page::line(mutant, &verdict));
        }
        verdicts.insert(mutant.id.clone(), verdict);
        let text = serde_json::to_string_pretty(&verdicts).expect("verdicts become JSON");
        if let Err(error) = fs::write(&results, text) {
            trouble = Err(error);
        }
    };
    runner.run(&seen, options.jobs, &mut take)?;
    for mutant in tested {
        take(mutant, by_tests(mutant)?);
    }
    trouble?;
    if let Some(path) = &options.page {
        fs::write(path, page::page(&mutants, &verdicts))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_occurs_once_in_the_proxy() {
        let mutants = mutant::load().expect("the files are right");
        build::woven(&mutants).expect("each mutant fits");
    }

    #[test]
    fn each_mutant_has_cases_to_run() {
        for mutant in mutant::load().expect("the files are right") {
            let named = !mutant.cases().is_empty() || mutant.invisible.is_some();
            assert!(named, "{}: nothing would run", mutant.id);
            let told = mutant.tests.is_empty() || mutant.invisible.is_some();
            assert!(told, "{}: why does no case show it?", mutant.id);
        }
    }
}
