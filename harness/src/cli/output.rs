//! Results, errors and questions on the terminal, and readers that go away.

use std::io::{self, Write as _};

use serde::Serialize;

pub(super) use crate::console::terminal::{charset, note, shell_word, width};
use crate::error::CliError;

/// Writes to standard output. A reader that went away (`| head`) is not an error: the rest is dropped.
///
/// # Errors
/// When the output cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    is_read(text).map(drop)
}

/// The same, and whether the reader is still there.
///
/// # Errors
/// As [`print`].
pub(super) fn is_read(text: &str) -> Result<bool, CliError> {
    let mut stdout = anstream::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result
            .map(|()| true)
            .map_err(|e| CliError::environment("cannot write to standard output", e)),
    }
}

/// [`print`] with the characters that the terminal supports.
///
/// # Errors
/// As [`print`].
pub(super) fn show(text: String) -> Result<(), CliError> {
    print(&charset().fit(text))
}

/// A value as an indented JSON document, with the end of its last line.
///
/// # Errors
/// When it has no JSON form, which is a bug.
pub(super) fn json(value: &impl Serialize) -> Result<String, CliError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|e| CliError::environment("cannot write this as JSON", e))?;
    Ok(text + "\n")
}

/// Prints an error to standard error.
pub(super) fn error(error: &CliError) {
    note(&error.report(true));
}

/// Prints a question to standard error, which is answered in the same line.
pub(super) fn ask(question: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
}
