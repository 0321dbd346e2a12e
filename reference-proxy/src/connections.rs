//! Counts connections, and keeps them within their limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Domain;
use crate::limits::Limits;
use crate::partner::Partner;

/// Why one more connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many connections as the proxy may have.
    #[error("limit of {limit} connections reached")]
    Proxy {
        /// The limit.
        limit: u32,
    },
    /// As many connections as this partner may have.
    #[error("limit of {limit} connections with this partner reached")]
    Partner {
        /// The limit.
        limit: u32,
    },
}

/// Counts connections, in all and by partner. Clones count together.
#[derive(Clone, Debug)]
pub struct Connections {
    limit: u32,
    all: Arc<Semaphore>,
    partner_limit: u32,
    partners: Arc<BTreeMap<Domain, Arc<Semaphore>>>,
}

/// One connection's place in the total; dropping it frees the place.
#[derive(Debug)]
pub struct ConnectionPermit {
    _place: OwnedSemaphorePermit,
}

/// One connection's place with its partner; dropping it frees the place.
#[derive(Debug)]
pub struct PartnerPermit {
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// Counters at zero.
    #[must_use]
    pub fn new(limits: &Limits, partners: &[Partner]) -> Self {
        let partners = partners.iter().map(|partner| {
            let limit = partner
                .connection_limit
                .unwrap_or(limits.partner_connections);
            (partner.domain.clone(), semaphore(limit))
        });
        Self {
            limit: limits.connections,
            all: semaphore(limits.connections),
            partner_limit: limits.partner_connections,
            partners: Arc::new(partners.collect()),
        }
    }

    /// Takes a place for a connection whose partner is not known yet.
    ///
    /// # Errors
    /// [`Full::Proxy`] where none is left.
    pub fn admit(&self) -> Result<ConnectionPermit, Full> {
        match Arc::clone(&self.all).try_acquire_owned() {
            Ok(place) => Ok(ConnectionPermit { _place: place }),
            Err(_) => Err(Full::Proxy { limit: self.limit }),
        }
    }

    /// Takes a place with the partner, whichever of its domains the connection is for.
    ///
    /// # Errors
    /// [`Full::Partner`] where none is left, and for a partner that is not configured.
    pub fn claim(&self, partner: &Partner) -> Result<PartnerPermit, Full> {
        let limit = partner.connection_limit.unwrap_or(self.partner_limit);
        let Some(places) = self.partners.get(&partner.domain) else {
            return Err(Full::Partner { limit: 0 });
        };
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => Ok(PartnerPermit { _place: place }),
            Err(_) => Err(Full::Partner { limit }),
        }
    }

    /// Connections at this moment.
    #[must_use]
    pub fn open(&self) -> usize {
        usize::try_from(self.limit)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.all.available_permits())
    }
}

fn semaphore(limit: u32) -> Arc<Semaphore> {
    let places = usize::try_from(limit).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn connections() -> (Connections, Partner, Partner) {
        let mut one = Partner::new(domain("one.example"));
        one.connection_limit = Some(1);
        one.additional_domains.push(domain("more.example"));
        let two = Partner::new(domain("two.example"));
        let limits = Limits {
            connections: 3,
            partner_connections: 2,
            ..Limits::default()
        };
        let partners = [one.clone(), two.clone()];
        (Connections::new(&limits, &partners), one, two)
    }

    #[test]
    fn places_run_out_and_come_back_when_dropped() {
        let (connections, ..) = connections();
        let mut held: Vec<ConnectionPermit> = (0..3)
            .map(|_| connections.admit().expect("a place"))
            .collect();
        assert_eq!(connections.open(), 3);
        let clone = connections.clone();
        let refused = clone.admit().expect_err("full");
        assert_eq!(refused, Full::Proxy { limit: 3 });
        held.pop();
        assert_eq!(connections.open(), 2);
        assert!(connections.admit().is_ok());
        held.clear();
        assert_eq!(connections.open(), 0);
    }

    #[test]
    fn each_partner_has_places_of_its_own() {
        let (connections, one, two) = connections();
        let first = connections.claim(&one).expect("a place");
        let full = connections.claim(&one).expect_err("full");
        assert_eq!(full, Full::Partner { limit: 1 });
        let _second = connections.claim(&two).expect("a place");
        let _third = connections.claim(&two).expect("a place");
        let full = connections.claim(&two).expect_err("full");
        assert_eq!(full, Full::Partner { limit: 2 });
        drop(first);
        assert!(connections.claim(&one).is_ok());
        let stranger = Partner::new(domain("stranger.example"));
        assert!(connections.claim(&stranger).is_err());
    }
}
