//! Cuts incoming bytes into whole units of a stream.

use super::Element;

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
    /// White space between children: so many bytes.
    Whitespace(usize),
    /// `</stream:stream>`.
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

/// Why bytes are no legal stream. Nothing can be read after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule} at byte {offset}")]
pub struct WireError {
    /// The rule that was broken, in words.
    pub rule: String,
    /// Where, counted as [`Frame::offset`].
    pub offset: u64,
    /// The stream error that answers it, such as `not-well-formed` (RFC 6120 §4.9.3).
    pub condition: &'static str,
}

/// A push parser: bytes in at any segmentation, the same units out.
#[derive(Debug)]
pub struct Framer {}

impl Framer {
    /// A framer before the first byte of a stream.
    pub fn new(limits: Limits) -> Self {
        let _ = limits;
        todo!()
    }

    /// Takes bytes in. They are held until [`Framer::next`] asks for units.
    pub fn push(&mut self, bytes: &[u8]) {
        let _ = bytes;
        todo!()
    }

    /// The next whole unit, or nothing yet.
    ///
    /// # Errors
    /// When the bytes break a rule or a limit; each later call gives the same error.
    pub fn next(&mut self) -> Result<Option<Frame>, WireError> {
        todo!()
    }

    /// Bytes that are held and not yet part of a unit: after `<starttls/>` or `<proceed/>` there must
    /// be none (RFC 6120 §5.4.3.3).
    pub fn pending(&self) -> &[u8] {
        todo!()
    }

    /// Forgets the old stream and expects a new header (RFC 6120 §4.3.3). Pending bytes stay.
    pub fn restart(&mut self) {
        todo!()
    }
}
