//! The terminal: its width, its character set, and remarks on standard error.

use std::io::{self, Write as _};
use std::path::Path;

use super::mark::Charset;

/// The width if unknown: a file, a pipe, a CI log.
const DEFAULT_WIDTH: usize = 100;
/// A narrower table cannot be read, and neither can longer lines.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=200;

/// Prints a remark to standard error. If that is closed, it is dropped.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// The width to use: `COLUMNS` if set, else the terminal's, else a default for files.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|v| v.parse().ok());
    let width = asked.or_else(|| {
        terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
    });
    width
        .unwrap_or(DEFAULT_WIDTH)
        .clamp(*WIDTHS.start(), *WIDTHS.end())
}

/// The character set of the locale. Without a locale (containers, CI), UTF-8 is the safer guess.
pub fn charset() -> Charset {
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
pub fn shell_word(path: &Path) -> String {
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
