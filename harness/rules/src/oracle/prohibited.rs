//! What the target must not do, whatever the outcome: the downgrades that no rule allows.

use std::collections::{BTreeMap, BTreeSet};

use simulated_partners::event::{ConnectionId, ConnectionKind, Event, EventKind, Party};
use simulated_partners::negotiate::sasl::offers_external;
use simulated_partners::persona::{StreamFact, Tls};
use simulated_partners::wire::{Element, Kind, Unit};

use crate::case::Direction;
use crate::finding::Violation;
use crate::policy::Level;

use super::premises::{CertificateClass, Premises};
use super::situation::Situation;

/// What the target must not do in this situation on a connection in its direction, in order. On a
/// verification connection, only [`Violation::VerifyInClear`] and the universal prohibitions count.
pub fn prohibited(situation: &Situation<'_>) -> Vec<Violation> {
    let given = Premises::of(situation);
    Violation::ALL
        .iter()
        .copied()
        .filter(|act| is_prohibited(*act, situation.direction, &given))
        .collect()
}

/// The prohibited things that the target did, connection by connection.
///
/// A case has connections in both directions, because the answer to a probe and the verification of a key
/// travel in the opposite direction. Each connection is judged by the rules for the side that dialled.
pub fn violations(
    situation: &Situation<'_>,
    events: &[Event],
) -> BTreeSet<(ConnectionId, Violation)> {
    let against = |direction| {
        prohibited(&Situation {
            direction,
            ..*situation
        })
    };
    let dialled = against(Direction::Outbound);
    let listened = against(Direction::Inbound);
    let mut connections: BTreeMap<ConnectionId, (ConnectionKind, bool)> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for event in events {
        match &event.kind {
            EventKind::Opened(kind) => {
                connections.insert(event.connection, (*kind, false));
            }
            EventKind::Established(_) => {
                if let Some((_, established)) = connections.get_mut(&event.connection) {
                    *established = true;
                }
            }
            EventKind::Frame {
                from: Party::Target,
                encrypted,
                frame,
            } => {
                let Kind::Element(element) = &frame.kind else {
                    continue;
                };
                let Some((kind, established)) = connections.get(&event.connection) else {
                    continue;
                };
                let prohibited = match kind {
                    ConnectionKind::Outbound => &dialled,
                    ConnectionKind::Inbound | ConnectionKind::Verification => &listened,
                };
                let done = acts(element, *encrypted, *established);
                let done = done.into_iter().filter(|act| prohibited.contains(act));
                found.extend(done.map(|act| (event.connection, act)));
            }
            _ => {}
        }
    }
    found
}

/// The violation that sending an element may be.
fn acts(element: &Element, encrypted: bool, established: bool) -> Vec<Violation> {
    let mut acts = Vec::new();
    let typed = element.attribute("type");
    let Some(unit) = Unit::of(element) else {
        return acts;
    };
    match unit {
        Unit::Auth => {
            acts.push(Violation::Auth);
            if !encrypted {
                acts.push(Violation::ExternalInClear);
            }
        }
        Unit::Success => acts.push(Violation::Success),
        Unit::Features if !encrypted && offers_external(element) => {
            acts.push(Violation::ExternalInClear);
        }
        Unit::Starttls | Unit::Proceed => acts.push(Violation::Starttls),
        Unit::DbResult => match (typed, encrypted) {
            (None, false) => acts.push(Violation::KeyInClear),
            (None, true) => acts.push(Violation::KeyOverTls),
            (Some("valid"), false) => acts.push(Violation::ValidInClear),
            (Some("valid"), true) => acts.push(Violation::ValidOverTls),
            (Some(_), _) => {}
        },
        Unit::DbVerify if typed.is_none() && !encrypted => {
            acts.push(Violation::VerifyInClear);
        }
        Unit::Message | Unit::Iq | Unit::Presence => {
            if !encrypted {
                acts.push(Violation::StanzaInClear);
            }
            if !established {
                acts.push(Violation::StanzaBeforeAuthentication);
            }
        }
        _ => {}
    }
    acts
}

