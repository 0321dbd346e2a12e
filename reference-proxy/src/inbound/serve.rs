//! Accepting partners' connections, and carrying out what the receiving entity decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::receiving::{Action, Input, Receiving};
use crate::certificate::{Judged, Presenter};
use crate::connections::Place;
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::outbound;
use crate::random::stream_id;
use crate::stream::{Condition, Connection, Lost, Opening, Tls, domain, error};
use crate::task::Stop;
use crate::xml::{Frame, Stanza};

/// How long a peer is given to answer a closing tag.
const FAREWELL: Duration = Duration::from_secs(2);
/// Pause after a failure to accept: usually file descriptors are short, and trying at once again
/// would only spin.
const BREATH: Duration = Duration::from_millis(100);

/// Accepts partners until the proxy stops.
pub(crate) async fn listen(context: Arc<Context>, listener: TcpListener) {
    let mut stop = context.tasks.stop();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.asked() => return,
        };
        match accepted {
            Ok((stream, peer)) => match context.connections.admit() {
                Ok(place) => {
                    let serving = Serving::new(Arc::clone(&context), stream, peer, place);
                    context.tasks.spawn(serving.run());
                }
                Err(full) => {
                    tracing::warn!(%peer, reason = %full, "connection refused");
                    context.tasks.spawn(refuse(Arc::clone(&context), stream));
                }
            },
            Err(error) => {
                tracing::error!(%error, "no connection could be accepted");
                let _ = timeout(BREATH, stop.asked()).await;
            }
        }
    }
}

/// Tells a peer that there is no room (RFC 6120 §4.9.3.17).
async fn refuse(context: Arc<Context>, stream: TcpStream) {
    let Ok(id) = stream_id() else { return };
    let opening = Opening {
        from: context.config.own_domain().as_str(),
        to: None,
        id: Some(&id),
        dialback: false,
        versioned: true,
        language: "en",
    };
    let text = format!(
        "{}{}",
        opening.text(),
        error(Condition::ResourceConstraint, "")
    );
    // One write into an empty buffer: it does not wait.
    if let Ok(Ok(_)) = timeout(BREATH, stream.writable()).await {
        let _ = stream.try_write(text.as_bytes());
    }
}

/// One partner's connection.
struct Serving {
    context: Arc<Context>,
    connection: Connection,
    peer: SocketAddr,
    state: Receiving,
    stop: Stop,
    verdicts: mpsc::Receiver<(Pair, KeyStatus)>,
    tell: mpsc::Sender<(Pair, KeyStatus)>,
    partners: BTreeMap<Domain, Place>,
    /// Whether an authenticated partner has to let itself be heard.
    keep_alive: bool,
    began: Instant,
    last_stanza: Instant,
    closing_since: Option<Instant>,
    _place: Place,
}

/// What wakes a connection.
enum Event {
    Frame(Result<Frame, Lost>),
    KeyStatus(Pair, KeyStatus),
    Stop,
    Overdue,
}

/// Whether the connection goes on.
enum Course {
    On,
    Over,
}

impl Serving {
    fn new(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, place: Place) -> Self {
        let limits = &context.config.settings.limits;
        let connection = Connection::new(stream, limits);
        let (tell, verdicts) = mpsc::channel(limits.stream_pairs.max(1));
        let stop = context.tasks.stop();
        let now = Instant::now();
        Self {
            context,
            connection,
            peer,
            state: Receiving::new(),
            stop,
            verdicts,
            tell,
            partners: BTreeMap::new(),
            keep_alive: false,
            began: now,
            last_stanza: now,
            closing_since: None,
            _place: place,
        }
    }

    async fn run(mut self) {
        tracing::debug!(peer = %self.peer, "connection accepted");
        if self.context.config.settings.direct_tls {
            match self.begin().await {
                Some(serving) => self = serving,
                None => return,
            }
        }
        loop {
            let event = self.event().await;
            let mut actions = Vec::new();
            let Some(input) = self.input(event, &mut actions) else {
                return;
            };
            let state = std::mem::replace(&mut self.state, Receiving::Ended);
            self.state = match input {
                Some(input) => state.on(input, &self.context.config, &mut actions),
                None => state,
            };
            let connection_is_whole;
            (self, connection_is_whole) = match self.perform(actions).await {
                Some((serving, course)) => (serving, matches!(course, Course::On)),
                None => return,
            };
            if !connection_is_whole || matches!(self.state, Receiving::Ended) {
                break;
            }
            if matches!(self.state, Receiving::AwaitClosingTag(_)) && self.closing_since.is_none() {
                self.closing_since = Some(Instant::now());
            }
        }
        tracing::debug!(peer = %self.peer, "connection over");
        self.connection.close().await;
    }

