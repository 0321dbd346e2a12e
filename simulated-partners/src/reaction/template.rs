//! Texts with placeholders.
//!
//! A placeholder is `{name}`, optionally with `|base64`, `|upper`, `|lower`, `|cut` (without its last
//! character) or `|flip` (with another last character), or `{x*100}` for the text `x` a hundred times, or `{x^100}` for as many `x` as make the whole text a
//! hundred bytes long.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::LONGEST_TEXT;

/// The maximum length of a placeholder.
const LONGEST_PLACEHOLDER: usize = 256;

/// The values of placeholders. They are escaped for XML when filled in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// `{id}`: the `id` of the received element; before the first element, that of the
    /// stream.
    pub id: &'a str,
    /// `{from}`: the `from` that was received.
    pub from: &'a str,
    /// `{to}`: the `to` that was received.
    pub to: &'a str,
    /// `{domain}`: the partner's domain.
    pub domain: &'a str,
    /// `{target}`: the target's domain.
    pub target: &'a str,
    /// `{key}`: the dialback key that was received.
    pub key: &'a str,
    /// `{stream-id}`: the id of the current stream.
    pub stream_id: &'a str,
    /// `{dialback-key}`: the partner's key for this stream and the target (XEP-0185).
    pub dialback_key: &'a str,
    /// Values of the scenario.
    pub fixed: Option<&'a BTreeMap<String, String>>,
    /// Captured texts.
    pub board: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Values<'a> {
    /// The placeholders available in every text, without the braces.
    pub const NAMES: [&'static str; 8] = [
        "id",
        "from",
        "to",
        "domain",
        "target",
        "key",
        "stream-id",
        "dialback-key",
    ];

    /// Fills in a template. Braces around anything else are kept.
    pub fn fill(&self, template: &str) -> String {
        self.filled(template, true).0.concat()
    }

    /// Fills in a template without escaping: for a text that is not XML yet.
    pub fn fill_plain(&self, template: &str) -> String {
        self.filled(template, false).0.concat()
    }

    /// Fills in a repeated text, except for the number of the repetition.
    pub fn fill_line(&self, template: &str) -> Line {
        Line {
            pieces: self.filled_around(template, true, Some("n")).0,
        }
    }

    fn filled(&self, template: &str, escapes: bool) -> (Vec<String>, usize) {
        self.filled_around(template, escapes, None)
    }

    /// The text, in pieces around a placeholder that is left open, and its length.
    fn filled_around(
        &self,
        template: &str,
        escapes: bool,
        gap: Option<&str>,
    ) -> (Vec<String>, usize) {
        let mut pieces = Vec::new();
        let (mut out, mut length) = (String::new(), 0);
        let mut open = None;
        for part in Template(template) {
            let before = out.len();
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name { name, .. } if gap == Some(name) => {
                    pieces.push(std::mem::take(&mut out));
                    continue;
                }
                Part::Name {
                    name,
                    change,
                    written,
                } => match self.named(name) {
                    Some(value) => {
                        let value = change.apply(value);
                        if escapes {
                            crate::wire::escape(&value, &mut out);
                        } else {
                            out.push_str(&value);
                        }
                    }
                    None => out.push_str(written),
                },
                Part::Times { text, times } => {
                    let room = LONGEST_TEXT.saturating_sub(length) / text.len().max(1);
                    out.push_str(&text.repeat(times.min(room)));
                }
                // Only the first one: it leaves no room for another.
                Part::UpTo { text, bytes } => {
                    open.get_or_insert((pieces.len(), out.len(), text, bytes));
                }
            }
            length += out.len() - before;
        }
        pieces.push(out);
        if let Some((piece, at, text, bytes)) = open {
            let room = bytes.min(LONGEST_TEXT).saturating_sub(length) / text.len().max(1);
            pieces[piece].insert_str(at, &text.repeat(room));
            length += text.len() * room;
        }
        (pieces, length)
    }

    fn named(&self, name: &str) -> Option<&'a str> {
        match name {
            "id" => Some(self.id),
            "from" => Some(self.from),
            "to" => Some(self.to),
            "domain" => Some(self.domain),
            "target" => Some(self.target),
            "key" => Some(self.key),
            "stream-id" => Some(self.stream_id),
            "dialback-key" => Some(self.dialback_key),
            _ => [self.fixed, self.board]
                .into_iter()
                .flatten()
                .find_map(|values| values.get(name))
                .map(String::as_str),
        }
    }
}

