//! One link for each pair towards a partner: it opens a stream when a stanza waits, and returns
//! undeliverable stanzas.

use std::net::SocketAddr;
use std::sync::Arc;

use super::dial::Servers;
use super::initiating::Undecided;
use super::negotiate::{Negotiated, ask_again, hang_up, open};
use super::open_stream::{OpenStream, Places, WRONG_WAY};
use super::plan::{Failure, Plan, Purpose};
use super::undelivered::{Unavailable, give_up};
use crate::context::Context;
use crate::domain::Pair;
use crate::negotiation::Method;
use crate::stanza::StanzaError;
use crate::stream::{CLOSING, Connection, is_error};
use crate::task::{Stage, Stop};
use crate::xml::Frame;

/// Processes a pair's queue until it is empty and its stream has ended.
pub(super) async fn attend(mut context: Arc<Context>, pair: Pair, mut stop: Stop) {
    loop {
        context = context.newest();
        let unavailable = match connect(&context, &pair, &mut stop).await {
            Ok(Reached::Open(stream)) => {
                context.router.opened(&pair);
                let mut last = context.tasks.stop_at(Stage::Streams);
                let carried = stream.carry(&context, &pair, &mut last).await;
                (!carried).then_some(Unavailable::ShortLived)
            }
            Ok(Reached::Undecided(stream)) => {
                let unavailable = stream.unavailable();
                give_up(&context, &pair, &unavailable).await;
                linger(&context, &pair, stream, &mut stop).await
            }
            Err(unavailable) => Some(unavailable),
        };
        if let Some(unavailable) = unavailable {
            give_up(&context, &pair, &unavailable).await;
        }
        if context.router.leave(&pair) {
            return;
        }
        if stop.is_asked() {
            give_up(&context, &pair, &Failure::Stopping.into()).await;
        }
    }
}

/// A stream on which the partner could not judge the key.
pub(super) struct UndecidedStream {
    connection: Connection,
    peer: SocketAddr,
    undecided: Undecided,
    places: Places,
    keep_alive: bool,
}

impl UndecidedStream {
    fn unavailable(&self) -> Unavailable {
        Unavailable::KeyUndecided(self.undecided.error.clone(), self.peer)
    }
}

/// A stream that is open for stanzas, or may be.
pub(super) enum Reached {
    Open(OpenStream),
    Undecided(UndecidedStream),
}

/// Opens a stream, using several connections if useful: without EXTERNAL after it
/// failed, once more if the partner lacked resources, and to the next server if one accepts
/// connections but is broken.
pub(super) async fn connect(
    context: &Arc<Context>,
    pair: &Pair,
    stop: &mut Stop,
) -> Result<Reached, Unavailable> {
    let settings = &context.config.settings;
    let partner = context.config.partner(&pair.to);
    let partner = partner.filter(|_| context.config.serves(&pair.from));
    let partner = partner.ok_or(Unavailable::NoPartner)?;
    // Without a place nothing has to be looked up.
    drop((
        context.connections.admit()?,
        context.connections.claim(partner)?,
    ));
    let mut external_failed = false;
    let mut retried = false;
    let mut broken = None;
    let mut servers = tokio::select! {
        found = Servers::of(context, &pair.to) => found?,
        () = stop.asked() => return Err(Failure::Stopping.into()),
    };
    loop {
        let place = context.connections.admit()?;
        let partner_place = context.connections.claim(partner)?;
        let dialled = tokio::select! {
            dialled = servers.connect(context, &pair.to) => dialled,
            () = stop.asked() => return Err(Failure::Stopping.into()),
        };
        let dialled = dialled.map_err(|unreachable| match broken {
            Some((failure, at)) => Unavailable::Failed(failure, Some(at)),
            None => unreachable.into(),
        })?;
        let peer = dialled.peer;
        let deadline = context.clock.now() + settings.limits.stream_establishment_timeout;
        let plan = Plan {
            pair: pair.clone(),
            terms: partner.terms,
            strict: settings.strict_certificates,
            purpose: Purpose::Deliver { external_failed },
        };
        let places = (place, partner_place);
        let keep_alive = partner.keep_alive;
        match open(context, dialled, plan, deadline, stop).await {
            Negotiated::Open(connection, opened) => {
                tracing::info!(%pair, method = %opened.method, "stream open");
                let now = context.clock.now();
                let stream = OpenStream::new(connection, opened, places, keep_alive, now);
                return Ok(Reached::Open(stream));
            }
            Negotiated::Undecided(connection, undecided) => {
                let short = undecided.error.condition == Some(StanzaError::ResourceConstraint);
                if short && !retried {
                    retried = true;
                    broken = None;
                    servers.stay();
                    farewell(context, connection).await;
                    continue;
                }
                return Ok(Reached::Undecided(UndecidedStream {
                    connection,
                    peer,
                    undecided,
                    places,
                    keep_alive,
                }));
            }
            Negotiated::Failed(failure, at) => {
                let dialback_left = partner.terms.allows(Method::TlsDialback) && !external_failed;
                if matches!(failure, Failure::SaslRefused(_)) && dialback_left {
                    external_failed = true;
                    broken = None;
                    servers.stay();
                    continue;
                }
                if !failure.is_of_server() || !servers.has_more() {
                    return Err(Unavailable::Failed(failure, Some(at)));
                }
                broken = Some((failure, at));
            }
            // Not possible for this purpose.
            Negotiated::Told(_) => return Err(Failure::Confused.into()),
        }
    }
}