    async fn event(&mut self) -> Event {
        let due = self.due();
        let closing = self.closing_since.is_some();
        let waiting = async {
            tokio::select! {
                frame = self.connection.next() => Event::Frame(frame),
                Some((pair, verdict)) = self.verdicts.recv() => Event::KeyStatus(pair, verdict),
                () = self.stop.asked(), if !closing => Event::Stop,
            }
        };
        timeout_at(due, waiting).await.unwrap_or(Event::Overdue)
    }

    /// When the peer's time is up.
    fn due(&self) -> Instant {
        let limits = &self.context.config.settings.limits;
        if let Some(since) = self.closing_since {
            return since + FAREWELL;
        }
        if !self.state.is_authenticated() {
            // No activity prolongs it, so that nobody can hold a place by trickling bytes.
            return self.began + limits.stream_establishment_timeout;
        }
        let idle = self.last_stanza + limits.stream_inactivity_timeout;
        match self.keep_alive {
            true => idle.min(self.last_heard() + limits.keep_alive_interval),
            false => idle,
        }
    }

    fn last_heard(&self) -> Instant {
        self.connection.heard()
    }

    /// What an event means to the state: an input, or actions already; `None` when all is over.
    fn input(&mut self, event: Event, actions: &mut Vec<Action>) -> Option<Option<Input>> {
        let input = match event {
            Event::Frame(Ok(Frame::Header(header))) => Input::Header {
                certificate: self.judge(domain(&header, "from").ok().flatten().as_ref()),
                header,
                id: stream_id().ok()?,
            },
            Event::Frame(Ok(Frame::Element(element))) => Input::Element(element),
            Event::Frame(Ok(Frame::Stanza(stanza))) => {
                self.last_stanza = Instant::now();
                Input::Stanza(stanza)
            }
            Event::Frame(Ok(Frame::Closed)) => Input::Closed,
            Event::Frame(Err(Lost::Unreadable(error))) => Input::Unreadable {
                error,
                id: stream_id().ok()?,
            },
            Event::Frame(Err(_)) => return None,
            Event::KeyStatus(pair, verdict) => Input::Verified { pair, verdict },
            Event::Stop => {
                self.finish(None, actions)?;
                return Some(None);
            }
            Event::Overdue => {
                let silent = self.closing_since.is_none();
                let limits = &self.context.config.settings.limits;
                let idle = self.state.is_authenticated()
                    && Instant::now() >= self.last_stanza + limits.stream_inactivity_timeout;
                tracing::info!(peer = %self.peer, idle, "time is up");
                match (silent, idle) {
                    (false, _) => return None,
                    (true, true) => self.finish(None, actions)?,
                    (true, false) => {
                        self.finish(Some((Condition::ConnectionTimeout, "")), actions)?;
                    }
                }
                return Some(None);
            }
        };
        Some(Some(input))
    }

    fn finish(
        &mut self,
        fault: Option<(Condition, &str)>,
        actions: &mut Vec<Action>,
    ) -> Option<()> {
        let id = stream_id().ok()?;
        let state = std::mem::replace(&mut self.state, Receiving::Ended);
        self.state = state.finish(fault, &id, &self.context.config, actions);
        Some(())
    }

    fn judge(&self, claimed: Option<&Domain>) -> Judged {
        match (self.connection.certificates(), claimed) {
            (Some(certificates), Some(claimed)) => {
                let presented = Some(certificates);
                self.context
                    .tls
                    .judge(presented, Presenter::Client, claimed)
            }
            _ => Judged::Absent,
        }
    }

