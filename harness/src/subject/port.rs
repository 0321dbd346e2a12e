//! Ports for servers of ours.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use simulated_partners::driver::Place;

/// The first of the ports that are asked for.
const FIRST_PORT: u16 = 10_000;
/// The end of them. Behind it are the ports of partners' domains, which begin to listen only later, too.
const END_OF_PORTS: u16 = 20_000;

/// A loopback address whose port is free for TCP and UDP now, and that this process gives out once.
///
/// A server takes that a while later, when many connections have begun. So it is none of those that
/// the system gives to them.
///
/// # Errors
///
/// That of the last port that was tried if none is free.
pub fn free_address() -> io::Result<SocketAddr> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let end = system_ports().map_or(END_OF_PORTS, |first| first.min(END_OF_PORTS));
    let end = end.max(FIRST_PORT + 1);
    let count = u32::from(end - FIRST_PORT);
    // Runs side by side begin in different places.
    let begin = std::process::id().wrapping_mul(61);
    let mut refused = None;
    for _ in 0..count {
        let step = u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let offset = begin.wrapping_add(step) % count;
        let port = FIRST_PORT + u16::try_from(offset).unwrap_or_default();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if !claim(port) {
            continue;
        }
        // It does not listen: a process that is forked meanwhile has a copy of the socket until it executes its
        // program, and connections to the port have to be refused at once.
        match Place::at(address) {
            Ok(_) => return Ok(address),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::other("no loopback port is free")))
}

/// Keeps other runs from giving out the same port while its server does not listen yet. Returns whether none does.
#[cfg(target_os = "linux")]
fn claim(port: u16) -> bool {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};
    use std::sync::Mutex;

    /// A name outside of the file system, which ends with the process.
    static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let name = SocketAddr::from_abstract_name(format!("s2spec-port-{port}"));
    match name.and_then(|name| UnixListener::bind_addr(&name)) {
        Ok(claimed) => {
            let mut held = HELD
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            held.push(claimed);
            true
        }
        Err(error) => error.kind() != io::ErrorKind::AddrInUse,
    }
}

/// Elsewhere, runs side by side only begin in different places.
#[cfg(not(target_os = "linux"))]
const fn claim(_port: u16) -> bool {
    true
}

/// The first port that the system gives out itself.
fn system_ports() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{TcpListener, TcpStream};

    use tokio::net::TcpSocket;

    use super::*;

    #[test]
    fn ports_are_given_once_and_are_none_of_the_systems() {
        let free = || free_address().expect("a port").port();
        let ports: BTreeSet<u16> = (0..20).map(|_| free()).collect();
        assert_eq!(ports.len(), 20);
        let end = system_ports().unwrap_or(END_OF_PORTS);
        assert!(ports.iter().all(|&port| port < end));
    }

    /// With a copy of the probe's socket, as a forked process has for a while.
    #[test]
    fn a_copy_of_a_probe_neither_listens_nor_keeps_a_server_away() {
        let address = free_address().expect("a port");
        let copy = TcpSocket::new_v4().expect("a socket");
        copy.set_reuseaddr(true).expect("it can be shared");
        copy.bind(address).expect("it is free");
        Place::at(address).expect("it still is");
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        TcpListener::bind(address).expect("a server can have it");
        drop(copy);
    }

    #[test]
    fn a_port_where_a_server_listens_is_not_free() {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("it has one");
        let refused = Place::at(address).expect_err("it listens there");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_that_was_given_is_claimed_for_all_runs() {
        let given = free_address().expect("a port").port();
        assert!(!claim(given), "whoever asks again, in any process");
    }
}
