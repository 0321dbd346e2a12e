//! The bytes of connections as they are on the wire, and the secrets of their TLS.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::{ClientConfig, KeyLog, KeyLogFile, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::event::{Direction, Party};
use crate::pki::system_time;

/// The most bytes of a capture, secrets included: a target that sends endlessly must not fill memory.
const MOST: usize = 1024 * 1024;

/// The traffic of some partners. Clones record into the same.
#[derive(Clone, Debug)]
pub struct Capture(Arc<Mutex<Traffic>>);

/// What was captured.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// When the capture began.
    pub began: SystemTime,
    /// The connections, in the order of opening.
    pub connections: Vec<Stream>,
    /// The secrets of TLS, in lines of the format of `SSLKEYLOGFILE`.
    pub secrets: String,
    /// Whether something was left out, because it was too much.
    pub is_cut: bool,
    instant: Instant,
    size: usize,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Who dialled.
    pub direction: Direction,
    /// The address of the partner.
    pub partner: SocketAddr,
    /// The address of the target.
    pub target: SocketAddr,
    /// When it was opened, since the capture began.
    pub opened: Duration,
    /// What was sent, in order.
    pub segments: Vec<Segment>,
}

/// Something that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When, since the capture began.
    pub at: Duration,
    /// By whom.
    pub from: Party,
    /// What.
    pub what: Sent,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The end of one direction.
    Fin,
    /// A reset.
    Reset,
}

impl Default for Capture {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Traffic {
            began: system_time(),
            connections: Vec::new(),
            secrets: String::new(),
            is_cut: false,
            instant: Instant::now(),
            size: 0,
        })))
    }
}

impl Capture {
    /// What was captured so far.
    pub fn traffic(&self) -> Traffic {
        self.lock().clone()
    }

    /// Records a connection from here on.
    pub(super) fn tap(&self, stream: &TcpStream, direction: Direction) -> Option<Tap> {
        // A connection that is gone already has nothing to record.
        let (partner, target) = (stream.local_addr().ok()?, stream.peer_addr().ok()?);
        let mut traffic = self.lock();
        let opened = traffic.instant.elapsed();
        traffic.connections.push(Stream {
            direction,
            partner,
            target,
            opened,
            segments: Vec::new(),
        });
        Some(Tap {
            connection: traffic.connections.len() - 1,
            capture: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    /// Whether there is room for so many bytes more, which are then taken.
    fn takes(&mut self, bytes: usize) -> bool {
        let fits = !self.is_cut && self.size + bytes <= MOST;
        if fits {
            self.size += bytes;
        }
        self.is_cut |= !fits;
        fits
    }
}

/// Records one connection. When it goes, the connection has ended.
#[derive(Debug)]
pub(super) struct Tap {
    capture: Capture,
    connection: usize,
}

impl Tap {
    pub(super) fn bytes(&self, from: Party, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.push(from, Sent::Bytes(bytes.to_vec()), bytes.len());
        }
    }

    pub(super) fn end(&self, from: Party, what: Sent) {
        self.push(from, what, 0);
    }

    /// After the end of a direction, nothing of it is recorded but a reset, and after a reset nothing.
    fn push(&self, from: Party, what: Sent, size: usize) {
        let mut traffic = self.capture.lock();
        let segments = &traffic.connections[self.connection].segments;
        let over = segments.iter().rev().any(|one| match one.what {
            Sent::Bytes(_) => false,
            Sent::Fin => one.from == from && what != Sent::Reset,
            Sent::Reset => true,
        });
        if over || !traffic.takes(size) && size > 0 {
            return;
        }
        let at = traffic.instant.elapsed();
        let segment = Segment { at, from, what };
        traffic.connections[self.connection].segments.push(segment);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end(Party::Partner, Sent::Fin);
    }
}

/// Where secrets of TLS go.
#[derive(Debug)]
struct Secrets {
    /// The file that `SSLKEYLOGFILE` names.
    file: Option<&'static KeyLogFile>,
    capture: Option<Capture>,
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if let Some(file) = self.file {
            file.log(label, client_random, secret);
        }
        if let Some(capture) = &self.capture {
            let mut traffic = capture.lock();
            let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
            if traffic.takes(line.len()) {
                traffic.secrets += &line;
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes all text");
    }
    text
}

/// The file that `SSLKEYLOGFILE` names, if it does: opened once, for all partners.
fn key_log_file() -> Option<&'static KeyLogFile> {
    static FILE: OnceLock<Option<KeyLogFile>> = OnceLock::new();
    let open = || std::env::var_os("SSLKEYLOGFILE").map(|_| KeyLogFile::new());
    FILE.get_or_init(open).as_ref()
}

/// The same configurations, in which secrets are logged if anybody wants them.
pub(super) fn logging(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    capture: Option<&Capture>,
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let file = key_log_file();
    if file.is_none() && capture.is_none() {
        return (server, client);
    }
    let log: Arc<dyn KeyLog> = Arc::new(Secrets {
        file,
        capture: capture.cloned(),
    });
    let (mut server, mut client) = (Arc::unwrap_or_clone(server), Arc::unwrap_or_clone(client));
    server.key_log = Arc::clone(&log);
    client.key_log = log;
    (Arc::new(server), Arc::new(client))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn tapped() -> (Capture, Tap) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let capture = Capture::default();
        let tap = capture.tap(&stream.unwrap(), Direction::Inbound);
        (capture, tap.unwrap())
    }

    fn sent(capture: &Capture) -> Vec<(Party, Sent)> {
        let segments = capture.traffic().connections.remove(0).segments;
        segments
            .into_iter()
            .map(|one| (one.from, one.what))
            .collect()
    }

    #[tokio::test]
    async fn a_direction_ends_once_and_a_reset_ends_both() {
        let (capture, tap) = tapped().await;
        tap.bytes(Party::Partner, b"a");
        tap.end(Party::Target, Sent::Fin);
        tap.end(Party::Target, Sent::Fin);
        tap.bytes(Party::Partner, b"b");
        tap.end(Party::Partner, Sent::Reset);
        drop(tap);
        let wanted = [
            (Party::Partner, Sent::Bytes(b"a".to_vec())),
            (Party::Target, Sent::Fin),
            (Party::Partner, Sent::Bytes(b"b".to_vec())),
            (Party::Partner, Sent::Reset),
        ];
        assert_eq!(sent(&capture), wanted);
    }

    #[tokio::test]
    async fn what_is_too_much_is_left_out_and_the_end_is_kept() {
        let (capture, tap) = tapped().await;
        tap.bytes(Party::Target, &vec![0; MOST]);
        tap.bytes(Party::Target, b"more");
        drop(tap);
        assert!(capture.traffic().is_cut);
        let kept = sent(&capture);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[1], (Party::Partner, Sent::Fin));
    }
}
