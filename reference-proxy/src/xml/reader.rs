//! Turns bytes, however they are split, into frames.
//!
//! rxml supplies the grammar of restricted XML (RFC 6120 §11.1); limits, namespaces and the raw
//! bytes of stanzas are handled here. A [`Reader`] serves one stream: after a restart a new one
//! takes over, so nothing leaks through.

use std::collections::{BTreeMap, BTreeSet};

use rxml::error::EndOrError;
use rxml::{Parse, RawEvent, RawParser, WithOptions};

use super::element::{Element, LANGUAGE, escape};
use super::frame::{Frame, Header, Kind, ReadError, Skipped, Stanza};
use super::namespace::{DIALBACK, SERVER};
use super::scopes::{Prefix, Scopes, is_bindable};
use super::skip::{Skip, skipped};

/// The maximum number of elements in one negotiation element.
const ELEMENTS: usize = 512;
/// The maximum number of bytes in one name or attribute value.
pub(super) const TOKEN: usize = 65_536;

/// What one element may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the header and of each first-level element.
    pub bytes: usize,
    /// How deep elements may nest, not counting the stream.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
}

/// Reads one stream.
pub struct Reader {
    parser: RawParser,
    scopes: Scopes,
    /// The language of the stream, if it is not that of this side's streams.
    language: Option<String>,
    tag: Option<Tag>,
    open: Open,
    depth: usize,
    bytes: Vec<u8>,
    bounds: Bounds,
    /// Whether elements that cannot be taken are passed over.
    lenient: bool,
    skip: Option<Skip>,
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
    /// A reader at the beginning of a stream.
    pub fn new(bounds: Bounds) -> Self {
        let options = rxml::Options {
            max_token_length: TOKEN.min(bounds.bytes.max(1)),
            ..rxml::Options::default()
        };
        Self {
            parser: RawParser::with_options(options),
            scopes: Scopes::default(),
            language: None,
            tag: None,
            open: Open::Nothing,
            depth: 0,
            bytes: Vec::new(),
            bounds,
            lenient: false,
            skip: None,
            failed: None,
        }
    }

    pub(crate) fn set_bytes(&mut self, bytes: usize) {
        self.bounds.bytes = bytes;
    }

    /// Passes over first-level elements that cannot be taken, as far as the stream can go on.
    pub(crate) fn be_lenient(&mut self) {
        self.lenient = true;
    }

