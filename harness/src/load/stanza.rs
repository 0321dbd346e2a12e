//! The stanzas of a load, and what is read of those that come in.
//!
//! Each has in its `id` which way it goes, of which partner it is, and when it was due.

use std::io::Write as _;

use strum::{Display, VariantArray};

/// Which way a stanza goes.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Way {
    /// From partners to the inner side of the target.
    Inward,
    /// From the inner side to partners.
    Outward,
    /// From a partner to the target, which answers it.
    Ping,
}

/// What the `id` of a stanza says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) way: Way,
    /// The number of the partner.
    pub(super) partner: usize,
    /// When it was due, in nanoseconds since the load began.
    pub(super) due: u64,
}

/// A stanza that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) mark: Mark,
    /// Whether it is the error that answers the stanza.
    pub(super) is_error: bool,
}

/// All stanzas of one way between one partner and the target, but for their marks.
#[derive(Debug)]
pub(super) struct Mould {
    way: Way,
    partner: usize,
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Mould {
    /// Messages with a text of this size, or pings.
    pub(super) fn new(way: Way, partner: usize, from: &str, to: &str, size: usize) -> Self {
        let (before, behind) = match way {
            Way::Inward | Way::Outward => (
                format!("<message from='{from}' to='{to}' type='chat' id='"),
                format!("'><body>{}</body></message>", "x".repeat(size)),
            ),
            Way::Ping => (
                format!("<iq from='{from}' to='{to}' type='get' id='"),
                "'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned(),
            ),
        };
        Self {
            way,
            partner,
            before: before.into_bytes(),
            behind: behind.into_bytes(),
        }
    }

    /// Writes the stanza that was due then.
    pub(super) fn write(&self, due: u64, out: &mut Vec<u8>) {
        let Self { way, partner, .. } = self;
        let letter = letter(*way);
        out.extend_from_slice(&self.before);
        write!(out, "{letter}{partner}-{due:x}").expect("a Vec takes all bytes");
        out.extend_from_slice(&self.behind);
    }
}

fn letter(way: Way) -> char {
    match way {
        Way::Inward => 'i',
        Way::Outward => 'o',
        Way::Ping => 'p',
    }
}

impl Mark {
    fn read(id: &str) -> Option<Self> {
        let mut ways = <Way as VariantArray>::VARIANTS.iter();
        let first = id.chars().next()?;
        let way = *ways.find(|way| letter(**way) == first)?;
        let (partner, due) = id[1..].split_once('-')?;
        Some(Self {
            way,
            partner: partner.parse().ok()?,
            due: u64::from_str_radix(due, 16).ok()?,
        })
    }
}

impl Arrival {
    /// Reads the start tag of a stanza. None if it is not of the load.
    pub(super) fn read(stanza: &[u8]) -> Option<Self> {
        let mut mark = None;
        let mut is_error = false;
        for (name, value) in Attributes::of(stanza) {
            match name {
                b"id" => mark = Mark::read(std::str::from_utf8(value).ok()?),
                b"type" => is_error = value == b"error",
                _ => {}
            }
        }
        Some(Self {
            mark: mark?,
            is_error,
        })
    }
}

/// The attributes of a start tag that is well-formed.
struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    fn of(stanza: &'a [u8]) -> Self {
        let name = stanza.iter().position(|byte| b" \t\r\n/>".contains(byte));
        Self(&stanza[name.unwrap_or(stanza.len())..])
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_ascii_start();
        if matches!(rest.first(), None | Some(b'>' | b'/')) {
            return None;
        }
        let equals = rest.iter().position(|byte| *byte == b'=')?;
        let (name, rest) = (
            rest[..equals].trim_ascii_end(),
            rest[equals + 1..].trim_ascii_start(),
        );
        let quote = *rest.first()?;
        let value = rest[1..].split(|byte| *byte == quote).next()?;
        self.0 = rest.get(value.len() + 2..)?;
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(way: Way) -> Mark {
        Mark {
            way,
            partner: 17,
            due: 123_456_789,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for way in <Way as VariantArray>::VARIANTS {
            let mut out = Vec::new();
            Mould::new(*way, 17, "a@p17.example", "b@x.example/>", 10).write(123_456_789, &mut out);
            let arrival = Arrival::read(&out).expect("it is of the load");
            assert_eq!(arrival.mark, mark(*way));
            assert!(!arrival.is_error);
        }
    }

    #[test]
    fn other_servers_may_write_the_tag_as_they_like() {
        for tag in [
            "<message id='o17-75bcd15' type='error'><error type='x'/></message>",
            "<message type = \"error\"\n to='>' id=\"o17-75bcd15\"/>",
        ] {
            let arrival = Arrival::read(tag.as_bytes()).expect("it is of the load");
            assert_eq!(arrival.mark, mark(Way::Outward), "{tag}");
            assert!(arrival.is_error, "{tag}");
        }
    }

    #[test]
    fn stanzas_of_others_are_none_of_the_load() {
        for other in [
            "<presence/>",
            "<iq id='1'/>",
            "<iq id='x17-0'/>",
            "<message id='i-5'><body id='i1-5'/></message>",
            "<message id='",
            "<message id",
        ] {
            assert_eq!(Arrival::read(other.as_bytes()), None, "{other}");
        }
    }
}
