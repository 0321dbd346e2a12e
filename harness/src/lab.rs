//! The test network of a run: certificate authority, DNS and the seed.

mod address;
mod pool;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use simulated_partners::dns::{Answer, BadName, Data, Dns, Kind};
use simulated_partners::driver::Place;
use simulated_partners::pki::Authority;

use crate::case::{AllowList, fingerprint};
pub(crate) use address::own_loopback;
pub use pool::{Lease, Pool};

/// What all cases of a run share. It uses only the loopback interface, unless a target file
/// says so.
pub struct Lab {
    /// Issues every certificate of the run.
    pub authority: Authority,
    /// Answers for every domain of the run.
    pub dns: Dns,
    /// The address where partners listen.
    pub partners: IpAddr,
    /// The seed of stream ids, dialback secrets and certificate serials.
    pub seed: u64,
    /// How SRV records name the partners' hosts.
    pub hosts: Hosts,
    /// Which ports partners have.
    pub ports: Ports,
    /// The domains of partners.
    pub pool: Arc<Pool>,
    /// How long the target may hold back from a domain that it could not reach.
    pub back_off: Duration,
    /// The places of domains that cases share.
    pub(crate) kept: Mutex<BTreeMap<String, Arc<Place>>>,
    /// The last port of each domain, where ports follow from domains.
    pub(crate) given: Mutex<BTreeMap<String, u16>>,
}

/// Which ports partners have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Any that are free.
    #[default]
    Free,
    /// The same for a domain in each case and each run, as long as it is free: for targets that may
    /// keep DNS answers for longer than they are told to.
    OfDomains,
}

/// The first of the ports that follow from domains, and their number. The system gives none of them to
/// connections.
const OF_DOMAINS: (u16, u16) = (20_000, 10_000);
/// How many of them are tried for a domain.
const TRIES: u16 = 100;

/// How an SRV record names the host of a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// By its own name, `xmpp.<domain>`, whose address is another query to the lab's DNS.
    #[default]
    Names,
    /// By its numeric address. For targets that query the lab for SRV records, but the system's C
    /// library for addresses: it parses the digits without a query.
    Digits,
}

impl Lab {
    /// Opens the network.
    ///
    /// # Errors
    /// When no loopback port is available for DNS.
    pub fn open(seed: u64) -> io::Result<Self> {
        Ok(Self {
            partners: address::of_partners(),
            ..Self::new(seed, Authority::new(seed), Dns::start()?)
        })
    }

    /// A network with this authority and DNS.
    pub fn new(seed: u64, authority: Authority, dns: Dns) -> Self {
        Self {
            authority,
            dns,
            partners: Ipv4Addr::LOCALHOST.into(),
            seed,
            hosts: Hosts::default(),
            ports: Ports::default(),
            pool: Arc::new(Pool::new(AllowList::Any, Duration::ZERO)),
            back_off: Duration::ZERO,
            kept: Mutex::default(),
            given: Mutex::default(),
        }
    }

    /// Holds a port for the partners of a domain; of one that cases share, until the end of the run.
    ///
    /// # Errors
    /// When none is free.
    pub fn place(&self, domain: &str, address: IpAddr) -> io::Result<Arc<Place>> {
        if !self.pool.shares(domain) {
            return self.new_place(domain, address).map(Arc::new);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = kept.get(domain).filter(|one| one.address().ip() == address) {
            return Ok(Arc::clone(place));
        }
        let place = Arc::new(self.new_place(domain, address)?);
        kept.insert(domain.to_owned(), Arc::clone(&place));
        Ok(place)
    }

    fn new_place(&self, domain: &str, address: IpAddr) -> io::Result<Place> {
        if self.ports == Ports::Free {
            return Place::anywhere(address);
        }
        let (first, count) = OF_DOMAINS;
        let own = fingerprint(domain) % u64::from(count);
        let own = u16::try_from(own).expect("less than the number of ports");
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have had its own at first.
        let before = given.get(domain).copied();
        let place = before
            .into_iter()
            .chain((0..TRIES).map(|step| first + (own + step) % count))
            .find_map(|port| Place::at((address, port).into()).ok())
            .map_or_else(|| Place::anywhere(address), Ok)?;
        given.insert(domain.to_owned(), place.address().port());
        Ok(place)
    }

    /// Closes the network. When this returns, another one can be opened at the same address.
    pub async fn close(self) {
        self.dns.close().await;
    }

    /// The SRV name for the host at an address. A host name is published.
    ///
    /// # Errors
    /// When the name is not a valid domain name.
    pub fn host(&self, name: &str, address: IpAddr) -> Result<String, BadName> {
        match self.hosts {
            Hosts::Names => {
                let kind = match address {
                    IpAddr::V4(_) => Kind::A,
                    IpAddr::V6(_) => Kind::Aaaa,
                };
                let answer = Answer::Records(vec![Data::Address(address)]);
                self.dns.records().set(name, kind, answer)?;
                Ok(name.to_owned())
            }
            Hosts::Digits => Ok(address.to_string()),
        }
    }

    /// Publishes that a partner's domain is served at an address, only with direct TLS.
    ///
    /// # Errors
    /// When the domain is not a valid domain name.
    pub fn publish_direct(&self, domain: &str, address: SocketAddr) -> Result<(), BadName> {
        let host = self.host(&format!("xmpp.{domain}"), address.ip())?;
        let records = self.dns.records();
        records.service("_xmpps-server", domain, &host, address.port())
    }

    /// Publishes that a partner's domain is served at an address.
    ///
    /// # Errors
    /// When the domain is not a valid domain name.
    pub fn publish(&self, domain: &str, address: SocketAddr) -> Result<(), BadName> {
        let records = self.dns.records();
        match self.hosts {
            Hosts::Names => records.server(domain, address),
            Hosts::Digits => {
                let host = address.ip().to_string();
                records.service("_xmpp-server", domain, &host, address.port())
            }
        }
    }
}
