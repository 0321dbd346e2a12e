//! Parses whole units into elements: quick-xml provides tokens, and this module is strict.

use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::character::is_legal;
use super::rule::{Fault, Rule};
use super::scope::Scope;
use super::{Element, NS_STREAM, Node, tag};

/// Checks rules for each byte of a unit, wherever it is.
pub(super) fn text(raw: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(raw).map_err(|error| Rule::NotUtf8.at(error.valid_up_to()))?;
    match text.char_indices().find(|&(_, c)| !is_legal(c)) {
        Some((position, c)) => Err(Rule::IllegalCharacter(c.into()).at(position)),
        None => Ok(text),
    }
}

/// Checks `<?xml … ?>` (RFC 6120 §11.5 and §11.6).
pub(super) fn declaration(text: &str) -> Result<(), Fault> {
    const BEFORE: usize = "<?xml".len();
    let inside = &text[..text.len() - "?>".len()];
    let pseudo =
        tag::attributes(inside, BEFORE).map_err(|fault| Rule::Declaration.at(fault.position))?;
    let mut pseudo = pseudo.iter().peekable();
    match pseudo.next() {
        Some(version) if version.qualified == "version" => {
            if version.value != "1.0" {
                return Err(Rule::Version(tag::excerpt(&version.value)).at(version.at));
            }
        }
        _ => return Err(Rule::Declaration.at(BEFORE)),
    }
    if let Some(encoding) = pseudo.next_if(|next| next.qualified == "encoding")
        && !encoding.value.eq_ignore_ascii_case("utf-8")
    {
        return Err(Rule::Encoding(tag::excerpt(&encoding.value)).at(encoding.at));
    }
    pseudo.next_if(|next| {
        next.qualified == "standalone" && matches!(next.value.as_str(), "yes" | "no")
    });
    match pseudo.next() {
        Some(odd) => Err(Rule::Declaration.at(odd.at)),
        None => Ok(()),
    }
}

/// Reads a stream header; its declarations stay in force in `scope`.
pub(super) fn header(text: &str, scope: &mut Scope) -> Result<Element, Fault> {
    let inside = text[1..text.len() - 1].trim_end_matches('/');
    let header = tag::read(inside, scope).map_err(|fault| fault.shifted(1))?;
    let rule = if header.namespace == NS_STREAM {
        if header.name == "stream" {
            return Ok(header);
        }
        Rule::RootName(tag::excerpt(&header.name))
    } else if header.namespace.is_empty() {
        Rule::RootUnqualified
    } else {
        Rule::RootNamespace(tag::excerpt(&header.namespace))
    };
    Err(rule.at(0))
}

/// Checks that `</…>` ends the element opened as `open`.
pub(super) fn end(text: &str, open: &str) -> Result<(), Fault> {
    matches_end(&text["</".len()..text.len() - 1], open).map_err(|rule| rule.at(0))
}

fn matches_end(found: &str, open: &str) -> Result<(), Rule> {
    let found = found.trim_end_matches([' ', '\t', '\r', '\n']);
    if found == open {
        Ok(())
    } else {
        Err(Rule::MismatchedEnd {
            open: tag::excerpt(open),
            found: tag::excerpt(found),
        })
    }
}

/// Reads a whole child of the stream; `scope` is unchanged afterwards.
pub(super) fn element(text: &str, scope: &mut Scope) -> Result<Element, Fault> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    // Checked here, with our own rule and place.
    config.check_end_names = false;
    config.trim_markup_names_in_closing_tags = false;

    let mut open: Vec<Element> = Vec::new();
    loop {
        let at = reader.buffer_position() as usize;
        let event = reader
            .read_event()
            .map_err(|error| refused(&error, at, text))?;
        let closed = match event {
            Event::Start(start) => {
                open.push(opened(&start, at, scope)?);
                continue;
            }
            Event::Empty(start) => opened(&start, at, scope)?,
            Event::End(end) => {
                let Some(element) = open.pop() else {
                    return Err(Rule::Tag.at(at));
                };
                matches_end(end.name().as_ref(), &element.qualified_name())
                    .map_err(|rule| rule.at(at))?;
                element
            }
            Event::Text(characters) => {
                if let Some(position) = characters.find("]]>") {
                    return Err(Rule::CdataEndInText.at(at + position));
                }
                append(&mut open, &normalise(&characters), at)?;
                continue;
            }
            Event::CData(characters) => {
                append(&mut open, &normalise(&characters), at)?;
                continue;
            }
            Event::GeneralRef(reference) => {
                let c = tag::reference(&reference).map_err(|rule| rule.at(at))?;
                append(&mut open, c.encode_utf8(&mut [0; 4]), at)?;
                continue;
            }
            Event::Comment(_) => return Err(Rule::Comment.at(at)),
            Event::Decl(_) | Event::PI(_) => return Err(Rule::ProcessingInstruction.at(at)),
            Event::DocType(_) => return Err(Rule::DocumentType.at(at)),
            Event::Eof => return Err(Rule::Tag.at(at)),
        };
        scope.leave(&closed.declarations);
        match open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(closed)),
            None if reader.buffer_position() as usize == text.len() => return Ok(closed),
            None => return Err(Rule::Tag.at(reader.buffer_position() as usize)),
        }
    }
}

fn opened(start: &BytesStart<'_>, at: usize, scope: &mut Scope) -> Result<Element, Fault> {
    tag::read(start, scope).map_err(|fault| fault.shifted(at + 1))
}

fn append(open: &mut [Element], characters: &str, at: usize) -> Result<(), Fault> {
    match open.last_mut() {
        Some(element) => {
            element.push_text(characters);
            Ok(())
        }
        None => Err(Rule::TextInStream.at(at)),
    }
}

/// Names what quick-xml refused: in whole, balanced units little besides references is left to it.
fn refused(error: &quick_xml::Error, at: usize, text: &str) -> Fault {
    use quick_xml::errors::IllFormedError;
    match error {
        quick_xml::Error::IllFormed(IllFormedError::UnclosedReference) => {
            let after = text.get(at + 1..).unwrap_or_default();
            let after = after.split('<').next().unwrap_or_default();
            Rule::BadReference(tag::excerpt(after)).at(at)
        }
        _ => Rule::Tag.at(at),
    }
}

/// Normalises line ends to one character (XML 1.0 §2.11).
fn normalise(raw: &str) -> std::borrow::Cow<'_, str> {
    if raw.contains('\r') {
        raw.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        raw.into()
    }
}
