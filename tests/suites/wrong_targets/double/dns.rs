//! Where a domain is served.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::defect::Defect;
use super::names::a_labels;

const PORT: u16 = 5269;
/// How long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client of the lab's DNS.
pub(crate) fn client(server: SocketAddr) -> TokioResolver {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    options.cache_size = 0;
    options.attempts = 1;
    options.timeout = PATIENCE;
    // Further queries would wait for their turn.
    options.max_active_requests = 1024;
    builder.build().expect("its configuration is complete")
}

/// Where a server can be.
pub(crate) struct Place {
    /// What DNS calls it.
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    /// Whether TLS comes first there (XEP-0368).
    pub(crate) direct: bool,
}

impl Place {
    pub(crate) fn plain(host: &str, address: SocketAddr) -> Self {
        Self {
            host: host.to_owned(),
            address,
            direct: false,
        }
    }
}

/// The places to try, in order, and those of direct TLS where that is wanted; the condition of the error
/// where there are none.
pub(crate) async fn addresses(
    dns: &TokioResolver,
    domain: &str,
    (direct, defect): (bool, Option<Defect>),
) -> Result<Vec<Place>, &'static str> {
    let domain = match defect {
        Some(Defect::KnowsNoForeignNames) => domain.to_owned(),
        _ => a_labels(domain),
    };
    let raw = defect == Some(Defect::LooksUpAnything);
    let mut services = services(dns, &domain, false, raw).await?;
    let refuses = services.as_ref().is_some_and(Vec::is_empty);
    let mut over_tls = None;
    if direct {
        over_tls = self::services(dns, &domain, true, raw).await?;
        let is_none = over_tls.as_ref().is_some_and(Vec::is_empty);
        if is_none && defect == Some(Defect::TakesNoDirectTlsForNoService) {
            return Err("remote-server-not-found");
        }
    }
    let is_known = services.is_some() || over_tls.is_some();
    if let Some(more) = over_tls {
        services.get_or_insert_default().extend(more);
    }
    if let Some(services) = &mut services {
        services.sort();
    }
    match defect {
        Some(Defect::DialsWithoutSrv) => services = None,
        Some(Defect::HighestPriorityFirst) => {
            if let Some(services) = &mut services {
                services.reverse();
            }
        }
        Some(Defect::OneServerOnly) => {
            if let Some(services) = &mut services {
                services.truncate(1);
            }
        }
        _ => {}
    }
    let found = services.filter(|services| !services.is_empty());
    let ignores = [Defect::DialsWhoHasNoService, Defect::DialsWithoutSrv];
    let is_over = refuses || is_known;
    if found.is_none() && is_over && !ignores.into_iter().any(|one| defect == Some(one)) {
        return Err("remote-server-not-found");
    }
    let services = found.unwrap_or_else(|| {
        vec![Service {
            priority: 0,
            host: format!("{domain}."),
            port: PORT,
            direct: false,
        }]
    });
    let mut places = Vec::new();
    for service in services {
        let before = places.len();
        for kind in [RecordType::A, RecordType::AAAA] {
            let skips = kind == RecordType::AAAA && defect == Some(Defect::OnlyIpv4);
            if places.len() == before && !skips {
                let hosts = hosts(dns, &service.host, kind).await;
                places.extend(hosts.map(|ip| Place {
                    host: service.host.trim_end_matches('.').to_owned(),
                    address: SocketAddr::new(ip, service.port),
                    direct: service.direct,
                }));
                if defect == Some(Defect::OneAddressOnly) {
                    places.truncate(before + 1);
                }
            }
        }
    }
    if defect == Some(Defect::FailsAtDirectTls) && places.iter().any(|place| place.direct) {
        return Err("internal-server-error");
    }
    match places.is_empty() {
        true => Err("remote-server-not-found"),
        false => Ok(places),
    }
}

/// An SRV record. The best comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Service {
    priority: u16,
    host: String,
    port: u16,
    direct: bool,
}

/// The SRV records of a service, whatever its name is made of if it is taken as it is. None where there
/// are none.
async fn services(
    dns: &TokioResolver,
    domain: &str,
    direct: bool,
    raw: bool,
) -> Result<Option<Vec<Service>>, &'static str> {
    let service = if direct {
        "xmpps-server"
    } else {
        "xmpp-server"
    };
    let name = format!("_{service}._tcp.{domain}.");
    let labels = name.trim_end_matches('.').split('.').map(str::as_bytes);
    let read = match raw {
        true => Name::from_labels(labels),
        false => Name::from_ascii(&name),
    };
    let Ok(name) = read else {
        return Ok(None);
    };
    let found = match dns.lookup(name, RecordType::SRV).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(None),
        Err(_) => return Err("remote-server-timeout"),
    };
    let mut records: Vec<Service> = Vec::new();
    let mut any = false;
    for record in found.answers() {
        if let RData::SRV(srv) = &record.data {
            any = true;
            if !srv.target.is_root() && srv.port != 0 {
                records.push(Service {
                    priority: srv.priority,
                    host: srv.target.to_ascii(),
                    port: srv.port,
                    direct,
                });
            }
        }
    }
    Ok(any.then_some(records))
}

async fn hosts(
    dns: &TokioResolver,
    host: &str,
    kind: RecordType,
) -> impl Iterator<Item = std::net::IpAddr> + use<> {
    let found = match Name::from_ascii(host) {
        Ok(name) => dns.lookup(name, kind).await.ok(),
        Err(_) => None,
    };
    let ips: Vec<std::net::IpAddr> = found
        .iter()
        .flat_map(|found| found.answers())
        .filter_map(|record| record.data.ip_addr())
        .collect();
    ips.into_iter()
}