    /// Takes bytes off the front of `input` up to the end of the next frame.
    ///
    /// `Ok(None)` means that all input is taken and more is needed. Bytes after a frame stay in
    /// `input`. An error is final: each later call returns it again.
    ///
    /// # Errors
    /// [`ReadError`] if it cannot be read any further.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, ReadError> {
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
            let taken = &before[..before.len() - input.len()];
            match &mut self.skip {
                Some(skip) => skip.pass(taken.len())?,
                None => self.bytes.extend_from_slice(taken),
            }
            let mut frame = match event {
                Ok(Some(event)) => self.step(event)?,
                Ok(None) => return Ok(Some(Frame::Closed)),
                Err(EndOrError::NeedMoreData) => {
                    self.forget_padding();
                    self.stray()?;
                    if let Err(error) = self.fits() {
                        self.pass_over(error)?;
                    }
                    return Ok(None);
                }
                Err(EndOrError::Error(error)) => return Err(classify(&error)),
            };
            if self.fits().is_err() {
                self.forget_padding();
                if let Err(error) = self.fits() {
                    frame = match frame {
                        Some(frame) if self.lenient => Some(untaken(frame, error)),
                        Some(_) | None => {
                            self.pass_over(error)?;
                            None
                        }
                    };
                }
            }
            if let Some(frame) = frame {
                self.bytes.clear();
                self.bytes.shrink_to(4096);
                return Ok(Some(frame));
            }
        }
    }

    fn fits(&self) -> Result<(), ReadError> {
        match self.bytes.len() > self.bounds.bytes {
            true => Err(ReadError::TooLarge),
            false => Ok(()),
        }
    }

    /// Handles an event, or passes over it.
    fn step(&mut self, event: RawEvent) -> Result<Option<Frame>, ReadError> {
        if let Some(skip) = &mut self.skip {
            return match skip.ends(&event)? {
                true => Ok(self.skip.take().map(Skip::frame)),
                false => Ok(None),
            };
        }
        match self.take(event) {
            Err(error) => self.pass_over(error).map(|()| None),
            taken => taken,
        }
    }

    /// Begins to pass over the first-level element that is open, if that is possible.
    fn pass_over(&mut self, error: ReadError) -> Result<(), ReadError> {
        if !self.lenient || !(self.depth > 1 || self.tag.is_some()) {
            return Err(error);
        }
        let head = match &self.open {
            Open::Nothing => None,
            Open::Stanza { head, .. } => Some(head),
            Open::Tree { path, .. } => path.first(),
        };
        self.skip = Some(Skip::new(error, head, self.depth.saturating_sub(1)));
        // As before that element.
        for _ in 1..self.depth {
            self.scopes.pop();
        }
        self.depth = 1;
        self.tag = None;
        self.open = Open::Nothing;
        self.bytes.clear();
        Ok(())
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
                match declared(prefix.as_deref(), &name) {
                    Some(declared) => {
                        let bindable = is_bindable(&declared, &value);
                        if !bindable || tag.declarations.insert(declared, value).is_some() {
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

    /// Handles a complete start tag.
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
        let mut resolve = |prefix: &Prefix| -> Result<&str, ReadError> {
            let (namespace, level) = self.scopes.resolve(prefix).ok_or(ReadError::Malformed)?;
            if level == 0 && prefix.is_some() {
                borrowed.insert(prefix.clone());
            }
            Ok(namespace)
        };
        let namespace = resolve(&prefix)?;
        let spaces = attributes.iter().map(|(prefix, ..)| match prefix {
            Some(_) => resolve(prefix),
            None => Ok(""),
        });
        let spaces = spaces.collect::<Result<Vec<&str>, ReadError>>()?;
        let names = spaces.iter().zip(&attributes);
        let mut names: Vec<_> = names.map(|(space, (_, name, _))| (*space, name)).collect();
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return Err(ReadError::Malformed);
        }
        if let Open::Stanza {
            borrowed: known, ..
        } = &mut self.open
        {
            known.extend(borrowed);
            return Ok(None);
        }
        let spaces: Vec<String> = spaces.into_iter().map(str::to_owned).collect();
        let attributes = spaces.into_iter().zip(attributes);
        let element = Element {
            namespace: namespace.to_owned(),
            name,
            attributes: attributes
                .map(|(space, (_, name, value))| (space, name, value))
                .collect(),
            ..Element::default()
        };
        match (self.depth, &mut self.open) {
            (1, _) => {
                let content_namespace = self
                    .scopes
                    .resolve(&None)
                    .map_or_else(String::new, |(namespace, _)| namespace.to_owned());
                let foreign = |tag: &&str| !tag.eq_ignore_ascii_case(LANGUAGE);
                self.language = element.language().filter(foreign).map(str::to_owned);
                return Ok(Some(Frame::Header(Header {
                    element,
                    content_namespace,
                    dialback: self.scopes.outermost_declares(DIALBACK),
                })));
            }
            (_, Open::Nothing) => {
                self.open = match element.name.parse::<Kind>() {
                    Ok(_) if element.namespace == SERVER && prefix.is_some() => {
                        return Err(ReadError::Prefix);
                    }
                    Ok(kind) if element.namespace == SERVER => Open::Stanza {
                        head: element,
                        kind,
                        borrowed,
                    },
                    Ok(_) | Err(_) => Open::Tree {
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
            // Nothing inside is kept.
            (_, Open::Stanza { .. }) => {}
        }
        Ok(None)
    }

    /// Handles an end tag.
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
                let bytes = self.detached(&head, &borrowed);
                Some(Frame::Stanza(Stanza::with_head(kind, &head, bytes)))
            }
        }
    }

    /// Finds text where only markup may be. The parser would hold it back until markup follows.
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

    /// The stanza's bytes, with the declarations of the header that it uses copied into it, and with
    /// the language of the stream, which it has where it names none (RFC 6120 §8.1.5).
    fn detached(&self, head: &Element, borrowed: &BTreeSet<Prefix>) -> Vec<u8> {
        let mut declarations = String::new();
        let language = self.language.as_ref().filter(|_| !head.has_language());
        if let Some(language) = language {
            declarations.push_str(&format!(" xml:lang='{language}'"));
        }
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

    /// Drops whitespace before an element, so keepalives do not count.
    fn forget_padding(&mut self) {
        let blanks = self
            .bytes
            .iter()
            .take_while(|byte| is_blank(**byte))
            .count();
        self.bytes.drain(..blanks);
    }
}

/// What becomes of a frame that is complete and too large.
fn untaken(frame: Frame, error: ReadError) -> Frame {
    match frame {
        Frame::Stanza(stanza) => Frame::Skipped(Skipped {
            error,
            stanza: Some(Stanza {
                bytes: Vec::new(),
                ..stanza
            }),
        }),
        Frame::Element(element) => Frame::Skipped(skipped(error, Some(&element))),
        other => other,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The prefix that an attribute declares, if it declares a namespace.
pub(super) fn declared(prefix: Option<&str>, name: &str) -> Option<Prefix> {
    match prefix {
        Some("xmlns") => Some(Some(name.to_owned())),
        None if name == "xmlns" => Some(None),
        Some(_) | None => None,
    }
}

/// Classifies a parser's error. Some differ only in their texts.
pub(super) fn classify(error: &rxml::Error) -> ReadError {
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
