//! Accepts gateways, and serves each until its stream ends.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::admission::{Established, Unfit, greet};
use super::reading::{Ending, Gateway, SURRENDER, Welcome};
use super::sessions::Sessions;
use super::writing::{Left, Terms, Waiting, give_up, left, redirect, write};
use crate::connections::{Stranger, Strangers};
use crate::context::Context;
use crate::listener::Listener;
use crate::management::Managed;
use crate::register;
use crate::router::{GatewayId, Serves};
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
        redirect(context, id, left(Vec::new(), stanzas).await).await;
        return None;
    }
    tracing::info!(%peer, ?serves, "gateway connected");
    let entry = context.register.enter_gateway(register::Gateway {
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
    let parting = Parting {
        context,
        id,
        serves: gateway.welcome.serves.clone(),
        managed: Arc::clone(&gateway.managed),
        sessions,
    };
    let managed = &parting.managed;
    // It may be the gateway of such a stream, whose end has not been noticed here.
    if sessions.any(&parting.serves) {
        managed.hold(context.clock.now() + SURRENDER);
    }
    let pen = managed.pen().await;
    let (mut incoming, outgoing) = connection.split();
    let (end, ended) = oneshot::channel();
    let terms = Terms {
        clock: context.clock.clone(),
        managed: Arc::clone(managed),
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
            parting.part(left, true);
            drop((pen, entry));
            // What it reads just now still goes its way.
            broken.notify_one();
            reading.await;
            tracing::info!(%peer, how = "it does not read, or the connection broke", "gateway gone");
            return Some(parting.pass_on(true).await);
        }
    };
    drop(reading);
    let lost = matches!(ending, Ending::Lost(_));
    match lost {
        true => managed.give_up(),
        false => context.router.part(id),
    }
    let how = ending.to_string();
    let by_proxy = matches!(ending, Ending::Proxy);
    let _ = end.send(ending);
    parting.part(writing.await, lost);
    drop((pen, entry));
    if by_proxy {
        gateway.finish(&mut incoming).await;
    }
    tracing::info!(%peer, how, "gateway gone");
    Some(parting.pass_on(lost).await)
}

/// The end of a gateway's stream.
struct Parting<'a> {
    context: &'a Arc<Context>,
    id: GatewayId,
    serves: Serves,
    managed: Arc<Managed>,
    sessions: &'a Sessions,
}

impl Parting<'_> {
    /// The gateway gets nothing more. If its connection is lost and it may go on, what it did not get waits where no
    /// other gateway gets it, and so does what comes back for it.
    fn part(&self, mut left: Left, lost: bool) {
        let router = &self.context.router;
        let away = || router.await_return(self.id, self.serves.clone(), &mut left);
        if !lost || self.sessions.with(&self.managed, away).is_none() {
            router.part(self.id);
        }
        self.managed.leave(left);
    }

    /// Passes on what the gateway did not get.
    async fn pass_on(self, lost: bool) -> Over {
        let Self {
            context,
            id,
            serves,
            managed,
            sessions,
        } = self;
        // Whoever has come later may be the same gateway. It says soon whether it goes on, and gets it first then.
        if lost && sessions.has(&managed) && context.router.is_followed(id, &serves) {
            let _ = context.clock.timeout(SURRENDER, managed.followed()).await;
        }
        redirect(context, id, managed.left()).await;
        Over { id, managed, lost }
    }
}

/// What the gateway has not acknowledged waits for the stream that goes on, if there may be one. Without one
/// it is answered.
async fn settle(context: &Arc<Context>, over: Over, sessions: &Sessions) {
    let Over { id, managed, lost } = over;
    if lost && sessions.has(&managed) {
        let patience = context.newest().config.settings.limits.resumption_timeout;
        let mut stop = context.tasks.stop_at(Stage::Gateways);
        tokio::select! {
            _ = context.clock.timeout(patience, managed.followed()) => {}
            () = stop.asked() => {}
        }
    }
    sessions.forget(&managed);
    if let Some(mut session) = managed.take() {
        give_up(context, session.unacknowledged.drain()).await;
    }
    redirect(context, id, context.router.unpark(id)).await;
}
