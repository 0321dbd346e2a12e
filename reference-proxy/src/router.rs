//! Routes stanzas: one queue for each pair towards a partner, and the connected gateways.
//!
//! One lock guards all tables and is never held across a wait. `outbound` empties the queues.

mod serves;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::domain::Domain;
use crate::domain::Pair;
use crate::limits::Limits;
use crate::management::Receipt;
use crate::stanza::{self, StanzaError};
use crate::trial::Trials;
use crate::xml::Stanza;

pub(crate) use serves::Serves;

/// How long a partner is not dialled after a failure; doubled with each consecutive failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How many stanzas wait for one gateway that may come back.
const PARKED: usize = 1024;

/// Identifies a gateway; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GatewayId(u64);

/// The sender of a stanza, who gets the error if it cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Gateway(GatewayId),
    /// The proxy itself, answering a partner.
    Proxy,
}

/// A stanza on its way to a partner.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) stanza: Stanza,
    pub(crate) origin: Origin,
    /// To be settled when the partner has it, or its sender has it back.
    pub(crate) receipt: Option<Receipt>,
}

/// The fate of a queued stanza.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It waits, and a link already works on the queue.
    Waiting,
    /// It waits, and the caller has to start a link for the queue.
    Unattended,
    /// With the error for its sender, and a text.
    Refused(Queued, StanzaError, String),
}

#[derive(Debug)]
pub(crate) struct Router {
    tables: Mutex<Tables>,
    /// Who awaits answers instead of a gateway.
    pub(crate) trials: Trials,
    queue_stanzas: AtomicUsize,
    queue_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Tables {
    routes: BTreeMap<Pair, Route>,
    gateways: BTreeMap<GatewayId, Gateway>,
    /// Gateways that may come back and go on.
    away: BTreeMap<GatewayId, Away>,
    last_gateway: u64,
}

#[derive(Debug)]
struct Gateway {
    serves: Serves,
    queue: mpsc::Sender<Stanza>,
}

#[derive(Debug)]
struct Away {
    serves: Serves,
    /// What waits for it.
    parked: Vec<Stanza>,
}

#[derive(Debug, Default)]
struct Route {
    waiting: VecDeque<Queued>,
    bytes: usize,
    /// Notified when a stanza is queued.
    wake: Arc<Notify>,
    /// Whether a link works on it.
    attended: bool,
    /// Consecutive failures.
    failures: u32,
    pause: Option<Pause>,
}

/// A while in which stanzas are refused.
#[derive(Debug)]
struct Pause {
    until: Instant,
    error: StanzaError,
    /// What failed before it.
    why: String,
}

/// How long a partner is left alone after so many failures before the last one.
pub(crate) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.min(6))
        .min(LONGEST_PAUSE)
}

