//! Sockets, TLS and clocks for the machines of [`stream`](crate::stream): the only code of the
//! partners that waits.
//!
//! A [`Partner`] listens and dials as one simulated server. Each connection is a task that carries
//! bytes to its machine and the machine's actions out; what a byte means is none of its business.

mod connection;
mod outbox;
mod recorder;
mod settle;
mod socket;
mod taken;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::board::Board;
use crate::event::{ConnectionKind, Event};
use crate::persona::{AuthorityFact, Persona};
use crate::pki;
use crate::stream::{PartnerConfig, Purpose, Question, Verdict};
use crate::tls;
use crate::wire::Element;
use recorder::Recorder;
use settle::{Readers, Requests};

/// Connections that a partner has at a time, as a rule.
pub const CONNECTIONS: usize = 32;

/// Connections that a partner can have at a time at most.
pub const MOST_CONNECTIONS: usize = 256;

/// How long an orderly end may take when a partner is stopped.
const FAREWELL: Duration = Duration::from_millis(100);

/// What makes a partner.
#[derive(Clone, Debug)]
pub struct PartnerSetup {
    /// The partner's domain.
    pub domain: String,
    /// How it behaves.
    pub persona: Arc<Persona>,
    /// What it shows in handshakes; none for a persona without a certificate.
    pub identity: Option<Arc<pki::Identity>>,
    /// What it does in handshakes beside that.
    pub tls: tls::TlsOptions,
    /// What it trusts.
    pub roots: Arc<RootCertStore>,
    /// The domain of the server under test.
    pub target_domain: String,
    /// Where to dial it.
    pub target: SocketAddr,
    /// What its dialback keys are made from.
    pub secret: String,
    /// How long it waits for each step.
    pub patience: Duration,
    /// Whether it answers IQ requests, on connections of its own.
    pub answers: bool,
    /// Whether a stanza that was refused is sent all the same, right before the end of the stream.
    pub insists: bool,
    /// What its stream ids are made from.
    pub seed: u64,
    /// What it shares with the other partners of its scenario.
    pub board: Board,
    /// Placeholders of its scenario, without the braces, for the texts of its reactions.
    pub values: Arc<BTreeMap<String, String>>,
    /// Connections that it has at a time, from 1 to [`MOST_CONNECTIONS`]; more are refused.
    pub connections: usize,
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
}

/// A simulated server at work. Dropping it stops it.
pub struct Partner {
    shared: Arc<Shared>,
    address: SocketAddr,
    events: recorder::Events,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
    /// Keeps a port from others on which nobody listens.
    _reserved: Option<socket2::Socket>,
}

/// A connection to the target on which stanzas are sent when they are wanted. It lives as long as its
/// partner.
#[derive(Clone, Debug)]
pub struct Entry {
    stanzas: mpsc::UnboundedSender<Element>,
}

impl Entry {
    /// Sends a stanza as soon as the connection is authenticated. Where that never comes the stanza is
    /// dropped; the partner's events tell why.
    pub fn send(&self, stanza: Element) {
        // A connection that is gone has left an event.
        let _ = self.stanzas.send(stanza);
    }
}

/// What the tasks of a partner have in common. It is gone when the last of them has ended.
struct Shared {
    profile: Arc<PartnerConfig>,
    target: Mutex<SocketAddr>,
    server_name: Option<ServerName<'static>>,
    roots: Arc<RootCertStore>,
    server_tls: Arc<ServerConfig>,
    client_tls: Arc<ClientConfig>,
    recorder: Recorder,
    readers: Readers,
    slots: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    runtime: Handle,
    board: Board,
    numbers: Numbers,
    _ended: mpsc::Sender<()>,
}

/// How many connections of each kind there were.
#[derive(Debug, Default)]
struct Numbers {
    incoming: AtomicU16,
    outgoing: AtomicU16,
    verify: AtomicU16,
}

impl Numbers {
    /// The number of one more, from 1. Past the last number all have that.
    fn next(&self, kind: ConnectionKind) -> u16 {
        let number = match kind {
            ConnectionKind::Outbound => &self.incoming,
            ConnectionKind::Inbound => &self.outgoing,
            ConnectionKind::Verification => &self.verify,
        };
        let before = number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
            number.checked_add(1)
        });
        before.map_or(u16::MAX, |before| before + 1)
    }
}

