//! Sockets, TLS and clocks for the machines of [`stream`](crate::stream): the only code of the
//! partners that waits.
//!
//! A [`Partner`] listens and dials as one simulated server. Each connection is a task that passes
//! bytes to its machine and carries out the machine's actions; it does not interpret them.

mod capture;
mod connection;
mod hole;
mod listener;
mod loopback;
mod outbox;
mod place;
mod recorder;
mod released;
mod settle;
mod setup;
mod socket;
mod taken;
mod traffic;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::board::Board;
use crate::event::{ConnectionKind, Event};
use crate::persona::AuthorityFact;
use crate::stream::{KeyAnswer, Machine, PartnerConfig, Purpose, Question};
use crate::wire::Element;
pub use capture::{Capture, Segment, Sent, Stream, Traffic};
use connection::Opened;
use listener::Listener;
pub use place::Place;
use place::reserve;
use recorder::Recorder;
pub use released::{Over, Released};
pub use settle::Ahead;
use settle::Readers;
pub use setup::PartnerSetup;
use socket::Tcp;

/// The default limit on concurrent connections of a partner.
pub const CONNECTIONS: usize = 32;

/// The maximum limit on concurrent connections of a partner.
pub const MOST_CONNECTIONS: usize = 256;

/// The time limit for closing cleanly when a partner is stopped.
const FAREWELL: Duration = Duration::from_millis(100);

/// A running simulated server. Dropping it stops it.
pub struct Partner {
    shared: Arc<Shared>,
    address: SocketAddr,
    events: recorder::Events,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
    /// Reserves a port on which nothing listens.
    _reserved: Option<socket2::Socket>,
}

/// A connection to the target on which stanzas are sent on request. It lives as long as its
/// partner.
#[derive(Clone, Debug)]
pub struct Entry {
    stanzas: mpsc::UnboundedSender<Element>,
}

impl Entry {
    /// Sends a stanza as soon as the connection is authenticated. If that never happens, the stanza is
    /// dropped; the partner's events show why.
    pub fn send(&self, stanza: Element) {
        // A lost connection has left an event.
        let _ = self.stanzas.send(stanza);
    }
}

/// State shared by a partner's tasks. It is dropped when the last of them has ended.
struct Shared {
    config: Arc<PartnerConfig>,
    target: Mutex<SocketAddr>,
    source: Option<IpAddr>,
    direct_tls: Option<SocketAddr>,
    /// What it asks for in handshakes, if that is not the domain that it addresses.
    server_name: Option<ServerName<'static>>,
    roots: Arc<RootCertStore>,
    server_tls: Arc<ServerConfig>,
    client_tls: Arc<ClientConfig>,
    recorder: Recorder,
    readers: Readers,
    /// Takes connections as soon as they are authenticated.
    releases: Option<mpsc::UnboundedSender<Released>>,
    slots: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    runtime: Handle,
    board: Board,
    capture: Option<Capture>,
    numbers: Numbers,
    dials: Dials,
    /// Segments sent that others follow.
    segments: AtomicU64,
    _ended: mpsc::Sender<()>,
}

/// The number of connections of each kind.
#[derive(Debug, Default)]
struct Numbers {
    outbound: AtomicU16,
    inbound: AtomicU16,
    verification: AtomicU16,
}

impl Numbers {
    /// The next number, from 1. It saturates at the maximum.
    fn next(&self, kind: ConnectionKind) -> u16 {
        let number = match kind {
            ConnectionKind::Outbound => &self.outbound,
            ConnectionKind::Inbound => &self.inbound,
            ConnectionKind::Verification => &self.verification,
        };
        let before = number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
            number.checked_add(1)
        });
        before.map_or(u16::MAX, |before| before + 1)
    }
}

/// The dials of a partner that have not led to a connection yet.
#[derive(Debug, Default)]
struct Dials {
    under_way: Arc<()>,
    /// Ends with the latest.
    latest: Mutex<Option<oneshot::Receiver<()>>>,
}

/// A dial that has not led to a connection yet.
struct Dial {
    /// Ends with the one before.
    before: Option<oneshot::Receiver<()>>,
    _ended: oneshot::Sender<()>,
    _under_way: Arc<()>,
}

