//! `s2spec merge`: one report of several.

use std::path::PathBuf;

use serde_json::Value;

use super::json_file::JsonFile;
use super::report::{bring, say_missing, with_bundle, without};
use super::{out, output, saved_file};
use crate::error::{CliError, Exit};
use crate::report::{Saved, merge};

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
    let mut saved: Vec<Saved> = Vec::new();
    for file in &args.files {
        let (part, text) = saved_file::report_text(file)?;
        let value = serde_json::from_str(&text);
        parts.push(value.map_err(|e| CliError::environment("cannot read a report again", e))?);
        saved.push(part);
    }
    let whole = merge::merge(&parts).map_err(|(at, why)| {
        let file = args.files[at].display();
        CliError::Usage(format!("{file} is no part of the same run: {why}"))
    })?;
    let json = args.json.as_deref().map(JsonFile::open).transpose()?;
    let out = args.out.open()?;
    let mut missing = Vec::new();
    for (part, file) in saved.iter().zip(&args.files) {
        missing.extend(match &out {
            Some(out) => bring(part, file, out.folder())?,
            None => with_bundle(part),
        });
    }
    let text = without(&output::json(&whole)?, &missing)?;
    if let Some(json) = json {
        json.write(&text)?;
    }
    match out {
        Some(out) => {
            out.write(&text)?;
            say_missing(&missing, "the reports");
        }
        None if missing.is_empty() => {}
        None => output::note(
            "the bundles stay beside the parts, and the whole names none: without --no-out they come along",
        ),
    }
    Ok(Exit::Expected)
}
