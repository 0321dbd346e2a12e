//! `s2spec report`: writes the other forms of a report again.

use std::path::PathBuf;

use super::error::{CliError, Exit};
use super::{out, saved_file};

/// Arguments of `report`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// A report in JSON, as `run` leaves it
    file: PathBuf,

    #[command(flatten)]
    out: out::Where,
}

/// Reads the report and writes it in all forms.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let (_, text) = saved_file::report_text(&args.file)?;
    if let Some(out) = args.out.open()? {
        out.write(&text)?;
    }
    Ok(Exit::Expected)
}
