//! The parts of a stream.

use strum::{Display, EnumString};

use super::element::Element;
use super::namespace::{SERVER, STREAMS};

/// One part of a stream, seen from its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `</stream:stream>`.
    Closed,
    /// A first-level element that is not a stanza.
    Element(Element),
    /// The start tag of the stream.
    Header(Header),
    /// A first-level element that was passed over, on a stream whose peer is spared for it.
    Skipped(Skipped),
    /// A message, presence or a query.
    Stanza(Stanza),
}

/// What is known of an element that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Why not.
    pub error: ReadError,
    /// The stanza without its bytes, if it was one and its start tag could be read.
    pub stanza: Option<Stanza>,
}

/// The start tag of a stream (RFC 6120 §4.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The element's name and attributes; it has no children.
    pub element: Element,
    /// The namespace of elements without a prefix.
    pub content_namespace: String,
    /// Whether the dialback namespace is declared, under any prefix.
    pub dialback: bool,
}

impl Header {
    /// Whether the root is the stream element with server-to-server content.
    pub fn is_server_stream(&self) -> bool {
        self.element.is(STREAMS, "stream") && self.content_namespace == SERVER
    }

    /// Whether a stream error is in the place of the stream.
    pub fn is_stream_error(&self) -> bool {
        self.element.is(STREAMS, "error")
    }
}

/// The three kinds of stanzas (RFC 6120 §8.2).
#[derive(Clone, Copy, Debug, Display, EnumString, PartialEq, Eq)]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "the standard describes them")]
pub enum Kind {
    Message,
    Presence,
    Iq,
}

/// A stanza as received: its bytes, and the attributes needed for routing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// The name of the element.
    pub kind: Kind,
    /// The attribute `from`.
    pub from: Option<String>,
    /// The attribute `to`.
    pub to: Option<String>,
    /// The attribute `id`.
    pub id: Option<String>,
    /// The attribute `type`.
    pub type_: Option<String>,
    /// The element's bytes, suitable for any stream whose default namespace is `jabber:server`.
    pub bytes: Vec<u8>,
}

impl Stanza {
    /// A stanza from its start tag and its bytes.
    pub(crate) fn with_head(kind: Kind, head: &Element, bytes: Vec<u8>) -> Self {
        let attribute = |name: &str| head.attribute(name).map(str::to_owned);
        Self {
            kind,
            from: attribute("from"),
            to: attribute("to"),
            id: attribute("id"),
            type_: attribute("type"),
            bytes,
        }
    }

    /// Logs that nobody gets it, and why. Nothing of what it says is logged.
    pub fn dropped(&self, why: &str) {
        let Self {
            kind,
            from,
            to,
            id,
            type_,
            bytes: _,
        } = self;
        tracing::info!(%kind, from, to, id, r#type = type_, why, "stanza dropped");
    }
}

/// Why a stream cannot be parsed any further.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has its text")]
pub enum ReadError {
    #[error("encoding is not UTF-8")]
    Encoding,
    #[error("XML is not well-formed")]
    Malformed,
    /// A stanza with a prefix (RFC 6120 §4.8.5).
    #[error("stanza with a namespace prefix")]
    Prefix,
    /// A comment, processing instruction, document type or the like (RFC 6120 §11.1).
    #[error("XML outside the restricted subset")]
    Restricted,
    #[error("text between elements")]
    Text,
    #[error("element exceeds a limit")]
    TooLarge,
}
