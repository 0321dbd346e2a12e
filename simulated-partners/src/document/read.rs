//! Deserialises a document. Where serde stops at a mistake, the document is repaired and read again.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::edit::{at, key_at, rename, take, value_at};
use super::{Document, Hints, NOWHERE, parted};
use crate::diagnostic::Diagnostic;
use crate::nearest::{meant, suggestion};

impl Document<'_> {
    /// Reads a value from the document. Unreadable parts are reported and left out.
    pub fn read<T: DeserializeOwned>(&mut self, hints: &Hints) -> Option<T> {
        let mut mending = Mending {
            document: self,
            hints,
            taken: Vec::new(),
            incomplete: Vec::new(),
        };
        loop {
            let root = mending.document.root.clone();
            match T::deserialize(ValueDeserializer::from(root)) {
                Ok(value) if mending.incomplete.is_empty() => return Some(value),
                Ok(_) => {
                    let table = mending.incomplete.pop()?;
                    mending.cut(&table)?;
                }
                Err(error) => mending.mend(&error)?,
            }
        }
    }
}

struct Mending<'d, 'a> {
    document: &'d mut Document<'a>,
    hints: &'d Hints,
    /// What was removed: the places of tables, with the removed keys.
    taken: Vec<(Range<usize>, String)>,
    /// Tables in which a placeholder replaces something missing.
    incomplete: Vec<Range<usize>>,
}

impl Mending<'_, '_> {
    /// Reports a mistake and removes its cause; `None` if nothing is left.
    fn mend(&mut self, error: &toml::de::Error) -> Option<()> {
        let place = error.span().unwrap_or_else(|| self.document.root.span());
        if place == NOWHERE {
            return None;
        }
        let (title, expected) = parted(error);
        let known: Vec<&str> = quoted(expected.unwrap_or_default());
        let named = |beginning: &str| title.strip_prefix(beginning)?.strip_suffix('`');
        if let Some(key) = named("missing field `") {
            self.missing(key, &place)
        } else if let Some(key) = named("unknown field `") {
            self.unknown_key(key, &known, &place)
        } else if let Some(word) = named("unknown variant `") {
            self.unknown_word(word, &known, &place)
        } else if title == NOTHING_LEFT && self.taken.iter().any(|(table, _)| *table == place) {
            self.cut(&place)
        } else {
            self.unreadable(title, expected, &place)
        }
    }

    fn hint(&self, subject: &str) -> Option<&'static str> {
        let hint = self.hints.iter().find(|(about, _)| *about == subject);
        hint.map(|(_, help)| *help)
    }

    /// A placeholder replaces a missing key, so that other missing keys are found too; the
    /// table is left out in the end.
    fn missing(&mut self, key: &str, table: &Range<usize>) -> Option<()> {
        self.document.is_whole = false;
        let hint = self.hint(key);
        if !self.taken.contains(&(table.clone(), key.to_owned())) {
            let wrong = Diagnostic::new(table.clone(), format!("`{key}` is missing"));
            let help = hint.map_or_else(String::new, |hint| format!("add {hint}"));
            self.document.report(wrong.help(help));
        }
        let Some(value) = hint.and_then(|hint| stand_in(key, hint)) else {
            return self.cut(table);
        };
        let root = &mut self.document.root;
        let path = if *table == root.span() {
            Vec::new()
        } else {
            value_at(root.get_ref(), table)?
        };
        let DeValue::Table(found) = at(root, &path)?.get_mut() else {
            return None;
        };
        found.insert(Spanned::new(NOWHERE, key.to_owned().into()), value);
        self.incomplete.push(table.clone());
        Some(())
    }

    fn unknown_key(&mut self, key: &str, known: &[&str], place: &Range<usize>) -> Option<()> {
        let wrong = Diagnostic::new(place.clone(), format!("unknown key `{key}`"));
        self.document.report(wrong.help(instead(key, known)));
        let root = &mut self.document.root;
        let path = key_at(root.get_ref(), place)?;
        let guess = meant(key, known.iter().copied());
        if !guess.is_some_and(|name| rename(root, &path, name)) {
            take(root, &path)?;
        }
        Some(())
    }

    fn unknown_word(&mut self, word: &str, known: &[&str], place: &Range<usize>) -> Option<()> {
        let wrong = Diagnostic::new(place.clone(), format!("unknown word `{word}`"));
        self.document.report(wrong.help(instead(word, known)));
        let root = &mut self.document.root;
        let guess = meant(word, known.iter().copied());
        match (key_at(root.get_ref(), place), guess) {
            (Some(path), Some(name)) if rename(root, &path, name) => Some(()),
            (Some(path), _) => {
                self.document.is_whole = false;
                let table = take(root, &path)?;
                self.taken.push((table, word.to_owned()));
                Some(())
            }
            (None, Some(name)) => {
                let path = value_at(root.get_ref(), place)?;
                *at(root, &path)?.get_mut() = DeValue::String(name.to_owned().into());
                Some(())
            }
            (None, None) => self.cut(place),
        }
    }

    fn unreadable(
        &mut self,
        title: &str,
        expected: Option<&str>,
        place: &Range<usize>,
    ) -> Option<()> {
        // The consequences of a guess are not the author's mistake.
        if !self.document.found.iter().any(|known| known.span == *place) {
            let mut wrong = in_words(place, title, expected);
            let is_no_list = (title, expected) == ("invalid type: map", Some("a sequence"));
            let path = value_at(self.document.root.get_ref(), place).filter(|_| is_no_list);
            if let Some(key) = path.as_ref().and_then(|path| path.last()) {
                wrong = wrong.help(format!("write `[[{key}]]`, or `{key} = […]`"));
            }
            if let Some(hint) = self.hint(title) {
                wrong = wrong.help(hint);
            }
            self.document.report(wrong);
        }
        self.cut(place)
    }

    /// Removes the value at a place.
    fn cut(&mut self, place: &Range<usize>) -> Option<()> {
        self.document.is_whole = false;
        let root = &mut self.document.root;
        let path = value_at(root.get_ref(), place)?;
        let table = take(root, &path)?;
        self.taken
            .extend(path.last().map(|key| (table, key.clone())));
        Some(())
    }
}