/// A repeated text, filled in except for the number of the repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The text between the numbers.
    pieces: Vec<String>,
}

impl Line {
    /// Appends one repetition.
    pub fn write(&self, number: u32, out: &mut Vec<u8>) {
        for (at, piece) in self.pieces.iter().enumerate() {
            if at > 0 {
                out.extend(number.to_string().bytes());
            }
            out.extend(piece.bytes());
        }
    }
}

/// The names in a text that look like placeholders, without modifiers such as `|base64`, in order.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    Template(text).filter_map(|part| match part {
        Part::Name { name, .. } => Some(name),
        Part::Text(_) | Part::Times { .. } | Part::UpTo { .. } => None,
    })
}

/// By how much repetitions such as `{x*100}` lengthen the text.
pub(super) fn repeated_length(text: &str) -> usize {
    Template(text)
        .map(|part| match part {
            Part::Times { text, times } => text.len().saturating_mul(times),
            Part::UpTo { bytes, .. } => bytes,
            Part::Text(_) | Part::Name { .. } => 0,
        })
        .fold(0, usize::saturating_add)
}

/// Splits a text into parts.
#[derive(Clone, Copy, Debug)]
struct Template<'a>(&'a str);

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// A placeholder.
    Name {
        /// The name.
        name: &'a str,
        /// The modifier.
        change: Change,
        /// The whole placeholder, with the braces.
        written: &'a str,
    },
    /// A repetition.
    Times {
        /// The repeated text.
        text: &'a str,
        /// The count.
        times: usize,
    },
    /// A repetition that fills up the whole text.
    UpTo {
        /// The repeated text.
        text: &'a str,
        /// The resulting length of the whole text, rounded down to whole repetitions.
        bytes: usize,
    },
}

/// The modifier of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// None.
    None,
    /// Base64 with padding (RFC 4648 §4).
    Base64,
    /// Upper case.
    Upper,
    /// Lower case.
    Lower,
    /// Without its last character.
    Cut,
    /// With another digit as its last character.
    Flip,
}

impl Change {
    fn apply(self, value: &str) -> std::borrow::Cow<'_, str> {
        match self {
            Self::None => value.into(),
            Self::Base64 => STANDARD.encode(value).into(),
            Self::Upper => value.to_uppercase().into(),
            Self::Lower => value.to_lowercase().into(),
            Self::Cut => cut(value).into(),
            Self::Flip => {
                let last = if value.ends_with('0') { '1' } else { '0' };
                format!("{}{last}", cut(value)).into()
            }
        }
    }
}

fn cut(value: &str) -> &str {
    let mut characters = value.chars();
    characters.next_back();
    characters.as_str()
}

impl<'a> Iterator for Template<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if self.0.is_empty() {
            return None;
        }
        if let Some((part, rest)) = placeholder(self.0) {
            self.0 = rest;
            return Some(part);
        }
        // The first character is text in any case.
        let first = self.0.chars().next().map_or(0, char::len_utf8);
        let end = self.0[first..]
            .find('{')
            .map_or(self.0.len(), |at| first + at);
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Part::Text(text))
    }
}

/// The placeholder at the start of a text, and what follows it.
fn placeholder(text: &str) -> Option<(Part<'_>, &str)> {
    let inner = text.strip_prefix('{')?;
    let end = inner
        .bytes()
        .take(LONGEST_PLACEHOLDER)
        .position(|byte| byte == b'}')?;
    let (inside, rest) = (&inner[..end], &inner[end + 1..]);
    if inside.contains('{') {
        return None;
    }
    if let Some((repeated, times)) = inside.rsplit_once('*')
        && !repeated.is_empty()
        && let Ok(times) = times.parse()
    {
        let part = Part::Times {
            text: repeated,
            times,
        };
        return Some((part, rest));
    }
    if let Some((text, bytes)) = inside.rsplit_once('^')
        && !text.is_empty()
        && let Ok(bytes) = bytes.parse()
    {
        return Some((Part::UpTo { text, bytes }, rest));
    }
    let (name, change) = match inside.split_once('|') {
        None => (inside, Change::None),
        Some((name, "base64")) => (name, Change::Base64),
        Some((name, "upper")) => (name, Change::Upper),
        Some((name, "lower")) => (name, Change::Lower),
        Some((name, "cut")) => (name, Change::Cut),
        Some((name, "flip")) => (name, Change::Flip),
        Some(_) => return None,
    };
    is_name(name).then_some((
        Part::Name {
            name,
            change,
            written: &text[..end + 2],
        },
        rest,
    ))
}

