//! Splits incoming bytes into whole units of a stream.

use bytes::{Buf, BytesMut};

use super::rule::{Fault, WireError};
use super::scan::{Scanner, Unit};
use super::scope::Scope;
use super::{Element, parse};

/// A whole unit of the stream, with its bytes.
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
    /// Whitespace between children: the number of bytes. It is reported as it arrives, so a run
    /// that arrives in two pieces is two units; all other units are independent of segmentation.
    Whitespace(usize),
    /// `</stream:stream>`. After a header that is an empty element, it has no bytes.
    End,
}

/// Limits on the memory that a peer can use.
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

/// A push parser: bytes in, with any segmentation, and the same units out.
///
/// A unit that exceeds a limit is refused at the first excess byte, so it holds at most
/// one unit and what the caller pushes before asking for the next.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    /// Pending bytes, starting with the first byte of a unit.
    buffer: BytesMut,
    /// Offset of the first held byte.
    offset: u64,
    scanner: Scanner,
    /// Namespaces that the stream header declared.
    scope: Scope,
    /// The name of the root element as in its start tag.
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

    /// Adds bytes. They are held until [`Framer::next`] returns units, and dropped after an
    /// error.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failure.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole unit, or `None` yet.
    ///
    /// # Errors
    /// When the bytes break a rule or a limit; each later call returns the same error.
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

    /// Bytes that are not yet part of a unit: after `<starttls/>` or `<proceed/>` there must
    /// be none (RFC 6120 §5.4.3.3). After an error, the bytes of the unit that broke the rule.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes out the bytes that are not yet part of a unit.
    pub(crate) fn take_pending(&mut self) -> Vec<u8> {
        self.scanner.forget();
        self.buffer.split().to_vec()
    }

    /// Discards the old stream and expects a new header (RFC 6120 §4.3.3). Pending bytes stay, and so
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
