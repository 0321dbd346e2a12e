//! One link for each pair towards a partner: it opens a stream when something waits, empties the
//! queue through it, and sends back what can't go.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::dial::{self, Negotiated, Servers, Unreachable};
use super::initiating::{Failure, Opened, Plan, Purpose, Undecided};
use crate::connections::Place;
use crate::context::Context;
use crate::domain::Pair;
use crate::negotiation::Method;
use crate::resolve::ResolveError;
use crate::router::{Origin, Placed, Queued};
use crate::stanza::{StanzaError, bounce};
use crate::stream::{CLOSING, Condition, Connection, Lost, error, is_error};
use crate::task::Stop;
use crate::xml::{Frame, Stanza};

/// Bytes that are gathered into one write.
const BATCH: usize = 16_384;
/// How long a partner is given to answer a closing tag.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why nothing goes to a partner at the moment.
#[derive(Debug)]
enum Hindrance {
    Full,
    Unreachable(Unreachable),
    Failed(Failure),
    KeyUndecided(Option<StanzaError>),
    TimedOut,
    ShortLived,
    Stopping,
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("connection limit reached"),
            Self::Unreachable(Unreachable::Unresolved(error)) => error.fmt(f),
            Self::Unreachable(unreachable) => unreachable.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::KeyUndecided(Some(problem)) => write!(f, "dialback error: {problem}"),
            Self::KeyUndecided(None) => f.write_str("dialback error"),
            Self::TimedOut => f.write_str("the partner's server does not answer"),
            Self::Stopping => f.write_str("the proxy stops"),
            Self::ShortLived => f.write_str("the partner closed the stream at once"),
        }
    }
}

impl Hindrance {
    /// What senders are told.
    fn consequence(&self) -> StanzaError {
        match self {
            Self::Full => StanzaError::ResourceConstraint,
            Self::Unreachable(Unreachable::Unresolved(
                ResolveError::NotFound { .. } | ResolveError::RefusesService { .. },
            ))
            | Self::Failed(Failure::Closed(Some(Condition::HostUnknown | Condition::HostGone))) => {
                StanzaError::RemoteServerNotFound
            }
            Self::Failed(Failure::KeyInvalid) => StanzaError::InternalServerError,
            Self::Unreachable(_)
            | Self::Failed(_)
            | Self::KeyUndecided(_)
            | Self::TimedOut
            | Self::ShortLived
            | Self::Stopping => StanzaError::RemoteServerTimeout,
        }
    }
}

/// Sends a stanza to a partner: it waits for the pair's stream, or comes back as an error.
pub(crate) async fn send(context: &Arc<Context>, pair: &Pair, queued: Queued) {
    if context.config.partner(&pair.to).is_none() {
        return_to_sender(context, pair, queued, StanzaError::PolicyViolation, "").await;
        return;
    }
    match context.router.enqueue(pair, queued, Instant::now()) {
        Placed::Waiting => {}
        Placed::Unattended => {
            let task = attend(Arc::clone(context), pair.clone(), context.tasks.stop());
            context.tasks.spawn(task);
        }
        Placed::Refused(queued, why) => return_to_sender(context, pair, queued, why, "").await,
    }
}

/// Answers a stanza that no gateway took.
pub(crate) async fn unclaimed(context: &Arc<Context>, pair: &Pair, stanza: &Stanza) {
    tracing::debug!(%pair, "no gateway");
    if let Some(stanza) = bounce(stanza, StanzaError::ServiceUnavailable, "") {
        let queued = Queued {
            stanza,
            origin: Origin::Proxy,
        };
        send(context, &pair.reversed(), queued).await;
    }
}

/// Tells the sender of a stanza, unless that must not be.
async fn return_to_sender(
    context: &Context,
    pair: &Pair,
    queued: Queued,
    why: StanzaError,
    text: &str,
) {
    let Origin::Gateway(gateway) = queued.origin else {
        return;
    };
    if let Some(error) = bounce(&queued.stanza, why, text)
        && context
            .router
            .give_back(&pair.from, gateway, error)
            .await
            .is_err()
    {
        tracing::debug!(%pair, "no gateway is left to take an error");
    }
}

