//! Where a domain is served.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::defect::Defect;

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

/// The addresses to try, in order; the condition of the error where there are none.
pub(crate) async fn addresses(
    dns: &TokioResolver,
    domain: &str,
    defect: Option<Defect>,
) -> Result<Vec<(String, SocketAddr)>, &'static str> {
    let mut places = services(dns, domain).await?;
    match defect {
        Some(Defect::DialsWithoutSrv) => places = None,
        Some(Defect::HighestPriorityFirst) => {
            if let Some(places) = &mut places {
                places.reverse();
            }
        }
        Some(Defect::OneServerOnly) => {
            if let Some(places) = &mut places {
                places.truncate(1);
            }
        }
        _ => {}
    }
    let refuses = places.as_ref().is_some_and(Vec::is_empty);
    if refuses && defect != Some(Defect::DialsWhoHasNoService) {
        return Err("remote-server-not-found");
    }
    let places = places
        .filter(|places| !places.is_empty())
        .unwrap_or_else(|| vec![(format!("{domain}."), PORT)]);
    let mut found = Vec::new();
    for (host, port) in places {
        let before = found.len();
        for kind in [RecordType::A, RecordType::AAAA] {
            if found.len() == before {
                let hosts = hosts(dns, &host, kind).await;
                let name = host.trim_end_matches('.');
                found.extend(hosts.map(|ip| (name.to_owned(), SocketAddr::new(ip, port))));
                if defect == Some(Defect::OneAddressOnly) {
                    found.truncate(before + 1);
                }
            }
        }
    }
    match found.is_empty() {
        true => Err("remote-server-not-found"),
        false => Ok(found),
    }
}

/// The SRV records, best first: host and port. None where there are none.
async fn services(
    dns: &TokioResolver,
    domain: &str,
) -> Result<Option<Vec<(String, u16)>>, &'static str> {
    let name = format!("_xmpp-server._tcp.{domain}.");
    let Ok(name) = Name::from_ascii(&name) else {
        return Ok(None);
    };
    let found = match dns.lookup(name, RecordType::SRV).await {
        Ok(found) => found,
        Err(error) if error.is_no_records_found() => return Ok(None),
        Err(_) => return Err("remote-server-timeout"),
    };
    let mut records: Vec<(u16, String, u16)> = Vec::new();
    let mut any = false;
    for record in found.answers() {
        if let RData::SRV(srv) = &record.data {
            any = true;
            if !srv.target.is_root() && srv.port != 0 {
                records.push((srv.priority, srv.target.to_ascii(), srv.port));
            }
        }
    }
    records.sort();
    let places = records.into_iter().map(|(_, host, port)| (host, port));
    Ok(any.then(|| places.collect()))
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
