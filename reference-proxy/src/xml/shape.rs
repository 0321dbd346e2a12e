//! What is inside a stanza, found in its bytes: stanzas never become trees.

use std::collections::BTreeMap;
use std::ops::Range;

use rxml::{Parse, RawEvent, RawParser, WithOptions};

use super::element::escape;
use super::frame::{ReadError, Stanza};
use super::namespace::SERVER;
use super::reader::{TOKEN, classify, declared};
use super::scopes::{Prefix, Scopes};

/// An element directly inside a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its namespace, empty for none.
    pub namespace: String,
    /// Its name without a prefix.
    pub name: String,
    /// Its place in the stanza's bytes.
    range: Range<usize>,
}

impl Child {
    /// Whether it has this name in this namespace.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }
}

/// A start tag as it is read: its qualified name, attributes without namespace declarations, and these.
#[derive(Default)]
struct Tag {
    name: (Prefix, String),
    attributes: Vec<(Prefix, String, String)>,
    declarations: BTreeMap<Prefix, String>,
}

struct Shape {
    head: Tag,
    /// Where the stanza's own start tag ends.
    content: usize,
    children: Vec<Child>,
}

impl Shape {
    fn of(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut parser = parser();
        let mut scopes = Scopes::default();
        scopes.push(BTreeMap::from([(None, SERVER.to_owned())]));
        let mut shape = Self {
            head: Tag::default(),
            content: 0,
            children: Vec::new(),
        };
        let (mut input, mut end, mut depth) = (bytes, 0, 0);
        let mut tag = Tag::default();
        while let Some(event) = next(&mut parser, &mut input)? {
            let start = end;
            end += event.metrics().len();
            match event {
                RawEvent::ElementHeadOpen(_, (prefix, name)) => {
                    depth += 1;
                    tag = Tag {
                        name: (prefix.map(|prefix| prefix.to_string()), name.to_string()),
                        ..Tag::default()
                    };
                    if depth == 2 {
                        shape.children.push(Child {
                            namespace: String::new(),
                            name: name.to_string(),
                            range: start..start,
                        });
                    }
                }
                RawEvent::Attribute(_, (prefix, name), value) => {
                    let prefix = prefix.map(|prefix| prefix.to_string());
                    match declared(prefix.as_deref(), &name) {
                        Some(declared) => drop(tag.declarations.insert(declared, value)),
                        None => tag.attributes.push((prefix, name.to_string(), value)),
                    }
                }
                RawEvent::ElementHeadClose(_) => {
                    scopes.push(tag.declarations.clone());
                    if depth == 1 {
                        shape.head = std::mem::take(&mut tag);
                        shape.content = end;
                    } else if depth == 2
                        && let Some(child) = shape.children.last_mut()
                    {
                        let (namespace, _) =
                            scopes.resolve(&tag.name.0).ok_or(ReadError::Malformed)?;
                        child.namespace = namespace.to_owned();
                    }
                }
                RawEvent::ElementFoot(_) => {
                    scopes.pop();
                    if depth == 2
                        && let Some(child) = shape.children.last_mut()
                    {
                        child.range.end = end;
                    }
                    depth -= 1;
                }
                RawEvent::Text(..) | RawEvent::XmlDeclaration(..) => {}
            }
        }
        Ok(shape)
    }
}

/// The text directly inside an element.
fn text(element: &[u8]) -> Result<String, ReadError> {
    let mut parser = parser();
    let (mut input, mut depth, mut text) = (element, 0, String::new());
    while let Some(event) = next(&mut parser, &mut input)? {
        match event {
            RawEvent::ElementHeadOpen(..) => depth += 1,
            RawEvent::ElementFoot(_) => depth -= 1,
            RawEvent::Text(_, part) if depth == 1 => text.push_str(&part),
            RawEvent::Text(..)
            | RawEvent::Attribute(..)
            | RawEvent::ElementHeadClose(_)
            | RawEvent::XmlDeclaration(..) => {}
        }
    }
    Ok(text)
}

fn parser() -> RawParser {
    RawParser::with_options(rxml::Options {
        max_token_length: TOKEN,
        ..rxml::Options::default()
    })
}

