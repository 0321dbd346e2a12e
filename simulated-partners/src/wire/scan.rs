//! Finds the end of a unit byte by byte, without looking at a byte twice.
//!
//! It knows quotes, tags, CDATA and nesting, and refuses at once what no later byte can repair. Everything
//! else is checked when the unit is whole.

use super::Limits;
use super::character::{is_forbidden_byte, is_space, may_start_name};
use super::rule::{Fault, Rule};

const DECLARATION: &[u8] = b"<?xml";
const CDATA: &[u8] = b"<![CDATA[";

/// The scanner's position in a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a unit.
    Between,
    /// After `<`.
    Open,
    /// After `<!`, at the start of CDATA.
    Bang,
    /// After `<?`, at the start of the XML declaration.
    Question,
    /// In the XML declaration.
    Declaration,
    /// In a start tag, not in quotes.
    Start,
    /// In an attribute value that this byte ends.
    Quoted(u8),
    /// After `/` in a start tag.
    Slash,
    /// In an end tag.
    End,
    /// In the content of an element.
    Text,
    /// In a CDATA section.
    Cdata,
}

/// The scanner's position in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first byte: an XML declaration may follow.
    Begin,
    /// Before the header.
    Prolog,
    /// After the header.
    Stream,
    /// After the end of the stream.
    Ended,
}

/// What was found at the start of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Declaration,
    Header,
    /// A header that is an empty element, which also ends the stream.
    HeaderAndEnd,
    Element,
    Whitespace,
    End,
}

