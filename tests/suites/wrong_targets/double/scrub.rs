//! What a double does to bytes before it parses them, and to elements before it sends them.

use std::net::TcpStream;
use std::time::Duration;

use simulated_partners::wire::{
    Element, Limits, NS_DIALBACK, NS_SASL, NS_SERVER, NS_STREAM, NS_TLS, NS_XML, Node,
};

use super::Server;
use super::defect::Defect;
use super::link::Scrub;

/// How long it waits for what it fetches.
const PATIENCE: Duration = Duration::from_secs(1);

impl Server {
    /// What is left of a stanza that passes through.
    pub(super) fn passed(&self, mut stanza: Element) -> Element {
        if self.has(Defect::JoinsNamesAndNamespaces) {
            each(&mut stanza, &|element| {
                if let Some((namespace, name)) = element.namespace.clone().split_once('|') {
                    namespace.clone_into(&mut element.namespace);
                    name.clone_into(&mut element.name);
                    element.declarations.clear();
                }
            });
        }
        if self.has(Defect::RenamesInnerStanzas) {
            each(&mut stanza, &|element| {
                if element.namespace == "jabber:client" {
                    NS_SERVER.clone_into(&mut element.namespace);
                    element.declarations.clear();
                }
            });
        }
        if self.has(Defect::FillsInEmptyNamespaces) {
            each(&mut stanza, &|element| {
                if element.namespace.is_empty() {
                    NS_SERVER.clone_into(&mut element.namespace);
                    element.declarations.clear();
                }
            });
        }
        if self.has(Defect::LeavesOutNamespaces) {
            each(&mut stanza, &without_that_of_the_grandparent);
        }
        if self.has(Defect::LosesLanguages) {
            each(&mut stanza, &|element| {
                element.attributes.retain(|one| one.namespace != NS_XML);
            });
        }
        stanza
    }

    /// What is done to bytes of the inner side.
    pub(super) fn scrub_of_what_leaves(&self) -> Scrub {
        match self.defect {
            Some(Defect::EscapesNothing) => |bytes| replaced(bytes, " & ", " &amp; "),
            _ => |bytes| bytes,
        }
    }

    /// What a unit may have.
    pub(super) fn limits(&self) -> Limits {
        let usual = Limits::default();
        let unit = match self.defect {
            Some(Defect::SmallStanzas) => 8192,
            Some(Defect::DropsWhatIsTooLarge | Defect::LimitsNothing) => usize::MAX,
            _ => usual.unit,
        };
        Limits { unit, ..usual }
    }

    /// What is done to bytes before they are parsed.
    pub(super) fn scrub(&self) -> Scrub {
        match self.defect {
            Some(Defect::IgnoresComments) => |bytes| without(bytes, "<!--", "-->"),
            Some(Defect::IgnoresInstructions) => |bytes| without(bytes, "<?", "?>"),
            Some(Defect::ExpandsEntities) => expanded,
            Some(Defect::FetchesEntities) => fetched,
            Some(Defect::RemembersPrefixes) => {
                |bytes| replaced(bytes, "<q:x/>", "<x xmlns='urn:example:q'/>")
            }
            Some(Defect::SwallowsStandalone) => |bytes| match includes(&bytes, "standalone='no'") {
                true => Vec::new(),
                false => bytes,
            },
            Some(Defect::KnowsNoNamespaces) => |bytes| replaced(bytes, "<a:b/>", "<b/>"),
            Some(Defect::TakesXml11) => |bytes| {
                let bytes = replaced(bytes, "<?xml version='1.1'?>", "<?xml version='1.0'?>");
                replaced(replaced(bytes, "&#1;", ""), "&#x7;", "")
            },
            Some(Defect::IgnoresDocumentTypes) => |bytes| without(bytes, "<!DOCTYPE", ">"),
            Some(Defect::ReplacesInvalidBytes) => {
                |bytes| String::from_utf8_lossy(&bytes).into_owned().into_bytes()
            }
            Some(Defect::DropsControlCharacters) => |mut bytes| {
                bytes.retain(|byte| *byte >= b' ' || b"\t\r\n".contains(byte));
                bytes
            },
            Some(Defect::DropsTextBetweenStanzas) => between_stanzas,
            Some(Defect::IgnoresEncodings) => |bytes| replaced(bytes, " encoding='US-ASCII'", ""),
            Some(Defect::SkipsByteOrderMarks) => |bytes| replaced(bytes, "\u{feff}", ""),
            Some(Defect::DropsUnknownReferences) => |bytes| {
                let bytes = replaced(bytes, "&nbsp;", "");
                replaced(bytes, "&AMP;", "")
            },
            Some(Defect::ReadsTextAsMarkup) => |bytes| {
                let bytes = replaced(bytes, "&lt;", "<");
                replaced(bytes, "&gt;", ">")
            },
            _ => |bytes| bytes,
        }
    }
}

