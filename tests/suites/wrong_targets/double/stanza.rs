//! What the double makes of stanzas and addresses.

use simulated_partners::wire::{Element, NS_STREAM, NS_STREAMS, Unit};

use super::{DOMAIN, SECOND};

/// Whether a domain is one of the inner side.
pub(super) fn is_own(domain: &str) -> bool {
    domain == DOMAIN || domain == SECOND
}

/// The error that answers a stanza.
pub(super) fn error(stanza: &Element, condition: &str) -> Element {
    let mut answer = stanza.clone();
    for attribute in &mut answer.attributes {
        match attribute.name.as_str() {
            "from" => attribute.name = "to".to_owned(),
            "to" => attribute.name = "from".to_owned(),
            _ => {}
        }
    }
    answer
        .attributes
        .retain(|attribute| attribute.name != "type");
    answer.children.clear();
    Unit::Message.with_condition(answer.attr("type", "error"), condition)
}

/// A stream error.
pub(super) fn stream_error(condition: &str) -> Element {
    Element::prefixed("stream", NS_STREAM, "error").child(Element::new(NS_STREAMS, condition))
}

/// Whether an IQ has what it needs.
pub(super) fn is_faulty(stanza: &Element) -> bool {
    if !Unit::Iq.is(stanza) {
        return false;
    }
    let children = stanza.elements().count();
    match stanza.attribute("type") {
        _ if stanza.attribute("id").is_none() => true,
        Some("get" | "set") => children != 1,
        Some("result" | "error") => false,
        _ => true,
    }
}

/// Whether an address can be one.
pub(super) fn is_address(address: &str) -> bool {
    let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
    let (local, domain) = match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain),
        None => (None, bare),
    };
    let odd = |c: char| c.is_whitespace() || "\"&'/:<>@".contains(c);
    !domain.is_empty()
        && !domain.contains(odd)
        && local.is_none_or(|local| !local.is_empty() && !local.contains(odd))
        && !address.ends_with('/')
}