impl Partner {
    /// Starts a partner on the runtime that this is called from.
    ///
    /// A persona whose authority is unreachable gets a port without a listener.
    ///
    /// # Errors
    /// When it cannot listen, or speaks no TLS version at all.
    pub async fn start(setup: PartnerSetup) -> io::Result<Self> {
        let offer = &setup.persona.offer;
        let identity = setup.identity.as_ref();
        let (tls_options, versions) = (&setup.tls, &offer.tls_versions);
        let server_tls = tls_options
            .server(identity, versions, &setup.roots)
            .map_err(io::Error::other)?;
        let client_tls = tls_options
            .client(identity, versions)
            .map_err(io::Error::other)?;
        let server_name = tls_options
            .asks_for()
            .or_else(|| ServerName::try_from(setup.target_domain.clone()).ok());
        let unreachable = setup.persona.facts.authority == AuthorityFact::Unreachable;
        let (listener, reserved, address) = if unreachable {
            let (socket, address) = reserve(setup.listen)?;
            (None, Some(socket), address)
        } else {
            let listener = TcpListener::bind(setup.listen).await?;
            let address = listener.local_addr()?;
            (Some(listener), None, address)
        };
        let (recorder, events) = Recorder::new();
        let (stop, stopped) = watch::channel(false);
        let (ended_sender, ended) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            server_name,
            profile: Arc::new(PartnerConfig {
                domain: setup.domain,
                persona: setup.persona,
                identity: setup.identity,
                target_domain: setup.target_domain,
                secret: setup.secret,
                patience: setup.patience,
                answers: setup.answers,
                insists: setup.insists,
                values: setup.values,
                seed: setup.seed,
            }),
            target: Mutex::new(setup.target),
            roots: setup.roots,
            server_tls,
            client_tls,
            recorder,
            readers: Readers::default(),
            slots: Arc::new(Semaphore::new(setup.connections.clamp(1, MOST_CONNECTIONS))),
            stop: stopped,
            runtime: Handle::current(),
            board: setup.board,
            numbers: Numbers::default(),
            _ended: ended_sender,
        });
        if let Some(listener) = listener {
            let requests = shared.readers.join();
            tokio::spawn(accept(Arc::clone(&shared), listener, requests));
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

    /// Where it listens, or would.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Dials the target at another address from now on.
    pub fn faces(&self, target: SocketAddr) {
        *self.shared.target() = target;
    }

    /// Dials the target to get a stanza through.
    pub fn dial(&self, stanza: Element) {
        self.shared.dial(Purpose::Deliver(stanza), None, None);
    }

    /// Dials the target and authenticates. Stanzas follow when they are handed to the entry.
    pub fn enter(&self) -> Entry {
        let (stanzas, receiver) = mpsc::unbounded_channel();
        self.shared.dial(Purpose::Enter, None, Some(receiver));
        Entry { stanzas }
    }

    /// The next observation, in the order in which things happened. Waits as long as nothing
    /// happens; can be cancelled without loss.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.next().await
    }

    /// Returns once everything that has reached its sockets by now was taken in and is among its events.
    pub async fn settle(&self) {
        self.shared.readers.settle().await;
    }

    /// Ends all connections and gives what was observed and not taken yet. All tasks have ended and
    /// all sockets are closed when it returns.
    pub async fn stop(self) -> Vec<Event> {
        let Self {
            shared,
            mut events,
            stop,
            mut ended,
            ..
        } = self;
        // Without a receiver no task is left.
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
            .field("domain", &self.shared.profile.domain)
            .field("persona", &self.shared.profile.persona.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Opens a connection to the target. `report` gets the verdict of a verification, `stanzas` are
    /// what an entered connection sends.
    fn dial(
        self: &Arc<Self>,
        purpose: Purpose,
        report: Option<connection::Report>,
        stanzas: Option<mpsc::UnboundedReceiver<Element>>,
    ) {
        let shared = Arc::clone(self);
        let kind = purpose.kind();
        let number = self.numbers.next(kind);
        self.runtime.spawn(async move {
            let slot = Arc::clone(&shared.slots).try_acquire_owned();
            let connected = match &slot {
                Ok(_) => shared.connect().await,
                Err(_) => Err(io::ErrorKind::ResourceBusy.into()),
            };
            match connected {
                Ok(stream) => {
                    let requests = shared.readers.join();
                    connection::run(&shared, stream, purpose, number, report, stanzas, requests)
                        .await
                }
                Err(error) => {
                    shared.recorder.connect_failed(kind, error.kind());
                    if let Some(report) = report {
                        report.send(Verdict::Undecided(match error.kind() {
                            io::ErrorKind::TimedOut => "remote-server-timeout",
                            _ => "remote-connection-failed",
                        }));
                    }
                }
            }
            drop(slot);
        });
    }

    fn target(&self) -> MutexGuard<'_, SocketAddr> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let mut stop = self.stop.clone();
        let target = *self.target();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => Err(io::ErrorKind::Interrupted.into()),
            connected = timeout(self.profile.patience, TcpStream::connect(target)) => {
                connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn verify(self: &Arc<Self>, question: Question, report: connection::Report) {
        self.dial(Purpose::Verify(question), Some(report), None);
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, mut requests: Requests) {
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => accepted,
            Some(done) = requests.recv() => {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                // Out of descriptors, as a rule: others have to end first.
                let stopped = timeout(FAREWELL, stop.wait_for(|stopped| *stopped)).await;
                if stopped.is_ok() {
                    return;
                }
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
            tracing::warn!(domain = shared.profile.domain, "too many connections");
            continue;
        };
        let shared = Arc::clone(&shared);
        let number = shared.numbers.next(ConnectionKind::Outbound);
        let requests = shared.readers.join();
        tokio::spawn(async move {
            connection::run(
                &shared,
                stream,
                Purpose::Serve,
                number,
                None,
                None,
                requests,
            )
            .await;
            drop(slot);
        });
    }
}

/// Binds a port without listening, so that connections to it are refused for sure.
fn reserve(address: SocketAddr) -> io::Result<(socket2::Socket, SocketAddr)> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    socket.bind(&address.into())?;
    let bound = socket
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, bound))
}