fn is_prohibited(act: Violation, direction: Direction, given: &Premises) -> bool {
    let outbound = direction == Direction::Outbound;
    match act {
        Violation::ExternalInClear | Violation::StanzaBeforeAuthentication => true,
        Violation::Auth => {
            !outbound
                || !given.methods.sasl_tls
                || given.tls == Tls::None
                // If both are required, a bad certificate ends it before <auth/>.
                || (given.unverifiable()
                    && given.demands_tls()
                    && given.sasl_level == Level::Required)
        }
        Violation::Success => {
            outbound
                || !given.methods.sasl_tls
                || given.tls == Tls::None
                || given.unverifiable()
                || given.certificate == CertificateClass::None
        }
        Violation::KeyInClear => {
            !outbound || !given.methods.tcp_dialback || given.tls.is_demanded()
        }
        Violation::KeyOverTls => !outbound || !given.methods.tls_dialback,
        Violation::ValidInClear => outbound || !given.methods.tcp_dialback,
        Violation::ValidOverTls => outbound || !given.methods.tls_dialback,
        Violation::VerifyInClear => given.demands_tls(),
        Violation::StanzaInClear => !given.methods.tcp_dialback,
        // Who is nameless is offered TLS as a stranger.
        Violation::Starttls => {
            given.tls_level == Level::NotSupported && given.stream != StreamFact::LateName
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use simulated_partners::persona::{Certificate, Deviations, Offer};
    use simulated_partners::wire::{Frame, NS_SASL};

    use super::*;
    use crate::oracle::Profile;
    use crate::outcome::Method;
    use crate::policy::PolicyNumber;

    fn against(row: u8, direction: Direction, partner: &Offer) -> Vec<Violation> {
        prohibited(&Situation {
            policy: PolicyNumber::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction,
            partner,
            facts: &Deviations::default(),
        })
    }

    fn partner(certificate: Certificate) -> Offer {
        Offer {
            certificate,
            ..PolicyNumber::new(9).expect("1 to 18").policy().as_offer()
        }
    }

    #[test]
    fn required_tls_forbids_all_in_clear() {
        let clear = [
            Violation::KeyInClear,
            Violation::ValidInClear,
            Violation::StanzaInClear,
        ];
        for direction in [Direction::Outbound, Direction::Inbound] {
            for act in clear {
                assert!(against(7, direction, &partner(Certificate::Good)).contains(&act));
            }
        }
        assert!(
            !against(9, Direction::Outbound, &partner(Certificate::Good))
                .contains(&Violation::KeyInClear)
        );
    }

    #[test]
    fn auth_is_forbidden_to_a_stranger_where_sasl_is_required() {
        let auth = |row, certificate| {
            against(row, Direction::Outbound, &partner(certificate)).contains(&Violation::Auth)
        };
        assert!(auth(1, Certificate::UnknownCa));
        assert!(!auth(1, Certificate::Good));
        assert!(!auth(7, Certificate::UnknownCa));
    }

    #[test]
    fn success_is_forbidden_for_a_bad_certificate() {
        let success = |certificate| {
            against(7, Direction::Inbound, &partner(certificate)).contains(&Violation::Success)
        };
        assert!(success(Certificate::Expired));
        assert!(success(Certificate::None));
        assert!(!success(Certificate::Good));
        assert!(!success(Certificate::NoClientAuth));
    }

    fn sent(connection: u16, encrypted: bool, element: Element) -> Event {
        let frame = Frame {
            kind: Kind::Element(element),
            raw: Vec::new(),
            offset: 0,
        };
        event(
            connection,
            EventKind::Frame {
                from: Party::Target,
                encrypted,
                frame: Arc::new(frame),
            },
        )
    }

    fn event(connection: u16, kind: EventKind) -> Event {
        Event {
            connection: ConnectionId(connection),
            at: Duration::ZERO,
            kind,
        }
    }

    fn found(row: u8, events: &[Event]) -> Vec<(ConnectionId, Violation)> {
        let partner = partner(Certificate::Good);
        let facts = Deviations::default();
        let situation = Situation {
            policy: PolicyNumber::new(row).expect("1 to 18").policy(),
            profile: Profile::default(),
            direction: Direction::Outbound,
            partner: &partner,
            facts: &facts,
        };
        violations(&situation, events).into_iter().collect()
    }

    #[test]
    fn key_in_clear_violates_required_tls_and_not_optional() {
        let events = [
            event(1, EventKind::Opened(ConnectionKind::Outbound)),
            sent(1, false, Unit::DbResult.element().text("key")),
        ];
        assert_eq!(
            found(7, &events),
            [(ConnectionId(1), Violation::KeyInClear)]
        );
        assert_eq!(found(9, &events), []);
    }

    #[test]
    fn stanza_is_held_to_the_state_of_its_connection() {
        let stanza = || sent(1, true, Unit::Iq.element());
        let opened = || event(1, EventKind::Opened(ConnectionKind::Outbound));
        let early = [opened(), stanza()];
        assert_eq!(
            found(7, &early),
            [(ConnectionId(1), Violation::StanzaBeforeAuthentication)]
        );
        let established = event(1, EventKind::Established(Method::SaslTls));
        assert_eq!(found(7, &[opened(), established, stanza()]), []);
    }

    #[test]
    fn external_offered_in_clear_is_a_violation_and_over_tls_is_none() {
        let features = || {
            let mechanism = Element::new(NS_SASL, "mechanism").text("EXTERNAL");
            Unit::Features
                .element()
                .child(Element::new(NS_SASL, "mechanisms").child(mechanism))
        };
        let opened = || event(1, EventKind::Opened(ConnectionKind::Inbound));
        assert_eq!(
            found(7, &[opened(), sent(1, false, features())]),
            [(ConnectionId(1), Violation::ExternalInClear)]
        );
        assert_eq!(found(7, &[opened(), sent(1, true, features())]), []);
    }

    #[test]
    fn each_connection_is_judged_by_the_side_that_dialled() {
        let key = || Unit::DbResult.element().text("key");
        let valid = || Unit::DbResult.element().attr("type", "valid");
        let events = [
            event(1, EventKind::Opened(ConnectionKind::Outbound)),
            event(2, EventKind::Opened(ConnectionKind::Inbound)),
            sent(1, true, key()),
            sent(2, true, valid()),
            sent(1, true, valid()),
            sent(2, true, key()),
        ];
        assert_eq!(
            found(7, &events),
            [
                (ConnectionId(1), Violation::ValidOverTls),
                (ConnectionId(2), Violation::KeyOverTls)
            ]
        );
    }
}