/// Closes cleanly, in the background.
async fn farewell(context: &Context, mut connection: Connection) {
    if connection.send(CLOSING).await.is_ok() {
        hang_up(context, connection);
    }
}

/// Keeps a stream on which the partner could not judge the key, so a later stanza may try again
/// on it. Returns why that failed, if stanzas still have to be returned.
async fn linger(
    context: &Arc<Context>,
    pair: &Pair,
    mut stream: UndecidedStream,
    stop: &mut Stop,
) -> Option<Unavailable> {
    let patience = context.config.settings.limits.stream_establishment_timeout;
    loop {
        let woken = woken(context, pair, &mut stream.connection, stop);
        let woken = context.clock.timeout(patience, woken).await;
        let UndecidedStream {
            connection,
            peer,
            undecided,
            places,
            keep_alive,
        } = stream;
        if !woken.unwrap_or(false) {
            farewell(context, connection).await;
            return None;
        }
        let deadline = context.clock.now() + patience;
        match ask_again(context, connection, peer, undecided, pair, deadline, stop).await {
            Negotiated::Open(connection, opened) => {
                context.router.opened(pair);
                let now = context.clock.now();
                let stream = OpenStream::new(connection, opened, places, keep_alive, now);
                let mut last = context.tasks.stop_at(Stage::Streams);
                stream.carry(context, pair, &mut last).await;
                return None;
            }
            Negotiated::Undecided(connection, undecided) => {
                stream = UndecidedStream {
                    connection,
                    peer,
                    undecided,
                    places,
                    keep_alive,
                };
                give_up(context, pair, &stream.unavailable()).await;
            }
            Negotiated::Failed(failure, at) => return Some(Unavailable::Failed(failure, Some(at))),
            // Not possible for this purpose.
            Negotiated::Told(_) => return Some(Failure::Confused.into()),
        }
    }
}

/// Whether a stanza waits for the stream, or the stream has ended.
async fn woken(
    context: &Context,
    pair: &Pair,
    connection: &mut Connection,
    stop: &mut Stop,
) -> bool {
    let wake = context.router.wake(pair);
    loop {
        tokio::select! {
            frame = connection.next() => match frame {
                Ok(Frame::Closed) | Err(_) => return false,
                Ok(Frame::Element(element)) if is_error(&element) => return false,
                Ok(Frame::Stanza(stanza)) => stanza.dropped(WRONG_WAY),
                Ok(_) => {}
            },
            () = wake.notified() => if context.router.waits(pair) {
                return true;
            },
            () = stop.asked() => return false,
        }
    }
}