impl Router {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            tables: Mutex::default(),
            trials: Trials::default(),
            queue_stanzas: limits.queue_stanzas.into(),
            queue_bytes: limits.queue_bytes.into(),
        }
    }

    /// Sets other limits of the queues towards partners.
    pub(crate) fn limit(&self, limits: &Limits) {
        self.queue_stanzas
            .store(limits.queue_stanzas, Ordering::Relaxed);
        self.queue_bytes
            .store(limits.queue_bytes, Ordering::Relaxed);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No code panics under the lock, and the tables would be consistent even then.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a stanza for its pair, which must consist of a served domain and a
    /// partner, so that the configuration bounds the number of queues.
    pub(crate) fn enqueue(&self, pair: &Pair, queued: Queued, now: Instant) -> Placed {
        let mut tables = self.tables();
        let route = tables.route(pair);
        if let Some(Pause { until, error, why }) = &route.pause
            && now < *until
        {
            let left = until.duration_since(now).as_secs_f64().ceil();
            let text = format!("not tried again for {left} s: {why}");
            return Placed::Refused(queued, *error, text);
        }
        let bytes = queued.stanza.bytes.len();
        let most = self.queue_stanzas.load(Ordering::Relaxed);
        let most_bytes = self.queue_bytes.load(Ordering::Relaxed);
        if route.waiting.len() >= most || route.bytes + bytes > most_bytes {
            let text = "too many stanzas wait for this partner".to_owned();
            return Placed::Refused(queued, StanzaError::ResourceConstraint, text);
        }
        route.pause = None;
        route.bytes += bytes;
        route.waiting.push_back(queued);
        route.wake.notify_one();
        match std::mem::replace(&mut route.attended, true) {
            true => Placed::Waiting,
            false => Placed::Unattended,
        }
    }

    /// Gives this signal when a stanza is queued for the pair, and now if one waits already.
    pub(crate) fn wake(&self, pair: &Pair, signal: &Arc<Notify>) {
        let mut tables = self.tables();
        let route = tables.routes.entry(pair.clone()).or_default();
        route.wake = Arc::clone(signal);
        if !route.waiting.is_empty() {
            signal.notify_one();
        }
    }

    /// Puts a stanza back that was taken, before all that wait. Whoever took it attends the queue.
    pub(crate) fn put_back(&self, pair: &Pair, queued: Queued) {
        let mut tables = self.tables();
        let route = tables.routes.entry(pair.clone()).or_default();
        route.bytes += queued.stanza.bytes.len();
        route.waiting.push_front(queued);
        route.wake.notify_one();
    }

    /// Whether a stanza waits and no link works on it. The caller has to start one.
    pub(crate) fn unattended(&self, pair: &Pair) -> bool {
        let mut tables = self.tables();
        let waiting = tables.routes.get_mut(pair);
        waiting.is_some_and(|route| {
            !route.waiting.is_empty() && !std::mem::replace(&mut route.attended, true)
        })
    }

    /// The pairs for which stanzas wait, with their number and bytes.
    pub(crate) fn queues(&self) -> Vec<(Pair, usize, usize)> {
        let tables = self.tables();
        let waiting = tables
            .routes
            .iter()
            .filter(|(_, route)| !route.waiting.is_empty());
        waiting
            .map(|(pair, route)| (pair.clone(), route.waiting.len(), route.bytes))
            .collect()
    }

    /// Takes the first stanzas out of the pair's queue: so many, and another one as long as they are fewer bytes.
    pub(crate) fn take(&self, pair: &Pair, most: usize, bytes: usize) -> Vec<Queued> {
        let mut taken = Vec::new();
        let mut tables = self.tables();
        let Some(route) = tables.routes.get_mut(pair) else {
            return taken;
        };
        let mut size = 0;
        while taken.len() < most
            && size < bytes
            && let Some(queued) = route.waiting.pop_front()
        {
            size += queued.stanza.bytes.len();
            taken.push(queued);
        }
        route.bytes -= size;
        taken
    }

    /// Forgets earlier failures: the pair's stream is open.
    pub(crate) fn opened(&self, pair: &Pair) {
        if let Some(route) = self.tables().routes.get_mut(pair) {
            route.failures = 0;
            route.pause = None;
        }
    }

    /// Ends the pauses of a partner's domain: it was seen alive.
    pub(crate) fn seen(&self, domain: &Domain) {
        let mut tables = self.tables();
        for (pair, route) in &mut tables.routes {
            if pair.to == *domain {
                route.failures = 0;
                route.pause = None;
            }
        }
    }

    /// Removes the waiting stanzas after a failure, and refuses others for a while. The pauses
    /// grow, so that an unreachable partner is not dialled for each stanza (RFC 6120 §3.3).
    pub(crate) fn failed(
        &self,
        pair: &Pair,
        error: StanzaError,
        why: &str,
        now: Instant,
    ) -> Vec<Queued> {
        let mut tables = self.tables();
        let Some(route) = tables.routes.get_mut(pair) else {
            return Vec::new();
        };
        let pause = pause(route.failures);
        route.failures = route.failures.saturating_add(1);
        route.pause = Some(Pause {
            until: now + pause,
            error,
            why: why.to_owned(),
        });
        drop(tables);
        self.empty(pair)
    }

    /// Removes the waiting stanzas.
    pub(crate) fn empty(&self, pair: &Pair) -> Vec<Queued> {
        let mut tables = self.tables();
        let Some(route) = tables.routes.get_mut(pair) else {
            return Vec::new();
        };
        route.bytes = 0;
        route.waiting.drain(..).collect()
    }

    /// Forgets the failures of pairs that are no partners any more.
    pub(crate) fn keep(&self, is_partner: impl Fn(&Pair) -> bool) {
        let routes = &mut self.tables().routes;
        routes.retain(|pair, route| route.attended || is_partner(pair));
    }

    /// Whether a link may end; not while a stanza waits.
    pub(crate) fn leave(&self, pair: &Pair) -> bool {
        let mut tables = self.tables();
        let Some(route) = tables.routes.get_mut(pair) else {
            return true;
        };
        if !route.waiting.is_empty() {
            return false;
        }
        route.attended = false;
        // Only failures are worth remembering.
        if route.failures == 0 {
            tables.routes.remove(pair);
        }
        true
    }

    /// Empties all queues towards partners.
    pub(crate) fn abandon(&self) -> Vec<Queued> {
        let mut tables = self.tables();
        let routes = std::mem::take(&mut tables.routes);
        routes
            .into_values()
            .flat_map(|route| route.waiting)
            .collect()
    }

    /// Whether a gateway is there for the domain.
    pub(crate) fn has_gateway(&self, domain: &Domain) -> bool {
        self.gateway(domain, None).is_some()
    }

    /// Whether the gateway is there.
    pub(crate) fn has(&self, id: GatewayId) -> bool {
        self.tables().gateways.contains_key(&id)
    }

    /// Adds a gateway, whose stanzas go into `queue`.
    pub(crate) fn join(&self, serves: Serves, queue: mpsc::Sender<Stanza>) -> GatewayId {
        let mut tables = self.tables();
        tables.last_gateway += 1;
        let id = GatewayId(tables.last_gateway);
        tables.gateways.insert(id, Gateway { serves, queue });
        id
    }

    /// The gateway has gone, and may go on. What it did not get is kept meanwhile, unless another gateway may get it, and
    /// so is what comes back for it.
    pub(crate) fn await_return(&self, id: GatewayId, serves: Serves, left: &mut Vec<Stanza>) {
        let mut tables = self.tables();
        tables.gateways.remove(&id);
        let is_alone = |stanza: &mut Stanza| {
            let pair = stanza::pair(stanza);
            pair.is_ok_and(|pair| tables.gateway(&pair.to, None).is_none())
        };
        let parked = left.extract_if(.., is_alone).collect();
        tables.away.insert(id, Away { serves, parked });
    }

    /// Whether another gateway for the same domains has come after this one.
    pub(crate) fn is_followed(&self, id: GatewayId, serves: &Serves) -> bool {
        let tables = self.tables();
        let mut later = tables.gateways.range((Excluded(id), Unbounded));
        later.any(|(_, gateway)| gateway.serves == *serves)
    }

    /// Has a stanza wait for a gateway that may go on, or for another one of the domain that may. Returns it if none
    /// does, or much waits.
    pub(crate) fn park(&self, domain: &Domain, id: GatewayId, stanza: Stanza) -> Option<Stanza> {
        let mut tables = self.tables();
        let found = match tables.away.contains_key(&id) {
            true => Some(id),
            false => latest(&tables.away, domain, |away| &away.serves),
        };
        match found.and_then(|id| tables.away.get_mut(&id)) {
            Some(away) if away.parked.len() < PARKED => {
                away.parked.push(stanza);
                None
            }
            Some(_) | None => Some(stanza),
        }
    }

    /// What waits for a gateway that goes on, or never will.
    pub(crate) fn unpark(&self, id: GatewayId) -> Vec<Stanza> {
        let away = self.tables().away.remove(&id);
        away.map_or_else(Vec::new, |away| away.parked)
    }

    pub(crate) fn part(&self, id: GatewayId) {
        self.tables().gateways.remove(&id);
    }

    /// Passes a stanza to the gateway of a served domain, if that is there and its queue has room. Returns the stanza
    /// otherwise.
    pub(crate) fn try_deliver(&self, domain: &Domain, stanza: Stanza) -> Option<Stanza> {
        let stanza = self.trials.take(stanza)?;
        let tables = self.tables();
        let Some((_, gateway)) = tables.gateway(domain, None) else {
            return Some(stanza);
        };
        let sent = gateway.queue.try_send(stanza);
        sent.err().map(TrySendError::into_inner)
    }

    /// Passes a stanza to the gateway of a served domain, waiting for its queue. Returns the stanza
    /// if no gateway accepts it.
    pub(crate) async fn deliver(&self, domain: &Domain, stanza: Stanza) -> Result<(), Stanza> {
        let Some(mut stanza) = self.trials.take(stanza) else {
            return Ok(());
        };
        while let Some((id, queue)) = self.gateway(domain, None) {
            match queue.send(stanza).await {
                Ok(()) => return Ok(()),
                Err(SendError(back)) => {
                    self.part(id);
                    stanza = back;
                }
            }
        }
        Err(stanza)
    }

    /// Passes an error to the gateway that sent the stanza, or to another one of the domain.
    /// It waits for the gateway where that may come back. Returns the error if no gateway accepts it.
    pub(crate) async fn give_back(
        &self,
        domain: &Domain,
        origin: GatewayId,
        error: Stanza,
    ) -> Result<(), Stanza> {
        let undelivered = match self.gateway(domain, Some(origin)) {
            Some((_, queue)) => match queue.send(error).await {
                Ok(()) => return Ok(()),
                Err(SendError(back)) => self.deliver(domain, back).await,
            },
            None => Err(error),
        };
        match undelivered {
            Ok(()) => Ok(()),
            Err(error) => self.park(domain, origin, error).map_or(Ok(()), Err),
        }
    }

    fn gateway(
        &self,
        domain: &Domain,
        preferred: Option<GatewayId>,
    ) -> Option<(GatewayId, mpsc::Sender<Stanza>)> {
        let tables = self.tables();
        let (id, gateway) = tables.gateway(domain, preferred)?;
        Some((id, gateway.queue.clone()))
    }
}

