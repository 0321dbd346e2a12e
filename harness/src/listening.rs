//! The processes of this machine that listen at an address, as the kernel shows them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

/// Bytes of a table that the kernel makes at once.
const PAGE: usize = 4096;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
            .filter_map(|table| File::open(table).ok())
            .flat_map(|table| listeners(BufReader::with_capacity(PAGE, table), address))
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

    /// Whether it belongs to a group of processes that this one has started.
    pub(crate) fn is_of_ours(self) -> bool {
        let own = std::process::id().to_string();
        let parent_of_first = || {
            let group = self.stat(2)?;
            Self(group.parse().ok()?).stat(1)
        };
        parent_of_first().is_some_and(|parent| parent == own)
    }

    /// A field of what the kernel says of it, counted from behind its name.
    fn stat(self, field: usize) -> Option<String> {
        let stat = fs::read_to_string(self.folder().join("stat")).ok()?;
        // The name before it can hold anything.
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(field).map(str::to_owned)
    }

    /// The folder of what the kernel tells of it.
    pub(crate) fn folder(self) -> PathBuf {
        Path::new("/proc").join(self.0.to_string())
    }
}

/// The sockets that listen at an address, or at its port at all addresses, by their numbers. They come first in the
/// kernel's table, and the rest of it is not read: there may be tens of thousands.
fn listeners(table: impl BufRead, at: SocketAddr) -> Vec<String> {
    const LISTENS: &str = "0A";
    let mut found = Vec::new();
    for line in table.lines().skip(1).map_while(Result::ok) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, own, _, LISTENS, .., _] = fields[..] else {
            break;
        };
        let fits = socket_address(own).is_some_and(|own| {
            own.port() == at.port() && (own.ip().is_unspecified() || own.ip() == at.ip())
        });
        if fits && let Some(number) = fields.get(9) {
            found.push(format!("socket:[{number}]"));
        }
    }
    found
}

/// An address as the kernel's tables have it: words of 32 bits in the machine's order of bytes, and a port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.rsplit_once(':')?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(8 * at..8 * at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let address: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let bytes: [u8; 16] = words.try_into().ok()?;
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(
        address,
        u16::from_str_radix(port, 16).ok()?,
    ))
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
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_found_by_where_it_listens() {
        // At an address of its own, where nobody else listens afterwards.
        let listener = TcpListener::bind("127.45.3.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        // One that another test starts has it, too, for as long as it is no program of its own.
        let found = Process::listening_at(address);
        assert!(found.contains(&Process(std::process::id())), "{found:?}");
        let elsewhere = (Ipv4Addr::new(192, 0, 2, 1), address.port());
        assert_eq!(Process::listening_at(elsewhere.into()), []);
        drop(listener);
        let found = Process::listening_at(address);
        assert!(!found.contains(&Process(std::process::id())), "{found:?}");
    }

    #[test]
    fn only_sockets_that_listen_there_count() {
        let table = format!(
            "  sl  local_address rem_address   st tx rx tr tm retrnsmt uid timeout inode\n\
             0: {own:08X}:1495 00000000:0000 0A 0:0 0:0 0 0 0 11 1\n\
             1: {own:08X}:1496 00000000:0000 0A 0:0 0:0 0 0 0 12 1\n\
             2: {other:08X}:1495 00000000:0000 0A 0:0 0:0 0 0 0 13 1\n\
             3: 00000000:1495 00000000:0000 0A 0:0 0:0 0 0 0 14 1\n\
             4: 00000000000000000000000000000000:1495 00000000:0000 0A 0:0 0:0 0 0 0 15 1\n\
             5: x:y 00000000:0000 0A\n\
             6: {own:08X}:1495 0100007F:9000 01 0:0 0:0 0 0 0 16 1\n\
             7: {own:08X}:1495 00000000:0000 0A 0:0 0:0 0 0 0 17 1\n",
            own = u32::from_ne_bytes([127, 0, 0, 1]),
            other = u32::from_ne_bytes([127, 0, 0, 2]),
        );
        let at = SocketAddr::from(([127, 0, 0, 1], 0x1495));
        let found = ["socket:[11]", "socket:[14]", "socket:[15]"];
        assert_eq!(listeners(table.as_bytes(), at), found);
    }

    #[test]
    fn a_process_that_was_started_from_here_is_known() {
        let mut child = Command::new("sleep");
        let mut child = child.arg("60").process_group(0).spawn().expect("it starts");
        assert!(Process(child.id()).is_of_ours());
        assert!(!Process(1).is_of_ours() && !Process(std::process::id()).is_of_ours());
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    }
}
