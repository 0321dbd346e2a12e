//! Layout of a table of marks: rows, columns with two-letter codes, blocks that fit a width.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use crate::case::Direction;
use crate::console::mark::{Charset, Mark};

/// The width of a cell: two marks and a gap.
const CELL: usize = 3;

/// A table: for each row and column the marks of both directions.
#[derive(Debug, Default)]
pub(super) struct Grid {
    rows: BTreeMap<u8, String>,
    cells: BTreeMap<(u8, String), [Option<Mark>; 2]>,
}

/// How columns are headed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heading {
    /// Codes made from the names, explained below the table.
    Codes,
    /// The names themselves, if they have two characters.
    Names,
}

impl Grid {
    /// Adds a result. Several in one cell share a mark.
    pub(super) fn add(
        &mut self,
        row: u8,
        label: String,
        column: String,
        direction: Direction,
        mark: Mark,
    ) {
        self.rows.entry(row).or_insert(label);
        let cell = self.cells.entry((row, column)).or_default();
        let half = &mut cell[match direction {
            Direction::Outbound => 0,
            Direction::Inbound => 1,
        }];
        *half = Some(half.map_or(mark, |before| before.with(mark)));
    }

    /// Removes rows in which nothing could be run, unless that applies to all, and returns their names.
    pub(super) fn take_unsupported_rows(&mut self) -> Vec<u8> {
        let supported: BTreeSet<u8> = self
            .cells
            .iter()
            .filter(|(_, halves)| halves.iter().flatten().any(|m| *m != Mark::Unsupported))
            .map(|((row, _), _)| *row)
            .collect();
        if supported.is_empty() {
            return Vec::new();
        }
        let rows = std::mem::take(&mut self.rows);
        let (kept, taken): (BTreeMap<_, _>, BTreeMap<_, _>) = rows
            .into_iter()
            .partition(|(row, _)| supported.contains(row));
        self.rows = kept;
        self.cells.retain(|(row, _), _| supported.contains(row));
        taken.into_keys().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The marks that occur.
    pub(super) fn marks(&self) -> BTreeSet<Mark> {
        self.cells.values().flatten().flatten().copied().collect()
    }

    /// The table in blocks at most `width` columns wide.
    pub(super) fn render(&self, heading: Heading, width: usize, charset: Charset) -> String {
        let names: BTreeSet<&str> = self.cells.keys().map(|(_, c)| c.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let codes = match heading {
            Heading::Codes => codes(&names),
            Heading::Names => names.iter().map(|n| (*n).to_owned()).collect(),
        };
        let label = self.rows.values().map(|l| l.chars().count()).max();
        let label = label.unwrap_or_default() + 2;
        let fitting = (width.saturating_sub(label) / CELL).max(1);
        let blocks = names.len().div_ceil(fitting).max(1);
        let per_block = names.len().div_ceil(blocks).max(1);

        let mut out = String::new();
        for (block, block_codes) in names.chunks(per_block).zip(codes.chunks(per_block)) {
            self.block(block, block_codes, label, charset, &mut out);
            out.push('\n');
        }
        if heading == Heading::Codes {
            out.push_str(&legend(&names, &codes, width));
        }
        out
    }

    fn block(
        &self,
        names: &[&str],
        codes: &[String],
        label: usize,
        charset: Charset,
        out: &mut String,
    ) {
        let mut head = " ".repeat(label);
        for code in codes {
            let _ = write!(head, "{code:<CELL$}");
        }
        let _ = writeln!(out, "{}", head.trim_end().dimmed());
        for (row, text) in &self.rows {
            let _ = write!(out, "{text:<label$}");
            let mut gap = 0;
            for name in names {
                let cell = self.cells.get(&(*row, (*name).to_owned()));
                for half in cell.copied().unwrap_or_default() {
                    match half {
                        Some(mark) => {
                            let _ = write!(
                                out,
                                "{:gap$}{}",
                                "",
                                mark.symbol(charset).style(mark.colour())
                            );
                            gap = 0;
                        }
                        None => gap += 1,
                    }
                }
                gap += 1;
            }
            out.push('\n');
        }
    }
}

/// Codes and names in as many columns as fit.
fn legend(names: &[&str], codes: &[String], width: usize) -> String {
    let entries: Vec<String> = names
        .iter()
        .zip(codes)
        .map(|(name, code)| format!("{code} {name}"))
        .collect();
    in_columns(&entries, width)
}

/// Short texts in columns, read downwards.
pub(super) fn in_columns(entries: &[String], width: usize) -> String {
    let widest = entries.iter().map(|e| e.chars().count()).max();
    let column = widest.unwrap_or_default() + 2;
    let columns = ((width + 2) / column).clamp(1, entries.len().max(1));
    let lines = entries.len().div_ceil(columns);
    let mut out = String::new();
    for line in 0..lines {
        let mut text = String::new();
        for entry in entries.iter().skip(line).step_by(lines) {
            let _ = write!(text, "{entry:<column$}");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// A distinct, recognisable two-character code for each name.
fn codes(names: &[&str]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    // Initials first, so that no name loses its own to another's fallback.
    let mut result: Vec<Option<String>> = names
        .iter()
        .map(|name| initials(name).filter(|code| taken.insert(code.clone())))
        .collect();
    for (name, code) in names.iter().zip(&mut result) {
        if code.is_none() {
            *code = makeshift(name, &mut taken);
        }
    }
    result
        .into_iter()
        .map(|code| code.unwrap_or_else(|| "??".to_owned()))
        .collect()
}

fn initials(name: &str) -> Option<String> {
    let mut words = name.split(['-', ' ']).filter_map(|w| w.chars().next());
    Some([words.next()?, words.next()?].iter().collect())
}

fn makeshift(name: &str, taken: &mut BTreeSet<String>) -> Option<String> {
    let first = name.chars().next()?;
    name.chars()
        .skip(1)
        .filter(char::is_ascii_alphanumeric)
        .chain('1'..='9')
        .chain('A'..='Z')
        .map(|second| [first, second].iter().collect::<String>())
        .find(|code| taken.insert(code.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_initials_and_never_the_same() {
        let names = [
            "dialback-only",
            "google-talk",
            "modern",
            "modest",
            "mo",
            "o",
        ];
        let codes = codes(&names);
        assert_eq!(codes[0], "do");
        assert_eq!(codes[1], "gt");
        assert_eq!(codes[2], "mo");
        let different: BTreeSet<_> = codes.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let mut grid = Grid::default();
        for row in 1..=18 {
            for column in 0..30 {
                grid.add(
                    row,
                    format!("{row:>2} R/O/T"),
                    format!("persona-{column}"),
                    Direction::Inbound,
                    Mark::Fail,
                );
            }
        }
        for width in [40, 80, 120] {
            let text = grid.render(Heading::Codes, width, Charset::Unicode);
            let text = anstream::adapter::strip_str(&text).to_string();
            assert!(text.lines().all(|l| l.chars().count() <= width), "{text}");
        }
    }
}
