//! What all of a load share: its phase, what is under way, and what has been counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use strum::VariantArray as _;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::stanza::{Arrival, Way};

/// Handshakes that are under way at a time, so that none waits for many others.
pub(super) const HANDSHAKES: usize = 16;
/// The longest time that is told apart from longer ones, in nanoseconds.
const LONGEST: u64 = 120_000_000_000;
/// Kinds of errors that are counted by themselves.
const KINDS: usize = 64;

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Partners connect.
    Connecting,
    /// The target opens a stream to each partner.
    WarmingUp,
    /// Stanzas are sent and counted.
    Steady,
    /// What is under way arrives.
    Draining,
    /// Connections are closed.
    Closing,
}

/// Stanzas of one way between one partner and the target.
#[derive(Debug)]
pub(super) struct Flow {
    under_way: AtomicUsize,
    /// Tells whoever sends them that one has arrived.
    pub(super) arrived: Arc<Notify>,
}

impl Flow {
    pub(super) fn new(arrived: &Arc<Notify>) -> Self {
        Self {
            under_way: AtomicUsize::new(0),
            arrived: Arc::clone(arrived),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }
}

/// What has been counted of one way.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) arrived: AtomicU64,
    pub(super) returned: AtomicU64,
    pub(super) delivery: Times,
}

/// Durations, as a histogram.
#[derive(Debug)]
pub(super) struct Times(Mutex<Histogram<u64>>);

