//! Accepts partners' connections, and carries out the receiving entity's decisions.

mod reloading;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::action::{Action, Fatal, Input};
use super::receiving::Receiving;
use super::refusal::Refused;
use crate::certificate::{CertificateRequest, Judged};
use crate::connections::{Full, Place, Stranger};
use crate::context::{Changes, Context};
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::ledger::{Direction, Kind, Phase, Refusal};
use crate::listener::Listener;
use crate::outbound;
use crate::random::stream_id;
use crate::register::Entry;
use crate::stream::{Condition, Connection, Lost, Opening, Tls, domain, error};
use crate::task::{Stage, Stop};
use crate::xml::{Frame, Stanza};

/// The time limit for a peer to answer a closing tag.
const FAREWELL: Duration = Duration::from_secs(2);
/// The time limit for a refused connection to become writable.
const REFUSAL: Duration = Duration::from_millis(100);

/// Accepts partners until the proxy stops.
pub(crate) async fn listen(mut context: Arc<Context>, listener: Listener) {
    let mut stop = context.tasks.stop();
    while let Some((stream, peer)) = listener.accept(&mut stop).await {
        context = context.newest();
        match context.connections.welcome(peer.ip()) {
            Ok(stranger) => {
                let serving = Serving::new(Arc::clone(&context), stream, peer, stranger);
                context.tasks.spawn_in(Stage::Partners, serving.run());
            }
            Err(full) => {
                enter(&context, peer, out_of_places(None, full));
                let refusing = refuse(Arc::clone(&context), stream);
                context.tasks.spawn_in(Stage::Partners, refusing);
            }
        }
    }
}

/// Keeps what the state machine, or this module, has to tell of a refusal.
fn enter(context: &Context, peer: SocketAddr, refused: Refused) {
    let Refused {
        phase,
        by,
        condition,
        domain,
        text,
    } = refused;
    context.ledger.enter(Refusal {
        kind: Kind {
            direction: Direction::Inbound,
            phase,
            by,
            condition,
        },
        domain: domain.as_ref().map(ToString::to_string),
        peer: Some(peer),
        text,
    });
}

fn out_of_places(domain: Option<&Domain>, full: Full) -> Refused {
    let condition = Condition::ResourceConstraint.word();
    Refused::by_proxy(Phase::Connection, condition, domain, &full.to_string())
}

/// Reports to a peer that the limit is reached (RFC 6120 §4.9.3.17).
async fn refuse(context: Arc<Context>, stream: TcpStream) {
    let Ok(id) = stream_id() else { return };
    let opening = Opening::new(context.config.own_domain().as_str(), None, Some(&id));
    let text = opening.refusal(Condition::ResourceConstraint, "");
    // One write into an empty buffer does not wait.
    if let Ok(Ok(())) = context.clock.timeout(REFUSAL, stream.writable()).await {
        let _ = stream.try_write(text.as_bytes());
    }
}

/// A partner's connection.
struct Serving {
    context: Arc<Context>,
    connection: Connection,
    peer: SocketAddr,
    state: Receiving,
    stop: Stop,
    changes: Changes,
    statuses: mpsc::Receiver<(Pair, KeyStatus)>,
    report: mpsc::Sender<(Pair, KeyStatus)>,
    place: Placed,
    partners: BTreeMap<Domain, Place>,
    entry: Option<Entry>,
    /// Whether an authenticated partner must send something regularly.
    keep_alive: bool,
    began: Instant,
    last_stanza: Instant,
    closing_since: Option<Instant>,
}

