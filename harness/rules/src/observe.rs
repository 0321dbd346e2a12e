//! The observations of a case, in the vocabulary of expectations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::event::{
    CertificateSeen, ConnectionId, ConnectionKind, Event, EventKind, Party, TlsSignal,
};
use simulated_partners::reaction::Stage;
use simulated_partners::wire::{Element, Frame, Kind, NS_XML, Unit};

use crate::case::Sees;

mod fault;

/// One observation.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What was observed.
    pub sees: Sees,
    /// Who did it.
    pub by: Party,
    /// The partner that observed it; `None` for the inner side and DNS.
    pub at: Option<Arc<str>>,
    pub connection: Option<ConnectionId>,
    pub on: Option<ConnectionKind>,
    /// Its number among those of its kind with this partner, from 1.
    pub number: u16,
    /// The stage of the connection.
    pub stage: Stage,
    /// The time since the start of the case.
    pub time: Duration,
    /// The element, if it is one.
    pub element: Option<Element>,
    /// Attributes, if it is not an element.
    pub facts: BTreeMap<&'static str, String>,
    /// The bytes, as text.
    pub raw: Arc<str>,
}

impl Observation {
    /// An attribute of the element or of the observation.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match &self.element {
            Some(element) if name == "xml:lang" => element.attribute_in(NS_XML, "lang"),
            Some(element) => element.attribute(name),
            None => self.facts.get(name).map(String::as_str),
        }
    }

    /// The condition of an error or alert, or how a connection ended.
    pub fn condition(&self) -> Option<&str> {
        if let Some(condition) = self.facts.get("condition") {
            return Some(condition);
        }
        let element = self.element.as_ref()?;
        let unit = match self.sees {
            Sees::Unit(unit) => unit,
            _ => Unit::Message,
        };
        unit.condition(element)
    }

    /// Whether the target ends a stream only because it has waited long enough (RFC 6120 §4.9.3.4).
    pub fn ends_a_wait(&self) -> bool {
        self.sees == Sees::Unit(Unit::StreamError)
            && self.by == Party::Target
            && self.condition() == Some("connection-timeout")
    }
}

/// What is known of a connection.
#[derive(Clone, Copy)]
struct Course {
    on: ConnectionKind,
    number: u16,
    secured: bool,
    authenticated: bool,
}

/// Turns events into observations.
#[derive(Default)]
pub struct Observer {
    courses: BTreeMap<(Arc<str>, ConnectionId), Course>,
    numbers: BTreeMap<(Arc<str>, ConnectionKind), u16>,
}

impl Observer {
    /// The observations from an event at a partner.
    pub fn look(&mut self, at: &Arc<str>, time: Duration, event: &Event) -> Vec<Observation> {
        if let EventKind::Opened(kind) | EventKind::ConnectFailed(kind, _) = &event.kind {
            self.open(at, event.connection, *kind);
        }
        let key = (Arc::clone(at), event.connection);
        let Some(course) = self.courses.get_mut(&key) else {
            return Vec::new();
        };
        let before = *course;
        match &event.kind {
            EventKind::TlsUp(_) => course.secured = true,
            EventKind::Established(_) => course.authenticated = true,
            // EXTERNAL ends with its answer, before the stream restarts.
            EventKind::Frame { frame, .. } if is_success(frame) => course.authenticated = true,
            _ => {}
        }
        let observation = |sees, by| Observation {
            sees,
            by,
            at: Some(Arc::clone(at)),
            connection: Some(event.connection),
            on: Some(before.on),
            number: before.number,
            stage: stage(before),
            time,
            element: None,
            facts: BTreeMap::new(),
            raw: Arc::from(""),
        };
        seen(&event.kind, observation)
    }

    fn open(&mut self, at: &Arc<str>, connection: ConnectionId, kind: ConnectionKind) {
        let number = self.numbers.entry((Arc::clone(at), kind)).or_default();
        *number = number.saturating_add(1);
        let course = Course {
            on: kind,
            number: *number,
            secured: false,
            authenticated: false,
        };
        self.courses.insert((Arc::clone(at), connection), course);
    }
}

fn is_success(frame: &Frame) -> bool {
    matches!(&frame.kind, Kind::Element(element) if Unit::Success.is(element))
}

fn stage(course: Course) -> Stage {
    match course {
        Course {
            authenticated: true,
            ..
        } => Stage::Authenticated,
        Course { secured: true, .. } => Stage::Secured,
        _ => Stage::Clear,
    }
}

