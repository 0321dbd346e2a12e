//! The form of a transcript that is the same in every run of a case: which connections and events
//! are shown, and in which order. `placeholder` names the values that vary.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simulated_partners::event::{ConnectionId, Event, EventKind, Party};
use simulated_partners::wire::{Element, Kind, Unit};

use super::look::{
    attribute, element, header, is_dialback_answer, is_stanza, is_unit, is_whitespace,
};
use super::placeholder::Placeholders;
use super::render::{Detail, line};

/// The same events in a form that does not vary between runs.
///
/// - Connections follow one another, each verification after the stream it belongs to, and
///   are renumbered.
/// - A connection ends at its decisive event: the last stanza, the answer to `db:verify`, or the
///   first sign of a refusal. The rest is teardown, in random order.
/// - Stream ids become `{id-1}`, keys `{key-1}`, stanza ids `{stanza-1}`, in order of appearance;
///   ports become `{port}`, long numbers in texts `{n}`; times become zero.
/// - Whitespace between stanzas is omitted; attributes and features are sorted.
///
/// Applying it twice is the same as applying it once.
pub fn canonical(events: &[Event]) -> Vec<Event> {
    let mut connections: BTreeMap<ConnectionId, Vec<&Event>> = BTreeMap::new();
    for event in events {
        connections.entry(event.connection).or_default().push(event);
    }
    let Some((&first, of_first)) = connections.first_key_value() else {
        return Vec::new();
    };
    let decided_at = cut(of_first, Role::First).decided_at;

    let mut kept: BTreeMap<ConnectionId, CutConnection> = BTreeMap::new();
    for (&connection, events) in &connections {
        let role = if connection == first {
            Role::First
        } else if decided_at.is_none_or(|at| events[0].at <= at) {
            Role::Early
        } else {
            Role::Late
        };
        let cut = cut(events, role);
        if role != Role::Late || cut.decided_at.is_some() {
            kept.insert(connection, cut);
        }
    }

    let mut placeholders = Placeholders::default();
    let mut result = Vec::new();
    let mut number = 0_u16;
    for connection in causal_order(&kept) {
        let Some(cut) = kept.remove(&connection) else {
            continue;
        };
        number = number.saturating_add(1);
        for mut kind in cut.kinds {
            placeholders.collect(&mut kind);
            result.push(Event {
                connection: ConnectionId(number),
                // One clock step separates what opened after the decision.
                at: Duration::from_nanos(u64::from(cut.role == Role::Late)),
                kind,
            });
        }
    }
    for event in &mut result {
        placeholders.apply(&mut event.kind);
    }
    result
}

/// The canonical form as text, one line per event, nothing shortened.
pub fn canonical_text(events: &[Event]) -> String {
    let mut text = String::new();
    for (index, event) in canonical(events).iter().enumerate() {
        text.push_str(&line(index + 1, event, Detail::Full));
        text.push('\n');
    }
    text
}

/// The position of a connection in the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The deciding connection.
    First,
    /// Opened before the decision: a verification. Whether the target closes it before or
    /// after the end of the case is random.
    Early,
    /// Opened later: the way back, or another attempt. An undecided one was cut off at random.
    Late,
}

/// A connection up to its decisive event.
struct CutConnection {
    kinds: Vec<EventKind>,
    role: Role,
    /// When it got through, had sent its request, or began to end.
    decided_at: Option<Duration>,
}

/// The first sign of the end: later events on the same connection are its consequence.
fn ends(kind: &EventKind) -> bool {
    match kind {
        EventKind::Frame { frame, .. } => match &frame.kind {
            Kind::End => true,
            Kind::Element(e) => Unit::StreamError.is(e),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => false,
        },
        EventKind::Raw { fault, .. } => fault.is_some(),
        EventKind::ConnectFailed(..)
        | EventKind::TlsFailed { .. }
        | EventKind::Closed { .. }
        | EventKind::GaveUp { .. } => true,
        EventKind::Opened(_)
        | EventKind::Repeated { .. }
        | EventKind::Handshake(_)
        | EventKind::Raised(_)
        | EventKind::LeftOut(_)
        | EventKind::TlsUp(_)
        | EventKind::Established(_) => false,
    }
}

/// Events that only say that the target is finished with the connection, or timed out.
fn teardown_by_target(kind: &EventKind) -> bool {
    match kind {
        EventKind::Frame {
            from: Party::Target,
            frame,
            ..
        } => match &frame.kind {
            Kind::End => true,
            Kind::Element(e) => Unit::StreamError.is(e) && is_farewell(e),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => false,
        },
        EventKind::Closed { by, .. } => *by == Party::Target,
        _ => false,
    }
}

/// Stream errors sent whenever a server stops or has waited long enough (RFC 6120 §4.9.3).
fn is_farewell(error: &Element) -> bool {
    matches!(
        Unit::StreamError.condition(error),
        Some("connection-timeout" | "system-shutdown")
    )
}

