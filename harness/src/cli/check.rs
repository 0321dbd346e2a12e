//! `s2spec check`.

use std::path::PathBuf;

use super::error::{CliError, Exit};
use super::{output, select};
use crate::scenario::{Library, schema};

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario files, or folders with scenario files
    #[arg(value_name = "PATH", default_value = "scenarios")]
    paths: Vec<PathBuf>,

    /// Print the JSON schema of scenario files, for editors
    #[arg(long, conflicts_with = "paths")]
    schema: bool,
}

pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    if args.schema {
        output::print(&schema())?;
        return Ok(Exit::Expected);
    }
    let (mut files, mut cases) = (0, 0);
    let mut wrong = Vec::new();
    for path in &args.paths {
        match Library::load(path) {
            Ok(library) if library.is_empty() => return Err(select::nothing_below(path)),
            Ok(library) => {
                files += library.len();
                cases += library.cases().len();
            }
            // The mistakes in the other files are reported too.
            Err(errors) => wrong.extend(errors),
        }
    }
    if !wrong.is_empty() {
        return Err(CliError::Files(wrong));
    }
    output::print(&format!(
        "{files} scenario{} with {cases} cases: no mistakes\n",
        if files == 1 { "" } else { "s" }
    ))?;
    Ok(Exit::Expected)
}
