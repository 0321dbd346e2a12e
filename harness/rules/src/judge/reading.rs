//! Reads the outcome of a case from the events on the wire.

use simulated_partners::event::{
    Close, ConnectionId, ConnectionKind, Event, EventKind, Method, Party, TlsSignal,
};
use simulated_partners::wire::{Element, Kind, Unit};

use crate::case::Direction;
use crate::evidence::{Arrival, Evidence};
use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};

/// The outcome, read from the deciding connection.
pub fn read(direction: Direction, events: &[Event], evidence: Evidence) -> Outcome {
    let Some(connection) = deciding_connection(direction, events) else {
        return if direction == Direction::Outbound && !evidence.bounced.is_final() {
            Outcome::Stalled(Phase::Connect)
        } else {
            refused(Phase::Connect, Closer::Target, Signal::NoConnection)
        };
    };
    let reading = Reading::of(
        events
            .iter()
            .filter(|event| event.connection == connection)
            .map(|e| &e.kind),
    );
    let through = match evidence.arrived {
        Arrival::Seen => true,
        Arrival::NotObservable => reading.end.is_none() && reading.negative.is_none(),
        Arrival::NotSeen => false,
    };
    if through && let Some(method) = reading.method {
        return Outcome::Established(method);
    }
    reading.refusal(evidence)
}

/// The connection that decides the case: the first that the partner dialled, or the last that the
/// target dialled for stanzas (a fallback may use a new connection).
pub fn deciding_connection(direction: Direction, events: &[Event]) -> Option<ConnectionId> {
    let opened = events.iter().filter_map(|event| match event.kind {
        EventKind::Opened(kind) | EventKind::ConnectFailed(kind, _) => {
            Some((event.connection, kind))
        }
        _ => None,
    });
    match direction {
        Direction::Inbound => opened
            .filter(|(_, kind)| *kind == ConnectionKind::Inbound)
            .map(|(connection, _)| connection)
            .next(),
        Direction::Outbound => {
            let dialled_back = events
                .iter()
                .position(|event| matches!(event.kind, EventKind::Opened(ConnectionKind::Inbound)));
            let end = dialled_back.unwrap_or(events.len());
            events[..end]
                .iter()
                .filter_map(|event| match event.kind {
                    EventKind::Opened(ConnectionKind::Outbound) => Some(event.connection),
                    _ => None,
                })
                .rfind(|connection| !asks_for_verification(events, *connection))
        }
    }
}

/// Whether the target opened a connection only to verify keys. Some servers verify on
/// the stream that also carries their stanzas.
fn asks_for_verification(events: &[Event], connection: ConnectionId) -> bool {
    let sent = || {
        events
            .iter()
            .filter(move |event| event.connection == connection)
            .filter_map(|event| event.kind.element_from(Party::Target))
    };
    let untyped = |element: &Element| element.attribute("type").is_none();
    sent().any(|element| Unit::DbVerify.is(element) && untyped(element))
        && !sent().any(|element| {
            Unit::Auth.is(element) || (Unit::DbResult.is(element) && untyped(element))
        })
}

/// The streams besides the deciding one that the partner ended with an error, because of what the target
/// had sent: what follows on the deciding one may have its reason there.
pub fn ended_by_partner(direction: Direction, events: &[Event]) -> Vec<String> {
    let deciding = deciding_connection(direction, events);
    events
        .iter()
        .filter(|event| Some(event.connection) != deciding)
        .filter_map(|event| {
            let error = event.kind.element_from(Party::Partner)?;
            if !Unit::StreamError.is(error) {
                return None;
            }
            let condition = Unit::StreamError.condition(error).unwrap_or("none");
            let number = event.connection.0;
            Some(format!(
                "the partner ended the stream #{number} with the error {condition}"
            ))
        })
        .collect()
}

fn refused(phase: Phase, closer: Closer, signal: Signal) -> Outcome {
    Outcome::Refused(Refusal {
        phase,
        closer,
        signal,
    })
}

/// The progress of a connection, and what ended it.
#[derive(Default)]
struct Reading {
    phase: Option<Phase>,
    method: Option<Method>,
    /// The last negative answer that no positive one followed.
    negative: Option<(Party, Phase, Signal)>,
    end: Option<(Party, Phase, Signal)>,
    gave_up: bool,
}