impl Times {
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3);
        Self(Mutex::new(histogram.expect("the bounds are legal")))
    }

    pub(super) fn record(&self, nanoseconds: u64) {
        self.histogram().saturating_record(nanoseconds.max(1));
    }

    pub(super) fn histogram(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Books {
    began: Instant,
    pub(super) phase: watch::Sender<Phase>,
    /// Changes whenever something that a phase waits for has happened.
    pub(super) progress: watch::Sender<()>,
    /// When stanzas began to count, in nanoseconds.
    counts_from: AtomicU64,
    /// The most stanzas that are under way in a flow.
    pub(super) window: usize,
    /// The flows towards the target and those from it, by the partner's number.
    pub(super) inward: Vec<Flow>,
    pub(super) outward: Vec<Flow>,
    counts: Vec<Counts>,
    under_way: AtomicI64,
    /// Partners that have connected, or failed to, and those to whom the target has.
    pub(super) settled: AtomicUsize,
    pub(super) warmed: AtomicUsize,
    /// Open connections that partners have dialled, and that the target has.
    pub(super) dialled: AtomicUsize,
    pub(super) accepted: AtomicUsize,
    pub(super) renewed: AtomicU64,
    pub(super) handshakes_in: Times,
    pub(super) handshakes_out: Times,
    pub(super) places: Arc<Semaphore>,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Books {
    pub(super) fn new(partners: usize, window: usize) -> Self {
        let to_inner = Arc::new(Notify::new());
        Self {
            began: Instant::now(),
            phase: watch::Sender::new(Phase::Connecting),
            progress: watch::Sender::new(()),
            counts_from: AtomicU64::new(u64::MAX),
            window,
            inward: (0..partners).map(|_| Flow::new(&Arc::default())).collect(),
            outward: (0..partners).map(|_| Flow::new(&to_inner)).collect(),
            counts: Way::VARIANTS
                .iter()
                .map(|_| Counts {
                    sent: AtomicU64::new(0),
                    arrived: AtomicU64::new(0),
                    returned: AtomicU64::new(0),
                    delivery: Times::new(),
                })
                .collect(),
            under_way: AtomicI64::new(0),
            settled: AtomicUsize::new(0),
            warmed: AtomicUsize::new(0),
            dialled: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            renewed: AtomicU64::new(0),
            handshakes_in: Times::new(),
            handshakes_out: Times::new(),
            places: Arc::new(Semaphore::new(HANDSHAKES)),
            errors: Mutex::default(),
        }
    }

    /// Nanoseconds since the beginning.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The moment so many nanoseconds after the beginning.
    pub(super) fn moment(&self, nanoseconds: u64) -> Instant {
        self.began + Duration::from_nanos(nanoseconds)
    }

    /// For how long stanzas have counted.
    pub(super) fn counted(&self) -> Duration {
        let from = self.counts_from.load(Ordering::Relaxed);
        Duration::from_nanos(self.now().saturating_sub(from))
    }

    pub(super) fn enter(&self, phase: Phase) {
        if phase == Phase::Steady {
            self.counts_from.store(self.now(), Ordering::Relaxed);
        }
        self.phase.send_replace(phase);
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Keeps the time for sending from ending while stanzas are written, so that whoever waits for those under way
    /// knows of all of them. None at any other time.
    pub(super) fn steady(&self) -> Option<watch::Ref<'_, Phase>> {
        let phase = self.phase.borrow();
        (*phase == Phase::Steady).then_some(phase)
    }

    pub(super) fn counts(&self, way: Way) -> &Counts {
        &self.counts[way as usize]
    }

    /// The flow of a way with a partner, if there is one.
    fn flow(&self, way: Way, partner: usize) -> Option<&Flow> {
        match way {
            Way::Inward | Way::Ping => self.inward.get(partner),
            Way::Outward => self.outward.get(partner),
        }
    }

    /// How many stanzas are under way.
    pub(super) fn under_way(&self) -> u64 {
        let under_way = self.under_way.load(Ordering::Relaxed);
        u64::try_from(under_way).unwrap_or_default()
    }

    /// Counts a stanza that is sent.
    pub(super) fn sends(&self, way: Way, flow: &Flow) {
        flow.under_way.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        if self.counts_from.load(Ordering::Relaxed) != u64::MAX {
            self.counts(way).sent.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a stanza that has come in, if it is of the load.
    pub(super) fn take(&self, stanza: &[u8]) {
        let Some(Arrival { mark, is_error }) = Arrival::read(stanza) else {
            return;
        };
        let Some(flow) = self.flow(mark.way, mark.partner) else {
            return;
        };
        let less = |count: usize| count.checked_sub(1);
        let counted = flow
            .under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if counted.is_err() {
            return self.error("a stanza arrived twice");
        }
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        flow.arrived.notify_one();
        let counts = self.counts(mark.way);
        let counts_from = self.counts_from.load(Ordering::Relaxed);
        if is_error {
            self.error(&format!("returned with {}", condition(stanza)));
        }
        if mark.due >= counts_from {
            if is_error {
                counts.returned.fetch_add(1, Ordering::Relaxed);
            } else {
                counts.arrived.fetch_add(1, Ordering::Relaxed);
                counts.delivery.record(self.now().saturating_sub(mark.due));
            }
        }
        if self.phase() != Phase::Steady {
            if counts_from == u64::MAX {
                self.warmed.fetch_add(1, Ordering::Relaxed);
            }
            self.progress.send_replace(());
        }
    }

    /// Counts an error by its kind.
    pub(super) fn error(&self, kind: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let known = errors.contains_key(kind) || errors.len() < KINDS;
        *errors
            .entry(if known { kind } else { "others" }.to_owned())
            .or_default() += 1;
    }

    /// The errors so far, with how often there were.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.clone()
    }

    /// Returns when this holds, which is looked at with each progress.
    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut progress = self.progress.subscribe();
        while !holds(self) && progress.changed().await.is_ok() {}
    }
}

/// The condition of a stanza error, without a parser: it is for people to read.
fn condition(stanza: &[u8]) -> String {
    let text = String::from_utf8_lossy(stanza);
    let mut elements = text.split('<').skip(1);
    let condition = elements.find(|element| {
        element.contains("urn:ietf:params:xml:ns:xmpp-stanzas") && !element.starts_with("text")
    });
    let name = condition.and_then(|element| element.split([' ', '/', '>']).next());
    name.unwrap_or("an error without a condition").to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::stanza::Mould;
    use super::*;

    fn stanza(books: &Books, way: Way) -> Vec<u8> {
        let mut out = Vec::new();
        Mould::new(way, 0, "a@p.example", "b@x.example", 1).write(books.now(), &mut out);
        out
    }

    #[test]
    fn a_stanza_counts_once_it_is_steady() {
        let books = Books::new(1, 8);
        let early = stanza(&books, Way::Inward);
        books.sends(Way::Inward, &books.inward[0]);
        books.take(&early);
        assert_eq!(books.warmed.load(Ordering::Relaxed), 1);
        books.enter(Phase::Steady);
        let counted = stanza(&books, Way::Inward);
        books.sends(Way::Inward, &books.inward[0]);
        assert_eq!((books.under_way(), books.inward[0].under_way()), (1, 1));
        books.take(&counted);
        let counts = books.counts(Way::Inward);
        assert_eq!(counts.sent.load(Ordering::Relaxed), 1);
        assert_eq!(counts.arrived.load(Ordering::Relaxed), 1);
        assert_eq!(counts.delivery.histogram().len(), 1);
        assert_eq!(books.under_way(), 0);
        books.take(&counted);
        assert_eq!(books.errors()["a stanza arrived twice"], 1);
    }

    #[test]
    fn an_error_is_counted_by_its_condition() {
        let books = Books::new(1, 8);
        books.enter(Phase::Steady);
        books.sends(Way::Outward, &books.outward[0]);
        let error = format!(
            "<message id='o0-{:x}' type='error'><error type='wait'><text \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</text><resource-constraint \
             xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
            books.now()
        );
        books.take(error.as_bytes());
        assert_eq!(books.errors()["returned with resource-constraint"], 1);
        assert_eq!(
            books.counts(Way::Outward).returned.load(Ordering::Relaxed),
            1
        );
        assert_eq!(
            books.counts(Way::Outward).arrived.load(Ordering::Relaxed),
            0
        );
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let books = Books::new(1, 8);
        for number in 0..200 {
            books.error(&format!("number {number}"));
        }
        assert_eq!(books.errors().len(), KINDS + 1);
        assert_eq!(books.errors()["others"], 200 - KINDS as u64);
    }
}
