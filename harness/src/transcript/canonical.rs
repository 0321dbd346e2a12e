//! The form of a transcript that is the same in every run of a case: which connections and which of
//! their events are shown, and in which order. Names for values that vary are `placeholder`'s part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simulated_partners::event::{Event, Leg, Party, What};
use simulated_partners::wire::{Element, Kind, Unit};

use super::look::{
    attribute, element, header, is_dialback_answer, is_stanza, is_unit, is_whitespace,
};
use super::placeholder::Placeholders;
use super::render::{Detail, line};

/// The same events in a form that does not vary between runs.
///
/// - Connections stand one after the other, each verification after the stream it belongs to, and
///   are numbered anew.
/// - A connection ends at its decisive event: the last stanza, the answer to `db:verify`, or the
///   first sign of a refusal. What follows is teardown, whose order is chance.
/// - Stream ids become `{id-1}`, keys `{key-1}`, stanza ids `{stanza-1}`, in order of appearance;
///   ports become `{port}`, long numbers in texts `{n}`; times become zero.
/// - White space between stanzas is left out; attributes are sorted, and so are features.
///
/// Applying it twice is the same as applying it once.
pub fn canonical(events: &[Event]) -> Vec<Event> {
    let mut legs: BTreeMap<Leg, Vec<&Event>> = BTreeMap::new();
    for event in events {
        legs.entry(event.leg).or_default().push(event);
    }
    let Some((&first, of_first)) = legs.first_key_value() else {
        return Vec::new();
    };
    let decided_at = cut(of_first, Role::First).decided_at;

    let mut kept: BTreeMap<Leg, CutLeg> = BTreeMap::new();
    for (&leg, events) in &legs {
        let role = if leg == first {
            Role::First
        } else if decided_at.is_none_or(|at| events[0].at <= at) {
            Role::Early
        } else {
            Role::Late
        };
        let cut = cut(events, role);
        if role != Role::Late || cut.decided_at.is_some() {
            kept.insert(leg, cut);
        }
    }

    let mut placeholders = Placeholders::default();
    let mut result = Vec::new();
    let mut number = 0_u16;
    for leg in causal_order(&kept) {
        let Some(cut) = kept.remove(&leg) else {
            continue;
        };
        number = number.saturating_add(1);
        for mut what in cut.what {
            placeholders.collect(&mut what);
            result.push(Event {
                leg: Leg(number),
                // One step of the clock keeps what opened after the decision apart from the rest.
                at: Duration::from_nanos(u64::from(cut.role == Role::Late)),
                what,
            });
        }
    }
    for event in &mut result {
        placeholders.apply(&mut event.what);
    }
    result
}

/// The canonical form as text, a line an event, nothing shortened.
pub fn canonical_text(events: &[Event]) -> String {
    let mut text = String::new();
    for (index, event) in canonical(events).iter().enumerate() {
        text.push_str(&line(index + 1, event, Detail::Full));
        text.push('\n');
    }
    text
}

/// Where a connection stands in the order of things.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The one that the case is about.
    First,
    /// Opened while that was still undecided: a verification. Whether the target closes it before or
    /// after the case has ended is chance.
    Early,
    /// Opened later: the way back, or another attempt. What was not decided was cut short by chance.
    Late,
}

/// A connection up to its decisive event.
struct CutLeg {
    what: Vec<What>,
    role: Role,
    /// When it got through, had asked its question, or began to end.
    decided_at: Option<Duration>,
}

/// The first sign of an end: what comes after it on the same connection is only its consequence.
fn ends(what: &What) -> bool {
    match what {
        What::Frame { frame, .. } => match &frame.kind {
            Kind::End => true,
            Kind::Element(e) => Unit::StreamError.is(e),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => false,
        },
        What::Raw { fault, .. } => fault.is_some(),
        What::ConnectFailed(..)
        | What::TlsFailed { .. }
        | What::Closed { .. }
        | What::GaveUp { .. } => true,
        What::Opened(_)
        | What::Repeated { .. }
        | What::Handshake(_)
        | What::Raised(_)
        | What::TlsUp(_)
        | What::Established(_) => false,
    }
}

/// What says nothing but that the target is done with the connection, or tired of it.
fn teardown_by_target(what: &What) -> bool {
    match what {
        What::Frame {
            from: Party::Target,
            frame,
            ..
        } => match &frame.kind {
            Kind::End => true,
            Kind::Element(e) => Unit::StreamError.is(e) && is_farewell(e),
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => false,
        },
        What::Closed { by, .. } => *by == Party::Target,
        _ => false,
    }
}

