//! DNS queries, and what their answers mean for a stream.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::task::JoinSet;

use super::selection::{Chance, Target, order};
use super::setup::{SetupError, client};
use crate::clock::Clock;
use crate::domain::{Domain, ProxyAddress, XMPP_SERVER_PORT};

/// The most SRV records of a domain that are tried.
const MOST_TARGETS: usize = 16;
/// The most addresses that are tried.
const MOST_ADDRESSES: usize = 32;
/// How long to wait for answers that are no longer essential.
const GRACE: Duration = Duration::from_millis(250);

/// Why there is nothing to connect to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("no address found for {0}")]
    NotFound(String),
    /// The target of the domain's SRV record is `.` (RFC 2782).
    #[error("{0} declares that it accepts no server connections")]
    RefusesService(String),
    #[error("temporary failure in looking up {0}")]
    Temporary(String, #[source] Box<NetError>),
    #[error("no answer in time in looking up {0}")]
    Timeout(String),
}

/// Where to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Whether TLS comes before any stream (XEP-0368).
    pub(crate) direct: bool,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direct = if self.direct { " with direct TLS" } else { "" };
        write!(f, "{}{direct}", self.address)
    }
}

/// Where an SRV record points to.
struct Place {
    name: Name,
    port: u16,
    direct: bool,
}

/// Finds the servers of domains.
pub(crate) struct Resolver {
    dns: TokioResolver,
    patience: Duration,
    clock: Clock,
    chance: Mutex<Chance>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver that asks the name servers, or those of the system if there are none.
    ///
    /// `patience` limits the wait for SRV records and, once more, that for addresses. `seed`
    /// determines the choice among records of equal priority.
    pub(crate) fn new(
        servers: &[SocketAddr],
        patience: Duration,
        seed: u64,
        clock: &Clock,
    ) -> Result<Self, SetupError> {
        Ok(Self {
            dns: client(servers, patience)?,
            patience,
            clock: clock.clone(),
            chance: Mutex::new(Chance::new(seed)),
        })
    }

    /// The servers of the domain in the order in which to try them; at least one.
    ///
    /// SRV records of `_xmpp-server._tcp` come first (RFC 6120 §3.2.1), with `direct` in one order
    /// with those of `_xmpps-server._tcp` (XEP-0368 §3). The domain's own address on port 5269
    /// counts only if there are no such records (§3.2.2), not if their lookup failed. With the
    /// address of the partner's proxy, SRV records are not looked up.
    pub(crate) async fn targets(
        &self,
        domain: &Domain,
        proxy: Option<&ProxyAddress>,
        direct: bool,
    ) -> Result<Vec<Server>, ResolveError> {
        let plain = |name, port| Place {
            name,
            port,
            direct: false,
        };
        let _lookup = self.clock.looking_up();
        let places = match proxy {
            Some(ProxyAddress::Address(address)) => {
                return Ok(vec![Server {
                    address: *address,
                    direct: false,
                }]);
            }
            Some(ProxyAddress::Name { host, port }) => vec![plain(absolute(host.as_str())?, *port)],
            None => match self.services(domain, direct).await? {
                Some(places) => places,
                None => vec![plain(absolute(domain.as_str())?, XMPP_SERVER_PORT)],
            },
        };
        self.addresses_of(places, domain).await
    }

    /// Where the SRV records of the domain point to, if it has any.
    async fn services(
        &self,
        domain: &Domain,
        direct: bool,
    ) -> Result<Option<Vec<Place>>, ResolveError> {
        let plain = self.records(domain, "_xmpp-server._tcp", false);
        let secure = async {
            match direct {
                true => self.records(domain, "_xmpps-server._tcp", true).await,
                false => Ok(None),
            }
        };
        let (plain, secure) = tokio::join!(plain, secure);
        // Records for direct TLS are enough; a failed lookup of them does not matter.
        let secure = secure.unwrap_or_default();
        let found = match (plain, secure) {
            (Err(_), Some(secure)) if !secure.is_empty() => secure,
            (Err(error), _) => return Err(error),
            (Ok(None), None) => return Ok(None),
            (Ok(plain), secure) => plain.into_iter().chain(secure).flatten().collect(),
        };
        if found.is_empty() {
            return Err(ResolveError::RefusesService(domain.to_string()));
        }
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let ordered = order(found, MOST_TARGETS, &mut chance).into_iter();
        let places = ordered.map(|target| Place {
            name: target.name.0,
            port: target.port,
            direct: target.name.1,
        });
        Ok(Some(places.collect()))
    }

