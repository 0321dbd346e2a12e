//! Files of earlier runs, and lists of ids: read as a whole, with a bound.

use std::path::Path;

use crate::error::CliError;
use crate::report::Saved;

/// The largest report that is read.
const LARGEST_REPORT: u64 = 1 << 30;

/// The text of a file.
///
/// # Errors
/// When it cannot be read, is larger than the bound in bytes, or is no text.
pub(super) fn read(file: &Path, bound: u64, what: &str) -> Result<String, CliError> {
    let name = file.display();
    let unreadable = |e| CliError::environment(format!("cannot read {name}"), e);
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > bound {
        return Err(CliError::Usage(format!(
            "{name} is larger than {what} can be ({size} bytes)"
        )));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| CliError::Usage(format!("{name} is not UTF-8")))
}

/// A report.
///
/// # Errors
/// As [`read`], and when it is no report.
pub(super) fn report(file: &Path) -> Result<Saved, CliError> {
    let text = read(file, LARGEST_REPORT, "a report")?;
    parsed(file, &text)
}

/// A report, and its text.
///
/// # Errors
/// As [`report`].
pub(super) fn report_text(file: &Path) -> Result<(Saved, String), CliError> {
    let text = read(file, LARGEST_REPORT, "a report")?;
    parsed(file, &text).map(|saved| (saved, text))
}

fn parsed(file: &Path, text: &str) -> Result<Saved, CliError> {
    Saved::read(text).map_err(|e| CliError::Usage(format!("{} is no report: {e}", file.display())))
}
