//! Gateways: mutual TLS, a stream, and stanzas that pass unchanged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::ReadHalf;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::clock::Clock;
use crate::context::Context;
use crate::domain::Domain;
use crate::listener::Listener;
use crate::outbound;
use crate::random::stream_id;
use crate::router::{GatewayId, Origin, Queued, Serves};
use crate::stanza::{self, StanzaError, bounce};
use crate::stream::{
    CLOSING, Condition, Connection, Incoming, Lost, Opening, Outgoing, Tls, Transport, domain,
    error, is_error,
};
use crate::task::Stop;
use crate::xml::{Frame, Stanza};

/// The maximum number of gateways, including connections that may become gateways.
const GATEWAYS: usize = 64;
/// The maximum number of stanzas combined into one write.
const BATCH: usize = 64;
/// How long a gateway is still read after the proxy's closing tag. Its stanzas cannot be routed
/// any more, but reading them keeps the closing tag from being lost with the connection.
const FAREWELL: Duration = Duration::from_millis(250);

/// Accepts gateways until the proxy stops.
pub(crate) async fn listen(context: Arc<Context>, listener: Listener, tls: Arc<ServerConfig>) {
    let mut stop = context.tasks.stop();
    let places = Arc::new(Semaphore::new(GATEWAYS));
    while let Some((stream, peer)) = listener.accept(&mut stop).await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%peer, "too many gateways");
            continue;
        };
        let serving = serve(Arc::clone(&context), stream, peer, Arc::clone(&tls));
        context.tasks.spawn(async move {
            serving.await;
            drop(place);
        });
    }
}

async fn serve(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, tls: Arc<ServerConfig>) {
    let mut stop = context.tasks.stop();
    let limits = &context.config.settings.limits;
    let due = context.clock.now() + limits.stream_establishment_timeout;
    let established = tokio::select! {
        established = context.clock.timeout_at(due, establish(&context, stream, tls)) => established,
        () = stop.asked() => return,
    };
    let (mut connection, serves, greeting) = match established {
        Ok(Ok(established)) => established,
        Ok(Err(lost)) => {
            tracing::warn!(%peer, reason = lost.reason(), "gateway not accepted");
            return;
        }
        Err(_) => {
            tracing::warn!(%peer, "gateway too slow");
            return;
        }
    };
    let (queue, stanzas) = mpsc::channel(limits.gateway_queue_stanzas);
    // A gateway that has read the features may rely on getting stanzas.
    let id = context.router.join(serves.clone(), queue);
    let greeted = context
        .clock
        .timeout_at(due, connection.send(&greeting))
        .await;
    if !matches!(greeted, Ok(Ok(()))) {
        tracing::warn!(%peer, "gateway gone before it was greeted");
        context.router.part(id);
        redirect(&context, left(Vec::new(), stanzas)).await;
        return;
    }
    tracing::info!(%peer, ?serves, "gateway connected");
    let (mut incoming, outgoing) = connection.split();
    let (end, ended) = oneshot::channel();
    let keep_alive = limits.keep_alive_interval;
    let mut writing = Box::pin(write(
        context.clock.clone(),
        outgoing,
        stanzas,
        ended,
        keep_alive,
    ));
    let ending = tokio::select! {
        ending = read(&context, &mut incoming, id, &mut stop) => Some(ending),
        // The gateway stopped reading, or the connection broke.
        left = &mut writing => {
            context.router.part(id);
            redirect(&context, left).await;
            None
        }
    };
    if let Some(ending) = ending {
        context.router.part(id);
        let by_proxy = matches!(ending, Ending::Proxy);
        let _ = end.send(ending);
        redirect(&context, writing.await).await;
        if by_proxy {
            incoming.await_closing_tag(FAREWELL).await;
        }
    }
    tracing::info!(%peer, "gateway gone");
}

/// How a gateway's stream ends.
enum Ending {
    /// By the gateway, cleanly or with a stream error.
    Gateway,
    /// By the proxy, cleanly.
    Proxy,
    /// By the proxy, with a stream error.
    Fault(Condition),
    /// Abruptly.
    Lost,
}

