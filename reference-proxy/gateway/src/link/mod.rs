//! A link to one proxy: mutual TLS, a stream, stanzas in both directions, and again after a pause.

mod managing;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reference_proxy::Clock;
use reference_proxy::wire::{
    Bounds, CLOSING, Condition, Connection, Domain, Frame, Incoming, Lost, Managed, Management,
    Opening, Outgoing, ReadHalf, Skipped, Stanza, Stop, StreamError, Tls, TooMany, Transport,
    error, is_error, namespace::MANAGEMENT,
};
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::config::{Limits, ProxySettings};
use crate::event::{Event, LinkId, Way};
use managing::{Kept, begin, give_up};

/// The pause after a first failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The most stanzas combined into one write.
const BATCH: usize = 64;
/// How many stanzas, and bytes of them, may wait until the proxy has handled them. It is more than wait for one slow
/// partner by far, as those for other partners have to pass meanwhile.
const WINDOW: (usize, usize) = (65_536, 64 * 1024 * 1024);
/// How long the proxy's closing tag is waited for.
const FAREWELL: Duration = Duration::from_secs(2);
/// Why a link ends that the gateway ends.
const STOPPING: &str = "the gateway stops";

/// What each link needs.
#[derive(Clone)]
pub(crate) struct LinkContext {
    pub(crate) clock: Clock,
    pub(crate) hub: mpsc::Sender<Event>,
    pub(crate) limits: Limits,
    /// How many links there are.
    pub(crate) links: watch::Receiver<usize>,
    /// The name that the gateway presents itself by.
    pub(crate) own: Domain,
    /// TLS with the present certificates; read for each connection.
    pub(crate) tls: watch::Receiver<Arc<ClientConfig>>,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("could not connect")]
    Connect(#[source] io::Error),
    #[error("no connection within {0:?}")]
    Late(Duration),
    #[error("no stream over it")]
    Lost(#[from] Lost),
    #[error("the proxy refuses the stream: {0}")]
    Refused(StreamError),
    #[error("the proxy counts what was not sent")]
    Miscounted(#[from] TooMany),
    #[error("what answers is no proxy")]
    Unexpected,
}

impl Failure {
    /// Whether there is no proxy any more that could go on with a link.
    fn nobody_listens(&self) -> bool {
        matches!(self, Self::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }
}

/// Keeps a link until the gateway stops.
pub(crate) async fn keep(context: LinkContext, place: usize, proxy: ProxySettings, stop: Stop) {
    let mut kept = None;
    until_stopped(&context, place, &proxy, stop, &mut kept).await;
    if let Some(kept) = kept {
        kept.give_up(&context).await;
    }
}

async fn until_stopped(
    context: &LinkContext,
    place: usize,
    proxy: &ProxySettings,
    mut stop: Stop,
    kept: &mut Option<Kept>,
) {
    let mut pause = FIRST_PAUSE;
    let mut connection = 0;
    loop {
        connection += 1;
        let id = LinkId { place, connection };
        let opened = tokio::select! {
            opened = open(context, proxy) => opened,
            () = stop.asked() => return,
        };
        match opened {
            Ok(opened) => {
                tracing::info!(proxy = %proxy.address, "link open");
                let since = context.clock.now();
                let why = carry(context, id, opened, kept).await;
                tracing::info!(proxy = %proxy.address, why, "link over");
                if lasted(&context.clock, since) {
                    pause = FIRST_PAUSE;
                }
            }
            Err(failure) => {
                let why = with_causes(&failure);
                tracing::warn!(proxy = %proxy.address, why, again_in = ?pause, "no link");
                // What it has taken over, and not passed on, is lost with it.
                if failure.nobody_listens()
                    && *context.links.borrow() > 0
                    && let Some(kept) = kept.take()
                {
                    kept.give_up(context).await;
                }
            }
        }
        let again = context.clock.now() + pause;
        while context.clock.now() < again {
            let due = kept.as_ref().map_or(again, |kept| kept.until.min(again));
            let _ = context.clock.timeout_at(due, stop.asked()).await;
            if stop.is_asked() {
                return;
            }
            if kept
                .as_ref()
                .is_some_and(|kept| kept.until <= context.clock.now())
                && let Some(kept) = kept.take()
            {
                kept.give_up(context).await;
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether a link was good for longer than the pauses are, so that the next one need not wait.
fn lasted(clock: &Clock, since: Instant) -> bool {
    clock.now().saturating_duration_since(since) >= FIRST_PAUSE
}

/// An open stream.
struct Opened {
    connection: Connection,
    /// Whether the proxy acknowledges stanzas.
    acknowledges: bool,
}

async fn open(context: &LinkContext, proxy: &ProxySettings) -> Result<Opened, Failure> {
    let patience = context.limits.establishment_timeout;
    let opening = async {
        let stream = TcpStream::connect(&proxy.address)
            .await
            .map_err(Failure::Connect)?;
        watch_over(&stream, context.limits.keep_alive_interval).map_err(Failure::Connect)?;
        let bounds = Bounds {
            bytes: context.limits.stanza_bytes,
            depth: 64,
            attributes: 64,
        };
        let transport = Transport::Plain(stream);
        let mut connection = Connection::over(transport, bounds, patience, &context.clock);
        let tls = Arc::clone(&context.tls.borrow());
        let tls = Tls::Connect(tls, proxy.name.server_name());
        connection.secure(tls).await?;
        let header = Opening::new(context.own.as_str(), Some(proxy.name.as_str()), None);
        connection.send(header.text()).await?;
        match connection.next().await? {
            Frame::Header(header) if header.is_server_stream() => {}
            _ => return Err(Failure::Unexpected),
        }
        match connection.next().await? {
            Frame::Element(element) if is_error(&element) => {
                Err(Failure::Refused(StreamError::received(&element)))
            }
            Frame::Element(features) => {
                connection.incoming().be_lenient();
                Ok(Opened {
                    connection,
                    acknowledges: features.child(MANAGEMENT, "sm").is_some(),
                })
            }
            Frame::Stanza(_) | Frame::Header(_) | Frame::Skipped(_) | Frame::Closed => {
                Err(Failure::Unexpected)
            }
        }
    };
    match context.clock.timeout(patience, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Failure::Late(patience)),
    }
}

/// Has the system notice a proxy that vanished: what is written, blanks included, is to be acknowledged
/// in time.
fn watch_over(stream: &TcpStream, interval: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_user_timeout(Some(interval))?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(interval)
            .with_interval(interval),
    )
}

/// How a link has ended.
enum Over {
    /// In order, so that nobody goes on with it.
    Closed(String),
    /// With a stream error of this side.
    Refused(Condition),
    Lost(String),
}

/// Carries stanzas until the link is over. Returns why it is. What it leaves is kept for the next connection.
async fn carry(
    context: &LinkContext,
    id: LinkId,
    opened: Opened,
    kept: &mut Option<Kept>,
) -> String {
    let Opened {
        mut connection,
        acknowledges,
    } = opened;
    let managed = Managed::default();
    let mut early = Vec::new();
    let name = match acknowledges {
        true => {
            let beginning = begin(context, id, &mut connection, &managed, kept, &mut early);
            let patience = context.limits.establishment_timeout;
            let begun = context.clock.timeout(patience, beginning).await;
            match begun.unwrap_or(Err(Failure::Late(patience))) {
                Ok(name) => name,
                Err(failure) => {
                    let left = managed.take().unwrap_or_default();
                    give_up(left, context).await;
                    // They do not count, so the proxy does not send them again.
                    tell(context, early).await;
                    return with_causes(&failure);
                }
            }
        }
        false => {
            if let Some(kept) = kept.take() {
                kept.give_up(context).await;
            }
            None
        }
    };
    let (queue, mut stanzas) = mpsc::channel(context.limits.queue_stanzas);
    let (progress, through) = watch::channel(0);
    let way = Way {
        queue,
        given: 0,
        through,
    };
    if context.hub.send(Event::LinkUp(id, way)).await.is_err() {
        give_up(managed.take().unwrap_or_default(), context).await;
        return STOPPING.to_owned();
    }
    tell(context, early).await;
    let (mut incoming, mut outgoing) = connection.split();
    let mut unwritten = Vec::new();
    let over = tokio::select! {
        written = write(context, &managed, &mut outgoing, &mut stanzas, &mut unwritten, &progress) => match written {
            Ok(()) => Over::Closed(STOPPING.to_owned()),
            Err(lost) => Over::Lost(with_causes(&lost)),
        },
        over = read(context, id, &managed, &mut incoming) => over,
    };
    down(context, id, stanzas, unwritten).await;
    let (last_words, why) = match over {
        Over::Closed(why) => (managed.last_word() + CLOSING, why),
        Over::Refused(condition) => {
            let why = format!("what the proxy sends is refused: {condition}");
            (managed.last_word() + &error(condition, ""), why)
        }
        Over::Lost(why) => {
            let session = managed.take().unwrap_or_default();
            match name {
                Some(name) => *kept = Some(Kept::new(name, session, context.clock.now())),
                None => give_up(session, context).await,
            }
            return why;
        }
    };
    // Nothing can follow a part of a stanza.
    if !outgoing.is_cut() && outgoing.send(last_words.as_bytes()).await.is_ok() {
        outgoing.close().await;
        let closed = await_closing_tag(context, &managed, &mut incoming, &why);
        let _ = context.clock.timeout(FAREWELL, closed).await;
    }
    // It has had its chance to tell what it has handled.
    give_up(managed.take().unwrap_or_default(), context).await;
    why
}

async fn tell(context: &LinkContext, events: Vec<Event>) {
    for event in events {
        // Without a hub the gateway stops.
        let _ = context.hub.send(event).await;
    }
}

/// The hub sends nothing more to the link, and gets back what the link has not sent.
async fn down(
    context: &LinkContext,
    id: LinkId,
    mut stanzas: mpsc::Receiver<Stanza>,
    mut unwritten: Vec<Stanza>,
) {
    stanzas.close();
    // Up to the last one that is being put in.
    while let Some(stanza) = stanzas.recv().await {
        unwritten.push(stanza);
    }
    let _ = context.hub.send(Event::LinkDown(id, unwritten)).await;
}

/// After this side has closed, an acknowledgement is all that still counts.
async fn await_closing_tag(
    context: &LinkContext,
    managed: &Managed,
    incoming: &mut Incoming<ReadHalf<Transport>>,
    why: &str,
) {
    loop {
        match incoming.next().await {
            Ok(Frame::Closed) | Err(_) => return,
            // With acknowledgements the proxy has it still.
            Ok(Frame::Stanza(stanza)) if !managed.is_on() => stanza.dropped(why),
            Ok(Frame::Element(element)) => {
                if let Some(Management::Acknowledgement(Some(handled))) = Management::read(&element)
                {
                    // More than was sent changes nothing any more.
                    let _ = managed.handled(handled, context.clock.now());
                }
            }
            Ok(Frame::Stanza(_) | Frame::Skipped(_) | Frame::Header(_)) => {}
        }
    }
}

/// Reads until the stream is over, or has to be ended with a stream error. Where the gateway stops, nothing more is
/// handled, and the writer ends the stream once all is said.
async fn read(
    context: &LinkContext,
    id: LinkId,
    managed: &Managed,
    incoming: &mut Incoming<ReadHalf<Transport>>,
) -> Over {
    loop {
        match incoming.next().await {
            Ok(Frame::Stanza(stanza)) => {
                match context.hub.send(Event::FromLink(id, stanza)).await {
                    Ok(()) => managed.count(),
                    // With acknowledgements the proxy has it still.
                    Err(SendError(Event::FromLink(_, stanza))) if !managed.is_on() => {
                        stanza.dropped(STOPPING);
                    }
                    Err(_) => {}
                }
            }
            Ok(Frame::Closed) => return Over::Closed("closed by the proxy".to_owned()),
            Ok(Frame::Element(element)) if is_error(&element) => {
                let error = StreamError::received(&element);
                return Over::Closed(format!("closed by the proxy: {error}"));
            }
            Ok(Frame::Element(element)) if managed.is_on() => match Management::read(&element) {
                Some(Management::Request) => managed.acknowledge(),
                Some(Management::Acknowledgement(Some(handled))) => {
                    if managed.handled(handled, context.clock.now()).is_err() {
                        return Over::Refused(Condition::Undefined);
                    }
                }
                _ => return Over::Refused(Condition::UnsupportedStanzaType),
            },
            Ok(Frame::Skipped(Skipped { error, stanza })) => {
                tracing::info!(%error, "a stanza from the proxy is passed over");
                let is_handled = match stanza {
                    Some(stanza) => {
                        let event = Event::Skipped(id, stanza, error);
                        context.hub.send(event).await.is_ok()
                    }
                    None => true,
                };
                if is_handled {
                    managed.count();
                }
            }
            Ok(Frame::Element(_) | Frame::Header(_)) => {
                return Over::Refused(Condition::UnsupportedStanzaType);
            }
            Err(Lost::Unreadable(fault)) => return Over::Refused(fault.into()),
            Err(lost) => return Over::Lost(with_causes(&lost)),
        }
    }
}

/// Writes until the hub drops the queue or the connection breaks, and blanks while there is nothing to
/// write. `batch` has what is not written yet.
async fn write(
    context: &LinkContext,
    managed: &Managed,
    outgoing: &mut Outgoing,
    stanzas: &mut mpsc::Receiver<Stanza>,
    batch: &mut Vec<Stanza>,
    through: &watch::Sender<u64>,
) -> Result<(), Lost> {
    let clock = &context.clock;
    let interval = context.limits.keep_alive_interval;
    let mut written: u64 = 0;
    loop {
        // What a former connection has left comes first, and so does its acknowledgement.
        let dealt_with = written.saturating_sub(managed.waiting() as u64);
        through.send_if_modified(|through| std::mem::replace(through, dealt_with) != dealt_with);
        let has_room = managed.has_room(WINDOW.0, WINDOW.1);
        let next = async {
            tokio::select! {
                biased;
                count = stanzas.recv_many(batch, BATCH), if has_room => Some(count),
                () = managed.changed() => None,
            }
        };
        let blank = clock.now() + interval;
        let due = managed.answer_due(interval);
        let others = [due, managed.next_question(interval)];
        let first = others.into_iter().flatten().fold(blank, Instant::min);
        let woken = clock.timeout_at(first, next).await;
        match woken {
            Ok(Some(0)) => return Ok(()),
            // The proxy gives no sign of life.
            Err(_) if due.is_some_and(|due| due <= clock.now()) => return Err(Lost::Stuck),
            Ok(_) | Err(_) => {}
        }
        let count = batch.len() as u64;
        let composed = managed.compose(batch, || 0, clock.now(), interval);
        let mut bytes = composed.unwrap_or_default();
        if bytes.is_empty() && blank <= clock.now() {
            bytes.push(b' ');
        }
        if !bytes.is_empty() {
            outgoing.send(&bytes).await?;
        }
        batch.clear();
        written += count;
    }
}

/// An error with its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = all.map(ToString::to_string).collect();
    texts.join(": ")
}
