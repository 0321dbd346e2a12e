//! The pairs whose stanzas a stream carries to the partner.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::send::attend_if_waiting;
use super::undelivered::return_to_sender;
use crate::context::Context;
use crate::domain::Pair;
use crate::management::{Management, Receipt, TooMany, Unacknowledged, settle};
use crate::open_streams::{Left, Passenger};
use crate::router::Queued;
use crate::stanza::StanzaError;
use crate::stream::{Connection, Lost};

/// The maximum number of bytes combined into one write.
const BATCH: usize = 16_384;

/// Takes stanzas out of their queues onto a connection.
pub(crate) struct Sending {
    context: Arc<Context>,
    pairs: BTreeMap<Pair, Carried>,
    wake: Arc<Notify>,
    /// Bytes of the largest stanza that the partner accepts.
    largest_stanza: usize,
    /// What the connection has not sent yet.
    under_way: Vec<Sent>,
    /// With stream management: what was sent and not acknowledged.
    managed: Option<Managed>,
    /// How often stanzas were taken, so that each pair comes first in its turn.
    turns: usize,
}

/// A stanza that was taken out of the pair's queue.
pub(crate) type Sent = (Arc<Pair>, Queued);

fn receipt((_, queued): Sent) -> Option<Receipt> {
    queued.receipt
}

#[derive(Default)]
struct Managed {
    unacknowledged: Unacknowledged<Sent>,
    /// Since when an acknowledgement is asked for.
    asked: Option<Instant>,
}

struct Carried {
    left: oneshot::Sender<Left>,
    any: bool,
}

impl Sending {
    pub(crate) fn new(context: &Arc<Context>, largest_stanza: Option<usize>) -> Self {
        Self {
            context: Arc::clone(context),
            pairs: BTreeMap::new(),
            wake: Arc::default(),
            largest_stanza: largest_stanza.unwrap_or(usize::MAX),
            under_way: Vec::new(),
            managed: None,
            turns: 0,
        }
    }

    /// Goes on by the configuration of a reload.
    pub(crate) fn renew(&mut self, context: &Arc<Context>) {
        self.context = Arc::clone(context);
    }