/// What a connection is counted as, for as long as it lasts.
enum Placed {
    Stranger(#[expect(dead_code, reason = "it is held")] Stranger),
    Partner(#[expect(dead_code, reason = "it is held")] Place),
}

/// Events that wake a connection.
enum Event {
    Frame(Result<Frame, Lost>),
    Status(Pair, KeyStatus),
    Changed,
    Stop,
    Overdue,
}

/// Whether the stream goes on.
#[derive(PartialEq)]
enum Course {
    On,
    Over,
}

/// The connection is lost, and there is nothing left to close.
struct Gone;

impl From<Lost> for Gone {
    fn from(_: Lost) -> Self {
        Self
    }
}

impl Serving {
    fn new(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, stranger: Stranger) -> Self {
        let limits = &context.config.settings.limits;
        let connection = Connection::new(stream, limits, &context.clock);
        let (report, statuses) = mpsc::channel(limits.stream_pairs);
        let stop = context.tasks.stop();
        let changes = context.changes();
        let now = context.clock.now();
        Self {
            context,
            connection,
            peer,
            state: Receiving::new(false),
            stop,
            changes,
            statuses,
            report,
            place: Placed::Stranger(stranger),
            partners: BTreeMap::new(),
            entry: None,
            keep_alive: false,
            began: now,
            last_stanza: now,
            closing_since: None,
        }
    }

    async fn run(mut self) {
        tracing::debug!(peer = %self.peer, "connection accepted");
        let served = self.serve().await;
        let (lost, peer) = (served.is_err(), self.peer);
        if self.partners.is_empty() {
            tracing::debug!(%peer, lost, "connection over");
        } else {
            let partners: Vec<&str> = self.partners.keys().map(Domain::as_str).collect();
            tracing::info!(%peer, ?partners, lost, "stream over");
        }
        if !lost {
            self.connection.close().await;
        }
    }

    async fn serve(&mut self) -> Result<(), Gone> {
        if self.context.config.settings.direct_tls {
            self.begin().await?;
        }
        loop {
            let event = self.event().await;
            let mut actions = Vec::new();
            self.react(event, &mut actions)?;
            let course = self.perform(actions).await?;
            if course == Course::Over || matches!(self.state, Receiving::Ended) {
                return Ok(());
            }
            if matches!(self.state, Receiving::AwaitClosingTag(_)) {
                let clock = &self.context.clock;
                self.closing_since.get_or_insert_with(|| clock.now());
            }
        }
    }

    async fn event(&mut self) -> Event {
        let closing = self.closing_since.is_some();
        let clock = self.context.clock.clone();
        loop {
            let due = self.due();
            let waiting = async {
                tokio::select! {
                    frame = self.connection.next() => Event::Frame(frame),
                    Some((pair, status)) = self.statuses.recv() => Event::Status(pair, status),
                    () = self.changes.next(), if !closing => Event::Changed,
                    () = self.stop.asked(), if !closing => Event::Stop,
                }
            };
            match clock.timeout_at(due, waiting).await {
                Ok(event) => return event,
                Err(_) if self.due() <= due => return Event::Overdue,
                // Meanwhile the peer was heard: a blank is no frame.
                Err(_) => {}
            }
        }
    }

    /// The peer's deadline.
    fn due(&self) -> Instant {
        let limits = &self.context.config.settings.limits;
        if let Some(since) = self.closing_since {
            return since + FAREWELL;
        }
        if !self.state.is_authenticated() {
            // Nothing extends it, so trickling bytes cannot keep a slot.
            return self.began + limits.stream_establishment_timeout;
        }
        let idle = self.idle();
        match self.keep_alive {
            true => idle.min(self.connection.heard() + limits.keep_alive_interval),
            false => idle,
        }
    }

    /// When a stream without stanzas will be closed.
    fn idle(&self) -> Instant {
        self.last_stanza
            + self
                .context
                .config
                .settings
                .limits
                .stream_inactivity_timeout
    }

    /// Passes an event to the state machine.
    fn react(&mut self, event: Event, actions: &mut Vec<Action>) -> Result<(), Gone> {
        let id = || stream_id().map_err(|_| Gone);
        let input = match event {
            Event::Frame(Ok(Frame::Header(header))) => Input::Header {
                certificate: self.judge(domain(&header, "from").ok().flatten().as_ref()),
                header,
                id: id()?,
            },
            Event::Frame(Ok(Frame::Element(element))) => Input::Element(element),
            Event::Frame(Ok(Frame::Stanza(stanza))) => {
                self.last_stanza = self.context.clock.now();
                Input::Stanza(stanza)
            }
            Event::Frame(Ok(Frame::Closed)) => Input::Closed,
            // Not for partners: they are not spared.
            Event::Frame(Ok(Frame::Skipped(skipped))) => Input::Unreadable {
                error: skipped.error,
                id: id()?,
            },
            Event::Frame(Err(Lost::Unreadable(error))) => Input::Unreadable { error, id: id()? },
            Event::Frame(Err(_)) => return Err(Gone),
            Event::Status(pair, status) => Input::Verified { pair, status },
            Event::Changed => {
                self.adapt(&id()?, actions);
                return Ok(());
            }
            Event::Stop => {
                self.finish(None, &id()?, actions);
                return Ok(());
            }
            Event::Overdue => {
                let idle = self.state.is_authenticated() && self.context.clock.now() >= self.idle();
                tracing::debug!(peer = %self.peer, idle, "time is up");
                if self.closing_since.is_some() {
                    return Err(Gone);
                }
                let fatal = (!idle).then_some((Condition::ConnectionTimeout, ""));
                self.finish(fatal, &id()?, actions);
                return Ok(());
            }
        };
        self.input(input, actions);
        Ok(())
    }

    fn input(&mut self, input: Input, actions: &mut Vec<Action>) {
        let state = std::mem::replace(&mut self.state, Receiving::Ended);
        self.state = state.on(input, &self.context.config, actions);
    }

    fn finish(&mut self, fatal: Option<Fatal>, id: &str, actions: &mut Vec<Action>) {
        let state = std::mem::replace(&mut self.state, Receiving::Ended);
        self.state = state.finish(fatal, id, &self.context.config, actions);
    }

    fn judge(&self, claimed: Option<&Domain>) -> Judged {
        let certificates = self.connection.certificates();
        claimed.map_or(Judged::Absent, |claimed| {
            self.context.tls.judge_client(certificates, claimed)
        })
    }

    async fn perform(&mut self, actions: Vec<Action>) -> Result<Course, Gone> {
        let mut text = String::new();
        let handshake = actions
            .iter()
            .any(|action| matches!(action, Action::StartTls { .. }));
        if handshake && self.connection.has_unread() {
            // Anyone may have injected plaintext after the request (RFC 6120 §5.4.3.3).
            let fatal = (Condition::PolicyViolation, "nothing may follow before TLS");
            self.enter(Refused::fatal(Phase::Tls, fatal, "", self.state.claimed()));
            self.connection.send(error(fatal.0, fatal.1)).await?;
            return Ok(Course::Over);
        }
        for action in actions {
            match action {
                Action::Send(more) => text.push_str(&more),
                Action::Refund => self.connection.incoming().refund(),
                Action::Refused(refused) => self.enter(refused),
                Action::Restart => self.connection.incoming().restart(),
                Action::Authenticated(pair, method) => {
                    if let Err(full) = self.admit(&pair) {
                        self.enter(out_of_places(Some(&pair.from), full));
                        text.push_str(&error(Condition::ResourceConstraint, ""));
                        self.connection.send(text).await?;
                        return Ok(Course::Over);
                    }
                    self.context.router.seen(&pair.from);
                    tracing::info!(peer = %self.peer, %pair, %method, "pair authenticated");
                    self.register(pair, method);
                }
                Action::Deliver(pair, stanza) => {
                    self.flush(&mut text).await?;
                    deliver(&self.context, &pair, stanza).await;
                }
                Action::Dropped(stanza, why) => stanza.dropped(why),
                Action::Verify {
                    pair,
                    stream_id,
                    key,
                } => self.verify(pair, stream_id, key),
                Action::StartTls { own, request } => {
                    self.flush(&mut text).await?;
                    self.secure(&own, &request).await?;
                }
            }
        }
        self.flush(&mut text).await?;
        Ok(Course::On)
    }

    fn enter(&self, refused: Refused) {
        enter(&self.context, self.peer, refused);
    }

    async fn flush(&mut self, text: &mut String) -> Result<(), Gone> {
        if !text.is_empty() {
            self.connection.send(&*text).await?;
            text.clear();
        }
        Ok(())
    }

    /// Counts the connection for its partner, and lifts the limits for unauthenticated peers.
    fn admit(&mut self, pair: &Pair) -> Result<(), Full> {
        let config = &self.context.config;
        let partner = config.partner(&pair.from).ok_or(Full::Partner(0))?;
        let connections = &self.context.connections;
        if !self.partners.contains_key(&partner.domain) {
            let place = connections.claim(partner)?;
            if matches!(self.place, Placed::Stranger(_)) {
                self.place = Placed::Partner(connections.admit_inbound()?);
            }
            self.partners.insert(partner.domain.clone(), place);
        }
        self.keep_alive = partner.keep_alive;
        self.last_stanza = self.context.clock.now();
        let bytes = config.settings.limits.stanza_bytes;
        self.connection.incoming().trust(bytes);
        Ok(())
    }

    fn verify(&self, pair: Pair, stream_id: String, key: String) {
        let context = Arc::clone(&self.context);
        let report = self.report.clone();
        self.context.tasks.spawn_in(Stage::Partners, async move {
            let status = tokio::select! {
                status = outbound::verify(&context, &pair, stream_id, key) => status,
                // The requesting connection has closed.
                () = report.closed() => return,
            };
            let _ = report.send((pair, status)).await;
        });
    }

    /// Starts with TLS if the peer does.
    async fn begin(&mut self) -> Result<(), Gone> {
        let due = self.due();
        let direct = tokio::select! {
            first = self.context.clock.timeout_at(due, self.connection.begins_with_tls()) => first.unwrap_or(false),
            () = self.stop.asked() => false,
        };
        if direct {
            self.handshake(self.context.tls.direct_acceptor()).await?;
            self.state = Receiving::new(true);
        }
        Ok(())
    }

    /// Carries out STARTTLS. If the handshake fails, the connection ends silently (RFC 6120
    /// §5.4.3.2).
    async fn secure(&mut self, own: &Domain, request: &CertificateRequest) -> Result<(), Gone> {
        let acceptor = self.context.tls.acceptor(own, request);
        let acceptor = acceptor.map_err(|error| {
            tracing::error!(%error, "could not set up TLS");
            Gone
        })?;
        self.handshake(acceptor).await?;
        self.input(Input::Secured, &mut Vec::new());
        Ok(())
    }

    async fn handshake(&mut self, config: Arc<ServerConfig>) -> Result<(), Gone> {
        let due = self.due();
        let secured = self.connection.secure(Tls::Accept(config));
        let why = match self.context.clock.timeout_at(due, secured).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(lost)) => lost.reason(),
            Err(_) => "no handshake in time".to_owned(),
        };
        let claimed = self.state.claimed();
        self.enter(Refused::by_proxy(Phase::Tls, "handshake", claimed, &why));
        Err(Gone)
    }
}

/// Passes a stanza to the gateway. Without a gateway, the sender gets an error on a stream of this
/// side.
async fn deliver(context: &Arc<Context>, pair: &Pair, stanza: Stanza) {
    if let Err(stanza) = context.router.deliver(&pair.to, stanza).await {
        outbound::unclaimed(context, pair, &stanza).await;
    }
}
