//! The processes of this machine that listen at an address, as the kernel shows them.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The processes that listen at an address, as far as they are of this machine and may be looked at.
    pub(crate) fn listening_at(address: SocketAddr) -> Vec<Self> {
        // Only an address of this machine can be bound.
        if UdpSocket::bind((address.ip(), 0)).is_err() {
            return Vec::new();
        }
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let sockets: Vec<String> = tables
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .flat_map(|table| listeners(&table, address.port()))
            .collect();
        let Ok(processes) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        let processes = processes.flatten().filter_map(|process| {
            let name = process.file_name();
            name.to_str()?.parse().ok()
        });
        let listening = processes.filter(|process| holds(*process, &sockets));
        listening.map(Self).collect()
    }

    /// Whether it is this one.
    pub(crate) fn is_own(self) -> bool {
        self.0 == std::process::id()
    }

    /// The folder of what the kernel tells of it.
    pub(crate) fn folder(self) -> PathBuf {
        Path::new("/proc").join(self.0.to_string())
    }
}

/// The sockets that listen at a port, by their numbers. The address itself is not compared: a server may listen at
/// all of them.
fn listeners(table: &str, port: u16) -> Vec<String> {
    const LISTENS: &str = "0A";
    let listening = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, own) = fields.get(1)?.rsplit_once(':')?;
        let fits = u16::from_str_radix(own, 16) == Ok(port) && *fields.get(3)? == LISTENS;
        fits.then(|| fields.get(9).map(|number| format!("socket:[{number}]")))?
    });
    listening.collect()
}

/// Whether a process has one of these sockets.
fn holds(process: u32, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path());
        target.is_ok_and(|target| {
            sockets
                .iter()
                .any(|socket| target.as_os_str() == socket.as_str())
        })
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_process_is_found_by_where_it_listens() {
        // At an address of its own, where nobody else listens afterwards.
        let listener = TcpListener::bind("127.45.3.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        assert_eq!(
            Process::listening_at(address),
            [Process(std::process::id())]
        );
        let elsewhere = (std::net::Ipv4Addr::new(192, 0, 2, 1), address.port());
        assert_eq!(Process::listening_at(elsewhere.into()), []);
        drop(listener);
        assert_eq!(Process::listening_at(address), []);
    }

    #[test]
    fn only_sockets_that_listen_count() {
        let table = "  sl  local_address rem_address   st tx rx tr tm retrnsmt uid timeout inode\n\
             0: 0100007F:1495 00000000:0000 0A 0:0 0:0 0 0 0 11 1\n\
             1: 0100007F:1495 0100007F:9000 01 0:0 0:0 0 0 0 12 1\n\
             2: 0100007F:1496 00000000:0000 0A 0:0 0:0 0 0 0 13 1\n\
             3: x\n";
        assert_eq!(listeners(table, 0x1495), ["socket:[11]"]);
    }
}
