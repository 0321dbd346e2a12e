//! Passes over an element that cannot be taken, so that the stream goes on behind it.
//!
//! Only faults that leave the parser in order can be passed over: limits, and names without a
//! namespace. It is bounded, too.

use rxml::RawEvent;

use super::element::Element;
use super::frame::{Frame, Kind, ReadError, Skipped, Stanza};

/// The most bytes of one element that are passed over.
const BYTES: usize = 16 << 20;
/// How deep its elements may nest.
const DEPTH: usize = 1024;

/// An element that is passed over.
pub(super) struct Skip {
    skipped: Skipped,
    /// How many elements are open, below the stream.
    open: usize,
    bytes: usize,
}

impl Skip {
    /// From a point with so many open elements. The head is that of the first-level element, if it
    /// could be read.
    pub(super) fn new(error: ReadError, head: Option<&Element>, open: usize) -> Self {
        Self {
            skipped: skipped(error, head),
            open,
            bytes: 0,
        }
    }

    /// Counts bytes.
    pub(super) fn pass(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.bytes += bytes;
        match self.bytes > BYTES {
            true => Err(ReadError::TooLarge),
            false => Ok(()),
        }
    }

    /// Whether the element ends with this event.
    pub(super) fn ends(&mut self, event: &RawEvent) -> Result<bool, ReadError> {
        match event {
            RawEvent::ElementHeadClose(_) => {
                self.open += 1;
                match self.open > DEPTH {
                    true => Err(ReadError::TooLarge),
                    false => Ok(false),
                }
            }
            RawEvent::ElementFoot(_) => {
                self.open = self.open.saturating_sub(1);
                Ok(self.open == 0)
            }
            RawEvent::XmlDeclaration(..)
            | RawEvent::ElementHeadOpen(..)
            | RawEvent::Attribute(..)
            | RawEvent::Text(..) => Ok(false),
        }
    }

    pub(super) fn frame(self) -> Frame {
        Frame::Skipped(self.skipped)
    }
}

/// What is known of an element that is not taken.
pub(super) fn skipped(error: ReadError, head: Option<&Element>) -> Skipped {
    let stanza = head.and_then(|head| {
        let kind: Kind = head.name.parse().ok()?;
        Some(Stanza::with_head(kind, head, Vec::new()))
    });
    Skipped { error, stanza }
}