/// Works on a pair's queue until it is empty and its stream is over.
async fn attend(context: Arc<Context>, pair: Pair, mut stop: Stop) {
    loop {
        let hindrance = match connect(&context, &pair, &mut stop).await {
            Ok(Reached::Open(stream)) => {
                context.router.opened(&pair);
                match stream.carry(&context, &pair, &mut stop).await {
                    Carried::Something => None,
                    Carried::Nothing => Some(Hindrance::ShortLived),
                }
            }
            Ok(Reached::Undecided(stream, undecided)) => {
                let problem = undecided.problem;
                give_up(&context, &pair, &Hindrance::KeyUndecided(problem)).await;
                linger(&context, &pair, stream, undecided, &mut stop).await;
                None
            }
            Err(hindrance) => Some(hindrance),
        };
        if let Some(hindrance) = hindrance {
            give_up(&context, &pair, &hindrance).await;
        }
        if context.router.leave(&pair) {
            return;
        }
        if stop.is_asked() {
            give_up(&context, &pair, &Hindrance::Stopping).await;
        }
    }
}

/// Sends back all that waits.
async fn give_up(context: &Context, pair: &Pair, hindrance: &Hindrance) {
    let why = hindrance.consequence();
    let text = hindrance.to_string();
    let returned = context.router.failed(pair, why, Instant::now());
    tracing::info!(
        %pair,
        stanzas = returned.len(),
        condition = %why,
        reason = text,
        "stanzas can't be delivered"
    );
    for queued in returned {
        return_to_sender(context, pair, queued, why, &text).await;
    }
}

/// A connection with its places among the limits.
struct Stream {
    connection: Connection,
    opened: Option<Opened>,
    places: Places,
    keep_alive: bool,
}

type Places = (Place, Place);

enum Reached {
    Open(Stream),
    Undecided(Stream, Undecided),
}

/// Opens a stream, with as many connections as the terms make sense of: a second one without
/// EXTERNAL where that failed, or with the same hopes where the partner was short of resources; and
/// one to the next server where a server takes connections and is broken.
async fn connect(
    context: &Arc<Context>,
    pair: &Pair,
    stop: &mut Stop,
) -> Result<Reached, Hindrance> {
    let limits = &context.config.settings.limits;
    let (Some(partner), Some(terms)) = (
        context.config.partner(&pair.to),
        context.config.terms(&pair.to),
    ) else {
        return Err(Hindrance::Full);
    };
    let mut external_failed = false;
    let mut retried = false;
    let mut broken = None;
    let mut servers = tokio::select! {
        found = Servers::of(context, &pair.to) => found.map_err(Hindrance::Unreachable)?,
        () = stop.asked() => return Err(Hindrance::Stopping),
    };
    loop {
        let place = context.connections.admit().map_err(|_| Hindrance::Full)?;
        let partner_place = context
            .connections
            .claim(partner)
            .map_err(|_| Hindrance::Full)?;
        let dialled = tokio::select! {
            dialled = servers.connect(context, &pair.to) => match (dialled, broken) {
                (Ok(dialled), _) => dialled,
                (Err(_), Some(hindrance)) => return Err(hindrance),
                (Err(unreachable), None) => return Err(Hindrance::Unreachable(unreachable)),
            },
            () = stop.asked() => return Err(Hindrance::Stopping),
        };
        let deadline = Instant::now() + limits.stream_establishment_timeout;
        let plan = Plan {
            pair: pair.clone(),
            terms,
            strict: context.config.settings.strict_certificates,
            purpose: Purpose::Deliver { external_failed },
        };
        let stream = |connection, opened| Stream {
            connection,
            opened,
            places: (place, partner_place),
            keep_alive: partner.keep_alive,
        };
        match dial::open(context, dialled, plan, deadline, stop).await {
            Negotiated::Open(connection, opened) => {
                tracing::info!(%pair, method = %opened.method, "stream open");
                return Ok(Reached::Open(stream(connection, Some(opened))));
            }
            Negotiated::Undecided(connection, undecided) => {
                let short = undecided.problem == Some(StanzaError::ResourceConstraint);
                if short && !retried {
                    retried = true;
                    broken = None;
                    servers.stay();
                    farewell(context, connection).await;
                    continue;
                }
                return Ok(Reached::Undecided(stream(connection, None), undecided));
            }
            Negotiated::Failed(connection, failure) => {
                if let Some(connection) = connection {
                    dial::hang_up(context, connection);
                }
                let dialback_left = terms.allows(Method::TlsDialback) && !external_failed;
                if failure == Failure::SaslRefused && dialback_left {
                    external_failed = true;
                    broken = None;
                    servers.stay();
                    continue;
                }
                if !failure.is_of_server() || !servers.has_more() {
                    return Err(Hindrance::Failed(failure));
                }
                broken = Some(Hindrance::Failed(failure));
            }
            Negotiated::Stopped(connection) => {
                dial::hang_up(context, connection);
                return Err(Hindrance::Stopping);
            }
            Negotiated::TimedOut(connection) | Negotiated::Told(connection, _) => {
                dial::hang_up(context, connection);
                if !servers.has_more() {
                    return Err(Hindrance::TimedOut);
                }
                broken = Some(Hindrance::TimedOut);
            }
        }
    }
}

