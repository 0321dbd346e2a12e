//! A link to one proxy: mutual TLS, a stream, stanzas in both directions, and again after a pause.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reference_proxy::Clock;
use reference_proxy::wire::{
    Bounds, CLOSING, Condition, Connection, Domain, Frame, Incoming, Lost, Opening, Outgoing,
    ReadHalf, Skipped, Stanza, Stop, StreamError, Tls, Transport, error, is_error,
};
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::config::{Limits, ProxySettings};
use crate::event::{Event, LinkId};

/// The pause after a first failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The most stanzas combined into one write.
const BATCH: usize = 64;
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
    #[error("what answers is no proxy")]
    Unexpected,
}

/// Keeps a link until the gateway stops.
pub(crate) async fn keep(context: LinkContext, place: usize, proxy: ProxySettings, mut stop: Stop) {
    let mut pause = FIRST_PAUSE;
    let mut connection = 0;
    loop {
        connection += 1;
        let id = LinkId { place, connection };
        let opened = tokio::select! {
            opened = open(&context, &proxy) => opened,
            () = stop.asked() => return,
        };
        match opened {
            Ok(opened) => {
                tracing::info!(proxy = %proxy.address, "link open");
                let since = context.clock.now();
                let why = carry(&context, id, opened).await;
                tracing::info!(proxy = %proxy.address, why, "link over");
                if lasted(&context.clock, since) {
                    pause = FIRST_PAUSE;
                }
            }
            Err(failure) => {
                let why = with_causes(&failure);
                tracing::warn!(proxy = %proxy.address, why, again_in = ?pause, "no link");
            }
        }
        let _ = context.clock.timeout(pause, stop.asked()).await;
        if stop.is_asked() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether a link was good for longer than the pauses are, so that the next one need not wait.
fn lasted(clock: &Clock, since: Instant) -> bool {
    clock.now().saturating_duration_since(since) >= FIRST_PAUSE
}

async fn open(context: &LinkContext, proxy: &ProxySettings) -> Result<Connection, Failure> {
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
            // The features of an inner stream are empty.
            Frame::Element(_) => {
                connection.incoming().be_lenient();
                Ok(connection)
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

/// Carries stanzas until the link is over. Returns why it is.
async fn carry(context: &LinkContext, id: LinkId, connection: Connection) -> String {
    let (queue, mut stanzas) = mpsc::channel(context.limits.queue_stanzas);
    let (mut incoming, mut outgoing) = connection.split();
    let up = Event::LinkUp(id, queue);
    if context.hub.send(up).await.is_err() {
        return STOPPING.to_owned();
    }
    let mut unwritten = Vec::new();
    let over = tokio::select! {
        written = write(context, &mut outgoing, &mut stanzas, &mut unwritten) => match written {
            Ok(()) => Ok(STOPPING.to_owned()),
            Err(lost) => Ok(with_causes(&lost)),
        },
        over = read(context, id, &mut incoming) => over,
    };
    stanzas.close();
    while let Ok(stanza) = stanzas.try_recv() {
        unwritten.push(stanza);
    }
    let _ = context.hub.send(Event::LinkDown(id, unwritten)).await;
    let (last_words, why) = match over {
        Ok(why) => (CLOSING.to_owned(), why),
        Err(condition) => {
            let why = format!("what the proxy sends is refused: {condition}");
            (error(condition, ""), why)
        }
    };
    if outgoing.send(last_words.as_bytes()).await.is_ok() {
        outgoing.close().await;
        incoming.await_closing_tag(FAREWELL, &why).await;
    }
    why
}

/// Reads until the stream is over, or has to be ended with a stream error.
async fn read(
    context: &LinkContext,
    id: LinkId,
    incoming: &mut Incoming<ReadHalf<Transport>>,
) -> Result<String, Condition> {
    loop {
        match incoming.next().await {
            Ok(Frame::Stanza(stanza)) => {
                if let Err(SendError(Event::FromLink(_, stanza))) =
                    context.hub.send(Event::FromLink(id, stanza)).await
                {
                    stanza.dropped(STOPPING);
                    return Ok(STOPPING.to_owned());
                }
            }
            Ok(Frame::Closed) => return Ok("closed by the proxy".to_owned()),
            Ok(Frame::Element(element)) if is_error(&element) => {
                let error = StreamError::received(&element);
                return Ok(format!("closed by the proxy: {error}"));
            }
            Ok(Frame::Skipped(Skipped { error, stanza })) => {
                tracing::info!(%error, "a stanza from the proxy is passed over");
                if let Some(stanza) = stanza {
                    let event = Event::Skipped(id, stanza, error);
                    if context.hub.send(event).await.is_err() {
                        return Ok(STOPPING.to_owned());
                    }
                }
            }
            Ok(Frame::Element(_) | Frame::Header(_)) => {
                return Err(Condition::UnsupportedStanzaType);
            }
            Err(Lost::Unreadable(fault)) => return Err(fault.into()),
            Err(lost) => return Ok(with_causes(&lost)),
        }
    }
}

/// Writes until the hub drops the queue or the connection breaks, and blanks while there is nothing to
/// write. `batch` has what is not written yet.
async fn write(
    context: &LinkContext,
    outgoing: &mut Outgoing,
    stanzas: &mut mpsc::Receiver<Stanza>,
    batch: &mut Vec<Stanza>,
) -> Result<(), Lost> {
    loop {
        let interval = context.limits.keep_alive_interval;
        let next = stanzas.recv_many(batch, BATCH);
        let bytes = match context.clock.timeout(interval, next).await {
            Ok(0) => return Ok(()),
            Ok(_) => batch
                .iter()
                .flat_map(|stanza| &stanza.bytes)
                .copied()
                .collect(),
            Err(_) => b" ".to_vec(),
        };
        outgoing.send(&bytes).await?;
        batch.clear();
    }
}

/// An error with its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| (*error).source());
    let texts: Vec<String> = all.map(ToString::to_string).collect();
    texts.join(": ")
}
