//! The open streams, and which domain pairs they may carry besides those that they were opened for.
//!
//! A stream is a task of its own. Others find it here and call it: to carry a pair, or to make room.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::dialback::DialbackError;
use crate::domain::{Domain, Pair};
use crate::management::Unacknowledged;
use crate::router::Queued;

/// How many calls may wait for one stream.
const CALLS: usize = 16;

/// What a stream is asked to do.
#[derive(Debug)]
pub(crate) enum Call {
    Carry(Passenger),
    /// Give up the session, which another stream goes on with.
    Resume(oneshot::Sender<Session>),
    /// End in good order: its place is needed.
    Close,
}

/// What another stream needs to go on where a managed one has ended (XEP-0198 §5).
#[derive(Debug)]
pub(crate) struct Session {
    /// How many stanzas of the partner's have been handled.
    pub(crate) handled: u32,
    /// What the partner has not acknowledged.
    pub(crate) unacknowledged: Unacknowledged<(Arc<Pair>, Queued)>,
}

/// A pair whose stanzas a stream takes out of their queue, until it says how that ended.
#[derive(Debug)]
pub(crate) struct Passenger {
    pub(crate) pair: Pair,
    pub(crate) left: oneshot::Sender<Left>,
}

/// How a stream ceased to carry a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The stream is over. It has carried some of the pair's stanzas or none.
    Over { carried: bool },
    /// The partner at this address could not judge the pair's key.
    Refused(DialbackError, SocketAddr),
    /// The partner holds the pair's key for wrong.
    Invalid,
    /// The stream ended before the partner had answered, or takes no more pairs.
    Unanswered,
}

/// What a stream that was dialled offers to further pairs (XEP-0220 §2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Where the stream leads.
    pub(crate) address: SocketAddr,
    /// The partner's domain that it was opened for.
    pub(crate) to: Domain,
    /// Whether an error about one pair leaves the others alone. Else only pairs that were asked for
    /// already may be asked for once more.
    pub(crate) errors: bool,
    pub(crate) asked: BTreeSet<Pair>,
    /// How many pairs it takes.
    pub(crate) most: usize,
}

/// What a pair finds.
#[derive(Debug)]
pub(crate) enum Found {
    Stream(mpsc::Sender<Call>),
    /// A stream that it may be able to share is being opened.
    Coming,
    Nothing,
}

/// The open streams.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams {
    table: Mutex<Table>,
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Table {
    streams: BTreeMap<u64, Entry>,
    last: u64,
    /// How many streams are being opened, by the partner.
    coming: BTreeMap<Domain, usize>,
}

#[derive(Debug)]
struct Entry {
    /// The partners that it counts for, each by its first domain.
    partners: BTreeSet<Domain>,
    calls: mpsc::Sender<Call>,
    /// Pairs that it carries without asking the partner.
    ready: BTreeSet<Pair>,
    offer: Option<Offer>,
    /// By which name which pair may resume it.
    session: Option<(String, Pair)>,
    /// Since when it has nothing to do.
    resting: Option<Instant>,
    /// Whether it was told to close.
    closing: bool,
}

/// A stream's own entry, removed when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    streams: Arc<OpenStreams>,
    id: u64,
    calls: mpsc::Receiver<Call>,
}

/// A stream that is being opened, until dropped.
#[derive(Debug)]
pub(crate) struct Coming {
    streams: Arc<OpenStreams>,
    partner: Domain,
}

/// A stream that was told to close.
#[derive(Debug)]
pub(crate) struct Closing(mpsc::Sender<Call>);

impl OpenStreams {
    fn table(&self) -> MutexGuard<'_, Table> {
        // No code panics under the lock, and the table would be consistent even then.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever a stream comes, goes, begins to rest or carries more.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Adds a stream with this partner.
    pub(crate) fn register(
        self: &Arc<Self>,
        partner: &Domain,
        offer: Option<Offer>,
    ) -> Registration {
        let (calls, received) = mpsc::channel(CALLS);
        let mut table = self.table();
        table.last += 1;
        let id = table.last;
        let entry = Entry {
            partners: BTreeSet::from([partner.clone()]),
            calls,
            ready: BTreeSet::new(),
            offer,
            session: None,
            resting: None,
            closing: false,
        };
        table.streams.insert(id, entry);
        drop(table);
        self.changes.send_replace(());
        Registration {
            streams: Arc::clone(self),
            id,
            calls: received,
        }
    }

    /// Announces that a stream to the partner is being opened.
    pub(crate) fn coming(self: &Arc<Self>, partner: &Domain) -> Coming {
        *self.table().coming.entry(partner.clone()).or_default() += 1;
        Coming {
            streams: Arc::clone(self),
            partner: partner.clone(),
        }
    }

    /// A stream for a pair with this partner: one that may carry it already, or one that leads to the
    /// pair's domain, or one that leads to the address, if that is known.
    pub(crate) fn find(&self, pair: &Pair, partner: &Domain, address: Option<SocketAddr>) -> Found {
        let table = self.table();
        let open = || table.streams.values().filter(|entry| !entry.closing);
        let shared = open()
            .find(|entry| entry.ready.contains(pair))
            .or_else(|| open().find(|entry| entry.takes(pair, partner, address)));
        match shared {
            Some(entry) => Found::Stream(entry.calls.clone()),
            None if table.coming.contains_key(partner) => Found::Coming,
            None => Found::Nothing,
        }
    }

