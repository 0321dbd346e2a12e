//! Bytes of an XMPP stream to frames and back.
//!
//! [`Framer`] splits input into whole units without waiting, and [`Element`] is the content of a unit.
//! It refuses what RFC 6120 §11 forbids and knows nothing about the order of negotiation.

mod character;
mod condition;
mod cutter;
mod element;
mod framer;
mod parse;
mod rule;
mod scan;
mod scope;
mod tag;
mod unit;
mod write;

#[cfg(test)]
mod tests;

pub use cutter::{Cut, Cutter};
pub use element::{Attribute, Element, Node};
pub use framer::{Frame, Framer, Kind, Limits};
pub use rule::WireError;
pub use unit::{Group, Unit};
pub use write::escape;

/// Namespace of stream header, features and errors.
pub const NS_STREAM: &str = "http://etherx.jabber.org/streams";
/// Content namespace between servers.
pub const NS_SERVER: &str = "jabber:server";
/// Namespace of dialback elements.
pub const NS_DIALBACK: &str = "jabber:server:dialback";
/// Namespace of STARTTLS.
pub const NS_TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// Namespace of SASL.
pub const NS_SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Namespace of stanza error conditions.
pub const NS_STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// Namespace of stream error conditions.
pub const NS_STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Namespace of the dialback stream feature.
pub const NS_DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Namespace of XMPP pings.
pub const NS_PING: &str = "urn:xmpp:ping";
/// The meaning of the prefix `xml`, as in `xml:lang`.
pub const NS_XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The meaning of the prefix `xmlns`.
const NS_XMLNS: &str = "http://www.w3.org/2000/xmlns/";
