//! The elements of STARTTLS (RFC 6120 §5.4.2).

use crate::wire::{Element, NS_TLS};

/// Asks for TLS.
pub fn request() -> Element {
    Element::new(NS_TLS, "starttls")
}

/// Grants it: the handshake follows the closing `>` at once.
pub fn proceed() -> Element {
    Element::new(NS_TLS, "proceed")
}

/// Refuses it; the stream has to be closed after it (RFC 6120 §5.4.2.2).
pub fn failure() -> Element {
    Element::new(NS_TLS, "failure")
}
