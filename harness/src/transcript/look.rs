//! Predicates on events.

use simulated_partners::event::{ConnectionKind, EventKind};
use simulated_partners::wire::{Element, Kind, NS_DIALBACK, Node, Unit};

pub(super) fn element(what: &EventKind) -> Option<&Element> {
    match what {
        EventKind::Frame { frame, .. } => match &frame.kind {
            Kind::Element(element) => Some(element),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn header(what: &EventKind) -> Option<&Element> {
    match what {
        EventKind::Frame { frame, .. } => match &frame.kind {
            Kind::Header(element) => Some(element),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn attribute<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    element
        .attributes
        .iter()
        .find(|a| a.prefix.is_none() && a.name == name)
        .map(|a| a.value.as_str())
}

pub(super) fn children(element: &Element) -> impl Iterator<Item = &Element> {
    element.children.iter().filter_map(|node| match node {
        Node::Element(e) => Some(e),
        Node::Text(_) => None,
    })
}

pub(super) fn is_whitespace(what: &EventKind) -> bool {
    matches!(what, EventKind::Frame { frame, .. } if matches!(frame.kind, Kind::Whitespace(_)))
}

pub(super) fn is_stanza_element(element: &Element) -> bool {
    Unit::of(element).is_some_and(Unit::is_stanza)
}

pub(super) fn is_stanza(what: &EventKind) -> bool {
    element(what).is_some_and(is_stanza_element)
}

pub(super) fn is_dialback_answer(what: &EventKind) -> bool {
    element(what).is_some_and(|e| e.namespace == NS_DIALBACK && attribute(e, "type").is_some())
}

pub(super) fn is_unit(what: &EventKind, unit: Unit) -> bool {
    element(what).is_some_and(|element| unit.is(element))
}

/// Who dials on a connection, in words.
pub(super) fn connection_words(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Outbound => "target dials partner",
        ConnectionKind::Inbound => "partner dials target",
        ConnectionKind::Verification => "partner dials target to verify a key",
    }
}
