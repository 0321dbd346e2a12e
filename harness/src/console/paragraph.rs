//! Text that fits the terminal.

use std::fmt::Write as _;

/// A paragraph behind its start, continued under the text. Colours do not count as columns.
pub fn paragraph(start: &str, indent: usize, text: &str, width: usize) -> String {
    let room = width.saturating_sub(indent).max(24);
    let mut out = start.to_owned();
    let mut used = 0;
    for word in text.split(' ') {
        let length = anstream::adapter::strip_str(word)
            .map(|s| s.chars().count())
            .sum::<usize>();
        if used > 0 && used + 1 + length > room {
            let _ = write!(out, "\n{:indent$}", "");
            used = 0;
        } else if used > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out.push('\n');
    out
}
