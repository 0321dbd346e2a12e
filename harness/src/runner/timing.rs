//! Computes timings of a case from its events.

use std::time::Duration;

use simulated_partners::event::{ConnectionId, Event, EventKind, Party};
use simulated_partners::wire::Unit;

use crate::case::Direction;
use crate::judge::deciding_connection;
use crate::record::Timings;

/// The delay caused by a delayed acknowledgement (RFC 1122 §4.2.3.2; 40 ms on Linux).
const DELAYED: std::ops::Range<Duration> = Duration::from_millis(38)..Duration::from_millis(48);

/// Whether the target sent something with this delay after the previous event on the connection.
fn delayed(connection: ConnectionId, events: &[Event]) -> bool {
    let of_connection: Vec<&Event> = events
        .iter()
        .filter(|event| event.connection == connection)
        .collect();
    of_connection.windows(2).any(|pair| {
        let from_target = matches!(
            pair[1].kind,
            EventKind::Frame {
                from: Party::Target,
                ..
            }
        );
        from_target && DELAYED.contains(&pair[1].at.saturating_sub(pair[0].at))
    })
}

/// Splits the time of the deciding connection into phases.
pub(super) fn timings(direction: Direction, events: &[Event], total: Duration) -> Timings {
    let Some(connection) = deciding_connection(direction, events) else {
        return Timings {
            total,
            ..Timings::default()
        };
    };
    let at = |wanted: &dyn Fn(&EventKind) -> bool| {
        events
            .iter()
            .find(|event| event.connection == connection && wanted(&event.kind))
            .map(|event| event.at)
    };
    let opened = at(&|what| matches!(what, EventKind::Opened(_)));
    let secured = at(&|what| matches!(what, EventKind::TlsUp(_)));
    let proceed = at(&|what| {
        [Party::Target, Party::Partner].into_iter().any(|party| {
            what.element_from(party)
                .is_some_and(|element| Unit::Proceed.is(element))
        })
    });
    let trusted = at(&|what| matches!(what, EventKind::Established(_)));
    let between = |from: Option<Duration>, to: Option<Duration>| Some(to?.saturating_sub(from?));
    Timings {
        connect: opened,
        tls: between(proceed, secured),
        auth: between(secured.or(opened), trusted),
        probe: trusted.map(|trusted| total.saturating_sub(trusted)),
        delayed: delayed(connection, events),
        total,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use simulated_partners::event::ConnectionKind;
    use simulated_partners::wire::{Frame, Kind};

    use super::*;

    fn event(millis: u64, kind: EventKind) -> Event {
        Event {
            connection: ConnectionId(1),
            at: Duration::from_millis(millis),
            kind,
        }
    }

    fn sent(from: Party) -> EventKind {
        EventKind::Frame {
            from,
            encrypted: true,
            frame: Arc::new(Frame {
                kind: Kind::End,
                raw: Vec::new(),
                offset: 0,
            }),
        }
    }

    fn late(millis: u64, from: Party) -> bool {
        let events = [
            event(0, EventKind::Opened(ConnectionKind::Inbound)),
            event(5, sent(Party::Partner)),
            event(5 + millis, sent(from)),
        ];
        timings(Direction::Inbound, &events, Duration::from_millis(60)).delayed
    }

    #[test]
    fn forty_milliseconds_of_the_target_are_seen_and_others_are_not() {
        assert!(late(40, Party::Target));
        assert!(late(44, Party::Target));
        assert!(!late(40, Party::Partner));
        assert!(!late(5, Party::Target));
        assert!(!late(100, Party::Target));
    }
}
