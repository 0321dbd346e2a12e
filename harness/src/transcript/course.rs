//! Canonical transcripts line by line, to be kept and compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use simulated_partners::event::{ConnectionId, Event};

use super::{Detail, canonical, line};
use crate::case::Direction;
use crate::judge::deciding_connection;

/// A canonical transcript, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "program", derive(schemars::JsonSchema))]
pub struct Course {
    /// The number of the connection that decides the case.
    decides: Option<u16>,
    /// The events, each with the number of its connection.
    lines: Vec<(u16, Box<str>)>,
}

/// The number of the event, the event in each transcript, and whether its connection decides.
pub type Parting = (usize, [Option<String>; 2], bool);

impl Course {
    /// That of these events of a partner.
    pub fn of(direction: Direction, events: &[Event]) -> Self {
        let events = canonical(events);
        let decides = deciding_connection(direction, &events).map(|connection| connection.0);
        let lines = events
            .iter()
            .map(|event| (event.connection.0, wording(event).into()))
            .collect();
        Self { lines, decides }
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Where two transcripts differ: on the deciding connections, else anywhere.
    pub fn parting(&self, other: &Self) -> Option<Parting> {
        let deciding = |transcript: &Self| -> Vec<(usize, String)> {
            let mut names = Renumbered::default();
            let lines = transcript.lines.iter().enumerate();
            lines
                .filter(|(_, (connection, _))| transcript.decides == Some(*connection))
                .map(|(at, (_, text))| (at, names.line(text)))
                .collect()
        };
        let all = |transcript: &Self| -> Vec<(usize, String)> {
            let mut names: BTreeMap<u16, Renumbered> = BTreeMap::new();
            let lines = transcript.lines.iter().enumerate();
            lines
                .map(|(at, (connection, text))| {
                    let text = names.entry(*connection).or_default().line(text);
                    (at, format!("#{connection} {text}"))
                })
                .collect()
        };
        let of = |lines: [Vec<(usize, String)>; 2], decides: bool| {
            let [one, other] = lines;
            let at = (0..one.len().max(other.len()))
                .find(|&at| one.get(at).map(|l| &l.1) != other.get(at).map(|l| &l.1))?;
            let number = one
                .get(at)
                .or_else(|| other.get(at))
                .map_or(at, |(number, _)| *number);
            let text = |lines: &[(usize, String)]| lines.get(at).map(|(_, text)| text.clone());
            Some((number + 1, [text(&one), text(&other)], decides))
        };
        // Most transcripts are identical.
        if self.lines == other.lines {
            return None;
        }
        of([deciding(self), deciding(other)], true).or_else(|| of([all(self), all(other)], false))
    }
}

/// Placeholders numbered anew in the order of one connection: their numbers in a whole transcript depend
/// on what other connections came before it.
#[derive(Default)]
struct Renumbered(BTreeMap<String, Vec<String>>);

impl Renumbered {
    fn line(&mut self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            result.push_str(&rest[..start]);
            rest = &rest[start..];
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            let (name, after) = rest.split_at(end);
            match numbered(name) {
                Some(word) => result.push_str(&self.name(word, name)),
                None => result.push_str(name),
            }
            rest = after;
        }
        result.push_str(rest);
        result
    }

    fn name(&mut self, word: &str, name: &str) -> String {
        let known = self.0.entry(word.to_owned()).or_default();
        let at = known.iter().position(|one| one == name);
        let at = at.unwrap_or_else(|| {
            known.push(name.to_owned());
            known.len() - 1
        });
        format!("{{{word}-{}}}", at + 1)
    }
}

/// The word of a placeholder such as `{id-4}`.
fn numbered(name: &str) -> Option<&str> {
    let inner = name.strip_prefix('{')?.strip_suffix('}')?;
    let (word, number) = inner.rsplit_once('-')?;
    number.parse::<u32>().ok().map(|_| word)
}

/// An event without its number and its connection's number.
fn wording(event: &Event) -> String {
    let nowhere = Event {
        connection: ConnectionId(0),
        ..event.clone()
    };
    let text = line(0, &nowhere, Detail::Full);
    text.trim_start()
        .trim_start_matches("0 #0")
        .trim_start()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_values_depend_on_their_own_connection_alone() {
        let mut names = Renumbered::default();
        assert_eq!(
            names.line("→ xml <a id='{id-4}' key='{key-2}' to='{port}'/>"),
            "→ xml <a id='{id-1}' key='{key-1}' to='{port}'/>"
        );
        assert_eq!(names.line("{id-7} {id-4} {open"), "{id-2} {id-1} {open");
    }
}
