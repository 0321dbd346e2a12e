//! Accepts gateways, and serves each until its stream ends.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::admission::{Established, Unfit, greet};
use super::reading::{Ending, Gateway, SURRENDER, Welcome};
use super::sessions::Sessions;
use super::writing::{Terms, Waiting, give_up, left, redirect, write};
use crate::connections::{Stranger, Strangers};
use crate::context::Context;
use crate::listener::Listener;
use crate::management::Managed;
use crate::register;
use crate::router::GatewayId;
use crate::task::Stage;

/// The maximum number of gateways, and of connections that may become gateways.
const GATEWAYS: usize = 64;
/// How many of those that may become gateways may come from one address.
const BY_ADDRESS: usize = 16;

/// The places of gateways, at whichever address they connect.
#[derive(Debug)]
pub(crate) struct Lobby {
    strangers: Strangers,
    places: Arc<Semaphore>,
    sessions: Arc<Sessions>,
}

impl Lobby {
    pub(crate) fn new() -> Self {
        Self {
            strangers: Strangers::new(GATEWAYS, BY_ADDRESS),
            places: Arc::new(Semaphore::new(GATEWAYS)),
            sessions: Arc::default(),
        }
    }
}

/// Accepts gateways until the proxy stops.
pub(crate) async fn listen(mut context: Arc<Context>, listener: Listener, lobby: Arc<Lobby>) {
    let mut stop = context.tasks.stop();
    while let Some((stream, peer)) = listener.accept(&mut stop).await {
        context = context.newest();
        match lobby.strangers.welcome(peer.ip()) {
            Ok(stranger) => {
                let admission = Admission {
                    stranger,
                    places: Arc::clone(&lobby.places),
                    sessions: Arc::clone(&lobby.sessions),
                };
                let serving = admit(Arc::clone(&context), stream, peer, admission);
                context.tasks.spawn_in(Stage::Gateways, serving);
            }
            Err(full) => Unfit::full(&full).enter(&context, peer),
        }
    }
}

/// What a connection needs to become a gateway's.
struct Admission {
    /// Its place meanwhile.
    stranger: Stranger,
    places: Arc<Semaphore>,
    sessions: Arc<Sessions>,
}

async fn admit(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, admission: Admission) {
    let Some(established) = greet(&context, stream, peer).await else {
        return;
    };
    drop(admission.stranger);
    match admission.places.try_acquire_owned() {
        Ok(place) => {
            let sessions = admission.sessions;
            let left = serve(&context, established, peer, &sessions).await;
            drop(place);
            if let Some(left) = left {
                settle(&context, left, &sessions).await;
            }
        }
        Err(_) => {
            let full = format!("limit of {GATEWAYS} gateways reached");
            Unfit::full(&full).enter(&context, peer);
        }
    }
}

/// A gateway's stream that is over.
struct Over {
    id: GatewayId,
    managed: Arc<Managed>,
    /// Whether its connection was lost.
    lost: bool,
}

/// Serves a gateway until its stream ends.
async fn serve(
    context: &Arc<Context>,
    established: Established,
    peer: SocketAddr,
    sessions: &Arc<Sessions>,
) -> Option<Over> {
    let Established {
        mut connection,
        serves,
        greeting,
    } = established;
    let limits = &context.config.settings.limits;
    let (queue, stanzas) = mpsc::channel(limits.gateway_queue_stanzas);
    let stanzas = Waiting(stanzas);
    // A gateway that has read the features may rely on getting stanzas.
    let weak = queue.downgrade();
    let id = context.router.join(serves.clone(), queue);
    if let Err(lost) = connection.send(&greeting).await {
        Unfit::stream("closed", lost.reason()).enter(context, peer);
        context.router.part(id);
        redirect(context, id, left(Vec::new(), stanzas)).await;
        return None;
    }
    tracing::info!(%peer, ?serves, "gateway connected");
    let _entry = context.register.enter_gateway(register::Gateway {
        peer,
        domains: serves.named(),
        since: context.clock.now(),
        queue: weak,
    });
    let mut gateway = Gateway {
        context: Arc::clone(context),
        id,
        peer,
        welcome: Welcome::new(context, connection.certificates(), serves),
        managed: Arc::default(),
        sessions: Arc::clone(sessions),
    };
    let managed = Arc::clone(&gateway.managed);
    let router = &context.router;
    if sessions.any(&gateway.welcome.serves, |id| router.awaits_return(id)) {
        managed.hold(context.clock.now() + SURRENDER);
    }
    let (mut incoming, outgoing) = connection.split();
    let (end, ended) = oneshot::channel();
    let terms = Terms {
        clock: context.clock.clone(),
        managed: Arc::clone(&managed),
        room: limits.gateway_queue_stanzas,
        patience: limits.acknowledgement_timeout,
        keep_alive: limits.keep_alive_interval,
    };
    let mut writing = Box::pin(write(terms, outgoing, stanzas, ended));
    let mut stop = context.tasks.stop_at(Stage::Gateways);
    let broken = Notify::new();
    let mut reading = Box::pin(gateway.read(&mut incoming, &mut stop, &broken));
    let ending = tokio::select! {
        ending = &mut reading => ending,
        // The gateway stopped reading, or the connection broke.
        left = &mut writing => {
            part(context, id, &managed, sessions);
            redirect(context, id, left).await;
            // What it reads just now still goes its way.
            broken.notify_one();
            reading.await;
            tracing::info!(%peer, how = "it does not read, or the connection broke", "gateway gone");
            return Some(Over { id, managed, lost: true });
        }
    };
    drop(reading);
    let lost = matches!(ending, Ending::Lost(_));
    match lost {
        true => part(context, id, &managed, sessions),
        false => context.router.part(id),
    }
    let how = ending.to_string();
    let by_proxy = matches!(ending, Ending::Proxy);
    let _ = end.send(ending);
    redirect(context, id, writing.await).await;
    if by_proxy {
        gateway.finish(&mut incoming).await;
    }
    tracing::info!(%peer, how, "gateway gone");
    Some(Over { id, managed, lost })
}

/// The gateway gets nothing more. What comes back for it waits, if it may go on.
fn part(context: &Context, id: GatewayId, managed: &Arc<Managed>, sessions: &Sessions) {
    if sessions.has(managed) {
        context.router.await_return(id);
    }
    context.router.part(id);
}

/// What the gateway has not acknowledged waits for the stream that goes on, if there may be one. Without one
/// it is answered.
async fn settle(context: &Arc<Context>, over: Over, sessions: &Sessions) {
    let Over { id, managed, lost } = over;
    if lost && sessions.has(&managed) {
        let patience = context.newest().config.settings.limits.resumption_timeout;
        let mut stop = context.tasks.stop_at(Stage::Gateways);
        tokio::select! {
            _ = context.clock.timeout(patience, managed.taken()) => {}
            () = stop.asked() => {}
        }
    }
    sessions.forget(&managed);
    if let Some(mut session) = managed.take() {
        give_up(context, session.unacknowledged.drain()).await;
        give_up(context, context.router.unpark(id).into_iter()).await;
    }
}
