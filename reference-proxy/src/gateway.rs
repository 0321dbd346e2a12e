//! One gateway's connection: its stanzas go to partners, partners' stanzas go to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::ReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::context::Context;
use crate::domain::Domain;
use crate::outbound;
use crate::random::stream_id;
use crate::router::{GatewayId, Origin, Queued, Serves};
use crate::stanza::{self, StanzaError, bounce};
use crate::stream::{
    Condition, Connection, Incoming, Lost, Opening, Outgoing, Tls, Transport, closing, domain,
    error, is_error,
};
use crate::task::Stop;
use crate::xml::{Frame, Stanza};

/// Gateways at once, and connections that may become gateways.
const GATEWAYS: usize = 64;
/// Stanzas gathered into one write.
const BATCH: usize = 64;
/// How long a gateway is still read after the proxy's closing tag. What it sends by then can't go
/// anywhere any more; it is read so that the closing tag is not lost with the connection.
const FAREWELL: Duration = Duration::from_millis(250);
/// Pause after a failure to accept.
const BREATH: Duration = Duration::from_millis(100);

/// Accepts gateways until the proxy stops.
pub(crate) async fn listen(context: Arc<Context>, listener: TcpListener, tls: Arc<ServerConfig>) {
    let mut stop = context.tasks.stop();
    let places = Arc::new(Semaphore::new(GATEWAYS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.asked() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::warn!(%peer, "too many gateways");
                    continue;
                };
                let context = Arc::clone(&context);
                let tls = tls.clone();
                context.clone().tasks.spawn(async move {
                    serve(context, stream, peer, tls).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::error!(%error, "no gateway could be accepted");
                let _ = timeout(BREATH, stop.asked()).await;
            }
        }
    }
}

async fn serve(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, tls: Arc<ServerConfig>) {
    let mut stop = context.tasks.stop();
    let due = Instant::now() + context.config.settings.limits.stream_establishment_timeout;
    let established = tokio::select! {
        established = timeout_at(due, establish(&context, stream, &tls)) => established,
        () = stop.asked() => return,
    };
    let (mut connection, serves, greeting) = match established {
        Ok(Ok(established)) => established,
        Ok(Err(error)) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(
                %peer,
                reason = source.as_deref().unwrap_or("closed"),
                "gateway not accepted"
            );
            return;
        }
        Err(_) => {
            tracing::warn!(%peer, "gateway too slow");
            return;
        }
    };
    let (queue, stanzas) =
        mpsc::channel(context.config.settings.limits.gateway_queue_stanzas.max(1));
    // Who has read the features may count on stanzas for it being taken.
    let id = context.router.join(serves.clone(), queue);
    let greeted = timeout_at(due, connection.send(greeting.as_bytes())).await;
    if !matches!(greeted, Ok(Ok(()))) {
        tracing::warn!(%peer, "gateway gone before it was greeted");
        context.router.part(id);
        redirect(&context, left(Vec::new(), stanzas)).await;
        return;
    }
    tracing::info!(%peer, ?serves, "gateway connected");
    let (mut incoming, outgoing) = connection.split();
    let (say, last_word) = oneshot::channel();
    let limits = &context.config.settings.limits;
    let mut writing = Box::pin(write(
        outgoing,
        stanzas,
        last_word,
        limits.keep_alive_interval,
    ));
    let ended = tokio::select! {
        ended = read(&context, &mut incoming, id, &mut stop) => Some(ended),
        // The gateway does not read any more, or the connection broke.
        left = &mut writing => {
            context.router.part(id);
            redirect(&context, left).await;
            None
        }
    };
    if let Some(ended) = ended {
        context.router.part(id);
        let wait = matches!(ended, Ended::Here);
        let _ = say.send(ended);
        redirect(&context, writing.await).await;
        if wait {
            await_closing_tag(&mut incoming).await;
        }
    }
    tracing::info!(%peer, "gateway gone");
}

/// How a gateway's stream ends.
enum Ended {
    /// By the gateway.
    There,
    /// By the proxy, in good order.
    Here,
    /// By an error of the gateway's.
    Faulty(Condition),
    /// Without a word.
    Lost,
}

/// TLS, then the gateway's header. Says what the gateway takes stanzas for, and the answer that has yet
/// to be sent.
async fn establish(
    context: &Context,
    stream: TcpStream,
    tls: &Arc<ServerConfig>,
) -> Result<(Connection, Serves, String), Lost> {
    let limits = &context.config.settings.limits;
    let connection = Connection::new(stream, limits);
    let mut connection = connection.secure(Tls::Accept(Arc::clone(tls))).await?;
    let id = stream_id().map_err(|_| Lost::Ended)?;
    let header = match connection.next().await {
        Ok(Frame::Header(header)) if header.is_server_stream() => header,
        Ok(_) => return refuse(context, connection, Condition::InvalidNamespace, &id).await,
        Err(Lost::Unreadable(fault)) => {
            return refuse(context, connection, fault.into(), &id).await;
        }
        Err(lost) => return Err(lost),
    };
    let from = domain(&header, "from").ok().flatten();
    let to = domain(&header, "to").ok().flatten();
    let name = to
        .as_ref()
        .map_or_else(|| context.config.own_domain().as_str(), Domain::as_str);
    let mut text = opening(name, from.as_ref(), &id);
    text.push_str("<stream:features/>");
    connection.incoming().trust(limits.stanza_bytes);
    let served = [from, to]
        .into_iter()
        .flatten()
        .find(|domain| context.config.serves(domain));
    let serves = served.map_or(Serves::All, Serves::Domain);
    Ok((connection, serves, text))
}