    /// The usable SRV records of a service, if it has any records.
    async fn records(
        &self,
        domain: &Domain,
        service: &str,
        direct: bool,
    ) -> Result<Option<Vec<Target<(Name, bool)>>>, ResolveError> {
        // A domain too long for the prefix has no such records.
        let Ok(service) = absolute(&format!("{service}.{domain}")) else {
            return Ok(None);
        };
        let lookup = self.dns.lookup(service, RecordType::SRV);
        let found = match self.clock.timeout(self.patience, lookup).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_no_records_found() => return Ok(None),
            Ok(Err(error)) => return Err(failure(domain, error)),
            Err(_) => return Err(ResolveError::Timeout(domain.to_string())),
        };
        let records = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            });
        let mut any = false;
        let usable = records
            .inspect(|_| any = true)
            .filter(|srv| !srv.target.is_root() && srv.port != 0)
            .map(|srv| Target {
                priority: srv.priority,
                weight: srv.weight,
                name: (srv.target.clone(), direct),
                port: srv.port,
            })
            .collect::<Vec<_>>();
        Ok(any.then_some(usable))
    }

    /// The addresses of all targets, looked up at once and returned in the order of the targets.
    async fn addresses_of(
        &self,
        targets: Vec<Place>,
        domain: &Domain,
    ) -> Result<Vec<Server>, ResolveError> {
        let mut deadline = self.clock.now() + self.patience;
        let mut found = vec![Vec::new(); targets.len()];
        let mut trouble = None;
        let mut lookups = JoinSet::new();
        for (index, place) in targets.into_iter().enumerate() {
            let (dns, clock) = (self.dns.clone(), self.clock.clone());
            let Place { name, port, direct } = place;
            lookups
                .spawn(async move { (index, (port, direct), addresses(&clock, &dns, name).await) });
        }
        while !lookups.is_empty() {
            let Ok(joined) = self.clock.timeout_at(deadline, lookups.join_next()).await else {
                trouble.get_or_insert_with(|| ResolveError::Timeout(domain.to_string()));
                break;
            };
            // A lookup that panicked has no answer.
            let Some(Ok((index, (port, direct), outcome))) = joined else {
                continue;
            };
            match outcome {
                Ok(ips) => {
                    found[index] = ips
                        .into_iter()
                        .map(|ip| Server {
                            address: SocketAddr::new(ip, port),
                            direct,
                        })
                        .collect();
                    // The first target may be tried: the others must not delay it for long.
                    if index == 0 && !found[0].is_empty() {
                        deadline = deadline.min(self.clock.now() + GRACE);
                    }
                }
                Err(error) => {
                    trouble.get_or_insert_with(|| failure(domain, error));
                }
            }
        }
        let mut addresses: Vec<Server> = Vec::new();
        for address in found.into_iter().flatten() {
            if addresses.len() < MOST_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if !addresses.is_empty() {
            return Ok(addresses);
        }
        Err(trouble.unwrap_or_else(|| ResolveError::NotFound(domain.to_string())))
    }
}

/// The addresses of one host, IPv6 first (RFC 6724).
///
/// Once one family has an answer, the other one gets only the grace.
async fn addresses(
    clock: &Clock,
    dns: &TokioResolver,
    name: Name,
) -> Result<Vec<IpAddr>, NetError> {
    let v6 = family(dns, name.clone(), RecordType::AAAA);
    let v4 = family(dns, name, RecordType::A);
    tokio::pin!(v6, v4);
    let (v6, v4) = tokio::select! {
        first = &mut v6 => {
            let other = rest(clock, &first, v4).await;
            (first, other)
        }
        first = &mut v4 => {
            let other = rest(clock, &first, v6).await;
            (other, first)
        }
    };
    match (v6, v4) {
        (Ok(mut v6), Ok(v4)) => {
            v6.extend(v4);
            Ok(v6)
        }
        (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

async fn rest(
    clock: &Clock,
    first: &Result<Vec<IpAddr>, NetError>,
    other: impl Future<Output = Result<Vec<IpAddr>, NetError>>,
) -> Result<Vec<IpAddr>, NetError> {
    match first {
        Ok(found) if !found.is_empty() => clock
            .timeout(GRACE, other)
            .await
            .unwrap_or_else(|_| Ok(Vec::new())),
        _ => other.await,
    }
}

async fn family(
    dns: &TokioResolver,
    name: Name,
    kind: RecordType,
) -> Result<Vec<IpAddr>, NetError> {
    match dns.lookup(name, kind).await {
        Ok(found) => Ok(found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            })
            .take(MOST_ADDRESSES)
            .collect()),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn failure(domain: &Domain, error: NetError) -> ResolveError {
    let name = domain.to_string();
    match error {
        NetError::Timeout => ResolveError::Timeout(name),
        NetError::Dns(DnsError::NoRecordsFound(_)) => ResolveError::NotFound(name),
        other => ResolveError::Temporary(name, Box::new(other)),
    }
}

/// A fully qualified name, so that search lists never apply.
fn absolute(text: &str) -> Result<Name, ResolveError> {
    let not_found = |_| ResolveError::NotFound(text.to_owned());
    let mut name = Name::from_ascii(text).map_err(not_found)?;
    name.set_fqdn(true);
    Ok(name)
}
