//! Between two cases that share a domain: the target has to take it up again.
//!
//! Many servers hold back from a domain for a while after they could not reach it. So a correct partner
//! of the domain asks until it has an answer; how long that takes is the server's affair.

use std::time::Duration;

use simulated_partners::driver::{Entry, Partner};
use simulated_partners::event::{ConnectionKind, Event, EventKind, Party};
use simulated_partners::stanza::ping;
use tokio::time::{Instant, interval, sleep_until, timeout};

use super::error::CaseError;
use super::job::Bench;
use super::observed::opened;
use super::partners::correct;
use crate::lab::Lease;
use crate::outcome::Outcome;
use crate::record::{CaseResult, Run};
use crate::subject::Inside;
use crate::subject::inner_side::Stanzas;

/// The time between two questions.
const PACE: Duration = Duration::from_millis(500);

/// Whether the target may hold back from the domains of a case after it: it could not reach one, or will
/// only try to now that the case is over.
pub(super) fn is_due(result: &CaseResult, lease: &Lease) -> bool {
    if !lease.is_shared() {
        return false;
    }
    if matches!(result.run, Run::Unsupported(_)) {
        // It has not met the target.
        return false;
    }
    let is_established = matches!(result.outcome(), Some(Outcome::Established { .. }));
    let mut partners = std::iter::once(&result.events).chain(result.further.values());
    !is_established || !lease.is_plain() || !partners.all(|events| was_reached(events))
}

/// Whether the target dialled this partner, and each of its streams was established.
fn was_reached(events: &[Event]) -> bool {
    let is_dialled = |event: &&Event| opened(&event.kind) == Some(ConnectionKind::Outbound);
    let mut dialled = events.iter().filter(is_dialled).peekable();
    let established = |dialled: &Event| {
        events.iter().any(|event| {
            event.connection == dialled.connection
                && matches!(event.kind, EventKind::Established(_))
        })
    };
    dialled.peek().is_some() && dialled.all(established)
}

/// Waits until the target answers correct partners of these domains. Returns the domain that it has
/// not answered within this time, if there is one.
pub(super) async fn settle(bench: Bench<'_>, lease: &mut Lease, limit: Duration) -> Option<String> {
    if !lease.is_plain() {
        // What the target may have kept would lead it astray, and to hold back for longer.
        sleep_until(Instant::now() + bench.lab.pool.dns_cache()).await;
    }
    for domain in lease.names() {
        let taken_up = timeout(limit, take_up(bench, domain)).await;
        if !matches!(taken_up, Ok(Ok(()))) {
            return Some(domain.clone());
        }
    }
    lease.settled();
    None
}

/// Returns when the target has sent an answer to a correct partner of this domain.
async fn take_up(bench: Bench<'_>, domain: &str) -> Result<(), CaseError> {
    let mut partner = correct(bench, domain, true).await?;
    let mut asking = match &bench.target.inner {
        Inside::Hidden(_) => Asking::Partner(None),
        Inside::Linked(inner) => Asking::Inside(inner.open(&[domain.to_owned()], false, None)),
    };
    let mut pace = interval(PACE);
    let mut number = 0;
    let id = |number: u32| format!("again-{:016x}-{number}", bench.seed);
    // An answer that is still on its way would find nobody, and the target hold back for that.
    let mut answered = false;
    loop {
        let answer = tokio::select! {
            event = partner.next_event() => match event {
                None => break,
                Some(event) => asking.answer_in(&event),
            },
            answer = asking.answer_inside() => answer,
            _ = pace.tick() => {
                if answered {
                    break;
                }
                number += 1;
                asking.ask(&partner, bench, domain, &id(number)).await;
                None
            }
        };
        if let Some(answer) = answer {
            answered |= (1..=number).any(|number| id(number) == answer);
            if answer == id(number) {
                break;
            }
        }
    }
    partner.stop().await;
    bench.lab.dns.records().forget(domain);
    Ok(())
}

/// Who asks: the partner, or the inner side.
enum Asking {
    /// On this connection, if there is one.
    Partner(Option<Entry>),
    Inside(Stanzas),
}

impl Asking {
    async fn ask(&mut self, partner: &Partner, bench: Bench<'_>, domain: &str, id: &str) {
        let target = &bench.target.domain;
        match self {
            Self::Partner(entry) => entry
                .get_or_insert_with(|| partner.enter())
                .send(ping(id, domain, target)),
            Self::Inside(_) => {
                if let Inside::Linked(inner) = &bench.target.inner {
                    inner
                        .send(&ping(id, &format!("juliet@{target}"), domain))
                        .await;
                }
            }
        }
    }

    /// The id of a stanza that the partner has got.
    fn answer_in(&mut self, event: &Event) -> Option<String> {
        let Self::Partner(entry) = self else {
            return None;
        };
        if matches!(
            event.kind,
            EventKind::Closed { .. } | EventKind::ConnectFailed(ConnectionKind::Inbound, _)
        ) {
            // If it was another connection, one more does no harm.
            *entry = None;
        }
        let answer = event.kind.element_from(Party::Target)?;
        answer.attribute("id").map(str::to_owned)
    }

    /// The id of an answer that the inner side has got; cancel-safe.
    async fn answer_inside(&mut self) -> Option<String> {
        let Self::Inside(stanzas) = self else {
            return std::future::pending().await;
        };
        let Some(stanza) = stanzas.next().await else {
            return std::future::pending().await;
        };
        let is_result = stanza.attribute("type") == Some("result");
        stanza
            .attribute("id")
            .filter(|_| is_result)
            .map(str::to_owned)
    }
}
