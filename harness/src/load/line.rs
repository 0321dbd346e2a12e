//! One connection of a partner: what it sends, and what comes in.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::driver::{Over, Released};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::books::{Books, Flow, Phase};
use super::source::{Source, UNSENT};

/// How long the target may take to end its stream after a partner has ended its own.
const FAREWELL: Duration = Duration::from_secs(5);
/// When a partner that has nothing to send says that it is alive.
const ALIVE: Duration = Duration::from_secs(60);

/// What a connection sends, and where that is counted.
pub(super) struct Sending {
    pub(super) source: Source,
    /// The number of the partner.
    pub(super) partner: usize,
}

impl Sending {
    fn flow<'a>(&self, books: &'a Books) -> &'a Flow {
        &books.inward[self.partner]
    }
}

/// Serves a connection until it is over. `close` ends it from this side.
///
/// Returns what it may send on another one, and why the target ended it, if it did.
pub(super) async fn carry(
    mut line: Released,
    mut sending: Option<Sending>,
    books: Arc<Books>,
    mut close: oneshot::Receiver<()>,
) -> (Option<Sending>, Option<String>) {
    let mut phases = books.phase.subscribe();
    let mut batch = Vec::with_capacity(UNSENT);
    let mut closes_by: Option<Instant> = None;
    let mut spoke = Instant::now();
    loop {
        let is_open = closes_by.is_none();
        let steady = *phases.borrow_and_update() == Phase::Steady;
        let mut source = sending.as_mut().filter(|_| steady && is_open);
        if let Some(sending) = &mut source
            && line.unsent() < UNSENT
        {
            let flow = sending.flow(&books);
            sending.source.write(&books, flow, &mut batch);
            if !batch.is_empty() {
                line.queue(&batch);
                batch.clear();
                spoke = Instant::now();
            }
        }
        let source = source.as_deref();
        let flow = source.map(|sending| sending.flow(&books));
        let waits = source.is_some_and(|sending| sending.source.waits());
        let due = source.and_then(|sending| sending.source.next());
        let due = due.map_or(spoke + ALIVE, |due| books.moment(due));
        let ended = tokio::select! {
            turn = line.turn(|stanza| books.take(stanza)) => turn.err(),
            () = arrived(flow), if waits => None,
            () = sleep_until(closes_by.unwrap_or(due)), if !waits || !is_open => {
                if !is_open {
                    Some(Over::Closed)
                } else {
                    if spoke.elapsed() >= ALIVE {
                        line.queue(b" ");
                        spoke = Instant::now();
                    }
                    None
                }
            }
            _ = phases.changed() => None,
            _ = &mut close, if is_open => {
                line.close();
                closes_by = Some(Instant::now() + FAREWELL);
                None
            }
        };
        if let Some(over) = ended {
            line.shut().await;
            let why = is_open.then(|| crate::cause::with_causes(&over));
            return (sending, why);
        }
    }
}

/// Returns when a stanza of the flow has arrived.
async fn arrived(flow: Option<&Flow>) {
    match flow {
        Some(flow) => flow.arrived.notified().await,
        None => std::future::pending().await,
    }
}
