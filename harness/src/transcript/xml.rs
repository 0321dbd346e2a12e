//! Elements as text in a normal form: attributes sorted, quotes and escapes alike.

use simulated_partners::wire::{Attribute, Element, NS_STREAM, Node};

/// How deep elements are traversed; the framer's own limit is 64.
const DEPTH: usize = 256;

/// Sorts attributes and declarations of the whole tree, and the children of stream features: servers
/// that keep them in hash tables write them in a different order each time.
pub(super) fn sort(element: &mut Element) {
    sort_below(element, 0);
}

fn sort_below(element: &mut Element, depth: usize) {
    element
        .attributes
        .sort_by(|a, b| (&a.prefix, &a.name).cmp(&(&b.prefix, &b.name)));
    element.declarations.sort();
    if depth < DEPTH {
        for child in &mut element.children {
            if let Node::Element(child) = child {
                sort_below(child, depth + 1);
            }
        }
    }
    if element.namespace == NS_STREAM && element.name == "features" {
        element.children.sort_by_cached_key(|node| match node {
            Node::Element(e) => (e.namespace.clone(), e.name.clone()),
            Node::Text(text) => (String::new(), text.clone()),
        });
    }
}

/// The start tag of a stream header.
pub(super) fn open_tag(element: &Element) -> String {
    let mut out = String::new();
    start(element, &mut out);
    out.push('>');
    out
}

pub(super) fn whole(element: &Element) -> String {
    let mut out = String::new();
    write(element, &mut out, 0);
    out
}

fn write(element: &Element, out: &mut String, depth: usize) {
    start(element, out);
    if element.children.is_empty() || depth >= DEPTH {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for child in &element.children {
        match child {
            Node::Element(child) => write(child, out, depth + 1),
            Node::Text(text) => escape(text, out),
        }
    }
    out.push_str("</");
    name(element.prefix.as_deref(), &element.name, out);
    out.push('>');
}

fn start(element: &Element, out: &mut String) {
    out.push('<');
    name(element.prefix.as_deref(), &element.name, out);
    for (prefix, namespace) in &element.declarations {
        out.push_str(" xmlns");
        if let Some(prefix) = prefix {
            out.push(':');
            out.push_str(prefix);
        }
        value(namespace, out);
    }
    for Attribute {
        prefix,
        name: local,
        value: content,
        ..
    } in &element.attributes
    {
        out.push(' ');
        name(prefix.as_deref(), local, out);
        value(content, out);
    }
}

fn name(prefix: Option<&str>, local: &str, out: &mut String) {
    if let Some(prefix) = prefix {
        out.push_str(prefix);
        out.push(':');
    }
    out.push_str(local);
}

fn value(content: &str, out: &mut String) {
    out.push_str("='");
    escape(content, out);
    out.push('\'');
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
}
