//! `s2spec compare`: several targets side by side.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{Cli, Command, new_files, output, run, saved_file};
use crate::error::{CliError, Exit};
use crate::report::{Compared, to_comparison};

/// Arguments of `compare`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Targets as for `run --target`, or reports of earlier runs in JSON
    #[arg(required = true, num_args = 2.., value_name = "TARGET")]
    targets: Vec<String>,

    /// Folder for the page, `compare.html`, and for the report of each target
    #[arg(short, long, value_name = "DIR", default_value = "s2spec-compare")]
    out: PathBuf,

    /// What to run, and how: words and options of `run`
    #[arg(last = true, value_name = "ARGUMENT OF run")]
    run: Vec<OsString>,
}

/// Where the report of a target comes from.
enum Side {
    /// An earlier run.
    Saved(Box<Compared>),
    /// A run that leaves it in this file.
    Run(Box<run::Args>, PathBuf),
}

/// Runs the targets one after the other and writes the page.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let mut sides = Vec::new();
    for (at, target) in args.targets.iter().enumerate() {
        match side(args, at, target)? {
            Some(side) => sides.push(side),
            None => return Ok(Exit::Expected),
        }
    }
    let runs = sides.iter().any(|side| matches!(side, Side::Run(..)));
    if !args.run.is_empty() && !runs {
        return Err(CliError::Usage(
            "what follows `--` is for targets that are run, and all of these are reports"
                .to_owned(),
        ));
    }
    new_files::folder(&args.out)?;
    let mut reports = Vec::new();
    for (target, side) in args.targets.iter().zip(sides) {
        reports.push(match side {
            Side::Saved(saved) => *saved,
            Side::Run(run, file) => {
                output::note(&format!("{target}:"));
                // That cases fail is what is to be compared.
                run::command(&run)?;
                let saved = saved_file::report(&file)?;
                let page = file.strip_prefix(&args.out).unwrap_or(&file);
                let page = Some(link(&page.with_extension("html")));
                Compared { saved, page }
            }
        });
    }
    write(&args.out, &reports)?;
    Ok(Exit::Expected)
}

/// What is compared by a word, with all files read before anything is run; `None` if help was asked for.
fn side(args: &Args, at: usize, target: &str) -> Result<Option<Side>, CliError> {
    if target.ends_with(".json") {
        let saved = saved_file::report(target.as_ref())?;
        let page = Path::new(target).with_extension("html");
        let page = from_folder(&args.out, &page).map(|page| link(&page));
        return Ok(Some(Side::Saved(Box::new(Compared { saved, page }))));
    }
    let out = args.out.join(folder(at, target));
    let run = parsed(target, &out, &args.run)?;
    let Some(run) = run else { return Ok(None) };
    run.examine()?;
    let file = out.join("report.json");
    Ok(Some(Side::Run(Box::new(run), file)))
}

/// The path of a file that is there, from a folder that may not be there yet.
fn from_folder(folder: &Path, file: &Path) -> Option<PathBuf> {
    let file = fs::canonicalize(file).ok()?;
    let folder = std::path::absolute(folder).ok()?;
    let folder = fs::canonicalize(&folder).unwrap_or(folder);
    let (folder, file): (Vec<_>, Vec<_>) =
        (folder.components().collect(), file.components().collect());
    let shared = folder.iter().zip(&file).take_while(|(a, b)| a == b).count();
    let up = folder[shared..].iter().map(|_| Component::ParentDir);
    Some(up.chain(file[shared..].iter().copied()).collect())
}

/// A path as a link.
fn link(path: &Path) -> String {
    let path = path.to_string_lossy();
    let encoded = path.replace('%', "%25").replace('#', "%23");
    encoded.replace('?', "%3F").replace(' ', "%20")
}

/// A name for the folder of a target's report.
fn folder(at: usize, target: &str) -> String {
    let name = Path::new(target).file_stem().unwrap_or_default();
    format!("{}-{}", at + 1, name.to_string_lossy())
}

/// The arguments for the run of one target; `None` if help was asked for, which is printed.
fn parsed(target: &str, out: &Path, more: &[OsString]) -> Result<Option<run::Args>, CliError> {
    let ours = ["s2spec", "run", "--target", target, "--out"];
    let words = ours.map(OsString::from).into_iter();
    let words = words.chain([out.into()]).chain(more.iter().cloned());
    let cli = match Cli::parsed(words)? {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => {
            output::print(&help.to_string())?;
            return Ok(None);
        }
        Err(wrong) => {
            let text = wrong.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            return Err(CliError::Usage(text.trim_end().to_owned()));
        }
    };
    match cli.command {
        Some(Command::Run(args)) => Ok(Some(*args)),
        _ => Err(CliError::Usage(
            "only arguments of `run` follow `--`".to_owned(),
        )),
    }
}

fn write(out: &Path, reports: &[Compared]) -> Result<(), CliError> {
    let page = out.join("compare.html");
    fs::write(&page, to_comparison(reports))
        .map_err(|e| CliError::environment(format!("cannot write {}", page.display()), e))?;
    output::note(&format!("comparison: {}", page.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_linked_from_the_folder_of_the_page() {
        let place = tempfile::tempdir().expect("a folder");
        let page = place.path().join("old one/report.html");
        fs::create_dir_all(page.parent().expect("it has one")).expect("it is made");
        fs::write(&page, "").expect("it is written");
        let out = place.path().join("new/compared");
        fs::create_dir_all(&out).expect("it is made");
        let found = from_folder(&out, &page).expect("it is there");
        assert_eq!(link(&found), "../../old%20one/report.html");
        assert_eq!(from_folder(&out, &place.path().join("no.html")), None);
    }
}
