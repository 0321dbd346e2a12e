//! `s2spec diff`: what differs between two reports.

use std::path::PathBuf;

use super::words::words;
use super::{output, saved_file};
use crate::error::{CliError, Exit};
use crate::report::diff::{Change, Diff, to_html, to_markdown, to_text};

/// Arguments of `diff`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The report to start from, in JSON as `run` leaves it
    before: PathBuf,

    /// The report to compare with it: of another version, or of another server
    after: PathBuf,

    /// How to print the differences
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// End with 1 where there are changes of this kind; repeat it for several
    #[arg(long, value_name = "CHANGE", value_delimiter = ',', value_parser = words::<Change>(), default_value = "new-failure")]
    fail_on: Vec<Change>,
}

/// How to print differences.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Format {
    /// For a terminal.
    #[default]
    Text,
    /// For a comment or a job's summary.
    Markdown,
    /// A page of its own.
    Html,
}

/// Prints the differences.
pub(super) fn command(args: &Args) -> Result<Exit, CliError> {
    let before = saved_file::report(&args.before)?;
    let after = saved_file::report(&args.after)?;
    let diff = Diff::of(&before, &after);
    match args.format {
        Format::Text => output::show(to_text(&diff, output::width()))?,
        Format::Markdown => output::print(&to_markdown(&diff))?,
        Format::Html => output::print(&to_html(&diff))?,
    }
    for (saved, file) in [(&before, &args.before), (&after, &args.after)] {
        if saved.partial {
            output::note(&format!("{} is partial", file.display()));
        }
    }
    Ok(match diff.has(&args.fail_on) {
        true => Exit::Unexpected,
        false => Exit::Expected,
    })
}
