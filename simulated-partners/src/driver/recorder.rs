//! One ordered stream of events from many tasks.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::event::{ConnectionId, ConnectionKind, Event, EventKind};

/// Limit on the size of unread observations. Above it, connections are aborted: a target
/// that sends endlessly must not fill memory.
const HELD: usize = 8 * 1024 * 1024;

/// What is left out then.
const FLOOD: &str = "the rest of a flood, with more unread than can be held";

/// The tasks' end.
#[derive(Debug)]
pub(super) struct Recorder {
    started: Instant,
    connections: Mutex<u16>,
    sender: mpsc::UnboundedSender<Event>,
    held: Arc<AtomicUsize>,
}

/// The observer's end.
#[derive(Debug)]
pub(super) struct Events {
    receiver: mpsc::UnboundedReceiver<Event>,
    held: Arc<AtomicUsize>,
}

/// The limit is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Recorder {
    pub(super) fn new() -> (Self, Events) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let held = Arc::new(AtomicUsize::new(0));
        let recorder = Self {
            started: Instant::now(),
            connections: Mutex::new(0),
            sender,
            held: Arc::clone(&held),
        };
        (recorder, Events { receiver, held })
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Numbers an opened connection.
    pub(super) fn opened(&self, kind: ConnectionKind) -> ConnectionId {
        self.number(EventKind::Opened(kind))
    }

    /// Numbers a connection that could not be opened.
    pub(super) fn connect_failed(&self, kind: ConnectionKind, error: io::ErrorKind) {
        self.number(EventKind::ConnectFailed(kind, error));
    }

    fn number(&self, kind: EventKind) -> ConnectionId {
        // Counting and sending are one step, so that numbers match the order.
        let mut connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *connections = connections.saturating_add(1);
        let connection = ConnectionId(*connections);
        self.push(connection, kind);
        connection
    }

    /// Adds an event.
    pub(super) fn record(&self, connection: ConnectionId, kind: EventKind) -> Result<(), Overflow> {
        if self.held.load(Ordering::Relaxed) > HELD {
            self.push(connection, EventKind::LeftOut(FLOOD));
            return Err(Overflow);
        }
        self.push(connection, kind);
        Ok(())
    }

    fn push(&self, connection: ConnectionId, kind: EventKind) {
        self.held.fetch_add(kind.size(), Ordering::Relaxed);
        let at = self.started.elapsed();
        // Without a receiver, the event does not matter.
        let _ = self.sender.send(Event {
            connection,
            at,
            kind,
        });
    }
}

impl Events {
    /// The next event; `None` when all tasks have ended.
    pub(super) async fn next(&mut self) -> Option<Event> {
        let event = self.receiver.recv().await?;
        self.held.fetch_sub(event.kind.size(), Ordering::Relaxed);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refuses_more_than_may_be_held_until_something_is_taken() {
        let (recorder, mut events) = Recorder::new();
        let connection = recorder.opened(ConnectionKind::Outbound);
        let big = || EventKind::Raw {
            from: crate::event::Party::Target,
            bytes: vec![0; HELD],
            fault: None,
        };
        assert_eq!(recorder.record(connection, big()), Ok(()));
        assert_eq!(recorder.record(connection, big()), Err(Overflow));
        assert!(events.next().await.is_some());
        assert!(events.next().await.is_some());
        let left_out = events.next().await.map(|event| event.kind);
        assert!(
            matches!(left_out, Some(EventKind::LeftOut(FLOOD))),
            "{left_out:?}"
        );
        assert_eq!(recorder.record(connection, big()), Ok(()));
    }

    #[tokio::test]
    async fn numbers_connections_in_the_order_of_opening() {
        let (recorder, mut events) = Recorder::new();
        recorder.connect_failed(
            ConnectionKind::Verification,
            io::ErrorKind::ConnectionRefused,
        );
        assert_eq!(recorder.opened(ConnectionKind::Inbound), ConnectionId(2));
        drop(recorder);
        assert_eq!(
            events.next().await.map(|event| event.connection),
            Some(ConnectionId(1))
        );
        assert_eq!(
            events.next().await.map(|event| event.connection),
            Some(ConnectionId(2))
        );
        assert!(events.next().await.is_none());
    }
}
