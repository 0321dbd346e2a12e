//! What a double does to bytes before it parses them, and to elements before it sends them.

use simulated_partners::wire::Element;

use super::Server;
use super::defect::Defect;
use super::link::Scrub;

impl Server {
    /// What is done to bytes before they are parsed.
    pub(super) fn scrub(&self) -> Scrub {
        match self.defect {
            Some(Defect::IgnoresComments) => |bytes| without(bytes, "<!--", "-->"),
            Some(Defect::IgnoresInstructions) => |bytes| without(bytes, "<?", "?>"),
            Some(Defect::IgnoresDocumentTypes) => |bytes| without(bytes, "<!DOCTYPE", ">"),
            Some(Defect::ReplacesInvalidBytes) => {
                |bytes| String::from_utf8_lossy(&bytes).into_owned().into_bytes()
            }
            Some(Defect::DropsControlCharacters) => |mut bytes| {
                bytes.retain(|byte| *byte >= b' ' || b"\t\r\n".contains(byte));
                bytes
            },
            Some(Defect::DropsTextBetweenStanzas) => between_stanzas,
            _ => |bytes| bytes,
        }
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

/// An element without one of its attributes.
pub(super) fn without_attribute(mut element: Element, name: &str) -> Element {
    element
        .attributes
        .retain(|attribute| attribute.name != name);
    element
}
