//! Counts connections and keeps them within their limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::Domain;
use crate::limits::Limits;
use crate::partner::Partner;

/// Why another connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("limit of {0} connections reached")]
    Proxy(usize),
    #[error("limit of {0} connections with this partner reached")]
    Partner(usize),
}

/// A slot for one connection, in the total or for its partner. Dropping it frees the slot.
pub(crate) type Place = OwnedSemaphorePermit;

/// Counts connections, in total and by partner.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    total: Arc<Semaphore>,
    partners: BTreeMap<Domain, (usize, Arc<Semaphore>)>,
}

impl Connections {
    pub(crate) fn new(limits: &Limits, partners: &[Partner]) -> Self {
        let partners = partners.iter().map(|partner| {
            let limit = partner.connection_limit;
            let limit = limit.unwrap_or(limits.partner_connections);
            (partner.domain.clone(), (limit, semaphore(limit)))
        });
        Self {
            limit: limits.connections,
            total: semaphore(limits.connections),
            partners: partners.collect(),
        }
    }

    /// Takes a slot for a connection whose partner is not known yet.
    pub(crate) fn admit(&self) -> Result<Place, Full> {
        take(&self.total).ok_or(Full::Proxy(self.limit))
    }

    /// Takes a slot for a configured partner, whichever of its domains the connection is for.
    pub(crate) fn claim(&self, partner: &Partner) -> Result<Place, Full> {
        match self.partners.get(&partner.domain) {
            Some((limit, places)) => take(places).ok_or(Full::Partner(*limit)),
            None => Err(Full::Partner(0)),
        }
    }
}

fn semaphore(limit: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)))
}

fn take(places: &Arc<Semaphore>) -> Option<Place> {
    Arc::clone(places).try_acquire_owned().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partner::partner;

    fn connections() -> (Connections, Partner, Partner) {
        let mut one = partner("one.example");
        one.connection_limit = Some(1);
        let two = partner("two.example");
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
        let mut held: Vec<Place> = (0..3)
            .map(|_| connections.admit().expect("a place"))
            .collect();
        assert_eq!(connections.admit().expect_err("full"), Full::Proxy(3));
        held.pop();
        held.push(connections.admit().expect("a place"));
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
    }
}
