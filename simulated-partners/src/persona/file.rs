//! Reads a persona file.

use std::path::Path;

use serde::Deserialize;

use super::{Deviations, Offer, Persona, check};
use crate::diagnostic::Diagnostic;
use crate::document::{Document, FileError, Hints, Source};
use crate::reaction::Reaction;

const HINTS: &Hints = &[
    ("title", "`title = \"what it is, in one line\"`"),
    (
        "offer",
        "`offer = { tls = \"offered\", external = true, dialback = true }`, or the same as a table",
    ),
    (
        "tls",
        "`tls = \"none\"`, `tls = \"offered\"` or `tls = \"required\"`",
    ),
    ("external", "`external = true` or `external = false`"),
    ("dialback", "`dialback = true` or `dialback = false`"),
    (
        "when",
        "the point at which it reacts, such as `when = \"auth\"`",
    ),
    ("do", "a list of actions, such as `do = [\"close\"]`"),
];

/// The fields of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    title: String,
    seen_in: Option<String>,
    offer: Offer,
    #[serde(default)]
    facts: Deviations,
    #[serde(default, rename = "reaction")]
    reactions: Vec<Reaction>,
}

impl Persona {
    /// Parses a persona.
    ///
    /// # Errors
    /// When the name cannot be part of an id, or when the text has mistakes.
    pub fn parse(name: &str, source: &Source) -> Result<Self, FileError> {
        let mut document = Document::parse(source)?;
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(letters) {
            document.report(
                Diagnostic::new(0..0, format!("a persona cannot be called `{name}`"))
                    .help("give the file a name of lower-case letters, digits and hyphens"),
            );
        }
        let persona = document.read(HINTS).map(|file: File| Self {
            name: name.to_owned(),
            title: file.title,
            seen_in: file.seen_in,
            offer: file.offer,
            facts: file.facts,
            reactions: file.reactions,
        });
        if let Some(persona) = persona.as_ref().filter(|_| document.is_whole()) {
            let found = check::check(persona, &document);
            document.report_all(found);
        }
        document.finish(persona)
    }

    /// Reads a persona file. The persona is named after the file, without its extension.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Persona::parse`].
    pub fn load(path: &Path) -> Result<Self, FileError> {
        Self::of_file(&Source::load(path)?)
    }

    /// Parses the text of a persona file, as [`Persona::load`] does.
    ///
    /// # Errors
    /// As [`Persona::parse`].
    pub fn of_file(source: &Source) -> Result<Self, FileError> {
        let name = Path::new(source.file()).file_stem().unwrap_or_default();
        Self::parse(&name.to_string_lossy(), source)
    }
}
