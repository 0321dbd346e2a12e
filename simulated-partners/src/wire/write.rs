//! Writes elements as bytes.
//!
//! Resolved namespaces decide, not prefixes and declarations: if they disagree, other
//! prefixes are written. Names are written unchanged.

use std::collections::BTreeSet;

use super::character::is_legal;
use super::scope::Scope;
use super::{Element, NS_DIALBACK, NS_SERVER, NS_STREAM, NS_XML, Node};

impl Element {
    /// XML for a place in a stream whose header declares `jabber:server` as default, `stream` and
    /// `db`. Declares what else it needs and escapes what is necessary; a character that XML cannot
    /// represent becomes U+FFFD.
    pub fn to_xml(&self) -> String {
        let mut scope = Scope::default();
        scope.enter(&[
            (None, NS_SERVER.to_owned()),
            (Some("stream".to_owned()), NS_STREAM.to_owned()),
            (Some("db".to_owned()), NS_DIALBACK.to_owned()),
        ]);
        let mut out = String::new();
        write(self, &mut scope, &mut out);
        out
    }

    /// The start tag alone, for a stream header: everything is declared on it.
    pub fn to_open_tag(&self) -> String {
        let mut out = String::new();
        let start = StartTag::of(self, &Scope::default());
        start.write(&mut out);
        out.push('>');
        out
    }
}

/// Appends text escaped for content and for attribute values in either quotes.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            // Raw ones would be normalised away (XML 1.0 §2.11 and §3.3.3).
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c if is_legal(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

/// Appends text escaped for the content of an element, where quotes and line feeds need no escape.
fn escape_content(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\'' | '"' | '\t' | '\n' => out.push(c),
            c => escape(c.encode_utf8(&mut [0; 4]), out),
        }
    }
}

fn write(element: &Element, scope: &mut Scope, out: &mut String) {
    let start = StartTag::of(element, scope);
    start.write(out);
    if element.children.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    scope.enter(&start.declarations);
    for child in &element.children {
        match child {
            Node::Element(child) => write(child, scope, out),
            Node::Text(text) => escape_content(text, out),
        }
    }
    scope.leave(&start.declarations);
    out.push_str("</");
    out.push_str(&start.name);
    out.push('>');
}

/// A start tag with correct prefixes.
struct StartTag<'a> {
    name: String,
    declarations: Vec<(Option<String>, String)>,
    attributes: Vec<(String, &'a str)>,
}

impl<'a> StartTag<'a> {
    fn of(element: &'a Element, outer: &Scope) -> Self {
        let mut prefixes = Prefixes::new(outer, &element.declarations);
        let prefix = prefixes.of_element(element.prefix.as_deref(), &element.namespace);
        let name = qualified(prefix.as_deref(), &element.name);

        let mut seen = BTreeSet::new();
        let mut attributes = Vec::new();
        for attribute in &element.attributes {
            if seen.insert((&attribute.namespace, &attribute.name)) {
                let prefix =
                    prefixes.of_attribute(attribute.prefix.as_deref(), &attribute.namespace);
                let name = qualified(prefix.as_deref(), &attribute.name);
                attributes.push((name, attribute.value.as_str()));
            }
        }
        Self {
            name,
            declarations: prefixes.declared,
            attributes,
        }
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for (prefix, namespace) in &self.declarations {
            let name = match prefix {
                Some(prefix) => &qualified(Some("xmlns"), prefix),
                None => "xmlns",
            };
            write_attribute(name, namespace, out);
        }
        for (name, value) in &self.attributes {
            write_attribute(name, value, out);
        }
    }
}

fn write_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape(value, out);
    out.push('\'');
}

fn qualified(prefix: Option<&str>, name: &str) -> String {
    match prefix {
        Some(prefix) => format!("{prefix}:{name}"),
        None => name.to_owned(),
    }
}

/// Chooses prefixes on one element.
struct Prefixes<'a> {
    outer: &'a Scope,
    declared: Vec<(Option<String>, String)>,
    /// Prefixes that names on this element already use, from outer or own declarations.
    relied_on: BTreeSet<String>,
}

impl<'a> Prefixes<'a> {
    fn new(outer: &'a Scope, wished: &[(Option<String>, String)]) -> Self {
        let mut declared: Vec<(Option<String>, String)> = Vec::new();
        for wish in wished {
            if declared.iter().all(|(prefix, _)| *prefix != wish.0) {
                declared.push(wish.clone());
            }
        }
        Self {
            outer,
            declared,
            relied_on: BTreeSet::new(),
        }
    }

    fn of_element(&mut self, wished: Option<&str>, namespace: &str) -> Option<String> {
        if namespace == NS_XML {
            return Some("xml".to_owned());
        }
        let prefix = match wished {
            // A prefix cannot mean no namespace.
            _ if namespace.is_empty() => None,
            Some("xml" | "xmlns") => None,
            wished => wished,
        };
        if self.meaning(prefix) != Some(namespace) {
            self.declared
                .retain(|(declared, _)| declared.as_deref() != prefix);
            self.declare(prefix, namespace);
        }
        self.relied_on.extend(prefix.map(str::to_owned));
        prefix.map(str::to_owned)
    }

    fn of_attribute(&mut self, wished: Option<&str>, namespace: &str) -> Option<String> {
        if namespace.is_empty() {
            return None;
        }
        if namespace == NS_XML {
            return Some("xml".to_owned());
        }
        let generated = (1..).map(|number| format!("ns{number}"));
        let candidates = wished
            .filter(|&wished| !matches!(wished, "xml" | "xmlns"))
            .map(str::to_owned)
            .into_iter()
            .chain(generated);
        for prefix in candidates {
            let fits = self.meaning(Some(&prefix)) == Some(namespace);
            let is_free = !self.relied_on.contains(&prefix)
                && self
                    .declared
                    .iter()
                    .all(|(declared, _)| declared.as_ref() != Some(&prefix));
            if !fits && is_free {
                self.declare(Some(&prefix), namespace);
            }
            if fits || is_free {
                self.relied_on.insert(prefix.clone());
                return Some(prefix);
            }
        }
        None
    }

    fn meaning(&self, prefix: Option<&str>) -> Option<&str> {
        self.declared
            .iter()
            .find(|(declared, _)| declared.as_deref() == prefix)
            .map(|(_, namespace)| namespace.as_str())
            .or_else(|| self.outer.resolve(prefix))
    }

    fn declare(&mut self, prefix: Option<&str>, namespace: &str) {
        self.declared
            .push((prefix.map(str::to_owned), namespace.to_owned()));
    }
}