impl Dials {
    fn begin(&self) -> Dial {
        let (ended, end) = oneshot::channel();
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        Dial {
            before: latest.replace(end),
            _ended: ended,
            _under_way: Arc::clone(&self.under_way),
        }
    }

    fn are_under_way(&self) -> bool {
        Arc::strong_count(&self.under_way) > 1
    }
}

impl Dial {
    /// Returns when the earlier ones have led to something: connections count in the order in which
    /// they are dialled, however they overtake each other.
    async fn turn(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent, but the sender goes.
            let _ = before.await;
        }
    }
}

impl Partner {
    /// Starts a partner on the current runtime.
    ///
    /// A persona whose authority is unreachable gets a port without a listener.
    ///
    /// # Errors
    /// When it cannot listen, or supports no TLS version.
    pub async fn start(setup: PartnerSetup) -> io::Result<Self> {
        Self::start_with(setup, None).await
    }

    /// Starts a partner that hands each connection over as soon as stanzas may pass on it.
    ///
    /// # Errors
    /// As [`Partner::start`].
    pub async fn start_releasing(
        setup: PartnerSetup,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Released>)> {
        let (releases, released) = mpsc::unbounded_channel();
        let partner = Self::start_with(setup, Some(releases)).await?;
        Ok((partner, released))
    }

    async fn start_with(
        setup: PartnerSetup,
        releases: Option<mpsc::UnboundedSender<Released>>,
    ) -> io::Result<Self> {
        let offer = &setup.persona.offer;
        let identity = setup.identity.as_ref();
        let (tls_options, versions) = (&setup.tls, &offer.tls_versions);
        let server_tls = tls_options
            .server(identity, versions, &setup.roots)
            .map_err(io::Error::other)?;
        let client_tls = tls_options
            .client(identity, versions)
            .map_err(io::Error::other)?;
        let capture = setup.capture;
        let (server_tls, client_tls) = capture::logging(server_tls, client_tls, capture.as_ref());
        let server_name = tls_options.asks_for();
        let unreachable = setup.persona.facts.authority == AuthorityFact::Unreachable;
        let (listener, reserved, address) = if unreachable {
            let (socket, address) = reserve(setup.listen)?;
            (None, Some(socket), address)
        } else {
            let listener = Listener::at(setup.listen, setup.accepts).await?;
            let address = listener.address()?;
            (Some(listener), None, address)
        };
        let (recorder, events) = Recorder::new();
        let (stop, stopped) = watch::channel(false);
        let (ended_sender, ended) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            server_name,
            config: Arc::new(PartnerConfig {
                domain: setup.domain,
                persona: setup.persona,
                identity: setup.identity,
                target_domain: setup.target_domain,
                other_domains: setup.other_domains,
                secret: setup.secret,
                patience: setup.patience,
                answers: setup.answers,
                insists: setup.insists,
                values: setup.values,
                seed: setup.seed,
            }),
            target: Mutex::new(setup.target),
            source: setup.source,
            direct_tls: setup.direct_tls,
            roots: setup.roots,
            server_tls,
            client_tls,
            recorder,
            readers: Readers::default(),
            releases,
            slots: Arc::new(Semaphore::new(setup.connections.clamp(1, MOST_CONNECTIONS))),
            stop: stopped,
            runtime: Handle::current(),
            board: setup.board,
            capture,
            numbers: Numbers::default(),
            dials: Dials::default(),
            segments: AtomicU64::new(0),
            _ended: ended_sender,
        });
        if let Some(listener) = listener {
            let requests = shared.readers.join();
            tokio::spawn(listener.serve(Arc::clone(&shared), requests));
        }
        Ok(Self {
            shared,
            address,
            events,
            stop,
            ended,
            _reserved: reserved,
        })
    }

    /// When it was started: the time from which its events count.
    pub fn started(&self) -> Instant {
        self.shared.recorder.started()
    }

    /// The address where it listens, or would.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many segments it has sent of texts that it sends in pieces. What is not whole makes no event.
    pub fn segments(&self) -> u64 {
        self.shared.segments.load(Ordering::Relaxed)
    }

    /// Dials the target at another address from now on.
    pub fn faces(&self, target: SocketAddr) {
        *self.shared.target() = target;
    }

    /// Dials the target to deliver a stanza.
    pub fn dial(&self, stanza: Element) {
        self.shared.dial(Purpose::Deliver(stanza), None, None);
    }

    /// Dials the target and authenticates. Stanzas follow when they are passed to the entry.
    pub fn enter(&self) -> Entry {
        let (stanzas, receiver) = mpsc::unbounded_channel();
        self.shared.dial(Purpose::Enter, None, Some(receiver));
        Entry { stanzas }
    }

    /// The next observation, in order. Waits if there is none;
    /// cancel-safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.next().await
    }

    /// Returns once everything that has reached its sockets by now has been read and is among its events:
    /// what it is going to do then, if nothing more comes.
    pub async fn settle(&self) -> Ahead {
        let ahead = self.shared.readers.settle().await;
        match self.shared.dials.are_under_way() {
            true => Ahead::Soon,
            false => ahead,
        }
    }

    /// Ends all connections and returns the remaining observations. When it returns, all tasks have ended
    /// and all sockets are closed.
    pub async fn stop(self) -> Vec<Event> {
        let Self {
            shared,
            mut events,
            stop,
            mut ended,
            ..
        } = self;
        // Without a receiver, no task is left.
        let _ = stop.send(true);
        drop(shared);
        let _ = ended.recv().await;
        let mut rest = Vec::new();
        while let Some(event) = events.next().await {
            rest.push(event);
        }
        rest
    }
}

