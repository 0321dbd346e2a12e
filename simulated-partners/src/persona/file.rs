//! Reads a persona file.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Mistakes};
use super::{Facts, Offer, Persona, check};
use crate::reaction::Reaction;

/// The format that this version reads.
const FORMAT: i64 = 1;

/// More than any persona needs; what is longer was not meant as one.
const MAX_FILE: u64 = 1 << 20;

/// Why there is no persona to be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum PersonaError {
    /// The text is no persona: all mistakes, with places.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The name cannot be a part of an id.
    #[error(
        "persona name `{0}` is not made of lower-case letters, digits and hyphens; the file has to be renamed"
    )]
    Name(String),
    /// The file cannot be read.
    #[error("cannot read persona file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The file, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    title: String,
    seen_in: Option<String>,
    offer: Offer,
    #[serde(default)]
    facts: Facts,
    #[serde(default, rename = "reaction")]
    reactions: Vec<Reaction>,
}

impl Persona {
    /// Reads a persona's text; `file` is what mistakes are reported with.
    ///
    /// # Errors
    /// When the name is no part of an id, or when there are mistakes in the text.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, PersonaError> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(letters) {
            return Err(PersonaError::Name(name.to_owned()));
        }
        Self::read(name, text).map_err(|list| {
            PersonaError::Mistakes(Mistakes {
                file: file.to_owned(),
                text: text.to_owned(),
                list,
            })
        })
    }

    /// Reads a persona file. The persona is called as the file, without its ending.
    ///
    /// # Errors
    /// When the file cannot be read, and as [`Persona::parse`].
    pub fn load(path: &Path) -> Result<Self, PersonaError> {
        let failed = |source| PersonaError::Read {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .map_err(failed)?;
        if text.len() as u64 > MAX_FILE {
            return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
        }
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        Self::parse(
            &name.unwrap_or_default(),
            &path.display().to_string(),
            &text,
        )
    }

    fn read(name: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        let document = Document::parse(text).map_err(|mistake| vec![mistake])?;
        check_format(&document).map_err(|mistake| vec![mistake])?;
        let file: File = toml::from_str(text).map_err(|error| vec![from_toml(&error, text)])?;
        let persona = Self {
            name: name.to_owned(),
            title: file.title,
            seen_in: file.seen_in,
            offer: file.offer,
            facts: file.facts,
            reactions: file.reactions,
        };
        let mistakes = check::check(&persona, &document);
        if mistakes.is_empty() {
            Ok(persona)
        } else {
            Err(mistakes)
        }
    }
}

/// A file of another format is told from one with unknown words.
fn check_format(document: &Document<'_>) -> Result<(), Mistake> {
    let Some(format) = document.root.get("format") else {
        return Err(Mistake::new(0..0, "`format` is missing")
            .help(format!("begin the file with `format = {FORMAT}`")));
    };
    let number = format
        .get_ref()
        .as_integer()
        .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
    if number == Some(FORMAT) {
        Ok(())
    } else {
        Err(Mistake::new(format.span(), "unknown format")
            .help(format!("this version reads `format = {FORMAT}`")))
    }
}

/// A mistake that the parser found, with an example of what is missing.
fn from_toml(error: &toml::de::Error, text: &str) -> Mistake {
    let mistake = Mistake::from_toml(error, text);
    match mistake
        .title
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
        .and_then(example)
    {
        Some(example) => mistake.help(format!("add {example}")),
        None => mistake,
    }
}

/// What a field without default can be.
fn example(field: &str) -> Option<&'static str> {
    Some(match field {
        "title" => "`title = \"what it is, in one line\"`",
        "offer" => "the table `[offer]` with `tls`, `external` and `dialback`",
        "tls" => "`tls = \"none\"`, `tls = \"offered\"` or `tls = \"required\"`",
        "external" => "`external = true` or `external = false`",
        "dialback" => "`dialback = true` or `dialback = false`",
        "when" => "`when` with the point at which it reacts, such as `when = \"auth\"`",
        "do" => "`do` with a list of actions, such as `do = [\"close\"]`",
        _ => return None,
    })
}

/// The text once more, with the place of each value.
pub(super) struct Document<'a> {
    root: DeTable<'a>,
}

impl<'a> Document<'a> {
    fn parse(text: &'a str) -> Result<Self, Mistake> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self {
                root: root.into_inner(),
            }),
            Err(error) => Err(from_toml(&error, text)),
        }
    }

    /// Where a value of a table such as `[offer]` is, if it is written.
    pub(super) fn value(&self, table: &str, key: &str) -> Option<Range<usize>> {
        let table = self.root.get(table)?.get_ref().as_table()?;
        table.get(key).map(|value| value.span())
    }

    /// Where the name of a table such as `[offer]` is.
    pub(super) fn table(&self, table: &str) -> Option<Range<usize>> {
        self.root.get_key_value(table).map(|(key, _)| key.span())
    }

    /// Where `when` of a reaction is, counted from 0.
    pub(super) fn when(&self, reaction: usize) -> Option<Range<usize>> {
        Some(self.reaction(reaction)?.get("when")?.span())
    }

    /// Where a filter of a reaction is.
    pub(super) fn filter(&self, reaction: usize, name: &str) -> Option<Range<usize>> {
        Some(self.reaction(reaction)?.get(name)?.span())
    }

    /// Where an action of a reaction is, both counted from 0.
    pub(super) fn action(&self, reaction: usize, action: usize) -> Option<Range<usize>> {
        let actions = self.reaction(reaction)?.get("do")?;
        Some(actions.get_ref().as_array()?.get(action)?.span())
    }

    /// Where the list of a reaction's actions is.
    pub(super) fn actions(&self, reaction: usize) -> Option<Range<usize>> {
        Some(self.reaction(reaction)?.get("do")?.span())
    }

    fn reaction(&self, reaction: usize) -> Option<&DeTable<'a>> {
        let reactions: &DeValue<'a> = self.root.get("reaction")?.get_ref();
        reactions.as_array()?.get(reaction)?.get_ref().as_table()
    }
}