impl Tables {
    fn route(&mut self, pair: &Pair) -> &mut Route {
        // Most are there, and a pair is not copied to look for it.
        if !self.routes.contains_key(pair) {
            self.routes.insert(pair.clone(), Route::default());
        }
        self.routes.get_mut(pair).expect("it is there now")
    }

    /// The preferred gateway, or else the latest for the domain, or else the latest for all.
    fn gateway(
        &self,
        domain: &Domain,
        preferred: Option<GatewayId>,
    ) -> Option<(GatewayId, &Gateway)> {
        let preferred = preferred.filter(|id| self.gateways.contains_key(id));
        let id = preferred.or_else(|| latest(&self.gateways, domain, |gateway| &gateway.serves))?;
        Some((id, self.gateways.get(&id)?))
    }
}

/// The latest one for the domain, or else the latest for all.
fn latest<T>(
    all: &BTreeMap<GatewayId, T>,
    domain: &Domain,
    serves: impl Fn(&T) -> &Serves,
) -> Option<GatewayId> {
    let latest = |fits: &dyn Fn(&Serves) -> bool| {
        let mut all = all.iter().rev();
        all.find(|(_, one)| fits(serves(one))).map(|(id, _)| *id)
    };
    latest(&|serves| serves.names(domain)).or_else(|| latest(&|serves| *serves == Serves::All))
}

#[cfg(test)]
mod tests;