fn opening(from: &str, to: Option<&Domain>, id: &str) -> String {
    Opening {
        from,
        to: to.map(Domain::as_str),
        id: Some(id),
        dialback: false,
        versioned: true,
        language: "en",
    }
    .text()
}

async fn refuse<T>(
    context: &Context,
    mut connection: Connection,
    condition: Condition,
    id: &str,
) -> Result<T, Lost> {
    let text = format!(
        "{}{}",
        opening(context.config.own_domain().as_str(), None, id),
        error(condition, "")
    );
    connection.send(text.as_bytes()).await?;
    connection.close().await;
    Err(Lost::Ended)
}

async fn read(
    context: &Arc<Context>,
    incoming: &mut Incoming<ReadHalf<Transport>>,
    id: GatewayId,
    stop: &mut Stop,
) -> Ended {
    loop {
        let frame = tokio::select! {
            frame = incoming.next() => frame,
            () = stop.asked() => return Ended::Here,
        };
        match frame {
            Ok(Frame::Stanza(stanza)) => send(context, id, stanza).await,
            Ok(Frame::Closed) => return Ended::There,
            Ok(Frame::Element(element)) if is_error(&element) => {
                let condition = Condition::received(&element);
                tracing::warn!(
                    condition = condition.name(),
                    "stream error from the gateway"
                );
                return Ended::There;
            }
            Ok(Frame::Element(_) | Frame::Header(_)) => {
                return Ended::Faulty(Condition::UnsupportedStanzaType);
            }
            Err(Lost::Unreadable(fault)) => return Ended::Faulty(fault.into()),
            Err(_) => return Ended::Lost,
        }
    }
}

/// Sends a gateway's stanza to its partner, or back.
async fn send(context: &Arc<Context>, gateway: GatewayId, stanza: Stanza) {
    let why = match stanza::pair(&stanza) {
        Ok(pair) if context.config.serves(&pair.from) => {
            let origin = Origin::Gateway(gateway);
            outbound::send(context, &pair, Queued { stanza, origin }).await;
            return;
        }
        Ok(_) => StanzaError::NotAllowed,
        Err(_) => StanzaError::JidMalformed,
    };
    let own = context.config.own_domain();
    if let Some(error) = bounce(&stanza, why, "") {
        // The gateway that is being read is there, so this fails only when it goes just now.
        let _ = context.router.give_back(own, gateway, error).await;
    }
}

/// What a gateway was not sent, in order.
type Left = Vec<Stanza>;

/// Writes what is queued until the reader has the last word or the connection breaks.
async fn write(
    mut outgoing: Outgoing,
    mut stanzas: mpsc::Receiver<Stanza>,
    mut last_word: oneshot::Receiver<Ended>,
    keep_alive: Duration,
) -> Left {
    let ended = loop {
        let mut batch = Vec::new();
        let more = tokio::select! {
            biased;
            count = stanzas.recv_many(&mut batch, BATCH) => count > 0,
            ended = &mut last_word => break ended.unwrap_or(Ended::Lost),
            // A gateway that vanished without a word is found by writing to it.
            () = pause(keep_alive) => {
                if outgoing.send(b" ").await.is_err() {
                    return left(Vec::new(), stanzas);
                }
                true
            }
        };
        if !more {
            // The router has let go of the gateway; the reader says why.
            break last_word.await.unwrap_or(Ended::Lost);
        }
        if !batch.is_empty() && outgoing.send(&joined(&batch)).await.is_err() {
            return left(batch, stanzas);
        }
    };
    stanzas.close();
    let batch = left(Vec::new(), stanzas);
    let mut text = joined(&batch);
    match ended {
        Ended::Lost => return batch,
        Ended::There | Ended::Here => text.extend_from_slice(closing().as_bytes()),
        Ended::Faulty(condition) => text.extend_from_slice(error(condition, "").as_bytes()),
    }
    let sent = outgoing.send(&text).await;
    outgoing.close().await;
    match sent {
        Ok(()) => Vec::new(),
        Err(_) => batch,
    }
}

async fn pause(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

fn joined(batch: &[Stanza]) -> Vec<u8> {
    let length = batch.iter().map(|stanza| stanza.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(length);
    for stanza in batch {
        bytes.extend_from_slice(&stanza.bytes);
    }
    bytes
}

fn left(mut batch: Left, mut stanzas: mpsc::Receiver<Stanza>) -> Left {
    stanzas.close();
    while let Ok(stanza) = stanzas.try_recv() {
        batch.push(stanza);
    }
    batch
}

/// Gives stanzas that a gateway was not sent to another one, or answers them.
async fn redirect(context: &Arc<Context>, left: Left) {
    for stanza in left {
        let Ok(pair) = stanza::pair(&stanza) else {
            continue;
        };
        if let Err(stanza) = context.router.deliver(&pair.to, stanza).await {
            outbound::unclaimed(context, &pair, &stanza).await;
        }
    }
}

async fn await_closing_tag(incoming: &mut Incoming<ReadHalf<Transport>>) {
    let _ = timeout(FAREWELL, async {
        while let Ok(frame) = incoming.next().await {
            if frame == Frame::Closed {
                return;
            }
        }
    })
    .await;
}
