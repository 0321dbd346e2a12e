//! The questions to DNS, and what their answers mean for a stream.

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::selection::{Chance, Target, order};
use crate::domain::{Domain, ProxyAddress, XMPP_SERVER_PORT};

/// So many SRV records of a domain are tried at most.
const MOST_TARGETS: usize = 16;
/// So many addresses are tried at most.
const MOST_ADDRESSES: usize = 32;
/// How long an answer that is not needed any more is waited for.
const GRACE: Duration = Duration::from_millis(250);
/// How long the absence of a record is believed: a domain that comes to life is soon reachable.
const NEGATIVE_TTL: Duration = Duration::from_secs(30);

/// Why there is nowhere to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The system has no name server, and none was given.
    #[error("no name server is known")]
    NoNameServer,
    /// Neither the domain nor the targets of its SRV records have an address.
    #[error("no address found for {name}")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The domain declares that it has no such service: its SRV target is `.` (RFC 2782).
    #[error("{name} declares that it takes no server connections")]
    RefusesService {
        /// The domain.
        name: String,
    },
    /// DNS failed in a way that may pass.
    #[error("temporary failure in looking up {name}")]
    Temporary {
        /// What was asked for.
        name: String,
        /// What happened.
        #[source]
        source: Box<NetError>,
    },
    /// DNS did not answer in time.
    #[error("no answer in time in looking up {name}")]
    Timeout {
        /// What was asked for.
        name: String,
    },
}

/// Where to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// The address and port.
    pub address: SocketAddr,
    /// Whether TLS comes first, before any stream (XEP-0368).
    pub direct: bool,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direct {
            true => write!(f, "{} with direct TLS", self.address),
            false => self.address.fmt(f),
        }
    }
}

/// Where an SRV record leads.
struct Place {
    name: Name,
    port: u16,
    direct: bool,
}

/// Finds the servers of domains.
#[derive(Clone)]
pub struct Resolver {
    dns: TokioResolver,
    patience: Duration,
    chance: Arc<Mutex<Chance>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver that asks the given name servers, or those of the system where none is given.
    ///
    /// `patience` bounds the wait for SRV records and, once more, that for addresses. `seed` is
    /// where the choice among records of equal priority starts.
    ///
    /// # Errors
    /// [`ResolveError::NoNameServer`] where the system has none, or they cannot be used.
    pub fn new(
        servers: &[SocketAddr],
        patience: Duration,
        seed: u64,
    ) -> Result<Self, ResolveError> {
        let system;
        let servers = if servers.is_empty() {
            system = system_name_servers();
            &system
        } else {
            servers
        };
        if servers.is_empty() {
            return Err(ResolveError::NoNameServer);
        }
        let configs = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
                .map(|mut connection| {
                    connection.port = server.port();
                    connection
                })
                .into();
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(configs.collect());
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.ndots = 0;
        // Two tries within the patience: one datagram may get lost.
        options.attempts = 1;
        options.timeout = patience.div_f64(2.5);
        // Beyond this a question fails at once instead of waiting its turn.
        options.max_active_requests = 1024;
        options.negative_max_ttl = Some(NEGATIVE_TTL);
        let dns = builder.build().map_err(|_| ResolveError::NoNameServer)?;
        Ok(Self {
            dns,
            patience,
            chance: Arc::new(Mutex::new(Chance::new(seed))),
        })
    }