fn next(parser: &mut RawParser, input: &mut &[u8]) -> Result<Option<RawEvent>, ReadError> {
    use rxml::error::EndOrError;
    parser.parse(input, true).map_err(|error| match error {
        EndOrError::NeedMoreData => ReadError::Malformed,
        EndOrError::Error(error) => classify(&error),
    })
}

impl Stanza {
    /// The elements directly inside, in order.
    ///
    /// # Errors
    /// [`ReadError`] if the bytes are no element, which those of a [`Reader`](super::Reader) always are.
    pub fn children(&self) -> Result<Vec<Child>, ReadError> {
        Shape::of(&self.bytes).map(|shape| shape.children)
    }

    /// The text of each element directly inside that has this name.
    ///
    /// # Errors
    /// As for [`Stanza::children`].
    pub fn texts(&self, namespace: &str, name: &str) -> Result<Vec<String>, ReadError> {
        let children = self.children()?;
        let meant = children.iter().filter(|child| child.is(namespace, name));
        let places = meant.filter_map(|child| self.bytes.get(child.range.clone()));
        places.map(text).collect()
    }

    /// Takes out the elements directly inside that have this name, with all that is in them.
    ///
    /// # Errors
    /// As for [`Stanza::children`].
    pub fn remove(&mut self, namespace: &str, name: &str) -> Result<(), ReadError> {
        // No reference can stand in a name, so most stanzas need not be parsed.
        let contains = |bytes: &[u8]| {
            bytes
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        };
        if !contains(&self.bytes) {
            return Ok(());
        }
        let children = self.children()?;
        for child in children.iter().rev() {
            if child.is(namespace, name) {
                self.bytes.drain(child.range.clone());
            }
        }
        Ok(())
    }

