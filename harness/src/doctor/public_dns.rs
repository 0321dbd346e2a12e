//! The target's own DNS records, as other servers would find them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;

use super::Subject;
use super::error::LookupError;
use super::finding::{Blame, CheckResult, Finding, Severity};
use crate::cause::with_causes;

/// The default port without records (RFC 6120 §3.2.2).
const PORT: u16 = 5269;
/// The maximum number of records of one kind to follow.
const MOST: usize = 8;

/// The name server for the target's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicDns {
    NameServer(SocketAddr),
    /// The name servers of `/etc/resolv.conf`.
    System {
        /// Even if they are not on this machine.
        remote: bool,
    },
}

impl PublicDns {
    fn servers(&self) -> Result<Vec<SocketAddr>, LookupError> {
        let remote = match self {
            Self::NameServer(address) => return Ok(vec![*address]),
            Self::System { remote } => *remote,
        };
        let text = std::fs::read_to_string("/etc/resolv.conf").map_err(LookupError::ResolvConf)?;
        let servers = name_servers(&text);
        if servers.is_empty() {
            return Err(LookupError::NoServers);
        }
        if let Some(far) = servers.iter().find(|server| !server.ip().is_loopback())
            && !remote
        {
            return Err(LookupError::Remote(far.ip()));
        }
        Ok(servers)
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
        .take(MOST)
        .collect()
}

/// Looks up the target.
pub(super) async fn records(subject: &Subject, patience: Duration) -> CheckResult {
    let found = async {
        let servers = subject.public_dns.servers()?;
        let asked: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let asked = asked.join(", ");
        let resolver = resolver(&servers, patience).map_err(LookupError::Resolver)?;
        match timeout(patience, find(&resolver, &asked, &subject.domain)).await {
            Ok(found) => Ok(judge(subject, &found?, &asked)),
            Err(_) => Err(LookupError::Overdue(asked)),
        }
    };
    let found: Result<CheckResult, LookupError> = found.await;
    found.unwrap_or_else(|why| CheckResult::not_seen(with_causes(&why)))
}

fn resolver(servers: &[SocketAddr], patience: Duration) -> Result<TokioResolver, NetError> {
    let configs = servers.iter().map(|server| {
        let connections =
            [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_name_servers(configs.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    options.attempts = 1;
    options.timeout = patience.div_f64(3.0);
    builder.build()
}

/// The records found.
#[derive(Debug, Default)]
struct Found {
    /// Targets and ports of `_xmpp-server._tcp`; empty if there is no such record.
    services: Vec<(String, u16)>,
    /// Whether the service is declared unavailable (RFC 2782: a target of `.`).
    declined: bool,
    /// Where a connection would go.
    addresses: Vec<SocketAddr>,
}

async fn find(resolver: &TokioResolver, asked: &str, domain: &str) -> Result<Found, LookupError> {
    let mut found = Found::default();
    let services = ask(
        resolver,
        asked,
        &format!("_xmpp-server._tcp.{domain}"),
        RecordType::SRV,
    )
    .await?;
    let mut places: Vec<(String, u16)> = Vec::new();
    for data in &services {
        if let RData::SRV(SRV { target, port, .. }) = data {
            if target.is_root() {
                found.declined = true;
            } else {
                places.push((target.to_ascii(), *port));
            }
        }
    }
    found.services.clone_from(&places);
    if places.is_empty() && !found.declined {
        places.push((domain.to_owned(), PORT));
    }
    for (host, port) in places {
        for kind in [RecordType::A, RecordType::AAAA] {
            for data in ask(resolver, asked, &host, kind).await? {
                let ip = match data {
                    RData::A(address) => IpAddr::V4(address.0),
                    RData::AAAA(address) => IpAddr::V6(address.0),
                    _ => continue,
                };
                found.addresses.push(SocketAddr::new(ip, port));
            }
        }
    }
    Ok(found)
}

async fn ask(
    resolver: &TokioResolver,
    asked: &str,
    name: &str,
    kind: RecordType,
) -> Result<Vec<RData>, LookupError> {
    let mut name = Name::from_ascii(name).map_err(|source| LookupError::Name {
        name: name.to_owned(),
        source,
    })?;
    name.set_fqdn(true);
    match resolver.lookup(name, kind).await {
        Ok(found) => Ok(found
            .answers()
            .iter()
            .map(|record| record.data.clone())
            .take(MOST)
            .collect()),
        Err(NetError::Dns(DnsError::NoRecordsFound(_))) => Ok(Vec::new()),
        Err(source) => Err(LookupError::Answer {
            asked: asked.to_owned(),
            source,
        }),
    }
}

fn judge(subject: &Subject, found: &Found, asked: &str) -> CheckResult {
    let domain = &subject.domain;
    let finding = |severity, what: String, advice: String| -> CheckResult {
        Finding::new(severity, Blame::Configuration, what, advice).into()
    };
    let wanted = format!(
        "_xmpp-server._tcp.{domain} SRV 0 0 {} and the address {}",
        subject.address.port(),
        subject.address.ip()
    );
    if found.declined {
        return finding(
            Severity::Warning,
            format!("the SRV record of {domain} says that it takes no servers (target '.')"),
            format!("other servers will not come; publish {wanted}"),
        );
    }
    if found.addresses.is_empty() {
        let hosts: Vec<&str> = found
            .services
            .iter()
            .map(|(host, _)| host.as_str())
            .collect();
        let (severity, what) = if hosts.is_empty() {
            (
                Severity::Note,
                format!("{domain} has neither an SRV record nor an address, says {asked}"),
            )
        } else {
            (
                Severity::Warning,
                format!(
                    "the SRV record of {domain} leads to {}, which has no address",
                    hosts.join(", ")
                ),
            )
        };
        return finding(
            severity,
            what,
            format!("a run does not need it; for other servers publish {wanted}"),
        );
    }
    let places: Vec<String> = found.addresses.iter().map(ToString::to_string).collect();
    let places = places.join(", ");
    if !found.addresses.contains(&subject.address) {
        return finding(
            Severity::Warning,
            format!(
                "other servers would find {domain} at {places}, not at {}",
                subject.address
            ),
            format!("is the right server under test? else publish {wanted}"),
        );
    }
    if found.services.is_empty() {
        return CheckResult::fine(format!("{places}, without an SRV record"));
    }
    CheckResult::fine(format!("SRV and address lead to {places}"))
}

#[cfg(test)]
mod tests {
    use simulated_partners::dns::{Answer, Data, Dns, Kind};

    use super::super::tests::subject;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    async fn looked_up(set: impl FnOnce(&Dns, &Subject)) -> CheckResult {
        let dns = Dns::start().expect("a free port");
        let subject = Subject {
            public_dns: PublicDns::NameServer(dns.address()),
            ..subject(7)
        };
        set(&dns, &subject);
        records(&subject, PATIENCE).await
    }

    fn what(result: &CheckResult) -> (Severity, &str) {
        let finding = result.findings().first().expect("a finding");
        (finding.severity, &finding.what)
    }

    #[tokio::test]
    async fn records_that_lead_to_the_target_are_fine() {
        let result = looked_up(|dns, subject| {
            let records = dns.records();
            records
                .server(&subject.domain, subject.address)
                .expect("names");
        })
        .await;
        assert!(matches!(result, CheckResult::Fine { .. }), "{result:?}");
    }

    #[tokio::test]
    async fn records_that_lead_elsewhere_or_nowhere_are_reported() {
        let elsewhere = looked_up(|dns, subject| {
            let other = ([127, 0, 0, 1], 4).into();
            dns.records().server(&subject.domain, other).expect("names");
        })
        .await;
        let (severity, text) = what(&elsewhere);
        assert_eq!(severity, Severity::Warning);
        assert!(
            text.contains("at 127.0.0.1:4, not at 127.0.0.1:9"),
            "{text}"
        );

        let nowhere = looked_up(|_, _| {}).await;
        let (severity, text) = what(&nowhere);
        assert_eq!(severity, Severity::Note);
        assert!(
            text.contains("neither an SRV record nor an address"),
            "{text}"
        );

        let declined = looked_up(|dns, subject| {
            let service = Data::Service {
                priority: 0,
                weight: 0,
                port: 0,
                target: ".".to_owned(),
            };
            let name = format!("_xmpp-server._tcp.{}", subject.domain);
            let records = dns.records();
            records
                .set(&name, Kind::Srv, Answer::Records(vec![service]))
                .expect("names");
        })
        .await;
        assert!(
            what(&declined).1.contains("takes no servers"),
            "{declined:?}"
        );
    }

    #[tokio::test]
    async fn a_name_server_that_fails_is_no_finding_about_the_target() {
        let result = looked_up(|dns, subject| {
            let name = format!("_xmpp-server._tcp.{}", subject.domain);
            dns.records()
                .set(&name, Kind::Srv, Answer::ServFail)
                .expect("names");
        })
        .await;
        assert!(matches!(result, CheckResult::NotSeen { .. }), "{result:?}");
    }

    #[tokio::test]
    async fn a_domain_that_is_no_name_is_not_blamed_on_the_name_server() {
        let dns = Dns::start().expect("a free port");
        let subject = Subject {
            public_dns: PublicDns::NameServer(dns.address()),
            domain: "a..example".to_owned(),
            ..subject(7)
        };
        let CheckResult::NotSeen { why } = records(&subject, PATIENCE).await else {
            panic!("a name")
        };
        assert!(
            why.starts_with("`_xmpp-server._tcp.a..example` is no name for DNS: "),
            "{why}"
        );
    }

    #[test]
    fn name_servers_of_the_system_are_read() {
        let text = "# x\nsearch example\nnameserver 192.0.2.1\n nameserver\t::1\nnameserver\n";
        let found: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
