//! Terminal output: its width, its character set, and readers that go away.

use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use super::error::CliError;
use crate::report::Charset;

/// The width if unknown: a file, a pipe, a CI log.
const DEFAULT_WIDTH: usize = 100;
/// A narrower table cannot be read, and neither can longer lines.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=200;

/// Writes to standard output. A reader that went away (`| head`) is not an error: the rest is dropped.
///
/// # Errors
/// When the output cannot be written for another reason, such as a full disk.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = anstream::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|e| CliError::environment("cannot write to standard output", e)),
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

/// Prints a remark to standard error. If that is closed, it is dropped.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints a question to standard error, which is answered in the same line.
pub(super) fn ask(question: &str) {
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
}

/// The width to use: `COLUMNS` if set, else the terminal's, else a default for files.
pub(crate) fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|v| v.parse().ok());
    let width = asked.or_else(|| {
        terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
    });
    width
        .unwrap_or(DEFAULT_WIDTH)
        .clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// The character set of the locale. Without a locale (containers, CI), UTF-8 is the safer guess.
pub(crate) fn charset() -> Charset {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    charset_of(locale.as_deref())
}

fn charset_of(locale: Option<&str>) -> Charset {
    match locale {
        None => Charset::Unicode,
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            if locale.contains("utf-8") || locale.contains("utf8") {
                Charset::Unicode
            } else {
                Charset::Ascii
            }
        }
    }
}

/// A path quoted for a shell.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_locale_without_utf_8_means_ascii() {
        assert_eq!(charset_of(None), Charset::Unicode);
        assert_eq!(charset_of(Some("de_DE.UTF-8")), Charset::Unicode);
        assert_eq!(charset_of(Some("C.utf8")), Charset::Unicode);
        assert_eq!(charset_of(Some("C")), Charset::Ascii);
        assert_eq!(charset_of(Some("de_DE@euro")), Charset::Ascii);
    }
}
