//! Accepts partners' connections, and carries out the receiving entity's decisions.

mod reloading;
mod securing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::action::{Action, Fatal, Input};
use super::managing::Managed;
use super::receiving::Receiving;
use super::refusal::Refused;
use crate::certificate::Judged;
use crate::connections::{Full, Place, Stranger};
use crate::context::{Changes, Context};
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::ledger::{Direction, Kind, Phase, Refusal};
use crate::listener::Listener;
use crate::management::TOO_LATE;
use crate::open_streams::{Call, Registration};
use crate::outbound::Sending;
use crate::random::stream_id;
use crate::register::Entry;
use crate::stream::{Condition, Connection, Lost, Opening, domain};
use crate::task::{Stage, Stop};
use crate::xml::Frame;

/// The time limit for a peer to answer a closing tag.
const FAREWELL: Duration = Duration::from_secs(2);
const A_SECOND: Duration = Duration::from_secs(1);
/// The time limit for a refused connection to become writable.
const REFUSAL: Duration = Duration::from_millis(100);

/// How many frames are taken before anything else gets its turn.
const AT_ONCE: usize = 32;

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

pub(super) fn out_of_places(domain: Option<&Domain>, full: Full) -> Refused {
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
pub(super) struct Serving {
    pub(super) context: Arc<Context>,
    pub(super) connection: Connection,
    pub(super) peer: SocketAddr,
    pub(super) state: Receiving,
    pub(super) stop: Stop,
    pub(super) changes: Changes,
    pub(super) statuses: mpsc::Receiver<(Pair, KeyStatus)>,
    pub(super) report: mpsc::Sender<(Pair, KeyStatus)>,
    pub(super) partners: BTreeMap<Domain, Place>,
    pub(super) entry: Option<Entry>,
    /// Since when it is known there to rest.
    pub(super) resting: Option<Instant>,
    /// Whether an authenticated partner must send something regularly.
    pub(super) keep_alive: bool,
    pub(super) began: Instant,
    pub(super) last_stanza: Instant,
    /// Whether there was one.
    pub(super) carried: bool,
    pub(super) closing_since: Option<Instant>,
    /// How many frames were taken since anything else got its turn.
    at_once: usize,
    pub(super) sending: Sending,
    /// How many pairs may be answered on this stream.
    pub(super) back: usize,
    /// Stream management, once the peer has asked for it.
    pub(super) managed: Option<Managed>,
    pub(super) place: Placed,
    /// Once a pair is authenticated. The last to be dropped, as it tells that the places are free.
    pub(super) registration: Option<Registration>,
}

/// What a connection is counted as, for as long as it lasts.
pub(super) enum Placed {
    Stranger(#[expect(dead_code, reason = "it is held")] Stranger),
    Partner(#[expect(dead_code, reason = "it is held")] Place),
}

/// Events that wake a connection.
enum Event {
    /// A frame, or all was sent.
    Exchanged(Result<Option<Frame>, Lost>),
    Status(Pair, KeyStatus),
    Changed,
    Called(Call),
    Wake,
    Stop,
    Overdue,
}

/// Whether the stream goes on.
#[derive(PartialEq)]
pub(super) enum Course {
    On,
    Over,
}

/// The connection is lost, and there is nothing left to close.
pub(super) struct Gone;

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
        let sending = Sending::new(&context, None);
        Self {
            sending,
            back: 0,
            managed: None,
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
            registration: None,
            resting: None,
            keep_alive: false,
            began: now,
            last_stanza: now,
            carried: false,
            closing_since: None,
            at_once: 0,
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
        self.sending.over();
        if served.is_err() {
            self.wait_to_be_resumed().await;
        }
        if let Some(registration) = &self.registration {
            registration.closes();
        }
        self.sending.lost().await;
        if !lost {
            Box::pin(self.connection.close()).await;
        }
    }

    async fn serve(&mut self) -> Result<(), Gone> {
        if self.context.config.settings.direct_tls {
            Box::pin(self.begin()).await?;
        }
        loop {
            self.send_back().await;
            self.tell_of_rest();
            let event = self.event().await;
            match event {
                Event::Stop | Event::Called(Call::Close) => {
                    self.sending.finish(&mut self.connection).await?;
                }
                // It may be the end, and nothing more is taken out of the queues for it.
                Event::Changed => {
                    self.connection.send("").await?;
                    self.sending.sent();
                }
                _ => {}
            }
            let mut actions = Vec::new();
            self.react(event, &mut actions)?;
            let is_closing = matches!(self.state, Receiving::AwaitClosingTag(_) | Receiving::Ended);
            if is_closing && self.closing_since.is_none() {
                actions.splice(..0, self.last_word());
            }
            let course = self.perform(actions).await?;
            // The last answer has taken it along.
            if !self.connection.has_unsent() {
                self.sending.sent();
            }
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
        // What has arrived needs no waiting, but all else gets its turn, too.
        if self.at_once < AT_ONCE
            && !closing
            && self.state.is_authenticated()
            && let Some(frame) = self.connection.incoming().buffered().transpose()
        {
            self.at_once += 1;
            return Event::Exchanged(frame.map(Some));
        }
        let clock = self.context.clock.clone();
        if self.at_once >= AT_ONCE {
            self.at_once = 0;
            // Time does not stand still for a peer that sends without a pause.
            if self.due() <= clock.now() {
                return Event::Overdue;
            }
        }
        let wake = self.sending.wake();
        let event = loop {
            let due = self.due();
            let waiting = async {
                tokio::select! {
                    exchanged = self.connection.exchange() => Event::Exchanged(exchanged),
                    Some((pair, status)) = self.statuses.recv() => Event::Status(pair, status),
                    () = self.changes.next(), if !closing => Event::Changed,
                    call = called(&mut self.registration), if !closing => Event::Called(call),
                    () = wake.notified() => Event::Wake,
                    () = self.stop.asked(), if !closing => Event::Stop,
                }
            };
            match clock.timeout_at(due, waiting).await {
                Ok(event) => break event,
                Err(_) if self.due() <= due => break Event::Overdue,
                // Meanwhile the peer was heard: a blank is no frame.
                Err(_) => {}
            }
        };
        self.at_once += usize::from(matches!(event, Event::Exchanged(Ok(Some(_)))));
        event
    }

    /// Keeps it known since when no stanza has come, to the second. The first one is still on its way.
    fn tell_of_rest(&mut self) {
        let Some(registration) = &self.registration else {
            return;
        };
        let rests = (self.carried && self.sending.rests()).then_some(self.last_stanza);
        let known = match (self.resting, rests) {
            (Some(told), Some(since)) => since < told + A_SECOND,
            (told, since) => told == since,
        };
        if !known {
            registration.rests(rests);
            self.resting = rests;
        }
    }

    /// Sends what waits for the pairs that may be answered on this stream, until this side closes.
    async fn send_back(&mut self) {
        if self.closing_since.is_some() {
            return;
        }
        let pairs = self.state.sends_back(&self.context.config);
        if let Some(registration) = &self.registration
            && pairs.clone().count() != self.back
        {
            let back: BTreeSet<Pair> = pairs.map(Pair::reversed).collect();
            self.back = back.len();
            self.sending.retain(|pair| back.contains(pair));
            registration.carries(back);
        }
        if self.back > 0 && self.sending.fill(&mut self.connection).await {
            self.last_stanza = self.context.clock.now();
            self.carried = true;
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
        let idle = self.sending.due().map_or(idle, |due| idle.min(due));
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
            Event::Exchanged(Ok(Some(Frame::Header(header)))) => Input::Header {
                certificate: self.judge(domain(&header, "from").ok().flatten().as_ref()),
                header,
                id: id()?,
            },
            Event::Exchanged(Ok(Some(Frame::Element(element)))) => {
                self.last_acknowledgement(&element);
                Input::Element(element)
            }
            Event::Exchanged(Ok(Some(Frame::Stanza(stanza))))
                if self.closing_since.is_some() && self.managed.is_some() =>
            {
                stanza.dropped(TOO_LATE);
                return Ok(());
            }
            Event::Exchanged(Ok(Some(Frame::Stanza(stanza)))) => {
                self.last_stanza = self.context.clock.now();
                self.carried = true;
                Input::Stanza(stanza)
            }
            Event::Exchanged(Ok(Some(Frame::Closed))) => Input::Closed,
            Event::Exchanged(Err(Lost::Unreadable(error))) => {
                Input::Unreadable { error, id: id()? }
            }
            Event::Exchanged(Ok(None)) => {
                self.sending.sent();
                return Ok(());
            }
            Event::Exchanged(Err(_)) => return Err(Gone),
            // Not for partners: they are not spared.
            Event::Exchanged(Ok(Some(Frame::Skipped(skipped)))) => Input::Unreadable {
                error: skipped.error,
                id: id()?,
            },
            Event::Status(pair, status) => Input::Verified { pair, status },
            Event::Changed => {
                self.adapt(&id()?, actions);
                return Ok(());
            }
            Event::Called(Call::Carry(passenger)) => {
                let back = passenger.pair.reversed();
                let mut pairs = self.state.sends_back(&self.context.config);
                if pairs.any(|pair| *pair == back) {
                    self.sending.carry(passenger);
                }
                return Ok(());
            }
            Event::Called(Call::Resume(reply)) => {
                if let Err(session) = reply.send(self.session()) {
                    // Whoever asked has given up.
                    self.sending.adopt(session.unacknowledged);
                }
                self.managed = None;
                self.finish(Some((Condition::Conflict, "")), &id()?, actions);
                return Ok(());
            }
            Event::Wake => return Ok(()),
            Event::Called(Call::Close) | Event::Stop => {
                self.finish(None, &id()?, actions);
                return Ok(());
            }
            Event::Overdue => {
                let idle = self.state.is_authenticated() && self.context.clock.now() >= self.idle();
                tracing::debug!(peer = %self.peer, idle, "time is up");
                let now = self.context.clock.now();
                let unacknowledged = self.sending.due().is_some_and(|due| due <= now);
                if self.closing_since.is_some() || unacknowledged {
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

    pub(super) fn enter(&self, refused: Refused) {
        enter(&self.context, self.peer, refused);
    }
}

/// The next call, where there is somebody to call.
async fn called(registration: &mut Option<Registration>) -> Call {
    match registration {
        Some(registration) => registration.call().await,
        None => std::future::pending().await,
    }
}
