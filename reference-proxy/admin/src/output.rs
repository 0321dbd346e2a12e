//! What a command prints.

use std::io::{self, Write as _};

use crate::error::Error;

/// Prints a result. A reader that went away (`| head`) is not an error: the rest is dropped.
///
/// # Errors
/// When standard output cannot be written for another reason, such as a full disk.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = anstream::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints a remark to standard error. If that is closed, it is dropped.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// The most columns of a line.
const WIDTH: usize = 80;
/// Text with each of its lines indented, and folded where it is long.
pub(crate) fn folded(text: &str, indent: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let mut filled = 0;
        for word in line.split_whitespace() {
            let length = word.chars().count();
            if filled > 0 && filled + 1 + length <= WIDTH {
                shown.push(' ');
                filled += 1 + length;
            } else {
                if filled > 0 {
                    shown.push('\n');
                }
                shown.push_str(indent);
                filled = indent.len() + length;
            }
            shown.push_str(word);
        }
        shown.push('\n');
    }
    shown
}

/// Where the values of a list begin.
const VALUES: usize = 33;

/// A list of names and values, as PowerShell shows an object.
#[derive(Default)]
pub(crate) struct Lines {
    text: String,
}

impl Lines {
    /// Adds a value, over several lines if it is long.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        let mut line = format!("{name:31}:");
        let mut filled = line.len();
        for word in value.split_whitespace() {
            let length = word.chars().count();
            if filled + 1 + length > WIDTH {
                self.text.push_str(line.trim_end());
                self.text.push('\n');
                // A word that is too long for its column has a line of its own.
                let indent = (WIDTH - 1).saturating_sub(length).clamp(1, VALUES - 1);
                line = " ".repeat(indent);
                filled = indent;
            }
            line.push(' ');
            line.push_str(word);
            filled += 1 + length;
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    pub(crate) fn text(self) -> String {
        self.text
    }
}