/// Resolves the entities of a document type.
fn expanded(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(bytes.clone()) else {
        return bytes;
    };
    let Some((_, rest)) = text.split_once("<!DOCTYPE") else {
        return bytes;
    };
    let Some((subset, mut rest)) = rest.split_once("]>").map(|(a, b)| (a, b.to_owned())) else {
        return bytes;
    };
    let mut entities: Vec<(&str, &str)> = subset
        .split("<!ENTITY ")
        .filter_map(|one| one.split_once(" '"))
        .filter_map(|(name, value)| Some((name, value.split_once('\'')?.0)))
        .collect();
    // A later one may name those before it.
    entities.reverse();
    for (name, value) in entities {
        rest = rest.replace(&format!("&{name};"), value);
    }
    rest.into_bytes()
}

/// Fetches the external entity of a document type.
fn fetched(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    let place = text.split_once("'http://").map(|(_, rest)| rest);
    let address = place.and_then(|place| place.split('/').next()?.parse().ok());
    if let Some(address) = address {
        let _ = TcpStream::connect_timeout(&address, PATIENCE);
    }
    replaced(without(bytes, "<!DOCTYPE", "]>"), "&e;", "")
}

fn includes(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Replaces a text wherever it is.
fn replaced(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    match String::from_utf8(bytes) {
        Ok(text) => text.replace(from, to).into_bytes(),
        Err(other) => other.into_bytes(),
    }
}

/// Leaves out what lies between two marks.
fn without(bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    let Ok(mut text) = String::from_utf8(bytes.clone()) else {
        return bytes;
    };
    let mut begin = 0;
    while let Some(at) = text[begin..].find(from).map(|at| begin + at) {
        let Some(end) = text[at..].find(to) else {
            break;
        };
        // The declaration of a stream is no instruction.
        if text[at..].starts_with("<?xml ") {
            begin = at + end;
            continue;
        }
        text.replace_range(at..at + end + to.len(), "");
        begin = at;
    }
    text.into_bytes()
}

/// Leaves out text in front of an element.
fn between_stanzas(bytes: Vec<u8>) -> Vec<u8> {
    let is_text = bytes.first().is_some_and(|byte| *byte != b'<');
    match bytes.iter().position(|byte| *byte == b'<') {
        Some(at) if is_text => bytes[at..].to_vec(),
        _ => bytes,
    }
}

/// Changes an element and all that is in it.
fn each(element: &mut Element, change: &impl Fn(&mut Element)) {
    change(element);
    for child in &mut element.children {
        if let Node::Element(child) = child {
            each(child, change);
        }
    }
}

/// Grandchildren of the same namespace get that of the child between.
fn without_that_of_the_grandparent(element: &mut Element) {
    for child in &mut element.children {
        let Node::Element(child) = child else {
            continue;
        };
        for grandchild in &mut child.children {
            if let Node::Element(grandchild) = grandchild
                && grandchild.namespace == element.namespace
            {
                child.namespace.clone_into(&mut grandchild.namespace);
                grandchild.declarations.clear();
            }
        }
    }
}

/// An element in the namespace in which its name is known.
pub(super) fn by_local_name(mut element: Element) -> Element {
    let namespace = match element.name.as_str() {
        "result" | "verify" => NS_DIALBACK,
        "starttls" | "proceed" => NS_TLS,
        "auth" | "challenge" | "response" | "success" => NS_SASL,
        "features" => NS_STREAM,
        "message" | "presence" | "iq" => NS_SERVER,
        _ => return element,
    };
    namespace.clone_into(&mut element.namespace);
    element
}

/// An element without one of its attributes.
pub(super) fn without_attribute(mut element: Element, name: &str) -> Element {
    element
        .attributes
        .retain(|attribute| attribute.name != name);
    element
}
