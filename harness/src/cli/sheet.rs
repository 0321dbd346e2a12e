//! An explanation: named lines of text, for people or as data.

use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::console::field;

/// What is known of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Sheet {
    id: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Line {
    name: String,
    text: String,
}

impl Sheet {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            lines: Vec::new(),
        }
    }

    /// Adds a line. Several with one name follow each other.
    pub(super) fn say(&mut self, name: &str, text: &str) {
        self.lines.push(Line {
            name: name.to_owned(),
            text: text.to_owned(),
        });
    }

    /// Adds a line for each text.
    pub(super) fn say_all(&mut self, name: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            self.say(name, text.as_ref());
        }
    }

    /// For a terminal: a name stands before the first of its lines. Commands are never wrapped, so they can be
    /// copied.
    pub(super) fn render(&self, width: usize) -> String {
        const LABEL: usize = 12;
        let mut out = format!("{}\n\n", self.id.bold());
        let mut last = "";
        for Line { name, text } in &self.lines {
            let label = if name == last { "" } else { name };
            match text.strip_prefix("$ ") {
                Some(command) => {
                    out.push_str(&format!("  {label:<LABEL$}{}\n", command.bold()));
                }
                None => out.push_str(&field(label, text, width)),
            }
            last = name;
        }
        out
    }
}
