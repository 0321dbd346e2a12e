//! What a command prints.

use std::borrow::Cow;
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

/// How wide a result may be that is no list: `COLUMNS` if set, else as the terminal is. A file or a program
/// gets each line whole.
pub(crate) fn columns() -> usize {
    let asked = std::env::var("COLUMNS").ok();
    let asked = asked.and_then(|text| text.parse().ok());
    let terminal = || {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(width.0))
    };
    asked
        .or_else(terminal)
        .map_or(usize::MAX, |columns: usize| columns.max(NARROWEST))
}

/// Text whose lines have at most so many columns. What is folded goes on below, further to the right.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        if line.chars().count() <= columns {
            shown.push_str(line);
        } else {
            fold(line, columns, &mut shown);
        }
        shown.push('\n');
    }
    shown
}

fn fold(line: &str, columns: usize, shown: &mut String) {
    let own = line.chars().take_while(|letter| *letter == ' ').count();
    // However narrow it is, there is room for a letter.
    let further = (own + 4).min(columns.saturating_sub(1));
    shown.push_str(&" ".repeat(own));
    let (mut filled, mut begins) = (own, true);
    let next_line = |shown: &mut String| {
        shown.push('\n');
        shown.push_str(&" ".repeat(further));
        further
    };
    for word in line.split_whitespace() {
        let length = word.chars().count();
        if !begins && filled + 1 + length > columns {
            filled = next_line(shown);
        } else if !begins {
            shown.push(' ');
            filled += 1;
        }
        begins = false;
        for letter in word.chars() {
            // Nothing but a name that is longer than a line is torn.
            if filled >= columns.max(further + 1) {
                filled = next_line(shown);
            }
            shown.push(letter);
            filled += 1;
        }
    }
}

/// The fewest columns that a line is folded for.
const NARROWEST: usize = 40;

/// Where the values of a list begin.
const VALUES: usize = 33;

/// A text whose control characters are shown, and not obeyed: neither a terminal's orders, nor those that turn the
/// direction of writing (UAX #9). What separates words and lines stays.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let orders = |letter: char| {
        letter.is_control() && !letter.is_whitespace()
            || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(orders) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for letter in text.chars() {
        match orders(letter) {
            true => shown.extend(letter.escape_unicode()),
            false => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

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
        for word in visible(value).split_whitespace() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_where_they_are_too_long() {
        let text = "short  one\n  one two three four\n  abcdefghijklmnopqrstuvwxyz end\n";
        assert_eq!(fitted(text, usize::MAX), text);
        assert_eq!(
            fitted(text, 14),
            "short  one\n  one two\n      three\n      four\n  abcdefghijkl\n      mnopqrst\n      \
             uvwxyz\n      end\n"
        );
        for columns in 1..40 {
            let fitted = fitted(text, columns);
            let most = fitted.lines().map(|line| line.trim_end().chars().count());
            assert!(most.max() <= Some(columns.max(3)), "{columns}: {fitted}");
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(letters(&fitted), letters(text));
        }
    }
}