impl fmt::Debug for Partner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partner")
            .field("domain", &self.shared.config.domain)
            .field("persona", &self.shared.config.persona.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Opens a connection to the target. `asker` receives a verification's result, and `stanzas` are
    /// sent by an entered connection.
    fn dial(
        self: &Arc<Self>,
        purpose: Purpose,
        asker: Option<connection::Asker>,
        stanzas: Option<mpsc::UnboundedReceiver<Element>>,
    ) {
        let shared = Arc::clone(self);
        let kind = purpose.kind();
        let number = self.numbers.next(kind);
        let mut dial = self.dials.begin();
        self.runtime.spawn(async move {
            let slot = Arc::clone(&shared.slots).try_acquire_owned();
            let connected = match &slot {
                Ok(_) => shared.connect(&purpose, number).await,
                Err(_) => Err(io::ErrorKind::ResourceBusy.into()),
            };
            dial.turn().await;
            match connected {
                Ok(stream) => {
                    let opened = shared.opened(stream, kind);
                    drop(dial);
                    connection::run(&shared, opened, purpose, number, asker, stanzas).await
                }
                Err(error) => {
                    shared.recorder.connect_failed(kind, error.kind());
                    if let Some(asker) = asker {
                        asker.send(KeyAnswer::Undecided(match error.kind() {
                            io::ErrorKind::TimedOut => "remote-server-timeout",
                            _ => "remote-connection-failed",
                        }));
                    }
                }
            }
            drop(slot);
        });
    }

    fn opened(&self, stream: TcpStream, kind: ConnectionKind) -> Opened {
        let capture = self.capture.as_ref();
        let tap = capture.and_then(|capture| capture.tap(&stream, kind.direction()));
        Opened {
            stream: Tcp::new(stream, tap),
            connection: self.recorder.opened(kind),
            requests: self.readers.join(),
        }
    }

    fn target(&self) -> MutexGuard<'_, SocketAddr> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, purpose: &Purpose, number: u16) -> io::Result<TcpStream> {
        let mut stop = self.stop.clone();
        let target = match self.direct_tls {
            Some(direct) if Machine::dials_with_tls(&self.config, purpose, number) => direct,
            _ => *self.target(),
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => Err(io::ErrorKind::Interrupted.into()),
            connected = timeout(self.config.patience, dial(target, self.source)) => {
                connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn verify(self: &Arc<Self>, question: Question, asker: connection::Asker) {
        self.dial(Purpose::Verify(question), Some(asker), None);
    }
}

/// Connects, from an address if it can be had.
async fn dial(target: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source.filter(|source| source.is_ipv4() && target.is_ipv4()) else {
        return TcpStream::connect(target).await;
    };
    let socket = TcpSocket::new_v4()?;
    match socket.bind((source, 0).into()) {
        Ok(()) => socket.connect(target).await,
        Err(_) => TcpStream::connect(target).await,
    }
}