fn cut(events: &[&Event], role: Role) -> CutConnection {
    let mut told: Vec<(Duration, EventKind)> = events
        .iter()
        .filter(|event| !is_whitespace(&event.kind))
        .map(|event| (event.at, event.kind.clone()))
        .collect();
    forget_handshake_judged_late(&mut told);

    let mut decisive = decisive(&told);
    let mut decided_at = decisive.map(|at| match established(&told) {
        Some(established) => told[established].0,
        None => told[at].0,
    });
    if role == Role::Early && decisive.is_some_and(|at| teardown_by_target(&told[at].1)) {
        decided_at = None;
        decisive = decisive.and_then(|at| at.checked_sub(1));
    }
    if let Some(decisive) = decisive {
        told.truncate(decisive + 1);
    }
    CutConnection {
        kinds: told.into_iter().map(|(_, kind)| kind).collect(),
        role,
        decided_at,
    }
}

fn established(told: &[(Duration, EventKind)]) -> Option<usize> {
    told.iter()
        .position(|(_, kind)| matches!(kind, EventKind::Established(_)))
}

/// The last event of a connection that is not teardown.
fn decisive(told: &[(Duration, EventKind)]) -> Option<usize> {
    let end = told.iter().position(|(_, kind)| ends(kind));
    if established(told).is_some() {
        let reached = told.iter().rposition(|(_, kind)| {
            matches!(kind, EventKind::Established(_)) || is_stanza(kind) || is_dialback_answer(kind)
        });
        let broken = end.filter(|end| Some(*end) > reached && is_real_error(&told[*end].1));
        return broken.or(reached);
    }
    // A connection that only verifies a key has done its work with the answer. Without
    // an answer it ends whenever the asking side reports the result elsewhere.
    let before = &told[..end.unwrap_or(told.len())];
    if before.iter().any(|(_, kind)| is_unit(kind, Unit::DbResult)) {
        return end;
    }
    let verify = before
        .iter()
        .rposition(|(_, kind)| is_unit(kind, Unit::DbVerify));
    verify.or(end)
}

/// In TLS 1.3 a client finishes before the server has checked its certificate (RFC 8446 §4.4.2.4):
/// what it sent in between is random, and only the alert counts.
fn forget_handshake_judged_late(told: &mut Vec<(Duration, EventKind)>) {
    let failed = told
        .iter()
        .position(|(_, kind)| matches!(kind, EventKind::TlsFailed { .. }));
    let Some(failed) = failed else {
        return;
    };
    let up = told[..failed]
        .iter()
        .rposition(|(_, kind)| matches!(kind, EventKind::TlsUp(_)));
    let Some(up) = up else {
        return;
    };
    let target_spoke = told[up..failed].iter().any(|(_, kind)| {
        matches!(
            kind,
            EventKind::Frame {
                from: Party::Target,
                ..
            }
        )
    });
    if !target_spoke {
        told.drain(up..failed);
    }
}

/// An error that is a judgement and not only a farewell.
fn is_real_error(kind: &EventKind) -> bool {
    match element(kind) {
        Some(e) => Unit::StreamError.is(e) && !is_farewell(e),
        None => matches!(kind, EventKind::Raw { .. } | EventKind::TlsFailed { .. }),
    }
}

/// The order of connections: as opened, but each verification right after the stream whose id it
/// names.
fn causal_order(connections: &BTreeMap<ConnectionId, CutConnection>) -> Vec<ConnectionId> {
    let mut streams: BTreeMap<&str, ConnectionId> = BTreeMap::new();
    for (&connection, cut) in connections {
        for kind in &cut.kinds {
            if let Some(id) = header(kind).and_then(|h| attribute(h, "id")) {
                streams.entry(id).or_insert(connection);
            }
        }
    }
    let mut children: BTreeMap<ConnectionId, Vec<ConnectionId>> = BTreeMap::new();
    let mut roots = Vec::new();
    for (&connection, cut) in connections {
        let asked = cut.kinds.iter().find_map(|kind| {
            let e = element(kind)?;
            (Unit::DbVerify.is(e) && attribute(e, "type").is_none()).then(|| attribute(e, "id"))?
        });
        // Only an older connection can be the parent, so there are no cycles.
        match asked.and_then(|id| streams.get(id)) {
            Some(&parent) if parent < connection => {
                children.entry(parent).or_default().push(connection)
            }
            _ => roots.push(connection),
        }
    }
    let mut order = Vec::new();
    let mut open: Vec<ConnectionId> = roots.into_iter().rev().collect();
    let mut seen = BTreeSet::new();
    while let Some(connection) = open.pop() {
        if seen.insert(connection) {
            order.push(connection);
            if let Some(children) = children.get(&connection) {
                open.extend(children.iter().rev());
            }
        }
    }
    order
}
