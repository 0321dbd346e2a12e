//! Counts connections and keeps them within their limits.
//!
//! Strangers, streams and verifications have places of their own: who has not said who it is can take
//! none from those who have.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Domain;
use crate::limits::Limits;
use crate::partner::Partner;
use crate::task::Tasks;

/// Why another connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("limit of {0} connections reached")]
    Proxy(usize),
    #[error("limit of {0} connections with this partner reached")]
    Partner(usize),
    #[error("limit of {0} unauthenticated connections reached")]
    Strangers(usize),
    #[error("limit of {0} unauthenticated connections from this address reached")]
    Address(usize),
    #[error("limit of {0} verifications at a time reached")]
    Verifications(usize),
}

/// A slot for one connection, in the total or for its partner. Dropping it frees the slot.
pub(crate) type Place = OwnedSemaphorePermit;

/// A limit of connections that is for all partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Of streams in both directions.
    Connections,
    Unauthenticated,
    Verifications,
}

/// Counts the connections of partners, in total and by partner.
#[derive(Debug)]
pub(crate) struct Connections {
    strangers: Strangers,
    /// For streams in either direction.
    shared: Places,
    /// For streams that this side opens.
    kept: Places,
    verifications: Places,
    partners: BTreeMap<Domain, OfPartner>,
}

#[derive(Debug)]
struct OfPartner {
    streams: Places,
    verifications: Places,
}

impl Connections {
    pub(crate) fn new(limits: &Limits, partners: &[Partner]) -> Self {
        let partners = partners.iter().map(|partner| {
            let limit = partner.connection_limit;
            let limit = limit.unwrap_or(limits.partner_connections);
            let places = OfPartner {
                streams: Places::new(limit),
                verifications: Places::new(limit),
            };
            (partner.domain.clone(), places)
        });
        let kept = limits.kept_for_outbound();
        Self {
            strangers: Strangers::new(
                limits.unauthenticated_connections,
                limits.unauthenticated_by_address,
            ),
            shared: Places::new(limits.connections.saturating_sub(kept)),
            kept: Places::new(kept),
            verifications: Places::new(limits.verification_connections),
            partners: partners.collect(),
        }
    }

    /// The same places by other limits. Connections that are beyond them stay, and their places go when they end.
    pub(crate) fn limited_anew(
        &self,
        limits: &Limits,
        partners: &[Partner],
        tasks: &Tasks,
    ) -> Self {
        let new = Self::new(limits, partners);
        let anew = |before: &Places, new: Places| before.resized(new.limit, tasks);
        let partners = new.partners.into_iter().map(|(domain, of)| {
            let of = match self.partners.get(&domain) {
                Some(before) => OfPartner {
                    streams: anew(&before.streams, of.streams),
                    verifications: anew(&before.verifications, of.verifications),
                },
                None => of,
            };
            (domain, of)
        });
        Self {
            strangers: Strangers {
                all: anew(&self.strangers.all, new.strangers.all),
                by_address: new.strangers.by_address,
                counts: Arc::clone(&self.strangers.counts),
            },
            shared: anew(&self.shared, new.shared),
            kept: anew(&self.kept, new.kept),
            verifications: anew(&self.verifications, new.verifications),
            partners: partners.collect(),
        }
    }

    /// The limits that are for all partners, with the places that are taken and all places.
    pub(crate) fn usage(&self) -> [(Limit, usize, usize); 3] {
        let (shared, kept) = (&self.shared, &self.kept);
        let of = |limit, places: &Places| (limit, places.taken(), places.limit);
        [
            (
                Limit::Connections,
                shared.taken() + kept.taken(),
                shared.limit + kept.limit,
            ),
            of(Limit::Unauthenticated, &self.strangers.all),
            of(Limit::Verifications, &self.verifications),
        ]
    }

    /// The same for the streams of each partner.
    pub(crate) fn by_partner(&self) -> impl Iterator<Item = (&Domain, usize, usize)> {
        let partners = self.partners.iter();
        partners.map(|(domain, of)| (domain, of.streams.taken(), of.streams.limit))
    }

    /// Takes a slot for a connection whose partner is not known yet.
    pub(crate) fn welcome(&self, address: IpAddr) -> Result<Stranger, Full> {
        self.strangers.welcome(address)
    }

    /// Takes a slot for a stream that a partner opened.
    pub(crate) fn admit_inbound(&self) -> Result<Place, Full> {
        self.shared.take().ok_or(Full::Proxy(self.shared.limit))
    }

    /// Takes a slot for a stream that this side opens.
    pub(crate) fn admit(&self) -> Result<Place, Full> {
        let place = self.kept.take().or_else(|| self.shared.take());
        place.ok_or(Full::Proxy(self.kept.limit + self.shared.limit))
    }

    /// Waits for such a slot.
    pub(crate) async fn admitted(&self) -> Place {
        tokio::select! {
            place = self.kept.wait() => place,
            place = self.shared.wait() => place,
        }
    }

