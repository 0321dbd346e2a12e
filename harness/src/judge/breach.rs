//! Finds on the wire what a target may do in no case, whatever the outcome.

use std::collections::{BTreeMap, BTreeSet};

use simulated_partners::event::{Event, Leg, LegKind, Party, What};
use simulated_partners::wire::{Element, NS_DIALBACK, NS_SASL, NS_SERVER, NS_STREAM, NS_TLS};

use super::reading::element_from;
use crate::matrix::Direction;
use crate::oracle::Situation;
use crate::oracle::never::{Deed, never};

/// A forbidden deed and the connection it happened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What the target did.
    pub deed: Deed,
    /// Where.
    pub leg: Leg,
}

/// All breaches of a case, in order.
pub fn breaches(situation: &Situation<'_>, events: &[Event]) -> Vec<Breach> {
    let never_in = |direction| never(&Situation { direction, ..*situation });
    let (dialling, accepting) = (never_in(Direction::Outbound), never_in(Direction::Inbound));
    let mut kinds: BTreeMap<Leg, LegKind> = BTreeMap::new();
    let mut trusted: BTreeSet<Leg> = BTreeSet::new();
    let mut found = Vec::new();
    for event in events {
        match &event.what {
            What::Opened(kind) => {
                kinds.insert(event.leg, *kind);
            }
            What::Established(_) => {
                trusted.insert(event.leg);
            }
            What::Frame { encrypted, .. } => {
                let Some(element) = element_from(&event.what, Party::Target) else { continue };
                let deeds = deeds(element, *encrypted, trusted.contains(&event.leg));
                let incoming = kinds.get(&event.leg) == Some(&LegKind::Incoming);
                found.extend(
                    deeds
                        .into_iter()
                        .filter(|deed| {
                            // Keys are verified on connections of the target's own, for streams
                            // that it accepted.
                            let verifies = *deed == Deed::VerifyInClear;
                            let set = if incoming && !verifies { &dialling } else { &accepting };
                            set.contains(deed)
                        })
                        .map(|deed| Breach { deed, leg: event.leg }),
                );
            }
            _ => {}
        }
    }
    found
}

/// What a frame of the target amounts to.
fn deeds(element: &Element, encrypted: bool, trusted: bool) -> Vec<Deed> {
    let untyped = element.attribute("type").is_none();
    let valid = element.attribute("type") == Some("valid");
    let mut deeds = Vec::new();
    let mut add = |done: bool, deed| {
        if done {
            deeds.push(deed);
        }
    };
    let auth = element.is(NS_SASL, "auth");
    add(auth, Deed::Auth);
    add(auth && !encrypted, Deed::ExternalInClear);
    add(offers_external(element) && !encrypted, Deed::ExternalInClear);
    add(element.is(NS_SASL, "success"), Deed::Success);
    let result = element.is(NS_DIALBACK, "result");
    add(result && untyped, if encrypted { Deed::KeyOverTls } else { Deed::KeyInClear });
    add(result && valid, if encrypted { Deed::ValidOverTls } else { Deed::ValidInClear });
    let asks = element.is(NS_DIALBACK, "verify") && untyped;
    add(asks && !encrypted, Deed::VerifyInClear);
    add(
        element.is(NS_TLS, "starttls") || element.is(NS_TLS, "proceed"),
        Deed::Starttls,
    );
    let stanza = is_stanza(element);
    add(stanza && !encrypted, Deed::StanzaInClear);
    add(stanza && !trusted, Deed::StanzaBeforeAuthentication);
    deeds
}

fn offers_external(element: &Element) -> bool {
    element.is(NS_STREAM, "features")
        && element.find(NS_SASL, "mechanisms").is_some_and(|list| {
            list.elements().any(|mechanism| mechanism.content().trim() == "EXTERNAL")
        })
}

fn is_stanza(element: &Element) -> bool {
    element.namespace == NS_SERVER && matches!(element.name.as_str(), "iq" | "message" | "presence")
}
