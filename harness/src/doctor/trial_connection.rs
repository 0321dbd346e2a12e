//! A partner that connects to the target once, and the results.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::dns::Query;
use simulated_partners::driver::{Partner, PartnerSetup};
use simulated_partners::event::{
    ConnectionId, ConnectionKind, Event, EventKind, Method, Party, TlsSignal,
};
use simulated_partners::persona::{Persona, Tls};
use simulated_partners::stanza;
use simulated_partners::tls::Details;
use simulated_partners::wire::{Element, Kind, NS_SASL, NS_STREAMS, Unit};
use tokio::time::{Instant, sleep_until};

use super::Subject;
use super::error::TrialError;
use crate::case::Direction;
use crate::evidence::Evidence;
use crate::judge::read;
use crate::lab::Lab;
use crate::outcome::Outcome;

/// The id of the query for the time (XEP-0202).
pub(super) const NS_TIME: &str = "urn:xmpp:time";
const QUESTION: &str = "doctor-time";

/// The observations of a partner.
pub(super) struct TrialConnection {
    /// The partner's domain.
    pub(super) domain: String,
    /// The address where it listened.
    pub(super) address: SocketAddr,
    /// All events on its connections.
    pub(super) events: Vec<Event>,
    /// The lab's DNS queries about it.
    pub(super) queries: Vec<(String, Query)>,
    /// The answer to its query, with the time of arrival in seconds since 1970.
    pub(super) answer: Option<(Element, i64)>,
}

/// What a partner does at the target.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    /// Its domain.
    pub(super) domain: &'a str,
    /// How it behaves where it dials.
    pub(super) dials: &'a Persona,
    /// How it behaves where it is dialled.
    pub(super) listens: &'a Persona,
    pub(super) until: Until,
}

impl<'a> Trial<'a> {
    /// Of a partner that is the same in both directions.
    pub(super) fn of(domain: &'a str, persona: &'a Persona, until: Until) -> Self {
        Self {
            domain,
            dials: persona,
            listens: persona,
            until,
        }
    }
}

/// How long a trial goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Until its question is answered, or it is refused.
    Answered,
    /// The same, or until the target has tried to come back and gone.
    Dialled,
    /// Until the partner is let in or refused.
    LetIn,
}

/// What is added to the numbers of connections of the partner that only dials.
const APART: u16 = 1 << 15;

/// Lets a partner dial the target and query the time. To answer, the target has to dial
/// back.
///
/// # Errors
/// When the partner could not be put on the network.
pub(super) async fn open(
    subject: &Subject,
    lab: &Lab,
    trial: Trial<'_>,
    patience: Duration,
) -> Result<TrialConnection, TrialError> {
    let domain = trial.domain;
    let mut partner = start(subject, lab, domain, domain, trial.listens, patience).await?;
    let mut dialler = match trial.dials == trial.listens {
        true => None,
        false => {
            let place = format!("dialler/{domain}");
            Some(start(subject, lab, domain, &place, trial.dials, patience).await?)
        }
    };
    let records = lab.dns.records();
    match trial.listens.offer.tls {
        Tls::Direct => lab.publish_direct(domain, partner.address())?,
        Tls::None | Tls::Offered | Tls::Required => lab.publish(domain, partner.address())?,
    }
    let mut seen = TrialConnection {
        domain: domain.to_owned(),
        address: partner.address(),
        events: Vec::new(),
        queries: Vec::new(),
        answer: None,
    };
    let question = question(domain, &subject.domain);
    dialler.as_ref().unwrap_or(&partner).dial(question);
    let deadline = Instant::now() + patience;
    while !seen.enough(trial.until) {
        tokio::select! {
            event = partner.next_event() => match event {
                Some(event) => seen.take(event),
                None => break,
            },
            event = next(&mut dialler) => match event {
                Some(event) => seen.take(apart(event)),
                None => break,
            },
            () = sleep_until(deadline) => break,
        }
    }
    let mut rest = partner.stop().await;
    if let Some(dialler) = dialler {
        rest.extend(dialler.stop().await.into_iter().map(apart));
    }
    for event in rest {
        // Events caused by stopping belong to the partner.
        if !matches!(
            event.kind,
            EventKind::Closed {
                by: Party::Partner,
                ..
            }
        ) {
            seen.take(event);
        }
    }
    seen.queries = records.queries_below(domain);
    records.remove(domain);
    Ok(seen)
}

/// Starts a partner in a place of its own.
async fn start(
    subject: &Subject,
    lab: &Lab,
    domain: &str,
    place: &str,
    persona: &Persona,
    patience: Duration,
) -> Result<Partner, TrialError> {
    let cannot_listen = |source| TrialError::Listen {
        address: subject.listen,
        source,
    };
    let place = lab.place(place, subject.listen).map_err(cannot_listen)?;
    let setup = PartnerSetup::new(
        &lab.authority,
        domain,
        Arc::new(persona.clone()),
        &subject.domain,
        subject.address,
    );
    Partner::start(PartnerSetup {
        roots: Arc::clone(&subject.roots),
        secret: format!("{domain}-{:016x}", lab.seed),
        patience,
        seed: lab.seed,
        listen: place.address(),
        ..setup
    })
    .await
    .map_err(cannot_listen)
}

/// The next event of a partner, if there is one.
async fn next(partner: &mut Option<Partner>) -> Option<Event> {
    match partner {
        Some(partner) => partner.next_event().await,
        None => std::future::pending().await,
    }
}

