//! Namespaces of XMPP.

/// The namespace of the prefix `xml`, which needs no declaration.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Namespace of the stream element itself (RFC 6120 §4.8.2).
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// Content namespace of server-to-server streams (RFC 6120 §4.8.3).
pub const SERVER: &str = "jabber:server";
/// Namespace of dialback elements (XEP-0220 §2.4.1).
pub const DIALBACK: &str = "jabber:server:dialback";
/// Namespace of the dialback feature (XEP-0220 §2.4.2).
pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Namespace of the request for a bidirectional stream (XEP-0288 §2.2).
pub(crate) const BIDI: &str = "urn:xmpp:bidi";
/// Namespace of the feature that offers it (XEP-0288 §2.1).
pub(crate) const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// Namespace of stream management (XEP-0198).
pub const MANAGEMENT: &str = "urn:xmpp:sm:3";
/// Namespace of stream limits (XEP-0478).
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
/// Namespace of STARTTLS (RFC 6120 §5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// Namespace of SASL (RFC 6120 §6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Namespace of stream error conditions (RFC 6120 §4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Namespace of stanza error conditions (RFC 6120 §8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
