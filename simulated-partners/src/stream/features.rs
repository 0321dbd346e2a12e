//! Stream features: ours in each state, and the target's (RFC 6120 §4.3.2).

use super::config::PartnerConfig;
use crate::persona::Tls;
use crate::wire::{Element, NS_DIALBACK_FEATURE, NS_SASL, NS_TLS, Unit};

const NS_CAPS: &str = "http://jabber.org/protocol/caps";

/// Base64 of a SHA-1, as `ver` has to be; of an empty set of capabilities (XEP-0115 §5.1).
const CAPS_OF_NOTHING: &str = "2jmj7l5rSw0yVb/vlWAYkK/YBwk=";

/// The state of a stream when features are sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// TLS is up.
    pub(super) encrypted: bool,
    /// The target showed a valid certificate for the stream's `from`.
    pub(super) trusted: bool,
    /// SASL is done.
    pub(super) authenticated: bool,
}

/// The features of a listening partner.
///
/// STARTTLS as the only feature would count as mandatory (RFC 6120 §5.3.1). If it is not, and
/// dialback is not offered, entity capabilities are added: XEP-0115 §6.3 allows them for
/// servers, they only inform, and they cannot be negotiated.
pub(super) fn offered(config: &PartnerConfig, standing: Standing) -> Element {
    let offer = &config.persona.offer;
    let features = Unit::Features.element();
    if standing.authenticated {
        return features;
    }
    if standing.encrypted {
        let features = if offer.external && standing.trusted {
            features.child(external())
        } else {
            features
        };
        return if config.accepts_dialback() {
            features.child(dialback())
        } else {
            features
        };
    }
    let mut features = match offer.tls {
        Tls::None | Tls::Direct => features,
        Tls::Offered => features.child(Unit::Starttls.element()),
        Tls::Required => features.child(
            Unit::Starttls
                .element()
                .child(Element::new(NS_TLS, "required")),
        ),
    };
    if offer.external_on_plaintext {
        features = features.child(external());
    }
    if config.accepts_dialback() && !config.requires_tls() {
        features = features.child(dialback());
    }
    if offer.tls == Tls::Offered && features.children.len() == 1 {
        features = features.child(
            Element::new(NS_CAPS, "c")
                .attr("hash", "sha-1")
                .attr("node", "urn:s2spec:partner")
                .attr("ver", CAPS_OF_NOTHING),
        );
    }
    features
}

fn external() -> Element {
    Element::new(NS_SASL, "mechanisms").child(Element::new(NS_SASL, "mechanism").text("EXTERNAL"))
}

/// Whether dialback errors are supported (XEP-0220 §2.4.2).
fn dialback() -> Element {
    Element::new(NS_DIALBACK_FEATURE, "dialback").child(Element::new(NS_DIALBACK_FEATURE, "errors"))
}

/// Whether STARTTLS is among the target's features.
pub(super) fn has_starttls(features: &Element) -> bool {
    features.find(NS_TLS, "starttls").is_some()
}