/// An event of the partner that only dials.
fn apart(event: Event) -> Event {
    Event {
        connection: ConnectionId(event.connection.0.saturating_add(APART)),
        ..event
    }
}

fn question(from: &str, to: &str) -> Element {
    stanza::question(QUESTION, from, to, Element::new(NS_TIME, "time"))
}

impl TrialConnection {
    fn take(&mut self, event: Event) {
        if let Some(element) = from_target(&event)
            && Unit::Iq.is(element)
            && element.attribute("id") == Some(QUESTION)
            && element.attribute("type") != Some("get")
        {
            self.answer = Some((element.clone(), Details::now()));
        }
        self.events.push(event);
    }

    fn enough(&self, until: Until) -> bool {
        let refused = self.method().is_none() && self.over(ConnectionKind::Inbound);
        let idle = || self.none_is_open(ConnectionKind::Outbound);
        match until {
            Until::LetIn => refused || self.method().is_some(),
            Until::Answered => self.answer.is_some() || (refused && idle()),
            Until::Dialled => self.answer.is_some() || ((refused || self.came_since()) && idle()),
        }
    }

    /// Whether the target has dialled since it has let the partner in.
    fn came_since(&self) -> bool {
        let inbound = self.connections(ConnectionKind::Inbound);
        let mut let_in = inbound.filter(|event| matches!(event.kind, EventKind::Established(_)));
        let since = let_in.next().map(|event| event.at);
        let mut outbound = self.connections(ConnectionKind::Outbound);
        since.is_some_and(|since| {
            outbound.any(|event| {
                event.at >= since
                    && matches!(
                        event.kind,
                        EventKind::Opened(_) | EventKind::ConnectFailed(..)
                    )
            })
        })
    }

    /// The events on connections of a kind.
    pub(super) fn connections(&self, kind: ConnectionKind) -> impl Iterator<Item = &Event> {
        let events = &self.events;
        events.iter().filter(move |event| {
            events.iter().any(|other| {
                other.connection == event.connection
                    && matches!(other.kind, EventKind::Opened(k) | EventKind::ConnectFailed(k, _) if k == kind)
            })
        })
    }

    fn count(&self, kind: ConnectionKind, wanted: fn(&EventKind) -> bool) -> usize {
        self.connections(kind)
            .filter(|event| wanted(&event.kind))
            .count()
    }

    fn none_is_open(&self, kind: ConnectionKind) -> bool {
        let opened =
            |what: &EventKind| matches!(what, EventKind::Opened(_) | EventKind::ConnectFailed(..));
        let ended = |what: &EventKind| {
            matches!(
                what,
                EventKind::Closed { .. } | EventKind::ConnectFailed(..)
            )
        };
        self.count(kind, opened) == self.count(kind, ended)
    }

    fn over(&self, kind: ConnectionKind) -> bool {
        self.connections(kind).next().is_some() && self.none_is_open(kind)
    }

    /// How the partner was authenticated.
    pub(super) fn method(&self) -> Option<Method> {
        self.connections(ConnectionKind::Inbound)
            .find_map(|event| match event.kind {
                EventKind::Established(method) => Some(method),
                _ => None,
            })
    }

    /// The alert with which the target ended TLS on connections of this kind.
    pub(super) fn alert(&self, kind: ConnectionKind) -> Option<&str> {
        self.connections(kind).find_map(|event| match &event.kind {
            EventKind::TlsFailed {
                by: Party::Target,
                signal: TlsSignal::Alert(name),
            } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the target had a reason to connect to the partner: a key to verify, or an answer to send.
    pub(super) fn gave_reason(&self) -> bool {
        self.method().is_some()
            || self.connections(ConnectionKind::Inbound).any(|event| {
                matches!(&event.kind, EventKind::Frame { from: Party::Partner, frame, .. }
                    if matches!(&frame.kind, Kind::Element(e) if Unit::DbResult.is(e)))
            })
    }

    /// Whether the target connected to the partner's port.
    pub(super) fn dialled_back(&self) -> bool {
        self.connections(ConnectionKind::Outbound).next().is_some()
    }

    /// The first refusal on the way in, in the target's words.
    pub(super) fn refusal(&self) -> Option<String> {
        self.connections(ConnectionKind::Inbound).find_map(|event| {
            let element = from_target(event)?;
            let refusals = [
                (Unit::SaslFailure, NS_SASL),
                (Unit::StreamError, NS_STREAMS),
            ];
            let (unit, namespace) = refusals.into_iter().find(|(unit, _)| unit.is(element))?;
            let condition = unit.condition(element).unwrap_or("no reason");
            Some(match element.find(namespace, "text") {
                Some(text) => format!("{condition} ({})", text.content()),
                None => condition.to_owned(),
            })
        })
    }

    /// How the way in ended.
    pub(super) fn way_in(&self) -> Outcome {
        self.read(Direction::Inbound)
    }

    /// How the way back ended.
    pub(super) fn way_out(&self) -> Outcome {
        self.read(Direction::Outbound)
    }

    fn read(&self, direction: Direction) -> Outcome {
        read(direction, &self.events, Evidence::default())
    }
}

fn from_target(event: &Event) -> Option<&Element> {
    match &event.kind {
        EventKind::Frame {
            from: Party::Target,
            frame,
            ..
        } => match &frame.kind {
            Kind::Element(element) => Some(element),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) | Kind::End => None,
        },
        _ => None,
    }
}
