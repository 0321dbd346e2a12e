//! A partner: it keeps one connection to the target, and takes those that the target opens.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use simulated_partners::driver::{Partner, Released};
use simulated_partners::event::{ConnectionKind, Event, EventKind};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::books::{Books, Phase};
use super::line::{Sending, carry};
use crate::case::Direction;
use crate::evidence::Evidence;
use crate::judge;

/// How long a partner waits before it tries again after the target has ended or refused its connection.
const PAUSE: Duration = Duration::from_secs(1);
/// How many events of a handshake are kept.
const EVENTS: usize = 256;

/// A partner with its connections.
pub(super) struct Member {
    books: Arc<Books>,
    partner: Partner,
    released: mpsc::UnboundedReceiver<Released>,
    /// Asks for a connection to be closed and opened anew.
    renew: mpsc::Receiver<()>,
    /// What it sends, while it has no connection for it. None if it sends nothing.
    idle: Option<Sending>,
    /// What has happened since it dialled.
    events: Vec<Event>,
    dialling: Option<Dialling>,
    /// When it dials, if it has to.
    dials_at: Option<Instant>,
    /// Whether the target has let it in or refused it.
    settled: bool,
    was_in: bool,
    lines: JoinSet<(ConnectionKind, Option<Sending>, Option<String>)>,
    /// Close the connection that it has dialled, and the latest of those that the target has.
    own: Option<oneshot::Sender<()>>,
    others: Option<oneshot::Sender<()>>,
    /// Whether its own was renewed last.
    turn: bool,
}

/// A connection that is not authenticated yet.
struct Dialling {
    since: Instant,
    _place: OwnedSemaphorePermit,
}

impl Member {
    pub(super) fn new(
        books: &Arc<Books>,
        partner: Partner,
        released: mpsc::UnboundedReceiver<Released>,
        sending: Option<Sending>,
        renew: mpsc::Receiver<()>,
    ) -> Self {
        Self {
            dials_at: sending.as_ref().map(|_| Instant::now()),
            settled: false,
            was_in: false,
            books: Arc::clone(books),
            partner,
            released,
            renew,
            idle: sending,
            events: Vec::new(),
            dialling: None,
            lines: JoinSet::new(),
            own: None,
            others: None,
            turn: false,
        }
    }

    /// Runs until the load closes, and closes everything then.
    pub(super) async fn run(mut self) {
        let books = Arc::clone(&self.books);
        let mut phases = books.phase.subscribe();
        if self.idle.is_none() {
            self.settle();
        }
        loop {
            if *phases.borrow_and_update() == Phase::Closing {
                break;
            }
            let dials = self.dials_at.filter(|_| self.dialling.is_none());
            tokio::select! {
                event = self.partner.next_event() => match event {
                    Some(event) => self.event(event),
                    None => break,
                },
                Some(released) = self.released.recv() => self.open(released),
                Some(ended) = self.lines.join_next() => {
                    if let Ok((kind, sending, why)) = ended {
                        self.over(kind, sending, why);
                    }
                }
                Some(()) = self.renew.recv() => self.renews(),
                place = place(&books, dials), if dials.is_some() => {
                    self.dials_at = None;
                    self.dialling = Some(Dialling { since: Instant::now(), _place: place });
                    self.events.clear();
                    self.partner.enter();
                }
                _ = phases.changed() => {}
            }
        }
        drop(self.own.take());
        drop(self.others.take());
        while self.lines.join_next().await.is_some() {}
        self.partner.stop().await;
    }

    /// What happens before a connection is authenticated.
    fn event(&mut self, event: Event) {
        if self.dialling.is_none() {
            return;
        }
        let ends = matches!(
            event.kind,
            EventKind::Closed { .. } | EventKind::ConnectFailed(ConnectionKind::Inbound, _)
        );
        let is_own = self.events.iter().any(|before| {
            before.connection == event.connection
                && matches!(before.kind, EventKind::Opened(ConnectionKind::Inbound))
        });
        let failed = matches!(event.kind, EventKind::ConnectFailed(..));
        if self.events.len() < EVENTS {
            self.events.push(event);
        }
        if ends && (is_own || failed) {
            let outcome = judge::read(Direction::Inbound, &self.events, Evidence::default());
            self.books.error(&format!("no connection: {outcome}"));
            self.events.clear();
            self.dialling = None;
            // One that was never let in leaves the others in peace: room for it might be made at their cost.
            self.dials_at = self.was_in.then(|| Instant::now() + PAUSE);
            self.settle();
        }
    }

    fn settle(&mut self) {
        if !std::mem::replace(&mut self.settled, true) {
            self.books.settled.fetch_add(1, Ordering::Relaxed);
            self.books.progress.send_replace(());
        }
    }

    /// Takes a connection that is authenticated.
    fn open(&mut self, released: Released) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let kind = released.kind();
        let (close, closed) = oneshot::channel();
        let mut sending = None;
        match kind {
            ConnectionKind::Inbound => {
                if let Some(dialling) = self.dialling.take() {
                    let took = nanoseconds(dialling.since.elapsed());
                    self.books.handshakes_in.record(took);
                }
                self.events.clear();
                self.books.dialled.fetch_add(1, Ordering::Relaxed);
                sending = self.idle.take();
                self.own = Some(close);
                self.was_in = true;
                self.settle();
            }
            ConnectionKind::Outbound | ConnectionKind::Verification => {
                self.books
                    .handshakes_out
                    .record(nanoseconds(released.took()));
                self.books.accepted.fetch_add(1, Ordering::Relaxed);
                self.others = Some(close);
            }
        }
        let books = Arc::clone(&self.books);
        self.lines.spawn(async move {
            let (sending, why) = carry(released, sending, books, closed).await;
            (kind, sending, why)
        });
    }

    /// A connection is over.
    fn over(&mut self, kind: ConnectionKind, sending: Option<Sending>, why: Option<String>) {
        let open = match kind {
            ConnectionKind::Inbound => &self.books.dialled,
            ConnectionKind::Outbound | ConnectionKind::Verification => &self.books.accepted,
        };
        open.fetch_sub(1, Ordering::Relaxed);
        if let Some(why) = why {
            self.books
                .error(&format!("the target ended a connection: {why}"));
        }
        if sending.is_some() {
            self.idle = sending;
            self.dials_at = Some(Instant::now());
        }
    }

    /// Closes one of the connections, in turns. Another one takes its place.
    fn renews(&mut self) {
        self.turn = !self.turn;
        let [first, second] = match self.turn {
            true => [&mut self.own, &mut self.others],
            false => [&mut self.others, &mut self.own],
        };
        if let Some(close) = first.take().or_else(|| second.take()) {
            self.books.renewed.fetch_add(1, Ordering::Relaxed);
            drop(close);
        }
    }
}

/// Waits for the time to dial, and for a place.
async fn place(books: &Books, dials: Option<Instant>) -> OwnedSemaphorePermit {
    sleep_until(dials.unwrap_or_else(Instant::now)).await;
    let place = Arc::clone(&books.places).acquire_owned().await;
    place.expect("nobody closes it")
}