    /// The pairs that it carries.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.keys()
    }

    /// Takes a pair on whose key the partner has accepted.
    pub(crate) fn carry(&mut self, passenger: Passenger) {
        let Passenger { pair, left } = passenger;
        self.context.router.wake(&pair, &self.wake);
        self.pairs.insert(pair, Carried { left, any: false });
    }

    pub(crate) fn carries(&self, pair: &Pair) -> bool {
        self.pairs.contains_key(pair)
    }

    /// Lets go of the pairs that it may not carry any longer.
    pub(crate) fn retain(&mut self, may: impl Fn(&Pair) -> bool) {
        let pairs = std::mem::take(&mut self.pairs).into_iter();
        let (stay, gone) = pairs.partition(|(pair, _)| may(pair));
        self.pairs = stay;
        tell(gone);
    }

    /// Whether nothing is on its way.
    pub(crate) fn rests(&self) -> bool {
        self.under_way.is_empty() && self.is_acknowledged()
    }

    /// Whether the partner has acknowledged everything, or does not acknowledge at all.
    pub(crate) fn is_acknowledged(&self) -> bool {
        let managed = self.managed.as_ref();
        managed.is_none_or(|managed| managed.unacknowledged.is_empty())
    }

    /// Keeps what is sent from now on until the partner acknowledges it (XEP-0198 §4).
    pub(crate) fn manage(&mut self) {
        self.managed = Some(Managed::default());
    }

    /// The partner does not acknowledge after all: what has gone out has.
    pub(crate) fn unmanage(&mut self, connection: &Connection) {
        let mut unacknowledged = self.surrender();
        self.under_way.extend(unacknowledged.drain());
        if !connection.has_unsent() {
            self.sent();
        }
    }

    /// The partner has handled so many. Returns whether that is new.
    pub(crate) fn handled(&mut self, count: u32) -> Result<bool, TooMany> {
        let managed = self.managed.get_or_insert_default();
        let handled = managed.unacknowledged.handled(count)?;
        let is_new = handled.len() > 0;
        // An answer that tells nothing new does not do: the next request would follow at once.
        if is_new {
            managed.asked = None;
        }
        settle(handled.filter_map(receipt));
        Ok(is_new)
    }

    /// When the partner has to have acknowledged what was sent.
    pub(crate) fn due(&self) -> Option<Instant> {
        let patience = self.context.config.settings.limits.acknowledgement_timeout;
        Some(self.managed.as_ref()?.asked? + patience)
    }

    /// What was not acknowledged, for a stream that goes on with it.
    pub(crate) fn surrender(&mut self) -> Unacknowledged<Sent> {
        let managed = self.managed.take();
        managed.map_or_else(Unacknowledged::default, |managed| managed.unacknowledged)
    }

    /// Goes on with what a former stream has not had acknowledged.
    pub(crate) fn adopt(&mut self, unacknowledged: Unacknowledged<Sent>) {
        self.managed = Some(Managed {
            unacknowledged,
            asked: None,
        });
    }

    /// Has sent again what the partner has not handled.
    pub(crate) fn repeat(&mut self) {
        let Some(managed) = &mut self.managed else {
            return;
        };
        managed.asked = None;
        let again: Vec<Sent> = managed.unacknowledged.drain().collect();
        for (pair, queued) in again.into_iter().rev() {
            self.context.router.put_back(&pair, queued);
            if !self.pairs.contains_key(&*pair) {
                attend_if_waiting(&self.context, &pair);
            }
        }
    }

    /// Hands over the pairs that the partner has to accept anew on another connection: all but the
    /// stream's own.
    pub(crate) fn passengers(&mut self, own: &Pair) -> Vec<Passenger> {
        let mut passengers = Vec::new();
        for (pair, carried) in std::mem::take(&mut self.pairs) {
            let left = carried.left;
            match pair == *own {
                true => {
                    self.pairs.insert(pair, Carried { left, any: true });
                }
                false => passengers.push(Passenger { pair, left }),
            }
        }
        passengers
    }

    /// How many stanzas more may wait for their acknowledgement, and how many bytes.
    fn room(&self) -> (usize, usize) {
        let limits = &self.context.config.settings.limits;
        self.managed
            .as_ref()
            .map_or((usize::MAX, usize::MAX), |managed| {
                let sizes = managed.unacknowledged.iter();
                let sizes = sizes.map(|(_, queued)| queued.stanza.bytes.len());
                let (count, bytes) =
                    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
                (
                    limits.queue_stanzas.saturating_sub(count),
                    limits.queue_bytes.saturating_sub(bytes),
                )
            })
    }

    /// The signal that a stanza waits.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Queues waiting stanzas on the connection, if the last ones have gone out. Those that are too
    /// large for the partner are returned (XEP-0478). Returns whether there were any.
    pub(crate) async fn fill(&mut self, connection: &mut Connection) -> bool {
        while !self.pairs.is_empty() && !connection.has_unsent() {
            let (any, too_large) = self.batch(connection);
            let is_over = any || too_large.is_empty();
            for (pair, queued) in too_large {
                let error = StanzaError::PolicyViolation;
                let text = "larger than the partner takes";
                return_to_sender(&self.context, &pair, queued, error, text).await;
            }
            // Nothing tells of what waits behind those that have gone back.
            if is_over {
                return any;
            }
        }
        false
    }

    /// Queues what goes out next. Returns whether there was any, and what is too large for the partner.
    fn batch(&mut self, connection: &mut Connection) -> (bool, Vec<Sent>) {
        self.turns = self.turns.wrapping_add(1);
        let first = self.turns % self.pairs.len().max(1);
        let order = self.pairs.keys().skip(first);
        let order: Vec<Pair> = order
            .chain(self.pairs.keys().take(first))
            .cloned()
            .collect();
        let mut bytes = Vec::new();
        let mut too_large = Vec::new();
        for pair in order {
            let (most, room) = self.room();
            let room = room.min(BATCH.saturating_sub(bytes.len()));
            let taken = self.context.router.take(&pair, most, room);
            let pair = Arc::new(pair);
            for queued in taken {
                if queued.stanza.bytes.len() > self.largest_stanza {
                    too_large.push((Arc::clone(&pair), queued));
                    continue;
                }
                bytes.extend_from_slice(&queued.stanza.bytes);
                if let Some(carried) = self.pairs.get_mut(&*pair) {
                    carried.any = true;
                }
                let sent = (Arc::clone(&pair), queued);
                match &mut self.managed {
                    Some(managed) => managed.unacknowledged.push(sent),
                    None => self.under_way.push(sent),
                }
            }
        }
        let any = !bytes.is_empty();
        if let Some(managed) = &mut self.managed
            && managed.asked.is_none()
            && !managed.unacknowledged.is_empty()
        {
            managed.asked = Some(self.context.clock.now());
            bytes.extend_from_slice(Management::Request.text().as_bytes());
        }
        connection.queue(&bytes);
        (any, too_large)
    }

    /// Sends all that waits, before this side closes.
    pub(crate) async fn finish(&mut self, connection: &mut Connection) -> Result<(), Lost> {
        loop {
            connection.send("").await?;
            self.sent();
            if !self.fill(connection).await {
                break;
            }
        }
        if !self.rests() {
            connection.queue(Management::Request.text().as_bytes());
        }
        connection.send("").await
    }

    /// The connection has sent everything.
    pub(crate) fn sent(&mut self) {
        settle(self.under_way.drain(..).filter_map(receipt));
    }

    /// The connection is lost: what it has not sent goes back, and what the partner has not
    /// acknowledged.
    pub(crate) async fn lost(&mut self) {
        for (pair, queued) in std::mem::take(&mut self.under_way) {
            let error = StanzaError::RemoteServerTimeout;
            return_to_sender(&self.context, &pair, queued, error, "the stream broke").await;
        }
        for (pair, queued) in self.surrender().drain() {
            let error = StanzaError::RemoteServerTimeout;
            let text = "the partner has not acknowledged it";
            return_to_sender(&self.context, &pair, queued, error, text).await;
        }
    }

    /// The stream is over for all pairs.
    pub(crate) fn over(&mut self) {
        tell(std::mem::take(&mut self.pairs));
    }
}

/// Tells those who wait for the pairs' stream that it carries them no more.
fn tell(pairs: BTreeMap<Pair, Carried>) {
    for Carried { left, any } in pairs.into_values() {
        let _ = left.send(Left::Over { carried: any });
    }
}