/// Closes in good order, in the background.
async fn farewell(context: &Arc<Context>, mut connection: Connection) {
    if connection.send(CLOSING).await.is_ok() {
        dial::hang_up(context, connection);
    }
}

/// Keeps a stream whose pair was not decided: a later stanza may try once more on it.
async fn linger(
    context: &Arc<Context>,
    pair: &Pair,
    stream: Stream,
    undecided: Undecided,
    stop: &mut Stop,
) {
    let patience = context.config.settings.limits.stream_establishment_timeout;
    let wake = context.router.wake(pair);
    let (mut stream, mut undecided) = (stream, undecided);
    loop {
        let deadline = Instant::now() + patience;
        let waiting = async {
            loop {
                tokio::select! {
                    frame = stream.connection.next() => match frame {
                        Ok(Frame::Closed) | Err(_) => return false,
                        Ok(Frame::Element(element)) if is_error(&element) => return false,
                        Ok(_) => {}
                    },
                    () = wake.notified() => if context.router.waits(pair) {
                        return true;
                    },
                    () = stop.asked() => return false,
                }
            }
        };
        if !timeout_at(deadline, waiting).await.unwrap_or(false) {
            farewell(context, stream.connection).await;
            return;
        }
        let Stream {
            connection,
            places,
            keep_alive,
            ..
        } = stream;
        let deadline = Instant::now() + patience;
        let partner = &pair.to;
        match dial::ask_again(context, connection, undecided, partner, deadline, stop).await {
            Negotiated::Open(connection, opened) => {
                context.router.opened(pair);
                let stream = Stream {
                    connection,
                    opened: Some(opened),
                    places,
                    keep_alive,
                };
                stream.carry(context, pair, stop).await;
                return;
            }
            Negotiated::Undecided(connection, again) => {
                let hindrance = Hindrance::KeyUndecided(again.problem);
                give_up(context, pair, &hindrance).await;
                stream = Stream {
                    connection,
                    opened: None,
                    places,
                    keep_alive,
                };
                undecided = again;
            }
            Negotiated::Failed(connection, failure) => {
                if let Some(connection) = connection {
                    dial::hang_up(context, connection);
                }
                give_up(context, pair, &Hindrance::Failed(failure)).await;
                return;
            }
            Negotiated::Stopped(connection) => {
                dial::hang_up(context, connection);
                give_up(context, pair, &Hindrance::Stopping).await;
                return;
            }
            Negotiated::TimedOut(connection) | Negotiated::Told(connection, _) => {
                dial::hang_up(context, connection);
                give_up(context, pair, &Hindrance::TimedOut).await;
                return;
            }
        }
    }
}

/// Whether a stream was of any use.
enum Carried {
    Something,
    Nothing,
}

enum Turn {
    Frame(Result<Frame, Lost>),
    KeepAlive,
    Idle,
    Stop,
    Wake,
}