/// TLS, then the gateway's header. Returns the connection, what the gateway serves, and the
/// answer still to be sent.
async fn establish(
    context: &Context,
    stream: TcpStream,
    tls: Arc<ServerConfig>,
) -> Result<(Connection, Serves, String), Lost> {
    let config = &context.config;
    let mut connection = Connection::new(stream, &config.settings.limits, &context.clock);
    connection.secure(Tls::Accept(tls)).await?;
    let id = stream_id().map_err(|_| Lost::Ended)?;
    let header = match connection.next().await {
        Ok(Frame::Header(header)) if header.is_server_stream() => Ok(header),
        Ok(_) => Err(Condition::InvalidNamespace),
        Err(Lost::Unreadable(fault)) => Err(fault.into()),
        Err(lost) => return Err(lost),
    };
    let header = match header {
        Ok(header) => header,
        Err(condition) => {
            let opening = Opening::new(config.own_domain().as_str(), None, Some(&id));
            connection.send(opening.refusal(condition, "")).await?;
            connection.close().await;
            return Err(Lost::Ended);
        }
    };
    let from = domain(&header, "from").ok().flatten();
    let to = domain(&header, "to").ok().flatten();
    let own = to.as_ref().unwrap_or_else(|| config.own_domain());
    let peer = from.as_ref().map(Domain::as_str);
    let greeting = Opening::new(own.as_str(), peer, Some(&id)).text() + "<stream:features/>";
    let bytes = config.settings.limits.stanza_bytes;
    connection.incoming().trust(bytes);
    let mut named = [from, to].into_iter().flatten();
    let served = named.find(|domain| config.serves(domain));
    Ok((
        connection,
        served.map_or(Serves::All, Serves::Domain),
        greeting,
    ))
}

async fn read(
    context: &Arc<Context>,
    incoming: &mut Incoming<ReadHalf<Transport>>,
    id: GatewayId,
    stop: &mut Stop,
) -> Ending {
    loop {
        let frame = tokio::select! {
            frame = incoming.next() => frame,
            () = stop.asked() => return Ending::Proxy,
        };
        match frame {
            Ok(Frame::Stanza(stanza)) => send(context, id, stanza).await,
            Ok(Frame::Closed) => return Ending::Gateway,
            Ok(Frame::Element(element)) if is_error(&element) => {
                let condition = Condition::received(&element);
                tracing::warn!(%condition, "stream error from the gateway");
                return Ending::Gateway;
            }
            Ok(Frame::Element(_) | Frame::Header(_)) => {
                return Ending::Fault(Condition::UnsupportedStanzaType);
            }
            Err(Lost::Unreadable(fault)) => return Ending::Fault(fault.into()),
            Err(_) => return Ending::Lost,
        }
    }
}

/// Sends a gateway's stanza to its partner, or back.
async fn send(context: &Arc<Context>, gateway: GatewayId, stanza: Stanza) {
    let error = match stanza::pair(&stanza) {
        Ok(pair) if context.config.serves(&pair.from) => {
            let origin = Origin::Gateway(gateway);
            outbound::send(context, &pair, Queued { stanza, origin }).await;
            return;
        }
        Ok(_) => StanzaError::NotAllowed,
        Err(_) => StanzaError::JidMalformed,
    };
    if let Some(error) = bounce(&stanza, error, "") {
        let own = context.config.own_domain();
        // This fails only if the gateway disconnects just now.
        let _ = context.router.give_back(own, gateway, error).await;
    }
}

/// The stanzas that a gateway did not get, in order.
type Left = Vec<Stanza>;

/// Writes queued stanzas until the reader says how the stream ends, or the connection breaks.
async fn write(
    clock: Clock,
    mut outgoing: Outgoing,
    mut stanzas: mpsc::Receiver<Stanza>,
    mut ended: oneshot::Receiver<Ending>,
    keep_alive: Duration,
) -> Left {
    let ending = loop {
        let mut batch = Vec::new();
        let next = async {
            tokio::select! {
                biased;
                count = stanzas.recv_many(&mut batch, BATCH) => Ok(count),
                ending = &mut ended => Err(ending.unwrap_or(Ending::Lost)),
            }
        };
        let bytes = match clock.timeout(keep_alive, next).await {
            // The router has dropped the gateway, and the reader knows why.
            Ok(Ok(0)) => break ended.await.unwrap_or(Ending::Lost),
            Ok(Ok(_)) => joined(&batch),
            Ok(Err(ending)) => break ending,
            // Writing detects a gateway that vanished silently.
            Err(_) => b" ".to_vec(),
        };
        if outgoing.send(&bytes).await.is_err() {
            return left(batch, stanzas);
        }
    };
    let batch = left(Vec::new(), stanzas);
    let mut text = joined(&batch);
    match ending {
        Ending::Lost => return batch,
        Ending::Gateway | Ending::Proxy => text.extend_from_slice(CLOSING.as_bytes()),
        Ending::Fault(condition) => text.extend_from_slice(error(condition, "").as_bytes()),
    }
    let sent = outgoing.send(&text).await;
    outgoing.close().await;
    match sent {
        Ok(()) => Vec::new(),
        Err(_) => batch,
    }
}

fn joined(batch: &[Stanza]) -> Vec<u8> {
    let stanzas: Vec<&[u8]> = batch.iter().map(|stanza| &*stanza.bytes).collect();
    stanzas.concat()
}

fn left(mut batch: Left, mut stanzas: mpsc::Receiver<Stanza>) -> Left {
    stanzas.close();
    while let Ok(stanza) = stanzas.try_recv() {
        batch.push(stanza);
    }
    batch
}

/// Passes stanzas that a gateway did not get to another one, or answers them.
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
