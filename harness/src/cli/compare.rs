//! `s2spec compare`: several targets side by side.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Cli, Command, output, run, saved_file};
use crate::error::{CliError, Exit};
use crate::report::{Saved, to_comparison};

/// Arguments of `compare`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Targets as for `run --target`, or reports of earlier runs in JSON
    #[arg(required = true, num_args = 2.., value_name = "TARGET")]
    targets: Vec<String>,

    /// Folder for the page, `compare.html`, and for the report of each target
    #[arg(long, value_name = "DIR", default_value = "s2spec-compare")]
    out: PathBuf,

    /// What to run, and how: words and options of `run`
    #[arg(last = true, value_name = "ARGUMENT OF run")]
    run: Vec<OsString>,
}

/// Runs the targets one after the other and writes the page.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let mut reports = Vec::new();
    for (at, target) in args.targets.iter().enumerate() {
        let file = match target.ends_with(".json") {
            true => PathBuf::from(target),
            false => args.out.join(folder(at, target)).join("report.json"),
        };
        let out = file.parent().unwrap_or(&args.out);
        if !target.ends_with(".json") && !one(target, out, &args.run)? {
            return Ok(Exit::Expected);
        }
        reports.push(saved_file::report(&file)?);
    }
    write(&args.out, &reports)?;
    Ok(Exit::Expected)
}

/// A name for the folder of a target's report.
fn folder(at: usize, target: &str) -> String {
    let name = Path::new(target).file_stem().unwrap_or_default();
    format!("{}-{}", at + 1, name.to_string_lossy())
}

/// Runs one target, unless it was only asked how. That cases fail is what is to be compared.
fn one(target: &str, out: &Path, more: &[OsString]) -> Result<bool, CliError> {
    let ours = ["s2spec", "run", "--target", target, "--out"];
    let words = ours.map(OsString::from).into_iter();
    let words = words.chain([out.into()]).chain(more.iter().cloned());
    let cli = match Cli::parsed(words)? {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => {
            output::print(&help.to_string())?;
            return Ok(false);
        }
        Err(wrong) => return Err(CliError::Usage(wrong.to_string())),
    };
    let Some(Command::Run(args)) = cli.command else {
        return Err(CliError::Usage(
            "only arguments of `run` follow `--`".to_owned(),
        ));
    };
    output::note(&format!("{target}:"));
    run::command(&args).map(|_| true)
}

fn write(out: &Path, reports: &[Saved]) -> Result<(), CliError> {
    let page = out.join("compare.html");
    let failed = |e| CliError::environment(format!("cannot write {}", page.display()), e);
    fs::create_dir_all(out).map_err(failed)?;
    fs::write(&page, to_comparison(reports)).map_err(failed)?;
    output::note(&format!("comparison: {}", page.display()));
    Ok(())
}
