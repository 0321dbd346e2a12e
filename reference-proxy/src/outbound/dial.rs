//! Dials a partner.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

use super::plan::after_colon;
use crate::context::Context;
use crate::domain::Domain;
use crate::resolve::{ResolveError, Server};
use crate::stream::Connection;

/// The maximum number of servers of a partner to try before its stanzas are returned.
const MOST_SERVERS: usize = 3;

/// Connects from the source address of the same family, if there is one.
async fn dial(address: SocketAddr, sources: &[IpAddr]) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    let mut sources = sources.iter();
    if let Some(source) = sources.find(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(SocketAddr::new(*source, 0))?;
    }
    socket.connect(address).await
}

/// Why there is no TCP connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    #[error(transparent)]
    Unresolved(#[from] ResolveError),
    #[error("none of {addresses} addresses answers{}", after_colon(.last.as_ref()))]
    Unanswered {
        addresses: usize,
        /// What came of the last one.
        last: Option<String>,
    },
}

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) connection: Connection,
    pub(super) peer: SocketAddr,
    /// Whether TLS comes first.
    pub(super) direct: bool,
}

/// A partner's servers still to be tried, in this order.
#[derive(Debug)]
pub(super) struct Servers {
    left: VecDeque<Server>,
    /// The address of the last connection.
    last: Option<Server>,
    addresses: usize,
    tried: usize,
}

impl Servers {
    /// Looks up a partner's servers.
    pub(super) async fn of(context: &Context, domain: &Domain) -> Result<Self, Unreachable> {
        let config = &context.config;
        let partner = config.partner(domain);
        let proxy = partner.and_then(|partner| partner.proxy.as_ref());
        let tls = partner.is_some_and(|partner| partner.terms.allows_tls());
        let direct = config.settings.direct_tls && tls;
        let addresses = context.resolver.targets(domain, proxy, direct).await?;
        Ok(Self {
            addresses: addresses.len(),
            left: addresses.into(),
            last: None,
            tried: 0,
        })
    }

    /// Where the next connection leads.
    pub(super) fn first(&self) -> Option<SocketAddr> {
        self.left.front().map(|server| server.address)
    }

    /// Connects to the first server that answers.
    pub(super) async fn connect(
        &mut self,
        context: &Context,
        domain: &Domain,
    ) -> Result<Dialled, Unreachable> {
        let limits = &context.config.settings.limits;
        let mut last = None;
        while let Some(server) = self.left.pop_front() {
            let dialled = dial(server.address, &context.config.settings.source);
            let dialled = context.clock.timeout(limits.connect_timeout, dialled);
            match dialled.await {
                Ok(Ok(stream)) => {
                    self.last = Some(server);
                    self.tried += 1;
                    return Ok(Dialled {
                        connection: Connection::new(stream, limits, &context.clock),
                        peer: server.address,
                        direct: server.direct,
                    });
                }
                Ok(Err(error)) => {
                    tracing::debug!(%domain, %server, %error, "no connection");
                    last = Some(format!("{server}, {error}"));
                }
                Err(_) => {
                    tracing::debug!(%domain, %server, "no connection in time");
                    last = Some(format!("{server}, no connection in time"));
                }
            }
        }
        Err(Unreachable::Unanswered {
            addresses: self.addresses,
            last,
        })
    }

    /// Directs the next connection to the same server as the last one.
    pub(super) fn stay(&mut self) {
        if let Some(server) = self.last.take() {
            self.left.push_front(server);
            self.tried -= 1;
        }
    }

    /// Whether another server may be tried after one that accepted a useless connection (RFC 2782:
    /// the client goes on until a service answers).
    pub(super) fn has_more(&self) -> bool {
        self.tried < MOST_SERVERS && !self.left.is_empty()
    }
}