impl Stream {
    /// Empties the queue, again and again, until the stream is over.
    async fn carry(mut self, context: &Arc<Context>, pair: &Pair, stop: &mut Stop) -> Carried {
        let limits = &context.config.settings.limits;
        let wake = context.router.wake(pair);
        let mut carried = Carried::Nothing;
        let mut last_stanza = Instant::now();
        let mut last_sent = last_stanza;
        let orderly = loop {
            match self.flush(context, pair).await {
                Ok(0) => {}
                Ok(_) => {
                    carried = Carried::Something;
                    last_stanza = Instant::now();
                    last_sent = last_stanza;
                }
                Err(_) => {
                    self.log_end(pair, "broken");
                    return Carried::Something;
                }
            }
            match self.turn(limits, &wake, stop, last_stanza, last_sent).await {
                Turn::Wake => {}
                Turn::KeepAlive => {
                    // Well within the interval that the partner may hold this side to.
                    last_sent = Instant::now();
                    if self.connection.send(" ").await.is_err() {
                        break false;
                    }
                }
                Turn::Idle => break true,
                Turn::Stop => {
                    // What waits already is still sent.
                    let _ = self.flush(context, pair).await;
                    break true;
                }
                Turn::Frame(Ok(Frame::Closed)) => {
                    let _ = self.connection.send(CLOSING).await;
                    self.log_end(pair, "closed by the partner");
                    dial::hang_up(context, self.connection);
                    return carried;
                }
                Turn::Frame(Ok(Frame::Element(element))) if is_error(&element) => {
                    let condition = Condition::received(&element);
                    tracing::info!(%pair, %condition, "stream error from the partner");
                    let _ = self.connection.send(CLOSING).await;
                    dial::hang_up(context, self.connection);
                    return carried;
                }
                // Only answers could come this way, and all are decided.
                Turn::Frame(Ok(_)) => {}
                Turn::Frame(Err(Lost::Unreadable(fault))) => {
                    let text = error(Condition::from(fault), "");
                    let _ = self.connection.send(text).await;
                    self.log_end(pair, "unreadable");
                    dial::hang_up(context, self.connection);
                    return carried;
                }
                Turn::Frame(Err(_)) => break false,
            }
        };
        if orderly {
            self.log_end(pair, "closed");
            self.close(context).await;
        } else {
            self.log_end(pair, "broken");
        }
        carried
    }

    /// Waits for whatever comes first. The partner's bytes count before this side's stanzas, so
    /// that none is written into a stream that is known to be over.
    async fn turn(
        &mut self,
        limits: &crate::limits::Limits,
        wake: &tokio::sync::Notify,
        stop: &mut Stop,
        last_stanza: Instant,
        last_sent: Instant,
    ) -> Turn {
        let idle = last_stanza + limits.stream_inactivity_timeout;
        let keep_alive = match self.keep_alive {
            true => last_sent + limits.keep_alive_interval / 2,
            false => idle,
        };
        let waiting = async {
            tokio::select! {
                biased;
                frame = self.connection.next() => Turn::Frame(frame),
                () = wake.notified() => Turn::Wake,
                () = stop.asked() => Turn::Stop,
            }
        };
        match timeout_at(idle.min(keep_alive), waiting).await {
            Ok(turn) => turn,
            Err(_) if idle <= keep_alive => Turn::Idle,
            Err(_) => Turn::KeepAlive,
        }
    }

    /// Sends what waits, several stanzas in a write. Stanzas of a write that failed come back, and
    /// those that the partner finds too large before they are sent (XEP-0478).
    async fn flush(&mut self, context: &Context, pair: &Pair) -> Result<usize, Lost> {
        let mut sent = 0;
        loop {
            let mut batch = Vec::new();
            let mut bytes = Vec::new();
            while bytes.len() < BATCH
                && let Some(queued) = context.router.take(pair)
            {
                let largest = self.opened.and_then(|opened| opened.largest_stanza);
                if largest.is_some_and(|largest| queued.stanza.bytes.len() > largest) {
                    let why = StanzaError::PolicyViolation;
                    return_to_sender(context, pair, queued, why, "larger than the partner takes")
                        .await;
                    continue;
                }
                bytes.extend_from_slice(&queued.stanza.bytes);
                batch.push(queued);
            }
            if batch.is_empty() {
                return Ok(sent);
            }
            if let Err(lost) = self.connection.send(&bytes).await {
                let why = StanzaError::RemoteServerTimeout;
                for queued in batch {
                    return_to_sender(context, pair, queued, why, "the stream broke").await;
                }
                return Err(lost);
            }
            sent += batch.len();
        }
    }

    /// Closes in good order: closing tag, the partner's closing tag, then TLS and TCP.
    async fn close(mut self, context: &Arc<Context>) {
        if self.connection.send(CLOSING).await.is_err() {
            return;
        }
        let places = self.places;
        let mut connection = self.connection;
        context.tasks.spawn(async move {
            let _ = timeout_at(Instant::now() + FAREWELL, async {
                while let Ok(frame) = connection.next().await {
                    if frame == Frame::Closed {
                        return;
                    }
                }
            })
            .await;
            connection.close().await;
            drop(places);
        });
    }

    fn log_end(&self, pair: &Pair, how: &str) {
        let method = self.opened.map(|opened| opened.method.to_string());
        tracing::info!(%pair, method, how, "stream over");
    }
}
