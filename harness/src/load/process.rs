//! The process of the target, as the kernel shows it.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

/// A process of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process(u32);

/// What it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bytes of memory that are resident.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Time on processors since it was started, to 10 ms.
    #[serde(serialize_with = "seconds", rename = "processor_s")]
    pub processor: Duration,
}

fn seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

impl Process {
    /// The process that listens at an address, if it is one of this machine that may be looked at.
    pub(super) fn listening_at(address: SocketAddr) -> Option<Self> {
        // Only an address of this machine can be bound.
        UdpSocket::bind((address.ip(), 0)).ok()?;
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let sockets: Vec<String> = tables
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .flat_map(|table| listeners(&table, address.port()))
            .collect();
        let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.parse().ok()
        });
        let mut listening = processes.filter(|process| holds(*process, &sockets));
        listening.next().map(Self)
    }

    /// What it uses now; none once it has ended.
    pub(super) fn look(self) -> Option<Usage> {
        let folder = format!("/proc/{}", self.0);
        let folder = Path::new(&folder);
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: u64 = resident?
            .trim()
            .trim_end_matches("kB")
            .trim()
            .parse()
            .ok()?;
        let descriptors = fs::read_dir(folder.join("fd")).ok()?.count();
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The name in parentheses may contain spaces; fields are counted after it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        let ticks = ticks()? + ticks()?;
        Some(Usage {
            memory: kibibytes * 1024,
            descriptors: u64::try_from(descriptors).ok()?,
            processor: Duration::from_millis(ticks * 10),
        })
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
        let process = Process::listening_at(address).expect("this one listens");
        assert_eq!(process, Process(std::process::id()));
        let usage = process.look().expect("it runs");
        assert!(usage.memory > 0 && usage.descriptors > 2);
        let elsewhere = (std::net::Ipv4Addr::new(192, 0, 2, 1), address.port());
        assert_eq!(Process::listening_at(elsewhere.into()), None);
        drop(listener);
        assert_eq!(Process::listening_at(address), None);
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
