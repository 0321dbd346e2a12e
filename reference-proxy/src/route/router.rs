//! The tables of routes: one queue for each pair towards a partner, the gateways that are there.
//!
//! All tables are under one lock that is never held across a wait. Who empties a queue is the
//! business of `outbound`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::bounce::Undeliverable;
use crate::domain::Domain;
use crate::domain::Pair;
use crate::limits::Limits;
use crate::xml::Stanza;

/// Silence after the first failure in a row towards a partner; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest silence.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Tells gateways apart; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GatewayId(u64);

/// Who gave a stanza to the proxy, and so is told when it can't be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A gateway.
    Gateway(GatewayId),
    /// The proxy itself, which answers a partner.
    Proxy,
}

/// A stanza on its way to a partner.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) stanza: Stanza,
    pub(crate) origin: Origin,
}

/// The domains that a gateway takes stanzas for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// All that have no gateway of their own.
    All,
    /// One.
    Domain(Domain),
}

/// What becomes of a stanza that was put into a queue.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It waits, and somebody is at work on the queue.
    Waiting,
    /// It waits, and the caller has to set somebody to work on the queue.
    Unattended,
    /// It does not wait.
    Refused(Queued, Undeliverable),
}

/// The tables.
#[derive(Debug)]
pub(crate) struct Router {
    tables: Mutex<Tables>,
    queue_stanzas: usize,
    queue_bytes: usize,
}

#[derive(Debug, Default)]
struct Tables {
    routes: BTreeMap<Pair, Route>,
    gateways: BTreeMap<GatewayId, Gateway>,
    last_gateway: u64,
}

#[derive(Debug)]
struct Gateway {
    serves: Serves,
    queue: mpsc::Sender<Stanza>,
}

#[derive(Debug, Default)]
struct Route {
    waiting: VecDeque<Queued>,
    bytes: usize,
    /// Woken when something waits.
    wake: Arc<Notify>,
    /// Whether a link is at work.
    attended: bool,
    /// Failures in a row, with the latest's consequence.
    failures: u32,
    pause: Option<(Instant, Undeliverable)>,
}

