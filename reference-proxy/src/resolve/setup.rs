//! The DNS client and its name servers.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How long a missing record is cached: a new domain should be reachable soon.
const NEGATIVE_TTL: Duration = Duration::from_secs(30);

/// Why DNS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// None is given, and the system names none.
    #[error("no name server is known")]
    NoNameServer,
    /// The client cannot be built.
    #[error("the name servers cannot be used")]
    Unusable(#[from] NetError),
}

/// A client of the name servers, or of those of the system if there are none, as the proxy uses it.
///
/// # Errors
/// [`SetupError`] when there is nobody to ask.
pub fn client(servers: &[SocketAddr], patience: Duration) -> Result<TokioResolver, SetupError> {
    let system = match servers {
        [] => system_name_servers(),
        _ => Vec::new(),
    };
    let mut servers = servers.iter().chain(&system).peekable();
    if servers.peek().is_none() {
        return Err(SetupError::NoNameServer);
    }
    let configs = servers.map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
            .map(|mut connection| {
                connection.port = server.port();
                connection
            })
            .into();
        NameServerConfig::new(server.ip(), true, connections)
    });
    let config = ResolverConfig::from_name_servers(configs.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.ndots = 0;
    // Two tries within the patience: one datagram may get lost.
    options.attempts = 1;
    options.timeout = patience.div_f64(2.5);
    // Further queries fail at once instead of waiting for their turn.
    options.max_active_requests = 1024;
    options.negative_max_ttl = Some(NEGATIVE_TTL);
    Ok(builder.build()?)
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