/// Whether a name is valid for placeholders and signals.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_known_placeholders_and_leaves_other_braces() {
        let values = Values {
            id: "7",
            from: "a&b",
            ..Values::default()
        };
        assert_eq!(
            values.fill("{id}{{from}} {nothing} {key}{ }"),
            "7{a&amp;b} {nothing} { }"
        );
    }

    #[test]
    fn fixed_values_and_the_board_are_placeholders_and_escaped() {
        let fixed = BTreeMap::from([("probe".to_owned(), "<p>".to_owned())]);
        let board = BTreeMap::from([("other-key".to_owned(), "k\"".to_owned())]);
        let values = Values {
            fixed: Some(&fixed),
            board: Some(&board),
            ..Values::default()
        };
        assert_eq!(values.fill("{probe} {other-key}"), "&lt;p&gt; k&quot;");
        assert_eq!(values.fill_plain("{probe} {other-key}"), "<p> k\"");
    }

    #[test]
    fn changes_values() {
        let values = Values {
            domain: "p.Example",
            ..Values::default()
        };
        assert_eq!(
            values.fill("{domain|base64} {domain|upper} {domain|lower} {domain|odd}"),
            "cC5FeGFtcGxl P.EXAMPLE p.example {domain|odd}"
        );
        let values = Values {
            key: "a0",
            id: "aé",
            ..Values::default()
        };
        assert_eq!(
            values.fill("{key|cut} {key|flip} {id|cut} {id|flip} {to|flip}"),
            "a a1 a a0 0"
        );
    }

    #[test]
    fn repeats_short_texts_within_bounds() {
        let values = Values::default();
        assert_eq!(values.fill("{a*3}{<b>*2}{**2}"), "aaa<b><b>**");
        assert_eq!(values.fill("{*3}{a*}{a*-1}{a*x}"), "{*3}{a*}{a*-1}{a*x}");
        let long = values.fill("{ab*99999999999}{a*5}");
        assert!(long.len() <= LONGEST_TEXT, "{}", long.len());
    }

    #[test]
    fn fills_the_whole_text_up() {
        let values = Values {
            id: "12345",
            ..Values::default()
        };
        assert_eq!(values.fill("<{a^12}>{id}"), "<aaaaa>12345");
        assert_eq!(values.fill("<{é^12}>{id}"), "<éé>12345");
        assert_eq!(values.fill("<{a^3}>{id}{b^9}"), "<>12345");
        assert_eq!(values.fill("{^3}{a^}"), "{^3}{a^}");
        let mut out = Vec::new();
        values.fill_line("{n}<{a^9}>{id}").write(7, &mut out);
        assert_eq!(out, b"7<aa>12345");
        assert!(values.fill("{a^99999999999}").len() <= LONGEST_TEXT);
    }

    #[test]
    fn a_line_leaves_the_number_open() {
        let values = Values {
            id: "7",
            ..Values::default()
        };
        let mut out = Vec::new();
        values
            .fill_line("<a n='{n}' m='{n}'>{id}</a>")
            .write(12, &mut out);
        assert_eq!(out, b"<a n='12' m='12'>7</a>");
        assert_eq!(values.fill("{n}"), "{n}");
    }

    #[test]
    fn finds_the_names_in_a_text() {
        let text = "{id} {a*3} {stream-id|base64} {Not} {{probe2}} {";
        assert_eq!(
            placeholders(text).collect::<Vec<_>>(),
            ["id", "stream-id", "probe2"]
        );
        assert_eq!(repeated_length(text), 3);
    }
}
