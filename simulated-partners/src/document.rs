//! TOML files written by hand, all read the same way: with limits, parsed once, and with every mistake
//! at its place.
//!
//! [`Source`] is a file's text and [`Document`] its content. [`Document::read`] deserialises it. A
//! misspelt key or word is reported and then read as the most likely one, so that one
//! mistake does not hide others or look like several.

mod edit;
mod read;

#[cfg(test)]
mod tests;

use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The format version of all kinds of files.
pub const FORMAT: i64 = 1;

/// A size limit far above that of any real file.
const LARGEST: u64 = 4 << 20;

/// The place of something that is not in the file.
pub const NOWHERE: Range<usize> = usize::MAX..usize::MAX;

/// Help for a missing key, or for a value that its type cannot read: by the name of
/// the key, or the message of the type.
///
/// The text in backticks in the help for a key must be valid, such as `title = "In a line"`: it
/// replaces what is missing, so the rest of the table is checked.
pub type Hints = [(&'static str, &'static str)];

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It has mistakes.
    #[error("{0}")]
    Mistakes(Diagnostics),
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    file: String,
    text: String,
}

impl Source {
    /// A text; `file` is its name in reports.
    pub fn new(file: &str, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or is not text.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let failed = |source| FileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(failed)?;
        if bytes.len() as u64 > LARGEST {
            let reason = format!("it is larger than {} MiB", LARGEST >> 20);
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, reason)));
        }
        let file = path.display().to_string();
        String::from_utf8(bytes)
            .map(|text| Self::new(&file, &text))
            .map_err(|error| {
                let wrong = error.utf8_error().valid_up_to();
                let source = Self::new(&file, &String::from_utf8_lossy(error.as_bytes()));
                let wrong = wrong..wrong + char::REPLACEMENT_CHARACTER.len_utf8();
                source.wrong(vec![
                    Diagnostic::new(wrong, "this is not UTF-8").help("save the file as UTF-8"),
                ])
            })
    }

    /// The file's name in reports.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The keys at its top that can be read.
    pub fn keys(&self) -> Vec<String> {
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let keys = root.get_ref().keys();
        keys.map(|key| key.get_ref().to_string()).collect()
    }

    /// The line of a place, counted from 1.
    pub fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Mistakes of this file.
    pub fn wrong(&self, list: Vec<Diagnostic>) -> FileError {
        FileError::Mistakes(Diagnostics {
            file: self.file.clone(),
            text: self.text.clone(),
            list,
        })
    }
}

/// The content of a file, with the place of each key and value, and the mistakes found in it.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    source: &'a Source,
    root: Spanned<DeValue<'a>>,
    found: Vec<Diagnostic>,
    is_whole: bool,
}

