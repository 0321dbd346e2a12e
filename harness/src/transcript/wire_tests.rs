//! Real sessions over loopback: whatever races there, the canonical transcript stays the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::event::{ConnectionKind, Event, EventKind};
use simulated_partners::persona;
use simulated_partners::pki::Authority;
use simulated_partners::stanza::ping;
use simulated_partners::wire::{Kind, Unit};

use super::{canonical_text, wire_summary};
use crate::subject::port::free_address;

const RUNS: usize = 6;
const DEADLINE: Duration = Duration::from_secs(20);

async fn start(
    authority: &Authority,
    persona: &str,
    domains: [&str; 2],
    addresses: [SocketAddr; 2],
    seed: u64,
) -> Partner {
    let persona = Arc::new(persona::find(persona).unwrap());
    let setup = PartnerSetup::new(authority, domains[0], persona, domains[1], addresses[1]);
    Partner::start(PartnerSetup {
        secret: format!("secret {seed}"),
        answers: true,
        seed,
        listen: addresses[0],
        ..setup
    })
    .await
    .unwrap()
}

/// The answer arrived, or a connection meant for a stanza ended without one.
fn decided(events: &[Event]) -> bool {
    let Some(last) = events.last() else {
        return false;
    };
    match &last.kind {
        EventKind::Frame { frame, .. } => match &frame.kind {
            Kind::Element(e) => e.name == "iq" && e.attribute("type") == Some("result"),
            _ => false,
        },
        EventKind::Closed { .. } => !events.iter().any(|event| {
            event.connection == last.connection
                && match &event.kind {
                    EventKind::Established(_) | EventKind::Opened(ConnectionKind::Verification) => {
                        true
                    }
                    EventKind::Frame { frame, .. } => {
                        matches!(&frame.kind, Kind::Element(e) if Unit::DbVerify.is(e))
                    }
                    _ => false,
                }
        }),
        _ => false,
    }
}

/// A persona and a correct server, in either direction; what the persona saw.
async fn session(
    authority: &Authority,
    persona: &str,
    partner_dials: bool,
    seed: u64,
) -> Vec<Event> {
    let domains = ["partner.example", "target.example"];
    let addresses = [(); 2].map(|()| free_address().expect("a port"));
    let [theirs, ours] = domains;
    let mut partner = start(authority, persona, domains, addresses, seed).await;
    let target = start(
        authority,
        "modern",
        [ours, theirs],
        [addresses[1], addresses[0]],
        seed + 1,
    )
    .await;
    let (dialler, from, to) = if partner_dials {
        (&partner, theirs, ours)
    } else {
        (&target, ours, theirs)
    };
    dialler.dial(ping(&format!("ping-{seed}"), from, to));
    let mut events = Vec::new();
    let watch = async {
        while let Some(event) = partner.next_event().await {
            events.push(event);
            if decided(&events) {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, watch).await.expect(persona);
    events.extend(partner.stop().await);
    target.stop().await;
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_sessions_have_one_canonical_transcript_each() {
    let authority = Authority::new(1);
    for persona in [
        "authority-invalid",
        "cert-expired",
        "cert-unknown-ca",
        "dialback-only",
        "external-on-plaintext",
        "external-refused-closed",
        "external-refused-kept",
        "google-talk",
        "handshake-broken",
        "legacy-tls",
        "modern",
        "no-methods",
        "no-version",
        "reset-at-features",
        "starttls-failure",
        "strict-tls",
        "tls-required-dialback",
        "tls12-only",
    ] {
        for partner_dials in [false, true] {
            let mut first: Option<(String, String)> = None;
            for run in 0..RUNS {
                let seed = 10 + 2 * run as u64;
                let events = session(&authority, persona, partner_dials, seed).await;
                let text = (canonical_text(&events), wire_summary(&events));
                match &first {
                    None => first = Some(text),
                    Some(first) => assert_eq!(&text, first, "{persona} {partner_dials} {run}"),
                }
            }
        }
    }
}