/// Stream errors that come whenever a server stops or has waited long enough (RFC 6120 §4.9.3).
fn is_farewell(error: &Element) -> bool {
    matches!(
        Unit::StreamError.condition(error),
        Some("connection-timeout" | "system-shutdown")
    )
}

fn cut(events: &[&Event], role: Role) -> CutLeg {
    let mut told: Vec<(Duration, What)> = events
        .iter()
        .filter(|event| !is_whitespace(&event.what))
        .map(|event| (event.at, event.what.clone()))
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
    CutLeg {
        what: told.into_iter().map(|(_, what)| what).collect(),
        role,
        decided_at,
    }
}

fn established(told: &[(Duration, What)]) -> Option<usize> {
    told.iter()
        .position(|(_, what)| matches!(what, What::Established(_)))
}

/// The last event of a connection that is not teardown.
fn decisive(told: &[(Duration, What)]) -> Option<usize> {
    let end = told.iter().position(|(_, what)| ends(what));
    if established(told).is_some() {
        let reached = told.iter().rposition(|(_, what)| {
            matches!(what, What::Established(_)) || is_stanza(what) || is_dialback_answer(what)
        });
        let broken = end.filter(|end| Some(*end) > reached && is_real_error(&told[*end].1));
        return broken.or(reached);
    }
    // A connection on which nothing but a key is verified has done its work with the answer. Without
    // an answer it ends whenever the asking side tells the result elsewhere.
    let before = &told[..end.unwrap_or(told.len())];
    if before.iter().any(|(_, what)| is_unit(what, Unit::DbResult)) {
        return end;
    }
    let verify = before
        .iter()
        .rposition(|(_, what)| is_unit(what, Unit::DbVerify));
    verify.or(end)
}

/// In TLS 1.3 a client is done before the server has judged its certificate (RFC 8446 §4.4.2.4): what
/// it sent in between is chance, the alert is what counts.
fn forget_handshake_judged_late(told: &mut Vec<(Duration, What)>) {
    let failed = told
        .iter()
        .position(|(_, what)| matches!(what, What::TlsFailed { .. }));
    let Some(failed) = failed else {
        return;
    };
    let up = told[..failed]
        .iter()
        .rposition(|(_, what)| matches!(what, What::TlsUp(_)));
    let Some(up) = up else {
        return;
    };
    let target_spoke = told[up..failed].iter().any(|(_, what)| {
        matches!(
            what,
            What::Frame {
                from: Party::Target,
                ..
            }
        )
    });
    if !target_spoke {
        told.drain(up..failed);
    }
}

/// An error that is a judgement, not only a farewell.
fn is_real_error(what: &What) -> bool {
    match element(what) {
        Some(e) => Unit::StreamError.is(e) && !is_farewell(e),
        None => matches!(what, What::Raw { .. } | What::TlsFailed { .. }),
    }
}

/// The order of connections: as opened, but each verification right after the stream whose id it
/// asks about.
fn causal_order(legs: &BTreeMap<Leg, CutLeg>) -> Vec<Leg> {
    let mut streams: BTreeMap<&str, Leg> = BTreeMap::new();
    for (&leg, cut) in legs {
        for what in &cut.what {
            if let Some(id) = header(what).and_then(|h| attribute(h, "id")) {
                streams.entry(id).or_insert(leg);
            }
        }
    }
    let mut children: BTreeMap<Leg, Vec<Leg>> = BTreeMap::new();
    let mut roots = Vec::new();
    for (&leg, cut) in legs {
        let asked = cut.what.iter().find_map(|what| {
            let e = element(what)?;
            (Unit::DbVerify.is(e) && attribute(e, "type").is_none()).then(|| attribute(e, "id"))?
        });
        // Only an older one can be the parent, so that there are no circles.
        match asked.and_then(|id| streams.get(id)) {
            Some(&parent) if parent < leg => children.entry(parent).or_default().push(leg),
            _ => roots.push(leg),
        }
    }
    let mut order = Vec::new();
    let mut open: Vec<Leg> = roots.into_iter().rev().collect();
    let mut seen = BTreeSet::new();
    while let Some(leg) = open.pop() {
        if seen.insert(leg) {
            order.push(leg);
            if let Some(children) = children.get(&leg) {
                open.extend(children.iter().rev());
            }
        }
    }
    order
}
