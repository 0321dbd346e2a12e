//! Bytes in any segmentation to frames: the header, whole first-level elements, the closing tag.
//!
//! rxml supplies the grammar of restricted XML (RFC 6120 §11.1); limits, namespaces and the raw
//! bytes of stanzas are kept here. A [`Reader`] serves one stream: a restart begins with a new one,
//! so that nothing leaks through it.

use std::collections::{BTreeMap, BTreeSet};

use rxml::error::EndOrError;
use rxml::{Parse, RawEvent, RawParser, WithOptions};
use thiserror::Error;

use super::namespace::{Prefix, Scopes, is_bindable};
use super::{DIALBACK, Element, SERVER, STREAMS, escape};

/// Elements in one tree of negotiation.
const ELEMENTS: usize = 512;
/// Length of one name or attribute value, in bytes.
const TOKEN: usize = 65_536;

/// What one element may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Bytes of the header and of each first-level element.
    pub(crate) bytes: usize,
    /// Elements inside one another, the stream's own not counted.
    pub(crate) depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub(crate) attributes: usize,
}

/// What a stream is made of, seen from its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `</stream:stream>`.
    Closed,
    /// A first-level element that is no stanza.
    Element(Element),
    /// The start tag of the stream.
    Header(Header),
    /// A stanza, unread but for its addresses.
    Stanza(Stanza),
}

/// The start tag of a stream (RFC 6120 §4.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The element's name and attributes; it has no children.
    pub(crate) element: Element,
    /// The namespace of elements without a prefix.
    pub(crate) content_namespace: String,
    /// Whether the dialback namespace is declared, under any prefix.
    pub(crate) dialback: bool,
}

impl Header {
    /// Whether the root is the stream element, and whether it carries server-to-server content.
    pub(crate) fn is_server_stream(&self) -> bool {
        self.element.is(STREAMS, "stream") && self.content_namespace == SERVER
    }
}

/// The three stanzas (RFC 6120 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `<message/>`.
    Message,
    /// `<presence/>`.
    Presence,
    /// `<iq/>`.
    Iq,
}

impl Kind {
    /// The element's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Message, Self::Presence, Self::Iq]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A stanza as it came: its bytes, and what routing needs of its start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stanza {
    /// Which of the three.
    pub(crate) kind: Kind,
    /// Attribute `from`, unescaped.
    pub(crate) from: Option<String>,
    /// Attribute `to`, unescaped.
    pub(crate) to: Option<String>,
    /// Attribute `id`, unescaped.
    pub(crate) id: Option<String>,
    /// Attribute `type`, unescaped.
    pub(crate) type_: Option<String>,
    /// The element's bytes, fit for any stream whose default namespace is `jabber:server`.
    pub(crate) bytes: Vec<u8>,
}

/// Why a stream can't be read on. All are final.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The document declares another encoding.
    #[error("encoding is not UTF-8")]
    Encoding,
    /// XML's or its namespaces' rules are broken.
    #[error("XML is not well-formed")]
    Malformed,
    /// A comment, processing instruction, document type or the like (RFC 6120 §11.1).
    #[error("XML outside the restricted subset")]
    Restricted,
    /// Character data between first-level elements.
    #[error("text between elements")]
    Text,
    /// A limit on size, depth or number is passed.
    #[error("element passes a limit")]
    TooLarge,
}

/// A push reader of one stream.
pub(crate) struct Reader {
    parser: RawParser,
    scopes: Scopes,
    tag: Option<Tag>,
    open: Open,
    depth: usize,
    bytes: Vec<u8>,
    bounds: Bounds,
    failed: Option<ReadError>,
}

struct Tag {
    prefix: Prefix,
    name: String,
    attributes: Vec<(Prefix, String, String)>,
    declarations: BTreeMap<Prefix, String>,
}

enum Open {
    Nothing,
    Tree {
        path: Vec<Element>,
        elements: usize,
    },
    Stanza {
        head: Element,
        kind: Kind,
        borrowed: BTreeSet<Prefix>,
    },
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("depth", &self.depth)
            .field("pending", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader for a new stream.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let options = rxml::Options {
            max_token_length: TOKEN.min(bounds.bytes.max(1)),
            ..rxml::Options::default()
        };
        Self {
            parser: RawParser::with_options(options),
            scopes: Scopes::default(),
            tag: None,
            open: Open::Nothing,
            depth: 0,
            bytes: Vec::new(),
            bounds,
            failed: None,
        }
    }