    /// Carries out the actions; `None` when the connection is gone.
    async fn perform(mut self, actions: Vec<Action>) -> Option<(Self, Course)> {
        let mut text = String::new();
        let handshake = actions
            .iter()
            .any(|action| matches!(action, Action::StartTls { .. }));
        if handshake && self.connection.has_unread() {
            // Clear text behind the request may be anybody's (RFC 6120 §5.4.3.3).
            let refusal = error(Condition::PolicyViolation, "nothing may follow before TLS");
            self.connection.send(refusal.as_bytes()).await.ok()?;
            return Some((self, Course::Over));
        }
        for action in actions {
            match action {
                Action::Send(more) => text.push_str(&more),
                Action::Refund => self.connection.incoming().refund(),
                Action::Restart => self.connection.incoming().restart(),
                Action::Authenticated(pair, method) => {
                    if self.admit(&pair).is_err() {
                        text.push_str(&error(Condition::ResourceConstraint, ""));
                        self.connection.send(text.as_bytes()).await.ok()?;
                        return Some((self, Course::Over));
                    }
                    tracing::info!(peer = %self.peer, %pair, %method, "pair authenticated");
                }
                Action::Deliver(pair, stanza) => {
                    self.flush(&mut text).await?;
                    deliver(&self.context, &pair, stanza, &mut self.stop).await;
                }
                Action::Verify {
                    pair,
                    stream_id,
                    key,
                } => self.verify(pair, stream_id, key),
                Action::StartTls {
                    claimed,
                    certificate,
                } => {
                    self.flush(&mut text).await?;
                    return Some((self.secure(claimed, certificate).await?, Course::On));
                }
            }
        }
        self.flush(&mut text).await?;
        Some((self, Course::On))
    }

    async fn flush(&mut self, text: &mut String) -> Option<()> {
        if !text.is_empty() {
            self.connection.send(text.as_bytes()).await.ok()?;
            text.clear();
        }
        Some(())
    }

    /// Counts the connection with its partner, and lifts the limits of strangers.
    fn admit(&mut self, pair: &Pair) -> Result<(), ()> {
        let context = Arc::clone(&self.context);
        let Some(partner) = context.config.partner(&pair.from) else {
            return Err(());
        };
        if !self.partners.contains_key(&partner.domain) {
            let place = context.connections.claim(partner).map_err(|full| {
                tracing::warn!(peer = %self.peer, %pair, reason = %full, "connection refused");
            })?;
            self.partners.insert(partner.domain.clone(), place);
        }
        self.keep_alive = partner.keep_alive;
        self.last_stanza = Instant::now();
        let bytes = context.config.settings.limits.stanza_bytes;
        self.connection.incoming().trust(bytes);
        Ok(())
    }

    fn verify(&self, pair: Pair, stream_id: String, key: String) {
        let context = Arc::clone(&self.context);
        let tell = self.tell.clone();
        self.context.tasks.spawn(async move {
            let verdict = tokio::select! {
                verdict = outbound::verify(&context, &pair, stream_id, key) => verdict,
                // Nobody is left who wants to know.
                () = tell.closed() => return,
            };
            let _ = tell.send((pair, verdict)).await;
        });
    }

    /// Puts TLS first where the peer does; `None` when it fails.
    async fn begin(mut self) -> Option<Self> {
        let due = self.due();
        let stop = &mut self.stop;
        let direct = tokio::select! {
            first = timeout_at(due, self.connection.begins_with_tls()) => first.unwrap_or(false),
            () = stop.asked() => false,
        };
        if direct {
            let config = self.context.tls.direct_acceptor();
            self = self.shake_hands(config).await?;
            self.state = Receiving::secured();
        }
        Some(self)
    }

    /// A handshake with this configuration; `None` when it fails.
    async fn shake_hands(mut self, config: Arc<ServerConfig>) -> Option<Self> {
        let due = self.due();
        match timeout_at(due, self.connection.secure(Tls::Accept(config))).await {
            Ok(Ok(connection)) => self.connection = connection,
            Ok(Err(error)) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::info!(
                    peer = %self.peer,
                    reason = source.as_deref().unwrap_or("closed"),
                    "TLS handshake failed"
                );
                return None;
            }
            Err(_) => return None,
        }
        Some(self)
    }

    /// The TLS handshake; `None` when it fails, which ends the connection without another word
    /// (RFC 6120 §5.4.3.2).
    async fn secure(mut self, claimed: Option<Domain>, certificate: bool) -> Option<Self> {
        let requested = claimed.as_ref().filter(|_| certificate);
        let config = self.context.tls.acceptor(requested);
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(%error, "no TLS");
                return None;
            }
        };
        self = self.shake_hands(config).await?;
        let mut actions = Vec::new();
        self.state = std::mem::replace(&mut self.state, Receiving::Ended).on(
            Input::Secured,
            &self.context.config,
            &mut actions,
        );
        Some(self)
    }
}

/// Hands a stanza to the gateway; without one its sender is told, through a stream of this side.
async fn deliver(context: &Arc<Context>, pair: &Pair, stanza: Stanza, stop: &mut Stop) {
    let delivered = tokio::select! {
        delivered = context.router.deliver(&pair.to, stanza) => delivered,
        () = stop.asked() => return,
    };
    if let Err(stanza) = delivered {
        outbound::unclaimed(context, pair, &stanza).await;
    }
}