impl<'a> Document<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// When it is not TOML, or of another format version.
    pub fn parse(source: &'a Source) -> Result<Self, FileError> {
        let inside = source.text.trim_start().strip_prefix('{');
        if inside.is_some_and(|rest| rest.trim_start().starts_with(['"', '}'])) {
            let wrong = Diagnostic::new(0..1, "this is JSON, and no TOML");
            return Err(source.wrong(vec![wrong.help("name another file")]));
        }
        let (root, errors) = DeTable::parse_recoverable(&source.text);
        let mut document = Self::of(source, root.into_inner());
        if !errors.is_empty() {
            document.syntax(errors);
        } else if let Err(wrong) = document.take_format() {
            document.report(wrong);
        }
        if document.found.is_empty() {
            Ok(document)
        } else {
            Err(source.wrong(document.found))
        }
    }

    /// The document of a table assembled from parts of a text and values without a place.
    pub fn of(source: &'a Source, root: DeTable<'a>) -> Self {
        Self {
            source,
            root: Spanned::new(0..0, DeValue::Table(root)),
            found: Vec::new(),
            is_whole: true,
        }
    }

    /// The top table.
    pub fn table(&mut self) -> &mut DeTable<'a> {
        match self.root.get_mut() {
            DeValue::Table(table) => table,
            _ => unreachable!("a document is a table"),
        }
    }

    /// Removes a table that is read separately.
    pub fn take_table(&mut self, key: &str) -> Option<DeTable<'a>> {
        let value = self.table().remove(key)?;
        self.as_table(value)
    }

    /// The table that a value should be.
    pub fn as_table(&mut self, value: Spanned<DeValue<'a>>) -> Option<DeTable<'a>> {
        let place = value.span();
        if let DeValue::Table(table) = value.into_inner() {
            return Some(table);
        }
        self.is_whole = false;
        self.report(Diagnostic::new(place, "expected a table"));
        None
    }

    /// Whether all that was written could be read: nothing is missing, and nothing was left out but
    /// keys that mean nothing.
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The place of a path: keys and indices separated by dots. If it is not in the file, the nearest
    /// thing around it.
    pub fn place(&self, path: &str) -> Range<usize> {
        self.walk(path).0
    }

    /// The place of a path, if it is in the file.
    pub fn written(&self, path: &str) -> Option<Range<usize>> {
        let (span, found) = self.walk(path);
        found.then_some(span)
    }

    /// The place of the last part that was found, and whether that is the end of the path.
    fn walk(&self, path: &str) -> (Range<usize>, bool) {
        let mut value = &self.root;
        for step in path.split('.') {
            let found = match value.get_ref() {
                DeValue::Table(table) => table.get(step),
                DeValue::Array(array) => step.parse().ok().and_then(|at: usize| array.get(at)),
                _ => None,
            };
            match found {
                Some(found) => value = found,
                None => return (value.span(), false),
            }
        }
        (value.span(), true)
    }

    /// Records a mistake.
    pub fn report(&mut self, wrong: Diagnostic) {
        self.found.push(wrong);
    }

    /// Records several mistakes.
    pub fn report_all(&mut self, wrong: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(wrong);
    }

    /// Adds the mistakes of another document assembled from parts of the same text.
    pub fn absorb(&mut self, other: &mut Document<'_>) {
        self.found.append(&mut other.found);
        self.is_whole &= other.is_whole;
    }

    /// The value read from the document, if there are no mistakes.
    ///
    /// # Errors
    /// All mistakes, in order of place.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, FileError> {
        self.found.sort_by_key(|wrong| wrong.span.start);
        let mut list: Vec<Diagnostic> = Vec::new();
        for wrong in self.found {
            let same = |known: &Diagnostic| known.span == wrong.span && known.title == wrong.title;
            if !list.iter().any(same) {
                list.push(wrong);
            }
        }
        match value {
            Some(value) if list.is_empty() => Ok(value),
            _ => Err(self.source.wrong(list)),
        }
    }

    /// One mistake for each line that the parser does not understand: other errors in
    /// the line follow from the first.
    fn syntax(&mut self, mut errors: Vec<toml::de::Error>) {
        let start = |error: &toml::de::Error| error.span().map_or(usize::MAX, |span| span.start);
        errors.sort_by_key(start);
        errors.dedup_by_key(|error| self.source.line(start(error)));
        let wrong: Vec<Diagnostic> = errors.iter().map(|one| self.syntax_error(one)).collect();
        self.found.extend(wrong);
    }

    fn syntax_error(&self, error: &toml::de::Error) -> Diagnostic {
        let end = self.source.text.len();
        let span = error.span().unwrap_or(end..end);
        let word = self.source.text.get(span.clone()).unwrap_or_default();
        let (title, expected) = parted(error);
        if ["string values must be quoted", "invalid float"].contains(&title) {
            return if word.is_empty() {
                Diagnostic::new(span, "a value is missing")
            } else {
                Diagnostic::new(span, "a string needs quotes")
                    .help("only numbers, `true`, `false` and dates stand without quotes")
            };
        }
        Diagnostic::new(span, title).help(match expected {
            Some(expected) => format!("expected {expected}"),
            None => String::new(),
        })
    }

    /// A file of another format version is not checked: its vocabulary may differ.
    fn take_format(&mut self) -> Result<(), Diagnostic> {
        let Some(format) = self.table().remove("format") else {
            return Err(Diagnostic::new(0..0, "`format` is missing")
                .help(format!("begin the file with `format = {FORMAT}`")));
        };
        let number = format
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        if number == Some(FORMAT) {
            Ok(())
        } else {
            Err(Diagnostic::new(format.span(), "unknown format")
                .help(format!("this version reads `format = {FORMAT}`")))
        }
    }
}

/// Splits a message such as "unknown field `a`, expected `b`" into what is wrong and what is valid.
fn parted(error: &toml::de::Error) -> (&str, Option<&str>) {
    let message = error.message().trim_end();
    match message.split_once(", expected ") {
        Some((title, expected)) => (title, Some(expected)),
        None => (message, None),
    }
}