/// The scanner; its position is relative to the start of the unit.
#[derive(Debug)]
pub(super) struct Scanner {
    phase: Phase,
    state: State,
    /// Scanned bytes of this unit.
    at: usize,
    /// Where the `<` of the current tag or section is.
    open: usize,
    /// Open elements below the stream.
    depth: usize,
    /// Attributes of the current tag.
    attributes: usize,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Begin,
            state: State::Between,
            at: 0,
            open: 0,
            depth: 0,
            attributes: 0,
        }
    }

    /// A scanner before the first unit after the header.
    pub(super) fn behind_header() -> Self {
        Self {
            phase: Phase::Stream,
            ..Self::new()
        }
    }

    /// Forgets the unit that it has begun, whose bytes somebody else takes.
    pub(super) fn forget(&mut self) {
        *self = Self {
            phase: self.phase,
            ..Self::new()
        };
    }

    /// Looks for the end of the unit that begins at `bytes[0]`, and returns its length.
    ///
    /// Later calls must pass the same bytes and may pass more.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Unit, usize)>, Fault> {
        let end = bytes.len().min(limits.unit);
        if self.state == State::Between {
            let run = bytes[..end]
                .iter()
                .take_while(|&&byte| is_space(byte))
                .count();
            if run > 0 {
                return Ok(Some(self.cut(Unit::Whitespace, run)));
            }
        }
        while self.at < end {
            let byte = bytes[self.at];
            if is_forbidden_byte(byte) {
                return Err(Rule::IllegalCharacter(byte.into()).at(self.at));
            }
            let unit = self
                .step(byte, bytes, limits)
                .map_err(|rule| rule.at(self.at))?;
            self.at += 1;
            if let Some(unit) = unit {
                let length = self.at;
                return Ok(Some(self.cut(unit, length)));
            }
        }
        if bytes.len() > limits.unit {
            return Err(Rule::TooLong(limits.unit).at(limits.unit));
        }
        Ok(None)
    }

    /// Prepares for the next unit.
    fn cut(&mut self, unit: Unit, length: usize) -> (Unit, usize) {
        self.state = State::Between;
        self.at = 0;
        self.phase = match unit {
            Unit::Declaration => Phase::Prolog,
            Unit::Header => Phase::Stream,
            Unit::HeaderAndEnd | Unit::End => Phase::Ended,
            Unit::Whitespace if self.phase == Phase::Begin => Phase::Prolog,
            Unit::Whitespace | Unit::Element => self.phase,
        };
        (unit, length)
    }

    fn step(&mut self, byte: u8, bytes: &[u8], limits: &Limits) -> Result<Option<Unit>, Rule> {
        let in_header = self.phase != Phase::Stream;
        match self.state {
            State::Between => self.begin(byte)?,
            State::Open => self.tag(byte, limits)?,
            State::Bang => self.bang(byte, &bytes[self.open..=self.at])?,
            State::Question => {
                let seen = &bytes[self.open..=self.at];
                if seen.len() <= DECLARATION.len() {
                    if !DECLARATION.starts_with(seen) {
                        return Err(Rule::ProcessingInstruction);
                    }
                } else if is_space(byte) {
                    self.state = State::Declaration;
                } else {
                    return Err(if byte == b'?' {
                        Rule::Declaration
                    } else {
                        Rule::ProcessingInstruction
                    });
                }
            }
            State::Declaration => {
                if byte == b'>' && bytes[self.at - 1] == b'?' {
                    return Ok(Some(Unit::Declaration));
                }
                if matches!(byte, b'<' | b'>') {
                    return Err(Rule::Declaration);
                }
            }
            State::Start => match byte {
                b'>' if in_header => return Ok(Some(Unit::Header)),
                b'>' => {
                    self.depth += 1;
                    self.state = State::Text;
                }
                b'/' => self.state = State::Slash,
                b'"' | b'\'' => {
                    self.attributes += 1;
                    if self.attributes > limits.attributes {
                        return Err(Rule::TooManyAttributes(limits.attributes));
                    }
                    self.state = State::Quoted(byte);
                }
                b'<' => return Err(Rule::Tag),
                _ => {}
            },
            State::Quoted(quote) => {
                if byte == quote {
                    self.state = State::Start;
                } else if byte == b'<' {
                    return Err(Rule::LessThanInAttribute);
                }
            }
            State::Slash => match byte {
                b'>' if in_header => return Ok(Some(Unit::HeaderAndEnd)),
                b'>' if self.depth == 0 => return Ok(Some(Unit::Element)),
                b'>' => self.state = State::Text,
                _ => return Err(Rule::Tag),
            },
            State::End => match byte {
                b'>' if self.depth == 0 => return Ok(Some(Unit::End)),
                b'>' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Ok(Some(Unit::Element));
                    }
                    self.state = State::Text;
                }
                b'<' => return Err(Rule::Tag),
                _ => {}
            },
            State::Text => {
                if byte == b'<' {
                    self.open = self.at;
                    self.state = State::Open;
                }
            }
            State::Cdata => {
                // The opening ends in `[`, so both brackets belong to the content.
                if byte == b'>' && bytes[..self.at].ends_with(b"]]") {
                    self.state = State::Text;
                }
            }
        }
        Ok(None)
    }

    /// The first byte of a unit, ignoring whitespace.
    fn begin(&mut self, byte: u8) -> Result<(), Rule> {
        if self.phase == Phase::Ended {
            return Err(Rule::AfterEnd);
        }
        if byte == b'<' {
            self.open = self.at;
            self.state = State::Open;
            return Ok(());
        }
        Err(match (self.phase, byte) {
            (Phase::Stream, _) => Rule::TextInStream,
            (Phase::Begin, 0xfe | 0xff) => Rule::Encoding("UTF-16".to_owned()),
            _ => Rule::NotXml,
        })
    }

    /// The byte after `<`.
    fn tag(&mut self, byte: u8, limits: &Limits) -> Result<(), Rule> {
        self.state = match byte {
            b'!' => State::Bang,
            b'?' if self.phase == Phase::Begin => State::Question,
            b'?' => return Err(Rule::ProcessingInstruction),
            b'/' if self.phase == Phase::Stream => State::End,
            _ if may_start_name(byte) => {
                if self.phase == Phase::Stream && self.depth >= limits.depth {
                    return Err(Rule::TooDeep(limits.depth));
                }
                self.attributes = 0;
                State::Start
            }
            _ => return Err(Rule::Tag),
        };
        Ok(())
    }

    /// A byte after `<!`; `seen` begins with these.
    fn bang(&mut self, byte: u8, seen: &[u8]) -> Result<(), Rule> {
        if !CDATA.starts_with(seen) {
            return Err(match (seen.len(), byte) {
                (3, b'-') => Rule::Comment,
                (3, b'A'..=b'Z') => Rule::DocumentType,
                _ => Rule::Tag,
            });
        }
        if self.depth == 0 {
            return Err(if self.phase == Phase::Stream {
                Rule::TextInStream
            } else {
                Rule::NotXml
            });
        }
        if seen.len() == CDATA.len() {
            self.state = State::Cdata;
        }
        Ok(())
    }
}
