//! Cuts incoming bytes into whole units of a stream.

use bytes::{Buf, BytesMut};

use super::rule::{Fault, WireError};
use super::scan::{Scanner, Unit};
use super::scope::Scope;
use super::{Element, parse};

/// A whole unit of the stream, with the bytes it came as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Exactly the bytes received (or sent).
    pub raw: Vec<u8>,
    /// Offset of the first byte since the start of the framer or its last restart.
    pub offset: u64,
}

/// Kinds of units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `<?xml … ?>`.
    Declaration,
    /// `<stream:stream …>`: an element without children.
    Header(Element),
    /// A child of the stream, whole.
    Element(Element),
    /// White space between children: so many bytes. It is reported as it arrives, so that a run
    /// that comes in two pieces is two units; all other units are the same at any segmentation.
    Whitespace(usize),
    /// `</stream:stream>`. After a header that is an empty element it has no bytes of its own.
    End,
}

/// Bounds on what a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one unit.
    pub unit: usize,
    /// Depth of elements below the stream.
    pub depth: usize,
    /// Attributes and namespace declarations on one element.
    pub attributes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unit: 262_144,
            depth: 64,
            attributes: 64,
        }
    }
}

/// A push parser: bytes in at any segmentation, the same units out.
///
/// A unit that grows over a limit is refused with the first byte too many, so no more is held than
/// one unit and what the caller pushes before it asks for the next.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// What is held; the first byte is the first of a unit.
    buffer: BytesMut,
    /// Offset of the first held byte.
    offset: u64,
    scanner: Scanner,
    /// Namespaces that the stream header declared.
    scope: Scope,
    /// Name of the root element as its start tag has it.
    root: String,
    /// The header was an empty element, and its end was not reported yet.
    owes_end: bool,
    failure: Option<WireError>,
}

impl Framer {
    /// A framer before the first byte of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: BytesMut::new(),
            offset: 0,
            scanner: Scanner::new(),
            scope: Scope::default(),
            root: String::new(),
            owes_end: false,
            failure: None,
        }
    }

    /// Takes bytes in. They are held until [`Framer::next`] asks for units, and dropped after an
    /// error.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole unit, or nothing yet.
    ///
    /// # Errors
    /// When the bytes break a rule or a limit; each later call gives the same error.
    #[expect(
        clippy::should_implement_trait,
        reason = "nothing yet is not the end, as it would be of an iterator"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, WireError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.try_next().map_err(|fault| {
            let failure = fault.in_unit_at(self.offset);
            self.failure = Some(failure.clone());
            failure
        })
    }

    /// Bytes that are held and not yet part of a unit: after `<starttls/>` or `<proceed/>` there must
    /// be none (RFC 6120 §5.4.3.3). After an error, the bytes of the unit that broke the rule.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets the old stream and expects a new header (RFC 6120 §4.3.3). Pending bytes stay, and so
    /// does an error.
    pub fn restart(&mut self) {
        self.offset = 0;
        self.scanner = Scanner::new();
        self.scope = Scope::default();
        self.root.clear();
        self.owes_end = false;
    }

    fn try_next(&mut self) -> Result<Option<Frame>, Fault> {
        if std::mem::take(&mut self.owes_end) {
            return Ok(Some(self.take(Kind::End, 0)));
        }
        let Some((unit, length)) = self.scanner.scan(&self.buffer, &self.limits)? else {
            return Ok(None);
        };
        let kind = match unit {
            Unit::Whitespace => Kind::Whitespace(length),
            Unit::Declaration => {
                parse::declaration(parse::text(&self.buffer[..length])?)?;
                Kind::Declaration
            }
            Unit::Header | Unit::HeaderAndEnd => {
                let text = parse::text(&self.buffer[..length])?;
                let header = parse::header(text, &mut self.scope)?;
                self.root = header.qualified_name();
                self.owes_end = unit == Unit::HeaderAndEnd;
                Kind::Header(header)
            }
            Unit::Element => {
                let text = parse::text(&self.buffer[..length])?;
                Kind::Element(parse::element(text, &mut self.scope)?)
            }
            Unit::End => {
                parse::end(parse::text(&self.buffer[..length])?, &self.root)?;
                Kind::End
            }
        };
        Ok(Some(self.take(kind, length)))
    }

    fn take(&mut self, kind: Kind, length: usize) -> Frame {
        let frame = Frame {
            kind,
            raw: self.buffer[..length].to_vec(),
            offset: self.offset,
        };
        self.buffer.advance(length);
        self.offset += length as u64;
        frame
    }
}
