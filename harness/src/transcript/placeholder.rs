//! Placeholders for values that vary between runs of a case: stream ids, dialback keys,
//! stanza ids, ports, and numbers in error texts.

use std::net::Ipv4Addr;
use std::sync::Arc;

use memchr::memmem;
use simulated_partners::event::{CertificateSeen, EventKind, Party, TlsSignal};
use simulated_partners::wire::{Element, Frame, Kind, NS_DIALBACK, Node};

use super::look::is_stanza_element;
use super::xml;

/// The bytes of non-XML input that are always the same: the header of a TLS record.
const STABLE_BYTES: usize = 5;

/// Shorter texts are never searched for inside other texts.
const TELLING_LENGTH: usize = 8;

/// The values named in this transcript.
#[derive(Default)]
pub(super) struct Placeholders {
    ids: Vec<String>,
    keys: Vec<String>,
    stanzas: Vec<String>,
}

fn placeholder(list: &mut Vec<String>, word: &str, value: &str) -> String {
    let index = list.iter().position(|v| v == value).unwrap_or_else(|| {
        list.push(value.to_owned());
        list.len() - 1
    });
    format!("{{{word}-{}}}", index + 1)
}

impl Placeholders {
    /// Names values at the places where they are known to vary.
    pub(super) fn collect(&mut self, what: &mut EventKind) {
        let EventKind::Frame { frame, .. } = what else {
            return;
        };
        let mut kind = frame.kind.clone();
        match &mut kind {
            Kind::Header(element) => {
                self.name_attribute(element, Name::Id);
            }
            Kind::Element(element) if element.namespace == NS_DIALBACK => {
                self.name_attribute(element, Name::Id);
                for node in &mut element.children {
                    if let Node::Text(text) = node
                        && !text.trim().is_empty()
                    {
                        *text = placeholder(&mut self.keys, "key", text.trim());
                    }
                }
            }
            Kind::Element(element) if is_stanza_element(element) => {
                self.name_attribute(element, Name::Stanza);
            }
            Kind::Element(_) | Kind::Declaration | Kind::Whitespace(_) | Kind::End => {}
        }
        *frame = Arc::new(Frame {
            raw: frame.raw.clone(),
            offset: 0,
            kind,
        });
    }

    fn name_attribute(&mut self, element: &mut Element, name: Name) {
        for attribute in &mut element.attributes {
            if attribute.prefix.is_none() && attribute.name == "id" {
                attribute.value = match name {
                    Name::Id => placeholder(&mut self.ids, "id", &attribute.value),
                    Name::Stanza => placeholder(&mut self.stanzas, "stanza", &attribute.value),
                };
            }
        }
    }

    /// Replaces named values wherever else they are quoted, and everything else that varies.
    pub(super) fn apply(&self, what: &mut EventKind) {
        match what {
            EventKind::Frame { frame, .. } => {
                let mut kind = frame.kind.clone();
                if let Kind::Header(element) | Kind::Element(element) = &mut kind {
                    self.apply_to_element(element);
                    xml::sort(element);
                }
                let raw = match &kind {
                    Kind::Declaration => b"<?xml version='1.0'?>".to_vec(),
                    Kind::Header(element) => xml::open_tag(element).into_bytes(),
                    Kind::Element(element) => xml::whole(element).into_bytes(),
                    Kind::Whitespace(_) => Vec::new(),
                    Kind::End => b"</stream:stream>".to_vec(),
                };
                *frame = Arc::new(Frame {
                    kind,
                    raw,
                    offset: 0,
                });
            }
            EventKind::Raw { from, bytes, fault } => {
                // How much of it arrived in one piece is random.
                if *from == Party::Target && fault.is_some() {
                    bytes.clear();
                } else if std::str::from_utf8(bytes).is_err() {
                    bytes.truncate(STABLE_BYTES);
                }
                if let Some(fault) = fault {
                    *fault = self.text(fault);
                }
            }
            EventKind::TlsUp(facts) => {
                if let CertificateSeen::Bad(why) = &mut facts.target_certificate {
                    *why = self.text(why);
                }
            }
            EventKind::TlsFailed { signal, .. } => {
                if let TlsSignal::Garbage(why) = signal {
                    *why = self.text(why);
                }
            }
            EventKind::Opened(_)
            | EventKind::ConnectFailed(..)
            | EventKind::Repeated { .. }
            | EventKind::Handshake(_)
            | EventKind::Raised(_)
            | EventKind::LeftOut(_)
            | EventKind::Established(_)
            | EventKind::Closed { .. }
            | EventKind::GaveUp { .. } => {}
        }
    }

    fn apply_to_element(&self, element: &mut Element) {
        for attribute in &mut element.attributes {
            attribute.value = self.text(&attribute.value);
        }
        for node in &mut element.children {
            match node {
                Node::Element(child) => self.apply_to_element(child),
                Node::Text(text) => *text = self.text(text),
            }
        }
    }

    fn text(&self, text: &str) -> String {
        let mut result = text.to_owned();
        for (word, list) in [
            ("id", &self.ids),
            ("key", &self.keys),
            ("stanza", &self.stanzas),
        ] {
            for (index, value) in list.iter().enumerate() {
                // Texts of a megabyte hold none of a dozen ids, mostly.
                if value.len() >= TELLING_LENGTH
                    && memmem::find(result.as_bytes(), value.as_bytes()).is_some()
                {
                    result = result.replace(value.as_str(), &format!("{{{word}-{}}}", index + 1));
                }
            }
        }
        mask_numbers(&result)
    }
}

#[derive(Clone, Copy)]
enum Name {
    Id,
    Stanza,
}

/// Loopback addresses become `127.0.0.1`, ports `{port}`, other numbers of six digits and more (times, mostly) `{n}`.
fn mask_numbers(text: &str) -> String {
    const LONG: usize = 6;
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        result.push_str(before);
        if let Some(length) = loopback_length(from) {
            result.push_str("127.0.0.1");
            rest = &from[length..];
            continue;
        }
        let length = from
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(from.len());
        let (digits, after) = from.split_at(length);
        let after_letter = result.ends_with(|c: char| c.is_alphanumeric());
        let after_address = result.ends_with("127.0.0.1:") || result.ends_with("[::1]:");
        if after_address {
            result.push_str("{port}");
        } else if length >= LONG && !after_letter {
            result.push_str("{n}");
        } else {
            result.push_str(digits);
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

/// The length of a loopback address of IPv4 at the beginning of a text.
fn loopback_length(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let length = text[..end].trim_end_matches('.').len();
    let address: Ipv4Addr = text[..length].parse().ok()?;
    address.is_loopback().then_some(length)
}

#[cfg(test)]
mod tests {
    use super::mask_numbers;

    #[test]
    fn what_differs_between_machines_is_masked() {
        for (text, masked) in [
            ("127.0.0.1:4711", "127.0.0.1:{port}"),
            ("from 127.90.3.8:4711.", "from 127.0.0.1:{port}."),
            ("[::1]:4711 after 1234567 ms", "[::1]:{port} after {n} ms"),
            ("127.0.0.300 and 10.0.0.1:25", "127.0.0.300 and 10.0.0.1:25"),
        ] {
            assert_eq!(mask_numbers(text), masked);
        }
    }
}
