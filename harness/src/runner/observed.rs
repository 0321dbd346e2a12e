//! The observations of a case so far.

use std::collections::BTreeMap;

use simulated_partners::event::{ConnectionKind, Event, EventKind, Party};
use simulated_partners::wire::Kind;

use super::error::CaseError;
use super::lateness::Wait;
use crate::evidence::Evidence;
use crate::observe::Observation;
use crate::record::Passage;

/// The limit on what a case keeps, in bytes: a target that sends endlessly must not fill memory.
const KEPT: usize = 64 * 1024 * 1024;

/// All observations, in order.
#[derive(Default)]
pub(super) struct Observed {
    /// Events of the main partner.
    pub(super) events: Vec<Event>,
    /// Events of the others, by name.
    pub(super) further: BTreeMap<String, Vec<Event>>,
    /// Observations of all partners, the inner side and DNS.
    pub(super) observations: Vec<Observation>,
    /// Stanzas at the inner side, in both directions.
    pub(super) inner: Vec<Passage>,
    /// The state of the probe.
    pub(super) evidence: Evidence,
    /// Whether the partner's domain was looked up.
    pub(super) looked_up: bool,
    /// What was waited for until a deadline. None if no deadline has ended anything.
    pub(super) waited: Option<Wait>,
    /// Whether the target did not come to rest while it was waited for.
    pub(super) was_busy: bool,
    /// Whether it worked most of that time.
    pub(super) was_slow: bool,
    /// How much was seen.
    pub(super) count: usize,
    /// The size of all that was seen, in bytes.
    pub(super) kept: usize,
}

/// The kind of a connection that was opened, or failed.
pub(super) fn opened(what: &EventKind) -> Option<ConnectionKind> {
    match what {
        EventKind::Opened(kind) | EventKind::ConnectFailed(kind, _) => Some(*kind),
        _ => None,
    }
}

impl Observed {
    /// Notes that a deadline has ended something.
    pub(super) fn ran_out(&mut self, wait: Wait) {
        self.waited = Some(self.waited.map_or(wait, |before| before.and(wait)));
    }

    /// Counts something that is going to be kept.
    pub(super) fn make_room(&mut self, size: usize) -> Result<(), CaseError> {
        self.count += 1;
        self.kept = self.kept.saturating_add(size);
        if self.kept > KEPT {
            return Err(CaseError::Flood { kept: KEPT });
        }
        Ok(())
    }

    /// The number of connections of this kind that were opened or attempted.
    pub(super) fn connections(&self, kind: ConnectionKind) -> usize {
        self.events
            .iter()
            .filter(|event| opened(&event.kind) == Some(kind))
            .count()
    }

    /// Whether all of them have ended.
    pub(super) fn all_over(&self, kind: ConnectionKind) -> bool {
        let ended = self.of_kind(kind).filter(|event| {
            matches!(
                event.kind,
                EventKind::Closed { .. } | EventKind::ConnectFailed(..)
            )
        });
        ended.count() == self.connections(kind)
    }

    /// Whether there was at least one and all have ended.
    pub(super) fn over(&self, kind: ConnectionKind) -> bool {
        self.connections(kind) > 0 && self.all_over(kind)
    }

    /// The events of connections of a kind.
    fn of_kind(&self, kind: ConnectionKind) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| {
            self.events.iter().any(|other| {
                other.connection == event.connection && opened(&other.kind) == Some(kind)
            })
        })
    }

    /// Whether the partner sent its probe on an authenticated connection.
    pub(super) fn was_sent(&self, probe: &str) -> bool {
        let Some(at) = self.events.iter().position(|event| {
            event
                .kind
                .element_from(Party::Partner)
                .is_some_and(|element| element.attribute("id") == Some(probe))
        }) else {
            return false;
        };
        self.events[..at].iter().any(|event| {
            event.connection == self.events[at].connection
                && matches!(event.kind, EventKind::Established(_))
        })
    }

    /// Whether the partner's own connection is authenticated and has not ended.
    pub(super) fn stays_established(&self) -> bool {
        let mut ours = self.of_kind(ConnectionKind::Inbound);
        let ended = |event: &Event| match &event.kind {
            EventKind::Closed { .. } | EventKind::GaveUp { .. } => true,
            EventKind::Frame {
                from: Party::Target,
                frame,
                ..
            } => frame.kind == Kind::End,
            _ => false,
        };
        self.of_kind(ConnectionKind::Inbound)
            .any(|event| matches!(event.kind, EventKind::Established(_)))
            && !ours.any(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut observed = Observed::default();
        assert!(observed.make_room(KEPT).is_ok());
        let flood = observed.make_room(1).expect_err("it is full");
        assert_eq!(
            flood.to_string(),
            "a flood: more happened than the 64 MiB that a case can keep"
        );
    }
}