    /// The same between other addresses. `None` leaves the attribute out.
    ///
    /// # Errors
    /// As for [`Stanza::children`].
    pub fn addressed(&self, from: Option<&str>, to: Option<&str>) -> Result<Self, ReadError> {
        let Shape { head, content, .. } = Shape::of(&self.bytes)?;
        let qualified = |prefix: &Prefix, name: &str| match prefix {
            Some(prefix) => format!("{prefix}:{name}"),
            None => name.to_owned(),
        };
        let mut text = format!("<{}", qualified(&head.name.0, &head.name.1));
        let mut attribute = |name: &str, value: &str| {
            text.push_str(&format!(" {name}='{}'", escape(value)));
        };
        let addresses = [("from", from), ("to", to)];
        for (name, value) in addresses {
            if let Some(value) = value {
                attribute(name, value);
            }
        }
        for (prefix, namespace) in &head.declarations {
            match prefix {
                Some(prefix) => attribute(&format!("xmlns:{prefix}"), namespace),
                None => attribute("xmlns", namespace),
            }
        }
        for (prefix, name, value) in &head.attributes {
            if prefix.is_some() || !matches!(name.as_str(), "from" | "to") {
                attribute(&qualified(prefix, name), value);
            }
        }
        let mut bytes = text.into_bytes();
        match self.bytes.ends_with(b"/>") {
            true => bytes.extend_from_slice(b"/>"),
            false => {
                bytes.push(b'>');
                bytes.extend_from_slice(self.bytes.get(content..).unwrap_or_default());
            }
        }
        Ok(Self {
            kind: self.kind,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            id: self.id.clone(),
            type_: self.type_.clone(),
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Frame, Kind};
    use super::super::reader::{Bounds, Reader};
    use super::*;

    const STREAM: &str = "<stream:stream xmlns='jabber:server' xmlns:s='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams'>";

    fn read(stanza: &str) -> Stanza {
        let mut reader = Reader::new(Bounds {
            bytes: 10_000,
            depth: 10,
            attributes: 10,
        });
        let text = format!("{STREAM}{stanza}");
        let mut input = text.as_bytes();
        loop {
            match reader.read(&mut input).expect("well-formed") {
                Some(Frame::Stanza(stanza)) => return stanza,
                Some(_) => {}
                None => panic!("no stanza in {text}"),
            }
        }
    }

    fn without_status(stanza: &str) -> String {
        let mut stanza = read(stanza);
        stanza.remove(SERVER, "status").expect("an element");
        String::from_utf8(stanza.bytes).expect("UTF-8")
    }

    #[test]
    fn removes_what_has_the_name_and_nothing_else() {
        for (before, after) in [
            ("<presence/>", "<presence/>"),
            (
                "<presence><show>dnd</show><status>busy</status><priority>1</priority></presence>",
                "<presence><show>dnd</show><priority>1</priority></presence>",
            ),
            (
                "<presence><status xml:lang='en'>a</status><status xml:lang='es'>b</status></presence>",
                "<presence></presence>",
            ),
            (
                "<presence>\n<status/>\n</presence>",
                "<presence>\n\n</presence>",
            ),
            (
                "<presence><x xmlns='urn:x'><status>kept</status></x></presence>",
                "<presence><x xmlns='urn:x'><status>kept</status></x></presence>",
            ),
            (
                "<presence><status xmlns='urn:x'>kept</status></presence>",
                "<presence><status xmlns='urn:x'>kept</status></presence>",
            ),
            (
                "<presence><a:status xmlns:a='jabber:server'>gone</a:status>!</presence>",
                "<presence>!</presence>",
            ),
            (
                "<presence xmlns:b='jabber:server'><b:status>x<c/></b:status></presence>",
                "<presence xmlns:b='jabber:server'></presence>",
            ),
            (
                "<presence><status><![CDATA[</status>]]></status ><show>a&amp;b</show></presence>",
                "<presence><show>a&amp;b</show></presence>",
            ),
        ] {
            assert_eq!(without_status(before), after);
        }
        let borrowed = without_status("<presence><s:status>x</s:status></presence>");
        assert_eq!(borrowed, "<presence xmlns:s='jabber:server'></presence>");
    }

    #[test]
    fn texts_are_those_of_the_elements_themselves() {
        let stanza = read(
            "<message xmlns:s='jabber:server'><body>a &lt;b&gt;<x>not</x>!</body>\
             <s:body xml:lang='es'><![CDATA[<c>]]></s:body><body/>\
             <html xmlns='urn:x'><body>other</body></html></message>",
        );
        let texts = stanza.texts(SERVER, "body").expect("an element");
        assert_eq!(texts, ["a <b>!", "<c>", ""]);
    }

    #[test]
    fn children_have_their_namespaces() {
        let stanza = read("<iq type='get'>x<ping xmlns='urn:xmpp:ping'><a/></ping><s:b/></iq>");
        let children = stanza.children().expect("an element");
        let names: Vec<(&str, &str)> = children
            .iter()
            .map(|child| (child.namespace.as_str(), child.name.as_str()))
            .collect();
        assert_eq!(names, [("urn:xmpp:ping", "ping"), (SERVER, "b")]);
    }

    #[test]
    fn other_addresses_leave_the_rest_as_it_is() {
        for (before, after) in [
            (
                "<presence to=\"old@b\" xml:lang='es' id='&apos;1'><show>a</show></presence>",
                "<presence from='x@a' to='y@b/&lt;' xml:lang='es' id='&apos;1'><show>a</show></presence>",
            ),
            (
                "<presence from='x'/>",
                "<presence from='x@a' to='y@b/&lt;'/>",
            ),
            (
                "<presence xmlns:p='urn:p' p:to='1'></presence>",
                "<presence from='x@a' to='y@b/&lt;' xmlns:p='urn:p' p:to='1'></presence>",
            ),
        ] {
            let stanza = read(before);
            let addressed = stanza.addressed(Some("x@a"), Some("y@b/<"));
            let addressed = addressed.expect("an element");
            assert_eq!(addressed.to.as_deref(), Some("y@b/<"));
            assert_eq!(String::from_utf8(addressed.bytes).expect("UTF-8"), after);
        }
        let stanza = read("<presence from='a' to='b'/>");
        let addressed = stanza.addressed(None, None).expect("an element");
        assert_eq!(addressed.bytes, b"<presence/>");
    }

    #[test]
    fn bytes_that_are_no_element_are_an_error() {
        for bytes in ["status", "<presence><status>", ""] {
            let mut stanza = Stanza {
                kind: Kind::Presence,
                from: None,
                to: None,
                id: None,
                type_: None,
                bytes: bytes.as_bytes().to_vec(),
            };
            assert!(stanza.children().is_err(), "{bytes}");
            assert_eq!(stanza.remove(SERVER, "status").is_err(), !bytes.is_empty());
        }
    }
}
