//! Opens a stream to a partner, with several connections if useful.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use super::dial::Servers;
use super::negotiate::{Negotiated, hang_up, open};
use super::open_stream::Places;
use super::plan::{Failure, Opened, Plan, Purpose};
use super::undelivered::Unavailable;
use crate::connections::{Full, Place};
use crate::context::Context;
use crate::dialback::DialbackError;
use crate::domain::Pair;
use crate::negotiation::Method;
use crate::partner::Partner;
use crate::stanza::StanzaError;
use crate::stream::{CLOSING, Condition, Connection};
use crate::task::Stop;

/// How often at most a stream is closed because the partner has no room for another.
const MOST_ROOMS: usize = 5;

/// A stream on which the partner has judged a key, or EXTERNAL.
pub(super) struct Reached {
    pub(super) address: SocketAddr,
    pub(super) connection: Connection,
    pub(super) opened: Opened,
    pub(super) places: Places,
    /// Why the partner could not judge the key, if so.
    pub(super) undecided: Option<DialbackError>,
}

/// The partner of the pair, by the present configuration.
pub(super) fn partner_of<'a>(
    context: &'a Context,
    pair: &Pair,
) -> Result<&'a Partner, Unavailable> {
    let partner = context.config.partner(&pair.to);
    let partner = partner.filter(|_| context.config.serves(&pair.from));
    partner.ok_or(Unavailable::NoPartner)
}

/// Opens a stream, using several connections if useful: without EXTERNAL after it
/// failed, once more if the partner lacked resources, and to the next server if one accepts
/// connections but is broken.
pub(super) async fn connect(
    context: &Arc<Context>,
    partner: &Partner,
    pair: &Pair,
    stop: &mut Stop,
) -> Result<Reached, Unavailable> {
    let settings = &context.config.settings;
    let mut external_failed = false;
    let mut retried = false;
    let mut rooms = 0;
    let mut broken = None;
    // Without a place nothing has to be looked up.
    drop(places(context, partner, stop).await?);
    let mut servers = tokio::select! {
        found = Servers::of(context, &pair.to) => found?,
        () = stop.asked() => return Err(Failure::Stopping.into()),
    };
    loop {
        let places = places(context, partner, stop).await?;
        let dialled = tokio::select! {
            dialled = servers.connect(context, &pair.to) => dialled,
            () = stop.asked() => return Err(Failure::Stopping.into()),
        };
        let dialled = dialled.map_err(|unreachable| match broken {
            Some((failure, at)) => Unavailable::Failed(failure, Some(at)),
            None => unreachable.into(),
        })?;
        let address = dialled.peer;
        let deadline = context.clock.now() + settings.limits.stream_establishment_timeout;
        let plan = Plan {
            pair: pair.clone(),
            terms: partner.terms,
            strict: settings.strict_certificates,
            bidi: partner.bidirectional,
            purpose: Purpose::Deliver { external_failed },
        };
        let (connection, opened, undecided) = match open(context, dialled, plan, deadline, stop)
            .await
        {
            Negotiated::Open(connection, opened) => {
                tracing::info!(%pair, method = %opened.method, "stream open");
                (connection, opened, None)
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
                (connection, undecided.opened, Some(undecided.error))
            }
            Negotiated::Failed(failure, at) => {
                let dialback_left = partner.terms.allows(Method::TlsDialback) && !external_failed;
                if matches!(failure, Failure::SaslRefused(_)) && dialback_left {
                    external_failed = true;
                    let unavailable = Unavailable::Failed(failure, Some(at));
                    context.ledger.enter(unavailable.refusal(pair));
                    broken = None;
                    servers.stay();
                    continue;
                }
                // The partner's limit binds: fewer streams to it may do.
                let limited = failure.condition() == Some(Condition::ResourceConstraint);
                if limited && rooms < MOST_ROOMS && make_room(context, partner, stop).await {
                    rooms += 1;
                    broken = None;
                    servers.stay();
                    continue;
                }
                if !failure.is_of_server() || !servers.has_more() {
                    return Err(Unavailable::Failed(failure, Some(at)));
                }
                broken = Some((failure, at));
                continue;
            }
            // Not possible for this purpose.
            Negotiated::Told(_) => return Err(Failure::Confused.into()),
        };
        return Ok(Reached {
            address,
            connection,
            opened,
            places,
            undecided,
        });
    }
}

/// A place in the total, and one of the partner's. Where a limit binds, the idlest stream makes room.
async fn places(
    context: &Context,
    partner: &Partner,
    stop: &mut Stop,
) -> Result<Places, Unavailable> {
    let (connections, streams) = (&context.connections, &context.open_streams);
    let place = match connections.admit() {
        Ok(place) => place,
        Err(full) => {
            let place = streams.vacated(None, connections.admitted());
            in_time(context, place, full, stop).await?
        }
    };
    let of_partner = match connections.claim(partner) {
        Ok(place) => place,
        Err(full) => {
            let place = connections.claimed(partner);
            let place = streams.vacated(Some(&partner.domain), place);
            in_time(context, place, full, stop).await?
        }
    };
    Ok((place, of_partner))
}

async fn in_time(
    context: &Context,
    place: impl Future<Output = Place>,
    full: Full,
    stop: &mut Stop,
) -> Result<Place, Unavailable> {
    let patience = context.config.settings.limits.connect_timeout;
    tokio::select! {
        place = context.clock.timeout(patience, place) => place.map_err(|_| full.into()),
        () = stop.asked() => Err(Failure::Stopping.into()),
    }
}

/// Closes the idlest stream with the partner, as soon as one rests. Returns whether there was one.
async fn make_room(context: &Context, partner: &Partner, stop: &mut Stop) -> bool {
    let streams = &context.open_streams;
    if !streams.any(&partner.domain) {
        return false;
    }
    let ended = async { streams.room(Some(&partner.domain)).await.ended().await };
    let patience = context.config.settings.limits.connect_timeout;
    tokio::select! {
        ended = context.clock.timeout(patience, ended) => ended.is_ok(),
        () = stop.asked() => false,
    }
}

/// Closes cleanly, in the background.
pub(super) async fn farewell(context: &Context, mut connection: Connection) {
    if connection.send(CLOSING).await.is_ok() {
        hang_up(context, connection);
    }
}