    /// Waits for a slot for a stream that a partner opened.
    pub(crate) async fn admitted_inbound(&self) -> Place {
        self.shared.wait().await
    }

    /// Takes a slot for a stream with a configured partner, whichever of its domains it is for.
    pub(crate) fn claim(&self, partner: &Partner) -> Result<Place, Full> {
        match self.partners.get(&partner.domain) {
            Some(of) => of.streams.take().ok_or(Full::Partner(of.streams.limit)),
            None => Err(Full::Partner(0)),
        }
    }

    /// Waits for such a slot.
    pub(crate) async fn claimed(&self, partner: &Partner) -> Place {
        match self.partners.get(&partner.domain) {
            Some(of) => of.streams.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Takes slots for a question to a partner's authoritative server.
    pub(crate) fn verify(&self, partner: &Partner) -> Result<(Place, Place), Full> {
        let of = self.partners.get(&partner.domain);
        let of = &of.ok_or(Full::Partner(0))?.verifications;
        let full = Full::Verifications;
        let own = of.take().ok_or_else(|| full(of.limit))?;
        let all = self.verifications.take();
        Ok((own, all.ok_or_else(|| full(self.verifications.limit))?))
    }
}

#[derive(Debug)]
struct Places {
    limit: usize,
    free: Arc<Semaphore>,
}

impl Places {
    fn new(limit: usize) -> Self {
        let free = Semaphore::new(limit.min(Semaphore::MAX_PERMITS));
        Self {
            limit,
            free: Arc::new(free),
        }
    }

    fn taken(&self) -> usize {
        self.limit.saturating_sub(self.free.available_permits())
    }

    fn take(&self) -> Option<Place> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// The same places, more or fewer. Those that are taken and too many go when they are given back.
    fn resized(&self, limit: usize, tasks: &Tasks) -> Self {
        let within = |limit: usize| limit.min(Semaphore::MAX_PERMITS);
        let (before, after) = (within(self.limit), within(limit));
        let more = after.saturating_sub(before);
        self.free.add_permits(more);
        let mut fewer = before.saturating_sub(after);
        fewer -= self.free.forget_permits(fewer);
        if let Ok(fewer @ 1..) = u32::try_from(fewer) {
            let (free, mut stop) = (Arc::clone(&self.free), tasks.stop());
            tasks.spawn(async move {
                tokio::select! {
                    Ok(freed) = free.acquire_many_owned(fewer) => freed.forget(),
                    () = stop.asked() => {}
                }
            });
        }
        let free = Arc::clone(&self.free);
        Self { limit, free }
    }

    async fn wait(&self) -> Place {
        match Arc::clone(&self.free).acquire_owned().await {
            Ok(place) => place,
            // No semaphore is ever closed.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Counts connections of those who are not authenticated, in total and by address.
#[derive(Debug)]
pub(crate) struct Strangers {
    all: Places,
    by_address: usize,
    counts: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A stranger's slot. Dropping it frees the slot.
#[derive(Debug)]
pub(crate) struct Stranger {
    _place: Place,
    address: IpAddr,
    counts: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Strangers {
    pub(crate) fn new(all: usize, by_address: usize) -> Self {
        Self {
            all: Places::new(all),
            by_address,
            counts: Arc::default(),
        }
    }

    pub(crate) fn welcome(&self, address: IpAddr) -> Result<Stranger, Full> {
        let address = origin(address);
        let mut counts = locked(&self.counts);
        let count = counts.get(&address).copied().unwrap_or_default();
        if count >= self.by_address {
            return Err(Full::Address(self.by_address));
        }
        let place = self.all.take().ok_or(Full::Strangers(self.all.limit))?;
        counts.insert(address, count + 1);
        drop(counts);
        Ok(Stranger {
            _place: place,
            address,
            counts: Arc::clone(&self.counts),
        })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut counts = locked(&self.counts);
        match counts.get_mut(&self.address) {
            Some(count @ 2..) => *count -= 1,
            Some(_) | None => {
                counts.remove(&self.address);
            }
        }
    }
}

fn locked(counts: &Mutex<BTreeMap<IpAddr, usize>>) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
    // No code panics under the lock.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What belongs to one host: an IPv4 address, or the 64 bits of an IPv6 network, in which a host may
/// have any address (RFC 4291 §2.5.4).
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;
    use crate::clock::Clock;
    use crate::partner::partner;
    use crate::task::Supervisor;

    fn connections() -> (Connections, Partner, Partner) {
        let mut one = partner("one.example");
        one.connection_limit = Some(1);
        let two = partner("two.example");
        let limits = Limits {
            connections: 3,
            partner_connections: 2,
            unauthenticated_connections: 3,
            unauthenticated_by_address: 2,
            outbound_reserve: Some(1),
            verification_connections: 2,
            ..Limits::default()
        };
        let partners = [one.clone(), two.clone()];
        (Connections::new(&limits, &partners), one, two)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn places_run_out_and_come_back_when_dropped() {
        let (connections, ..) = connections();
        let mut held: Vec<Place> = (0..3)
            .map(|_| connections.admit().expect("a place"))
            .collect();
        assert_eq!(connections.admit().expect_err("full"), Full::Proxy(3));
        held.pop();
        held.push(connections.admit().expect("a place"));
        assert_eq!(connections.admit().expect_err("full"), Full::Proxy(3));
    }

    /// Tasks that take places away have their turn.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn other_limits_count_the_places_that_are_taken() {
        let (connections, one, two) = connections();
        let (_supervisor, tasks) = Supervisor::start(&Handle::current(), &Clock::default());
        let limited = |before: &Connections, total, each| {
            let limits = Limits {
                connections: total,
                partner_connections: each,
                outbound_reserve: Some(1),
                ..Limits::default()
            };
            before.limited_anew(&limits, &[one.clone(), two.clone()], &tasks)
        };
        let held = [(); 3].map(|()| connections.admit().expect("a place"));
        let held_of_two = [(); 2].map(|()| connections.claim(&two).expect("a place"));
        let fewer = limited(&connections, 1, 1);
        assert_eq!(fewer.admit().expect_err("full"), Full::Proxy(1));
        assert_eq!(fewer.claim(&two).expect_err("full"), Full::Partner(1));
        assert!(fewer.claim(&one).is_ok(), "its own limit is the same");
        settle().await;
        let more = limited(&fewer, 5, 3);
        let [first, second] = [(); 2].map(|()| more.admit().expect("a place"));
        assert_eq!(more.admit().expect_err("full"), Full::Proxy(5));
        drop((held, first, second, held_of_two));
        settle().await;
        let all: Vec<Place> = (0..5).map(|_| more.admit().expect("a place")).collect();
        assert_eq!(more.admit().expect_err("full"), Full::Proxy(5));
        let fewer = limited(&more, 2, 3);
        settle().await;
        drop(all);
        settle().await;
        let _two = [(); 2].map(|()| fewer.admit().expect("a place"));
        assert_eq!(fewer.admit().expect_err("full"), Full::Proxy(2));
    }

    #[test]
    fn partners_that_dial_leave_a_place_for_those_that_are_dialled() {
        let (connections, ..) = connections();
        let inbound = || connections.admit_inbound();
        let _held = (inbound().expect("a place"), inbound().expect("a place"));
        assert_eq!(inbound().expect_err("full"), Full::Proxy(2));
        let _outbound = connections.admit().expect("the place that was kept");
        assert_eq!(connections.admit().expect_err("full"), Full::Proxy(3));
    }

    #[test]
    fn each_partner_has_its_own_limit() {
        let (connections, one, two) = connections();
        let first = connections.claim(&one).expect("a place");
        let full = connections.claim(&one).expect_err("full");
        assert_eq!(full, Full::Partner(1));
        let _second = connections.claim(&two).expect("a place");
        let _third = connections.claim(&two).expect("a place");
        let full = connections.claim(&two).expect_err("full");
        assert_eq!(full, Full::Partner(2));
        drop(first);
        assert!(connections.claim(&one).is_ok());
        let stranger = partner("stranger.example");
        assert!(connections.claim(&stranger).is_err());
        assert!(connections.verify(&stranger).is_err());
    }

    #[test]
    fn verifications_have_places_of_their_own() {
        let (connections, one, two) = connections();
        let _streams: Vec<_> = (0..3).map(|_| connections.admit()).collect();
        let of_one = connections.verify(&one).expect("places");
        let full = connections.verify(&one).expect_err("full");
        assert_eq!(full, Full::Verifications(1), "one partner takes not all");
        let _of_two = connections.verify(&two).expect("places");
        let full = connections.verify(&two).expect_err("full");
        assert_eq!(full, Full::Verifications(2));
        drop(of_one);
        assert!(connections.verify(&two).is_ok());
    }

    #[test]
    fn strangers_are_bounded_by_their_address_and_in_all() {
        let (connections, ..) = connections();
        let come = |text: &str| connections.welcome(address(text));
        let first = come("192.0.2.1").expect("a place");
        let _second = come("::ffff:192.0.2.1").expect("a place");
        assert_eq!(come("192.0.2.1").expect_err("full"), Full::Address(2));
        let _third = come("192.0.2.2").expect("a place");
        assert_eq!(come("192.0.2.3").expect_err("full"), Full::Strangers(3));
        drop(first);
        assert!(come("192.0.2.1").is_ok());
        assert!(
            connections.admit_inbound().is_ok(),
            "partners are not among them"
        );
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_origin() {
        let (connections, ..) = connections();
        let come = |text: &str| connections.welcome(address(text));
        let _held = (come("2001:db8:0:1::1"), come("2001:db8:0:1:ffff::2"));
        assert_eq!(come("2001:db8:0:1::3").expect_err("full"), Full::Address(2));
        assert!(come("2001:db8:0:2::3").is_ok());
        let counts = locked(&connections.strangers.counts).len();
        assert_eq!(counts, 1, "those who are gone are forgotten");
    }
}
