//! `s2spec report`: writes the other forms of a report again.

use std::path::PathBuf;

use super::error::{CliError, Exit};
use super::out;
use crate::report::Saved;

/// The largest report that is read.
const LARGEST: u64 = 1 << 30;

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
    let name = args.file.display();
    let unreadable = |e| CliError::environment(format!("cannot read {name}"), e);
    let size = std::fs::metadata(&args.file).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(CliError::Usage(format!(
            "{name} is larger than a report can be ({size} bytes)"
        )));
    }
    let text = std::fs::read_to_string(&args.file).map_err(unreadable)?;
    Saved::read(&text).map_err(|e| CliError::Usage(format!("{name} is no report: {e}")))?;
    if let Some(out) = args.out.open()? {
        out.write(&text)?;
    }
    Ok(Exit::Expected)
}