    /// Changes the number of bytes that an element may have.
    pub(crate) fn set_bytes(&mut self, bytes: usize) {
        self.bounds.bytes = bytes;
    }

    /// Takes bytes off the front of `input` up to the end of the next frame.
    ///
    /// `Ok(None)` means that all input is taken and more is needed. What follows a frame stays in
    /// `input`, untouched.
    ///
    /// # Errors
    ///
    /// As [`ReadError`] says; the same error again on each later call.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, ReadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance(input);
        if let Err(error) = result {
            self.failed = Some(error);
            self.bytes = Vec::new();
        }
        result
    }

    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, ReadError> {
        loop {
            let before = *input;
            let event = self.parser.parse(input, false);
            self.bytes
                .extend_from_slice(&before[..before.len() - input.len()]);
            let frame = match event {
                Ok(Some(event)) => self.take(event)?,
                Ok(None) => return Ok(Some(Frame::Closed)),
                Err(EndOrError::NeedMoreData) => {
                    self.forget_padding();
                    self.stray()?;
                    return match self.bytes.len() > self.bounds.bytes {
                        true => Err(ReadError::TooLarge),
                        false => Ok(None),
                    };
                }
                Err(EndOrError::Error(error)) => return Err(blame(&error)),
            };
            if self.bytes.len() > self.bounds.bytes {
                self.forget_padding();
                if self.bytes.len() > self.bounds.bytes {
                    return Err(ReadError::TooLarge);
                }
            }
            if let Some(frame) = frame {
                self.bytes.clear();
                self.bytes.shrink_to(4096);
                return Ok(Some(frame));
            }
        }
    }

    fn take(&mut self, event: RawEvent) -> Result<Option<Frame>, ReadError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(None),
            RawEvent::ElementHeadOpen(_, (prefix, name)) => {
                if self.depth > self.bounds.depth {
                    return Err(ReadError::TooLarge);
                }
                self.tag = Some(Tag {
                    prefix: prefix.map(|prefix| prefix.to_string()),
                    name: name.to_string(),
                    attributes: Vec::new(),
                    declarations: BTreeMap::new(),
                });
                Ok(None)
            }
            RawEvent::Attribute(_, (prefix, name), value) => {
                let tag = self.tag.as_mut().ok_or(ReadError::Malformed)?;
                if tag.attributes.len() + tag.declarations.len() >= self.bounds.attributes {
                    return Err(ReadError::TooLarge);
                }
                let prefix = prefix.map(|prefix| prefix.to_string());
                let name = name.to_string();
                let declared = match prefix.as_deref() {
                    Some("xmlns") => Some(Some(name.clone())),
                    None if name == "xmlns" => Some(None),
                    Some(_) | None => None,
                };
                match declared {
                    Some(declared) => {
                        if !is_bindable(&declared, &value) {
                            return Err(ReadError::Malformed);
                        }
                        if tag.declarations.insert(declared, value).is_some() {
                            return Err(ReadError::Malformed);
                        }
                    }
                    None => tag.attributes.push((prefix, name, value)),
                }
                Ok(None)
            }
            RawEvent::ElementHeadClose(_) => {
                let tag = self.tag.take().ok_or(ReadError::Malformed)?;
                self.begin(tag)
            }
            RawEvent::ElementFoot(_) => Ok(self.end()),
            RawEvent::Text(_, text) => self.text(&text).map(|()| None),
        }
    }

    /// A start tag is complete.
    fn begin(&mut self, tag: Tag) -> Result<Option<Frame>, ReadError> {
        let Tag {
            prefix,
            name,
            attributes,
            declarations,
        } = tag;
        self.scopes.push(declarations);
        self.depth += 1;
        let mut borrowed = BTreeSet::new();
        let mut resolve = |prefix: Prefix| -> Result<String, ReadError> {
            let (namespace, level) = self.scopes.resolve(&prefix).ok_or(ReadError::Malformed)?;
            let namespace = namespace.to_owned();
            if level == 0 && prefix.is_some() {
                borrowed.insert(prefix);
            }
            Ok(namespace)
        };
        let mut element = Element {
            namespace: resolve(prefix)?,
            name,
            ..Element::default()
        };
        let mut seen = BTreeSet::new();
        for (prefix, name, value) in attributes {
            let namespace = match prefix {
                Some(_) => resolve(prefix)?,
                None => String::new(),
            };
            if !seen.insert((namespace.clone(), name.clone())) {
                return Err(ReadError::Malformed);
            }
            element.attributes.push((namespace, name, value));
        }
        match (self.depth, &mut self.open) {
            (1, _) => {
                let content_namespace = self
                    .scopes
                    .resolve(&None)
                    .map_or_else(String::new, |(namespace, _)| namespace.to_owned());
                return Ok(Some(Frame::Header(Header {
                    element,
                    content_namespace,
                    dialback: self.scopes.outermost_declares(DIALBACK),
                })));
            }
            (_, Open::Nothing) => {
                let kind = Kind::of(&element.name).filter(|_| element.namespace == SERVER);
                self.open = match kind {
                    Some(kind) => Open::Stanza {
                        head: element,
                        kind,
                        borrowed,
                    },
                    None => Open::Tree {
                        path: vec![element],
                        elements: 1,
                    },
                };
            }
            (_, Open::Tree { path, elements }) => {
                *elements += 1;
                if *elements > ELEMENTS {
                    return Err(ReadError::TooLarge);
                }
                path.push(element);
            }
            (
                _,
                Open::Stanza {
                    borrowed: known, ..
                },
            ) => known.extend(borrowed),
        }
        Ok(None)
    }

    /// An end tag is complete.
    fn end(&mut self) -> Option<Frame> {
        self.scopes.pop();
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            return Some(Frame::Closed);
        }
        if let Open::Tree { path, .. } = &mut self.open
            && path.len() > 1
        {
            if let Some(child) = path.pop()
                && let Some(parent) = path.last_mut()
            {
                parent.children.push(child);
            }
            return None;
        }
        if self.depth > 1 {
            return None;
        }
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => None,
            Open::Tree { mut path, .. } => path.pop().map(Frame::Element),
            Open::Stanza {
                head,
                kind,
                borrowed,
            } => {
                self.forget_padding();
                let attribute = |name: &str| head.attribute(name).map(str::to_owned);
                Some(Frame::Stanza(Stanza {
                    kind,
                    from: attribute("from"),
                    to: attribute("to"),
                    id: attribute("id"),
                    type_: attribute("type"),
                    bytes: self.detached(&borrowed),
                }))
            }
        }
    }

    /// Text where only markup may be: the parser holds it back until markup follows, and nobody
    /// has to wait for that.
    fn stray(&self) -> Result<(), ReadError> {
        match self.bytes.first() {
            None | Some(b'<') => Ok(()),
            Some(_) if self.depth == 0 => Err(ReadError::Malformed),
            Some(_) => Err(ReadError::Text),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), ReadError> {
        match &mut self.open {
            Open::Nothing if text.bytes().all(is_blank) => Ok(()),
            Open::Nothing => Err(ReadError::Text),
            Open::Tree { path, .. } => {
                if let Some(element) = path.last_mut() {
                    element.text.push_str(text);
                }
                Ok(())
            }
            Open::Stanza { .. } => Ok(()),
        }
    }

    /// The stanza's bytes, with the declarations that it borrows from the header written into it.
    fn detached(&self, borrowed: &BTreeSet<Prefix>) -> Vec<u8> {
        let mut declarations = String::new();
        for prefix in borrowed {
            if let (Some(name), Some((namespace, _))) = (prefix, self.scopes.resolve(prefix)) {
                declarations.push_str(&format!(" xmlns:{name}='{}'", escape(namespace)));
            }
        }
        if declarations.is_empty() {
            return self.bytes.clone();
        }
        let name_end = self
            .bytes
            .iter()
            .position(|byte| is_blank(*byte) || matches!(byte, b'/' | b'>'))
            .unwrap_or(self.bytes.len());
        let (name, rest) = self.bytes.split_at(name_end);
        [name, declarations.as_bytes(), rest].concat()
    }

    /// Drops blanks before an element, so that keep-alives cost nothing.
    fn forget_padding(&mut self) {
        let blanks = self
            .bytes
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
        self.bytes.drain(..blanks);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The class of a parser's error; its texts are the only mark that some of them have.
fn blame(error: &rxml::Error) -> ReadError {
    match error {
        rxml::Error::RestrictedXml(text) if text.contains("encoding") => ReadError::Encoding,
        rxml::Error::RestrictedXml(text) if text.contains("long") => ReadError::TooLarge,
        rxml::Error::RestrictedXml(_) => ReadError::Restricted,
        rxml::Error::InvalidUtf8Byte(_) => ReadError::Encoding,
        // `<!` that begins neither a comment nor a CDATA section begins a document type.
        rxml::Error::InvalidSyntax(text) if text.contains("cdata or comment") => {
            ReadError::Restricted
        }
        _ => ReadError::Malformed,
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