impl Router {
    /// Tables with nothing in them.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            tables: Mutex::default(),
            queue_stanzas: limits.queue_stanzas,
            queue_bytes: limits.queue_bytes,
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // No code panics under the lock; and the tables would be whole even then.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a stanza into the queue of its pair.
    ///
    /// The pair has to be one of this side and a partner, so that the number of queues is bounded
    /// by the configuration.
    pub(crate) fn enqueue(&self, pair: &Pair, queued: Queued, now: Instant) -> Placed {
        let mut tables = self.tables();
        let route = match tables.routes.get_mut(pair) {
            Some(route) => route,
            None => tables.routes.entry(pair.clone()).or_default(),
        };
        if let Some((until, why)) = route.pause
            && now < until
        {
            return Placed::Refused(queued, why);
        }
        let bytes = queued.stanza.bytes.len();
        if route.waiting.len() >= self.queue_stanzas || route.bytes + bytes > self.queue_bytes {
            return Placed::Refused(queued, Undeliverable::ResourceConstraint);
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

    /// The signal that something waits for the pair.
    pub(crate) fn wake(&self, pair: &Pair) -> Arc<Notify> {
        Arc::clone(&self.tables().routes.entry(pair.clone()).or_default().wake)
    }

    /// Whether something waits for the pair. A wake-up may be about what was taken since.
    pub(crate) fn waits(&self, pair: &Pair) -> bool {
        let tables = self.tables();
        let route = tables.routes.get(pair);
        route.is_some_and(|route| !route.waiting.is_empty())
    }

    /// Takes the first stanza out of the pair's queue.
    pub(crate) fn take(&self, pair: &Pair) -> Option<Queued> {
        let mut tables = self.tables();
        let route = tables.routes.get_mut(pair)?;
        let queued = route.waiting.pop_front()?;
        route.bytes -= queued.stanza.bytes.len();
        Some(queued)
    }

    /// The pair's stream is open: earlier failures are forgotten.
    pub(crate) fn opened(&self, pair: &Pair) {
        if let Some(route) = self.tables().routes.get_mut(pair) {
            route.failures = 0;
            route.pause = None;
        }
    }

    /// No stream came about: what waits is handed out, and for a while no more is taken. The
    /// pauses grow, so that an unreachable partner is not dialled for each stanza (RFC 6120 §3.3).
    pub(crate) fn failed(&self, pair: &Pair, why: Undeliverable, now: Instant) -> Vec<Queued> {
        let mut tables = self.tables();
        let Some(route) = tables.routes.get_mut(pair) else {
            return Vec::new();
        };
        let pause = FIRST_PAUSE
            .saturating_mul(1 << route.failures.min(6))
            .min(LONGEST_PAUSE);
        route.failures = route.failures.saturating_add(1);
        route.pause = Some((now + pause, why));
        route.bytes = 0;
        route.waiting.drain(..).collect()
    }

    /// A link is done with the pair, unless something waits again.
    ///
    /// Returns whether it may go; otherwise it has to carry on.
    pub(crate) fn leave(&self, pair: &Pair) -> bool {
        let mut tables = self.tables();
        let Some(route) = tables.routes.get_mut(pair) else {
            return true;
        };
        if !route.waiting.is_empty() {
            return false;
        }
        route.attended = false;
        // Nothing is worth remembering but failures.
        if route.failures == 0 {
            tables.routes.remove(pair);
        }
        true
    }

    /// A gateway has come; its stanzas go into `queue`.
    pub(crate) fn join(&self, serves: Serves, queue: mpsc::Sender<Stanza>) -> GatewayId {
        let mut tables = self.tables();
        tables.last_gateway += 1;
        let id = GatewayId(tables.last_gateway);
        tables.gateways.insert(id, Gateway { serves, queue });
        id
    }

    /// A gateway has gone.
    pub(crate) fn part(&self, id: GatewayId) {
        self.tables().gateways.remove(&id);
    }

    /// Hands a stanza to the gateway of one of this side's domains, waiting for its queue.
    ///
    /// # Errors
    ///
    /// The stanza, where no gateway takes it.
    pub(crate) async fn deliver(&self, domain: &Domain, stanza: Stanza) -> Result<(), Stanza> {
        let mut stanza = stanza;
        while let Some((id, queue)) = self.gateway(domain, None) {
            match queue.send(stanza).await {
                Ok(()) => return Ok(()),
                Err(mpsc::error::SendError(back)) => {
                    self.part(id);
                    stanza = back;
                }
            }
        }
        Err(stanza)
    }

    /// Hands an error to the gateway that the stanza came from, or to another one of the domain.
    ///
    /// # Errors
    ///
    /// The error, where no gateway takes it.
    pub(crate) async fn give_back(
        &self,
        domain: &Domain,
        origin: GatewayId,
        error: Stanza,
    ) -> Result<(), Stanza> {
        match self.gateway(domain, Some(origin)) {
            Some((_, queue)) => match queue.send(error).await {
                Ok(()) => Ok(()),
                Err(mpsc::error::SendError(back)) => self.deliver(domain, back).await,
            },
            None => Err(error),
        }
    }

    /// The preferred gateway, else the latest for the domain, else the latest for all.
    fn gateway(
        &self,
        domain: &Domain,
        preferred: Option<GatewayId>,
    ) -> Option<(GatewayId, mpsc::Sender<Stanza>)> {
        let tables = self.tables();
        let latest = |serves: &Serves| {
            tables
                .gateways
                .iter()
                .rev()
                .find(|(_, gateway)| gateway.serves == *serves)
        };
        preferred
            .and_then(|id| tables.gateways.get_key_value(&id))
            .or_else(|| latest(&Serves::Domain(domain.clone())))
            .or_else(|| latest(&Serves::All))
            .map(|(id, gateway)| (*id, gateway.queue.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Kind;

    fn pair() -> Pair {
        Pair {
            from: Domain::parse("a.example").expect("domain"),
            to: Domain::parse("b.example").expect("domain"),
        }
    }

    fn queued(bytes: usize) -> Queued {
        Queued {
            stanza: Stanza {
                kind: Kind::Message,
                from: None,
                to: None,
                id: None,
                type_: None,
                bytes: vec![b'x'; bytes],
            },
            origin: Origin::Proxy,
        }
    }

    fn router() -> Router {
        Router::new(&Limits {
            queue_stanzas: 3,
            queue_bytes: 100,
            ..Limits::default()
        })
    }

    #[test]
    fn one_link_attends_a_queue() {
        let router = router();
        let now = Instant::now();
        assert!(matches!(
            router.enqueue(&pair(), queued(1), now),
            Placed::Unattended
        ));
        assert!(matches!(
            router.enqueue(&pair(), queued(1), now),
            Placed::Waiting
        ));
        assert!(!router.leave(&pair()), "something waits");
        assert!(router.take(&pair()).is_some());
        assert!(router.take(&pair()).is_some());
        assert!(router.leave(&pair()));
        assert!(matches!(
            router.enqueue(&pair(), queued(1), now),
            Placed::Unattended
        ));
    }

    #[test]
    fn queue_is_bounded_in_stanzas_and_bytes() {
        let router = router();
        let now = Instant::now();
        for _ in 0..3 {
            assert!(!matches!(
                router.enqueue(&pair(), queued(1), now),
                Placed::Refused(..)
            ));
        }
        let refused = router.enqueue(&pair(), queued(1), now);
        assert!(matches!(
            refused,
            Placed::Refused(_, Undeliverable::ResourceConstraint)
        ));
        while router.take(&pair()).is_some() {}
        assert!(matches!(
            router.enqueue(&pair(), queued(100), now),
            Placed::Waiting
        ));
        let refused = router.enqueue(&pair(), queued(1), now);
        assert!(matches!(
            refused,
            Placed::Refused(_, Undeliverable::ResourceConstraint)
        ));
    }

    #[test]
    fn failure_empties_the_queue_and_pauses_the_route() {
        let router = router();
        let mut now = Instant::now();
        router.enqueue(&pair(), queued(1), now);
        router.enqueue(&pair(), queued(1), now);
        let handed = router.failed(&pair(), Undeliverable::RemoteServerTimeout, now);
        assert_eq!(handed.len(), 2);
        assert!(router.leave(&pair()));
        let refused = router.enqueue(&pair(), queued(1), now);
        assert!(matches!(
            refused,
            Placed::Refused(_, Undeliverable::RemoteServerTimeout)
        ));
        now += FIRST_PAUSE;
        assert!(matches!(
            router.enqueue(&pair(), queued(1), now),
            Placed::Unattended
        ));
        router.failed(&pair(), Undeliverable::RemoteServerTimeout, now);
        now += FIRST_PAUSE;
        assert!(matches!(
            router.enqueue(&pair(), queued(1), now),
            Placed::Refused(..)
        ));
    }

    #[tokio::test]
    async fn latest_gateway_of_the_domain_gets_the_stanza() {
        let router = router();
        let domain = pair().from;
        let stanza = || queued(1).stanza;
        assert!(router.deliver(&domain, stanza()).await.is_err());
        let (all, mut all_queue) = mpsc::channel(8);
        let (first, mut first_queue) = mpsc::channel(8);
        let (second, second_queue) = mpsc::channel(8);
        router.join(Serves::All, all);
        assert!(router.deliver(&domain, stanza()).await.is_ok());
        assert!(all_queue.try_recv().is_ok());
        router.join(Serves::Domain(domain.clone()), first);
        router.join(Serves::Domain(domain.clone()), second);
        drop(second_queue);
        assert!(
            router.deliver(&domain, stanza()).await.is_ok(),
            "the next one takes over"
        );
        assert!(first_queue.try_recv().is_ok());
        assert!(all_queue.try_recv().is_err());
    }
}
