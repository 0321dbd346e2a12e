//! Accepts gateways, and serves each until its stream ends.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::admission::{Established, Unfit, greet};
use super::reading::{Ending, Gateway, Welcome};
use super::writing::{Waiting, left, redirect, write};
use crate::connections::{Stranger, Strangers};
use crate::context::Context;
use crate::listener::Listener;
use crate::register;
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
}

impl Lobby {
    pub(crate) fn new() -> Self {
        Self {
            strangers: Strangers::new(GATEWAYS, BY_ADDRESS),
            places: Arc::new(Semaphore::new(GATEWAYS)),
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
}

async fn admit(context: Arc<Context>, stream: TcpStream, peer: SocketAddr, admission: Admission) {
    let Some(established) = greet(&context, stream, peer).await else {
        return;
    };
    drop(admission.stranger);
    match admission.places.try_acquire_owned() {
        Ok(_place) => serve(&context, established, peer).await,
        Err(_) => {
            let full = format!("limit of {GATEWAYS} gateways reached");
            Unfit::full(&full).enter(&context, peer);
        }
    }
}

/// Serves a gateway until its stream ends.
async fn serve(context: &Arc<Context>, established: Established, peer: SocketAddr) {
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
        redirect(context, left(Vec::new(), stanzas)).await;
        return;
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
    };
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
    let mut stop = context.tasks.stop_at(Stage::Gateways);
    let broken = Notify::new();
    let mut reading = Box::pin(gateway.read(&mut incoming, &mut stop, &broken));
    let ending = tokio::select! {
        ending = &mut reading => ending,
        // The gateway stopped reading, or the connection broke.
        left = &mut writing => {
            context.router.part(id);
            redirect(context, left).await;
            // What it reads just now still goes its way.
            broken.notify_one();
            reading.await;
            tracing::info!(%peer, how = "it does not read, or the connection broke", "gateway gone");
            return;
        }
    };
    drop(reading);
    context.router.part(id);
    let how = ending.to_string();
    let by_proxy = matches!(ending, Ending::Proxy);
    let _ = end.send(ending);
    redirect(context, writing.await).await;
    if by_proxy {
        gateway.finish(&mut incoming).await;
    }
    tracing::info!(%peer, how, "gateway gone");
}
