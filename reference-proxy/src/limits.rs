//! The gateway's limits and timeouts, and the counters of connections that keep two of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::{Config, Domain};
use crate::partner::Partner;

/// All that is bounded. The first five have the gateway's documented defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once with all partners, both directions.
    pub connections: u32,
    /// Connections at once with one partner, unless the partner has its own limit.
    pub partner_connections: u32,
    /// Longest silence of a partner whose keep-alive is on.
    pub keep_alive_interval: Duration,
    /// Longest time from connection to authenticated stream.
    pub stream_establishment_timeout: Duration,
    /// Longest time without a stanza.
    pub stream_inactivity_timeout: Duration,
    /// Longest wait for one TCP connection to one address.
    pub connect_timeout: Duration,
    /// Longest wait for the verdict of the other side on a dialback key (XEP-0220).
    pub dialback_timeout: Duration,
    /// Longest wait for DNS: once for the SRV records, once for the addresses of their targets.
    pub dns_timeout: Duration,
    /// Longest time that a graceful stop takes.
    pub stop_timeout: Duration,
    /// Bytes of XML that a peer may send on a connection before it is authenticated.
    pub bytes_before_authentication: usize,
    /// Bytes of one stanza or other top-level element (RFC 6120 §13.12: no less than 10000).
    pub stanza_bytes: usize,
    /// Elements inside one another, the stream's own not counted.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Domain pairs, verified or pending, on one stream.
    pub stream_pairs: usize,
    /// Stanzas that wait for one outbound stream.
    pub queue_stanzas: usize,
    /// Bytes of the stanzas that wait for one outbound stream.
    pub queue_bytes: usize,
    /// Stanzas that wait for the gateway to read.
    pub gateway_queue_stanzas: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1000,
            partner_connections: 20,
            keep_alive_interval: Duration::from_secs(300),
            stream_establishment_timeout: Duration::from_secs(60),
            stream_inactivity_timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            dialback_timeout: Duration::from_secs(30),
            dns_timeout: Duration::from_secs(5),
            stop_timeout: Duration::from_secs(5),
            bytes_before_authentication: 65_536,
            stanza_bytes: 262_144,
            depth: 64,
            attributes: 64,
            stream_pairs: 64,
            queue_stanzas: 256,
            queue_bytes: 1_048_576,
            gateway_queue_stanzas: 256,
        }
    }
}

impl Limits {
    /// The durations, by the names that they have in a file.
    pub(crate) fn durations(&self) -> [(&'static str, Duration); 7] {
        [
            ("keep-alive-interval", self.keep_alive_interval),
            (
                "stream-establishment-timeout",
                self.stream_establishment_timeout,
            ),
            ("stream-inactivity-timeout", self.stream_inactivity_timeout),
            ("connect-timeout", self.connect_timeout),
            ("dialback-timeout", self.dialback_timeout),
            ("dns-timeout", self.dns_timeout),
            ("stop-timeout", self.stop_timeout),
        ]
    }

    /// The amounts, by the names that they have in a file.
    pub(crate) fn amounts(&self) -> [(&'static str, usize); 10] {
        let wide = |amount: u32| usize::try_from(amount).unwrap_or(usize::MAX);
        [
            ("connections", wide(self.connections)),
            ("partner-connections", wide(self.partner_connections)),
            (
                "bytes-before-authentication",
                self.bytes_before_authentication,
            ),
            ("stanza-bytes", self.stanza_bytes),
            ("depth", self.depth),
            ("attributes", self.attributes),
            ("stream-pairs", self.stream_pairs),
            ("queue-stanzas", self.queue_stanzas),
            ("queue-bytes", self.queue_bytes),
            ("gateway-queue-stanzas", self.gateway_queue_stanzas),
        ]
    }
}

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
    /// Counters at zero, with the limits of the configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let limits = &config.settings().limits;
        let partners = config.settings().partners.iter().map(|partner| {
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
    use crate::config::tests::settings;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn connections() -> (Connections, Partner, Partner) {
        let mut one = Partner::new(domain("one.example"));
        one.connection_limit = Some(1);
        one.additional_domains.push(domain("more.example"));
        let two = Partner::new(domain("two.example"));
        let mut settings = settings();
        settings.limits.connections = 3;
        settings.limits.partner_connections = 2;
        settings.partners = vec![one.clone(), two.clone()];
        let config = Config::checked(settings).expect("a configuration");
        (Connections::new(&config), one, two)
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let limits = Limits::default();
        assert_eq!(limits.connections, 1000);
        assert_eq!(limits.partner_connections, 20);
        assert_eq!(limits.keep_alive_interval.as_secs(), 300);
        assert_eq!(limits.stream_establishment_timeout.as_secs(), 60);
        assert_eq!(limits.stream_inactivity_timeout.as_secs(), 600);
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