    /// The stream that the pair may resume by this name.
    pub(crate) fn session(&self, name: &str, pair: &Pair) -> Option<mpsc::Sender<Call>> {
        let table = self.table();
        let mut streams = table.streams.values();
        let resumes = |session: &(String, Pair)| session.0 == name && session.1 == *pair;
        let stream = streams.find(|entry| entry.session.as_ref().is_some_and(resumes));
        stream.map(|entry| entry.calls.clone())
    }

    /// Whether a stream to one of the partner's domains takes further pairs.
    pub(crate) fn shares(&self, partner: &Domain) -> bool {
        let table = self.table();
        let mut streams = table.streams.values();
        streams.any(|entry| {
            let errors = entry.offer.as_ref().is_some_and(|offer| offer.errors);
            errors && entry.partners.contains(partner)
        })
    }

    /// Has the stream closed that has rested longest, of this partner or of all. Returns what tells
    /// of its end, if there is one.
    fn close_idlest(&self, partner: Option<&Domain>) -> Option<Closing> {
        let mut table = self.table();
        let resting = table.streams.values_mut().filter(|entry| {
            let counts = partner.is_none_or(|partner| entry.partners.contains(partner));
            counts && !entry.closing && entry.resting.is_some()
        });
        let idlest = resting.min_by_key(|entry| entry.resting)?;
        idlest.calls.try_send(Call::Close).ok()?;
        idlest.closing = true;
        Some(Closing(idlest.calls.clone()))
    }
}

impl OpenStreams {
    /// Waits for a place. Meanwhile the idlest stream makes room as soon as one rests.
    pub(crate) async fn vacated<T>(
        &self,
        partner: Option<&Domain>,
        place: impl Future<Output = T>,
    ) -> T {
        let room = async {
            self.room(partner).await;
            std::future::pending().await
        };
        tokio::select! {
            place = place => place,
            place = room => place,
        }
    }

    /// Has the idlest stream closed as soon as one rests.
    pub(crate) async fn room(&self, partner: Option<&Domain>) -> Closing {
        let mut changes = self.changes();
        loop {
            if let Some(closing) = self.close_idlest(partner) {
                return closing;
            }
            // This holds the other end.
            let _ = changes.changed().await;
        }
    }

    /// Whether there is a stream with the partner.
    pub(crate) fn any(&self, partner: &Domain) -> bool {
        let table = self.table();
        let mut streams = table.streams.values();
        streams.any(|entry| entry.partners.contains(partner))
    }
}

impl Closing {
    /// Waits until the stream has ended, and its places are free.
    pub(crate) async fn ended(&self) {
        self.0.closed().await;
    }
}

impl Entry {
    fn takes(&self, pair: &Pair, partner: &Domain, address: Option<SocketAddr>) -> bool {
        let Some(offer) = &self.offer else {
            return false;
        };
        let known = offer.asked.contains(pair);
        let leads = offer.to == pair.to || address == Some(offer.address);
        let room = offer.asked.len() < offer.most;
        self.partners.contains(partner) && (known || (offer.errors && leads && room))
    }
}

impl Registration {
    /// The next call.
    pub(crate) async fn call(&mut self) -> Call {
        match self.calls.recv().await {
            Some(call) => call,
            // The entry holds the other end for as long as this lives.
            None => std::future::pending().await,
        }
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.streams.table().streams.get_mut(&self.id) {
            change(entry);
        }
        self.streams.changes.send_replace(());
    }

    /// The stream counts for a further partner.
    pub(crate) fn counts_for(&self, partner: &Domain) {
        self.change(|entry| {
            entry.partners.insert(partner.clone());
        });
    }

    /// The stream may carry these pairs from now on, and no others.
    pub(crate) fn carries(&self, pairs: BTreeSet<Pair>) {
        self.change(|entry| entry.ready = pairs);
    }

    /// The partner was asked for the pair.
    pub(crate) fn asked(&self, pair: &Pair) {
        self.change(|entry| {
            if let Some(offer) = &mut entry.offer {
                offer.asked.insert(pair.clone());
            }
        });
    }

    /// The stream has nothing to do since then, or has something to do.
    pub(crate) fn rests(&self, since: Option<Instant>) {
        self.change(|entry| entry.resting = since);
    }

    /// The pair may resume the stream by this name.
    pub(crate) fn resumable(&self, name: &str, pair: &Pair) {
        self.change(|entry| entry.session = Some((name.to_owned(), pair.clone())));
    }

    /// The connection is lost, and the stream waits to be resumed.
    pub(crate) fn waits(&self, since: Instant) {
        self.change(|entry| {
            entry.ready.clear();
            entry.offer = None;
            entry.resting = Some(since);
        });
    }

    /// The stream takes no further pairs.
    pub(crate) fn closes(&self) {
        self.change(|entry| entry.closing = true);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.streams.table().streams.remove(&self.id);
        self.streams.changes.send_replace(());
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut table = self.streams.table();
        if let Some(count) = table.coming.get_mut(&self.partner) {
            *count -= 1;
            if *count == 0 {
                table.coming.remove(&self.partner);
            }
        }
        drop(table);
        self.streams.changes.send_replace(());
    }
}

#[cfg(test)]
mod tests;