fn seen(what: &EventKind, observation: impl Fn(Sees, Party) -> Observation) -> Vec<Observation> {
    let with = |sees, by, facts: &[(&'static str, String)]| {
        let mut observation = observation(sees, by);
        observation.facts.extend(facts.iter().cloned());
        vec![observation]
    };
    match what {
        EventKind::Opened(ConnectionKind::Outbound) => {
            vec![observation(Sees::Connection, Party::Target)]
        }
        EventKind::Opened(_) => Vec::new(),
        EventKind::ConnectFailed(_, error) => with(
            Sees::ConnectFailed,
            Party::Target,
            &[("condition", error.to_string())],
        ),
        EventKind::Frame { from, frame, .. } => {
            let (sees, element) = word(&frame.kind);
            let mut observation = observation(sees, *from);
            observation.element = element.cloned();
            observation.raw = Arc::from(String::from_utf8_lossy(&frame.raw));
            with_fault(observation)
        }
        EventKind::Raw { from, bytes, fault } => {
            let mut observation = observation(Sees::Illegal, *from);
            observation.raw = Arc::from(String::from_utf8_lossy(bytes));
            observation
                .facts
                .extend(fault.clone().map(|fault| ("condition", fault)));
            vec![observation]
        }
        EventKind::Handshake(facts) => {
            let mut observation = observation(Sees::Handshake, Party::Target);
            observation.facts.extend(facts.clone());
            vec![observation]
        }
        EventKind::TlsUp(facts) => {
            let mut shown = vec![
                ("version", facts.version.to_owned()),
                ("suite", facts.suite.clone()),
            ];
            shown.extend(facts.sni.clone().map(|name| ("sni", name)));
            shown.extend(facts.alpn.clone().map(|name| ("alpn", name)));
            if !facts.offered.is_empty() {
                shown.push(("offered", facts.offered.join(",")));
            }
            shown.push((
                "certificate",
                match &facts.target_certificate {
                    CertificateSeen::None => "none".to_owned(),
                    CertificateSeen::Good => "good".to_owned(),
                    CertificateSeen::Bad(why) => format!("bad: {why}"),
                },
            ));
            for (name, is_so) in [
                ("asked", facts.asked),
                ("resumed", facts.resumed),
                ("early-data", facts.early_data),
            ] {
                shown.push((name, is_so.to_string()));
            }
            let mut all = with(Sees::Tls, Party::Target, &shown);
            if !facts.shown.is_empty() {
                let mut certificate = observation(Sees::Certificate, Party::Target);
                certificate.facts.extend(facts.shown.clone());
                all.push(certificate);
            }
            all
        }
        EventKind::TlsFailed { by, signal } => {
            let condition = match signal {
                TlsSignal::Alert(name) => name.clone(),
                TlsSignal::Closed => "closed".to_owned(),
                TlsSignal::Garbage(_) => "garbage".to_owned(),
            };
            with(Sees::TlsFailed, *by, &[("condition", condition)])
        }
        EventKind::Established(_) => vec![observation(Sees::Established, Party::Target)],
        EventKind::Closed { by, how } => with(
            Sees::Closed,
            *by,
            &[("condition", how.to_string()), ("by", by.to_string())],
        ),
        EventKind::GaveUp { waiting_for } => with(
            Sees::GaveUp,
            Party::Target,
            &[("condition", (*waiting_for).to_owned())],
        ),
        EventKind::Repeated { bytes, .. } => {
            let mut observation = observation(Sees::Illegal, Party::Partner);
            observation.raw = Arc::from(String::from_utf8_lossy(bytes));
            vec![observation]
        }
        // Nothing that the target did: it ends the case.
        EventKind::LeftOut(_) => Vec::new(),
        EventKind::Raised(name) => with(Sees::Raised, Party::Target, &[("name", name.clone())]),
    }
}

/// An observation and, if it is an error of the wrong form, what is wrong with it.
fn with_fault(observation: Observation) -> Vec<Observation> {
    let found = observation.element.as_ref().and_then(fault::of);
    let malformed = found.map(|(sees, fault)| Observation {
        sees,
        element: None,
        facts: BTreeMap::from([("condition", fault.to_owned())]),
        ..observation.clone()
    });
    std::iter::once(observation).chain(malformed).collect()
}

/// The word for a stream unit.
fn word(kind: &Kind) -> (Sees, Option<&Element>) {
    match kind {
        Kind::Declaration => (Sees::Declaration, None),
        Kind::Whitespace(_) => (Sees::Whitespace, None),
        Kind::End => (Sees::StreamEnd, None),
        Kind::Header(header) => (Sees::Header, Some(header)),
        Kind::Element(element) => (
            Unit::of(element).map_or(Sees::OtherElement, Sees::Unit),
            Some(element),
        ),
    }
}

/// The observations of a stanza at the inner side.
pub fn local(element: &Element, time: Duration) -> Vec<Observation> {
    let sees = match element.attribute("type") {
        Some("error") => Sees::Returned,
        Some("result") if element.name == "iq" => Sees::Answered,
        _ => Sees::Delivered,
    };
    with_fault(stanza(sees, element, time))
}

/// The observation of a stanza that must have been delivered, because of this answer to it.
pub fn delivered(answer: &Element, time: Duration) -> Observation {
    stanza(Sees::Delivered, answer, time)
}

/// The observation of the end of the link to the inner side.
pub fn link_ended(time: Duration) -> Observation {
    away(Sees::LinkEnded, time)
}

fn stanza(sees: Sees, element: &Element, time: Duration) -> Observation {
    Observation {
        raw: Arc::from(element.to_xml()),
        element: Some(element.clone()),
        ..away(sees, time)
    }
}

/// The observation of a DNS query.
pub fn query(name: &str, kind: &str, tcp: bool, time: Duration) -> Observation {
    let facts = [
        ("name", name.to_owned()),
        ("kind", kind.to_owned()),
        ("tcp", tcp.to_string()),
    ];
    Observation {
        facts: BTreeMap::from(facts),
        ..away(Sees::Query, time)
    }
}

/// An observation without a connection.
fn away(sees: Sees, time: Duration) -> Observation {
    Observation {
        sees,
        by: Party::Target,
        at: None,
        connection: None,
        on: None,
        number: 0,
        stage: Stage::Clear,
        time,
        element: None,
        facts: BTreeMap::new(),
        raw: Arc::from(""),
    }
}