    /// The servers of the domain, in the order in which to try them; at least one.
    ///
    /// SRV records of `_xmpp-server._tcp` lead (RFC 6120 §3.2.1), and with `direct` those of
    /// `_xmpps-server._tcp` beside them, in one order (XEP-0368 §3). Only where there are none does
    /// the domain's own address on port 5269 count (§3.2.2); not where their lookup failed. With
    /// the address of the partner's proxy, SRV records are not asked for.
    ///
    /// # Errors
    /// [`ResolveError`] by kind.
    pub async fn targets(
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

    /// Where the SRV records of the domain lead; `None` where it has none.
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
        // What direct TLS has records for is enough; without them, that lookup is nobody's trouble.
        let secure = secure.unwrap_or_default();
        let found = match (plain, secure) {
            (Err(_), Some(secure)) if !secure.is_empty() => secure,
            (Err(error), _) => return Err(error),
            (Ok(None), None) => return Ok(None),
            (Ok(plain), secure) => plain.into_iter().chain(secure).flatten().collect(),
        };
        if found.is_empty() {
            return Err(ResolveError::RefusesService {
                name: domain.to_string(),
            });
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

    /// The usable SRV records of a service; `None` where there are none at all.
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
        let found = match timeout(self.patience, self.dns.lookup(service, RecordType::SRV)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_no_records_found() => return Ok(None),
            Ok(Err(error)) => return Err(failure(domain, error)),
            Err(_) => {
                return Err(ResolveError::Timeout {
                    name: domain.to_string(),
                });
            }
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

    /// The addresses of all targets, asked for at once and returned in the targets' order.
    async fn addresses_of(
        &self,
        targets: Vec<Place>,
        domain: &Domain,
    ) -> Result<Vec<Server>, ResolveError> {
        let mut deadline = Instant::now() + self.patience;
        let mut found = vec![Vec::new(); targets.len()];
        let mut trouble = None;
        let mut lookups = JoinSet::new();
        for (index, place) in targets.into_iter().enumerate() {
            let dns = self.dns.clone();
            let Place { name, port, direct } = place;
            lookups.spawn(async move { (index, (port, direct), addresses(&dns, name).await) });
        }
        while !lookups.is_empty() {
            let Ok(joined) = timeout_at(deadline, lookups.join_next()).await else {
                let name = domain.to_string();
                trouble.get_or_insert(ResolveError::Timeout { name });
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
                    // What is tried first is known: the others may not hold it up for long.
                    if index == 0 && !found[0].is_empty() {
                        deadline = deadline.min(Instant::now() + GRACE);
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
        Err(trouble.unwrap_or_else(|| ResolveError::NotFound {
            name: domain.to_string(),
        }))
    }
}

/// The addresses of one host, IPv6 first (RFC 6724); empty where it has none.
///
/// Where one family has an answer, the other is not waited for beyond the grace.
async fn addresses(dns: &TokioResolver, name: Name) -> Result<Vec<IpAddr>, NetError> {
    let v6 = family(dns, name.clone(), RecordType::AAAA);
    let v4 = family(dns, name, RecordType::A);
    tokio::pin!(v6, v4);
    let (v6, v4) = tokio::select! {
        first = &mut v6 => {
            let other = rest(&first, v4).await;
            (first, other)
        }
        first = &mut v4 => {
            let other = rest(&first, v6).await;
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
    first: &Result<Vec<IpAddr>, NetError>,
    other: impl Future<Output = Result<Vec<IpAddr>, NetError>>,
) -> Result<Vec<IpAddr>, NetError> {
    match first {
        Ok(found) if !found.is_empty() => timeout(GRACE, other)
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
        NetError::Timeout => ResolveError::Timeout { name },
        NetError::Dns(DnsError::NoRecordsFound(_)) => ResolveError::NotFound { name },
        other => ResolveError::Temporary {
            name,
            source: Box::new(other),
        },
    }
}

/// The name as a fully qualified one: search lists never apply.
fn absolute(text: &str) -> Result<Name, ResolveError> {
    let not_found = |_| ResolveError::NotFound {
        name: text.to_owned(),
    };
    let mut name = Name::from_ascii(text).map_err(not_found)?;
    name.set_fqdn(true);
    Ok(name)
}

/// The name servers of `/etc/resolv.conf`. Search lists and options do not matter here.
fn system_name_servers() -> Vec<SocketAddr> {
    match fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => name_servers(&text),
        Err(_) => Vec::new(),
    }
}

fn name_servers(resolv_conf: &str) -> Vec<SocketAddr> {
    resolv_conf
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(|word| word.parse().ok())
        .map(|ip: IpAddr| SocketAddr::new(ip, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_the_system_are_read() {
        let text = "# comment\nsearch example\nnameserver 192.0.2.1\n nameserver\t::1 # x\n\
                    nameserver fe80::1%eth0\nnameserver\noptions ndots:2\n";
        let found: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
