//! Stanzas that the test side sends, and properties of those that it receives.

use crate::wire::{Element, NS_PING, Unit};

/// An IQ request (RFC 6120 §8.2.3).
pub fn question(id: &str, from: &str, to: &str, payload: Element) -> Element {
    Unit::Iq
        .element()
        .attr("type", "get")
        .attr("id", id)
        .attr("from", from)
        .attr("to", to)
        .child(payload)
}

/// A ping (XEP-0199).
pub fn ping(id: &str, from: &str, to: &str) -> Element {
    question(id, from, to, Element::new(NS_PING, "ping"))
}

/// Whether a stanza needs an answer.
pub fn is_question(stanza: &Element) -> bool {
    Unit::Iq.is(stanza) && stanza.attribute("type") == Some("get")
}

/// The empty result that answers a request, such as a ping.
pub fn result(question: &Element) -> Element {
    let attribute = |name| question.attribute(name).unwrap_or_default();
    Unit::Iq
        .element()
        .attr("type", "result")
        .attr("id", attribute("id"))
        .attr("from", attribute("to"))
        .attr("to", attribute("from"))
}

/// The domain of an address: what is between the first `@` and the first `/`
/// (RFC 7622 §3.1).
pub fn domain_of(address: &str) -> &str {
    let bare = address.split_once('/').map_or(address, |(bare, _)| bare);
    bare.split_once('@').map_or(bare, |(_, domain)| domain)
}