impl Reading {
    fn of<'a>(events: impl Iterator<Item = &'a EventKind>) -> Self {
        let mut reading = Self {
            phase: Some(Phase::Stream),
            ..Self::default()
        };
        for what in events {
            if reading.end.is_none() {
                reading.take(what);
            }
        }
        reading
    }

    fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Stream)
    }

    fn take(&mut self, what: &EventKind) {
        match what {
            EventKind::Opened(_)
            | EventKind::Raw { .. }
            | EventKind::Repeated { .. }
            | EventKind::Handshake(_)
            | EventKind::LeftOut(_)
            | EventKind::Raised(_) => {}
            EventKind::ConnectFailed(..) => {
                self.phase = Some(Phase::Connect);
                self.ends(Party::Target, Signal::NoConnection);
            }
            EventKind::Frame { from, frame, .. } => match &frame.kind {
                Kind::Element(element) => self.element(*from, element),
                Kind::End => self.ends(*from, Signal::StreamEnd),
                Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => {}
            },
            EventKind::TlsUp(_) => self.advance(Phase::Tls),
            EventKind::TlsFailed { by, signal } => {
                self.phase = Some(Phase::Tls);
                self.ends(
                    *by,
                    match signal {
                        TlsSignal::Alert(name) => Signal::TlsAlert(name.clone()),
                        TlsSignal::Closed | TlsSignal::Garbage(_) => Signal::TlsBroken,
                    },
                );
            }
            EventKind::Established(method) => {
                self.method = Some(*method);
                self.advance(Phase::Stanza);
            }
            EventKind::Closed { by, how } => self.ends(
                *by,
                match how {
                    Close::Stream => Signal::StreamEnd,
                    Close::Fin => Signal::Fin,
                    Close::Reset => Signal::Reset,
                },
            ),
            EventKind::GaveUp { .. } => {
                self.gave_up = true;
                self.ends(Party::Partner, Signal::Silence);
            }
        }
    }

    fn element(&mut self, from: Party, element: &Element) {
        let Some(unit) = Unit::of(element) else {
            return;
        };
        let condition = || unit.condition(element).unwrap_or_default().to_owned();
        match unit {
            Unit::StreamError => self.ends(from, Signal::StreamError(condition())),
            Unit::Features => self.advance(Phase::Method),
            Unit::Starttls => self.advance(Phase::Starttls),
            Unit::Proceed => self.advance(Phase::Tls),
            Unit::TlsFailure => self.refuses(from, Signal::TlsFailure),
            Unit::Auth | Unit::Success => self.advance(Phase::Sasl),
            Unit::SaslFailure => self.refuses(from, Signal::SaslFailure(condition())),
            Unit::DbResult => match element.attribute("type") {
                None => self.advance(Phase::Dialback),
                Some("valid") => {}
                Some("error") => self.refuses(from, Signal::DialbackError(condition())),
                Some(_) => self.refuses(from, Signal::DialbackInvalid),
            },
            Unit::Challenge
            | Unit::Response
            | Unit::Abort
            | Unit::DbVerify
            | Unit::Message
            | Unit::Presence
            | Unit::Iq => {}
        }
    }

    fn refuses(&mut self, by: Party, signal: Signal) {
        self.negative = Some((by, self.phase(), signal));
    }

    fn advance(&mut self, phase: Phase) {
        self.phase = Some(phase);
        self.negative = None;
    }

    fn ends(&mut self, by: Party, signal: Signal) {
        self.end = Some((by, self.phase(), signal));
    }

    /// A negative answer from the target is the reason whoever closes after it; one from the partner is
    /// the reason only if the partner also closes.
    fn refusal(self, evidence: Evidence) -> Outcome {
        let phase = self.phase();
        match (self.negative, self.end) {
            (Some((Party::Target, phase, signal)), _) => refused(phase, Closer::Target, signal),
            (Some((Party::Partner, phase, signal)), Some((Party::Partner, ..))) => {
                refused(phase, Closer::Partner, signal)
            }
            (_, Some((Party::Target, phase, signal))) => refused(phase, Closer::Target, signal),
            (_, Some((Party::Partner, phase, signal))) => refused(phase, Closer::Partner, signal),
            (Some((_, phase, signal)), None) if evidence.bounced.is_final() => {
                refused(phase, Closer::Nobody, signal)
            }
            (None, None) if evidence.bounced.is_final() => {
                refused(phase, Closer::Nobody, Signal::Silence)
            }
            (_, None) => Outcome::Stalled(phase),
        }
    }
}
