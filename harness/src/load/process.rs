//! What the process of the target uses, as the kernel shows it.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::listening::Process;

/// What a process uses.
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

impl Usage {
    /// What a process uses now; none once it has ended.
    pub(super) fn of(process: Process) -> Option<Self> {
        let folder = process.folder();
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
        Some(Self {
            memory: kibibytes * 1024,
            descriptors: u64::try_from(descriptors).ok()?,
            processor: Duration::from_millis(ticks * 10),
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_a_process_uses_is_seen() {
        // At an address of its own, where nobody else listens afterwards.
        let listener = TcpListener::bind("127.45.3.2:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let own = Process::listening_at(address)[0];
        let usage = Usage::of(own).expect("it runs");
        assert!(usage.memory > 0 && usage.descriptors > 2);
    }
}