/// The message of TOML's deserialiser for an action whose only key was removed.
const NOTHING_LEFT: &str = "wanted exactly 1 element, found 0 elements";

/// The valid value in the help for a key.
fn stand_in(key: &str, hint: &'static str) -> Option<Spanned<DeValue<'static>>> {
    quoted(hint).into_iter().find_map(|text| {
        let mut table = DeTable::parse(text).ok()?.into_inner();
        let value = table.remove(key)?;
        Some(Spanned::new(NOWHERE, value.into_inner()))
    })
}

/// The text in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn instead(wrong: &str, known: &[&str]) -> String {
    let all: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    let all = match all.split_last() {
        None => "nothing can stand here".to_owned(),
        Some((only, [])) => format!("expected {only}"),
        Some((last, rest)) => format!("expected {} or {last}", rest.join(", ")),
    };
    suggestion(wrong, known.iter().copied(), &all)
}

/// Serde's message about a value, in TOML terms.
fn in_words(place: &Range<usize>, title: &str, expected: Option<&str>) -> Diagnostic {
    let new = |title: String| Diagnostic::new(place.clone(), title);
    let found = title.strip_prefix("invalid type: ");
    match (found, expected) {
        (Some("unit variant"), _) => new("this word needs a value".to_owned()),
        (Some(found), Some(expected)) => {
            new(format!("expected {}", kind(expected))).label(format!("this is {}", kind(found)))
        }
        (None, Some(expected)) if title.starts_with("invalid value: ") => {
            new(format!("expected {}", kind(expected)))
        }
        (None, Some(expected)) => new(title.to_owned()).help(format!("expected {expected}")),
        (_, None) if title.starts_with("expected table, found") => {
            new("this word takes no value".to_owned())
        }
        (_, None) => new(match title {
            "wanted string or table" => "expected a word".to_owned(),
            NOTHING_LEFT => "nothing stands here".to_owned(),
            "wanted exactly 1 element, more than 1 element" => {
                "only one key can stand here".to_owned()
            }
            other => other.to_owned(),
        }),
    }
}

/// A kind of value, found or expected.
fn kind(serde: &str) -> &str {
    match serde {
        "a boolean" => "`true` or `false`",
        "a map" | "map" => "a table",
        "a sequence" | "sequence" => "a list",
        "IP address" => "an IP address",
        "socket address" => "an IP address and a port",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i64" => "a whole number",
        "f64" => "a number",
        other => [
            ("struct ", "a table"),
            ("string", "a string"),
            ("integer", "a number"),
            ("floating", "a number with a fraction"),
            ("boolean", "a boolean"),
        ]
        .into_iter()
        .find(|(beginning, _)| other.starts_with(beginning))
        .map_or(other, |(_, kind)| kind),
    }
}
