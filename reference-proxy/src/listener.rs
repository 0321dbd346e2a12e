//! Listening sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain as Family, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::task::Stop;

/// Connections waiting to be accepted.
const BACKLOG: i32 = 1024;
/// Pause after a failed accept. Usually file descriptors have run out, and retrying at once
/// would only spin.
const BREATH: Duration = Duration::from_millis(100);

pub(crate) struct Listener {
    tcp: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Listener {
    /// Listens on the addresses, in this order. `[::]` also takes IPv4, unless an IPv4 address has the same port.
    pub(crate) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Self>, (SocketAddr, io::Error)> {
        let own_v4 = |v6: &SocketAddr| {
            let mut others = addresses.iter();
            others.any(|other| other.is_ipv4() && other.port() == v6.port() && v6.port() != 0)
        };
        let bound = addresses.iter().map(|address| {
            let listener = Self::bind(*address, own_v4(address));
            listener.map_err(|error| (*address, error))
        });
        bound.collect()
    }

    /// Listens on the address; port 0 takes any free one.
    fn bind(address: SocketAddr, only_v6: bool) -> io::Result<Self> {
        let socket = Socket::new(
            Family::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // Systems differ in what they do by themselves.
            socket.set_only_v6(only_v6)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let tcp = TcpListener::from_std(socket.into())?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, address })
    }

    /// The next connection, or `None` when the proxy stops.
    pub(crate) async fn accept(&self, stop: &mut Stop) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                () = stop.asked() => return None,
            };
            match accepted {
                Ok(connection) => return Some(connection),
                Err(error) => {
                    tracing::error!(%error, "could not accept a connection");
                    let _ = timeout(BREATH, stop.asked()).await;
                }
            }
        }
    }
}
