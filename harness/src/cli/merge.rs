//! `s2spec merge`: one report of several.

use std::path::PathBuf;

use serde_json::Value;

use super::json_file::JsonFile;
use super::{out, output, saved_file};
use crate::error::{CliError, Exit};
use crate::report::merge;

/// Arguments of `merge`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Reports in JSON, of the parts of one run (`run --shard`)
    #[arg(required = true, num_args = 1..)]
    files: Vec<PathBuf>,

    /// Also write the whole report as JSON; `-` prints it
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(flatten)]
    out: out::Where,
}

/// Reads the reports and writes the whole in all forms.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let mut parts: Vec<Value> = Vec::new();
    for file in &args.files {
        let (_, text) = saved_file::report_text(file)?;
        let value = serde_json::from_str(&text);
        parts.push(value.map_err(|e| CliError::environment("cannot read a report again", e))?);
    }
    let whole = merge::merge(&parts).map_err(|error| CliError::Usage(error.to_string()))?;
    let text = output::json(&whole)?;
    if let Some(json) = &args.json {
        JsonFile::open(json)?.write(&text)?;
    }
    if let Some(out) = args.out.open()? {
        out.write(&text)?;
    }
    Ok(Exit::Expected)
}
