//! One link for each pair towards a partner: it finds or opens a stream when a stanza waits, and
//! returns undeliverable stanzas.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::connect::{connect, partner_of};
use super::dial::Servers;
use super::open_stream::OpenStream;
use super::plan::Failure;
use super::undelivered::{Unavailable, give_up};
use crate::context::Context;
use crate::dialback::DialbackError;
use crate::domain::Pair;
use crate::open_streams::{Call, Found, Left, Passenger};
use crate::partner::Partner;
use crate::stanza::StanzaError;
use crate::task::Stop;

/// How long a pair waits for a stream that is being opened and that it may be able to share.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Processes a pair's queue until it is empty and its stream has ended.
pub(super) async fn attend(mut context: Arc<Context>, pair: Pair, mut stop: Stop) {
    let mut apart = false;
    loop {
        context = context.newest();
        match carried(&context, &pair, apart, &mut stop).await {
            Ok(Carried::Yes) => {}
            Ok(Carried::Apart) => apart = true,
            Err(unavailable) => give_up(&context, &pair, &unavailable).await,
        }
        if context.router.leave(&pair) {
            return;
        }
        if stop.is_asked() {
            give_up(&context, &pair, &Failure::Stopping.into()).await;
        }
    }
}

/// What became of a stream for the pair.
enum Carried {
    /// It carried stanzas, and is over.
    Yes,
    /// It belongs to other pairs, and was no use to this one.
    Apart,
}

/// Has the pair carried by an open stream, or by one of its own where it has to be apart.
async fn carried(
    context: &Arc<Context>,
    pair: &Pair,
    apart: bool,
    stop: &mut Stop,
) -> Result<Carried, Unavailable> {
    let partner = partner_of(context, pair)?;
    // What opens a stream is boxed: it is over soon, and the link stays.
    if !apart && let Some(stream) = Box::pin(shared(context, partner, pair, stop)).await {
        return ride(stream, pair).await;
    }
    let dialback = partner.terms.allows_dialback();
    let coming =
        (partner.multiplexing && dialback).then(|| context.open_streams.coming(&partner.domain));
    let opening = async {
        let reached = connect(context, partner, pair, stop).await?;
        let undecided = reached.undecided.clone();
        let peer = reached.address;
        let mut stream = OpenStream::new(context, partner, pair, reached);
        if let Some(error) = undecided {
            context.tasks.spawn(stream.run());
            return Err(Unavailable::KeyUndecided(error, peer));
        }
        context.router.opened(pair);
        let (left, over) = oneshot::channel();
        let pair = pair.clone();
        stream.carry(Passenger { pair, left });
        stream.begin_managing();
        context.tasks.spawn(stream.run());
        Ok(over)
    };
    let over = Box::pin(opening).await?;
    drop(coming);
    match over.await {
        Ok(Left::Over { carried: false }) => Err(Unavailable::ShortLived),
        Ok(_) => Ok(Carried::Yes),
        Err(_) => Err(Failure::Stopping.into()),
    }
}

/// An open stream that may carry the pair. One that is being opened is waited for.
async fn shared(
    context: &Arc<Context>,
    partner: &Partner,
    pair: &Pair,
    stop: &mut Stop,
) -> Option<mpsc::Sender<Call>> {
    let streams = &context.open_streams;
    let mut changes = streams.changes();
    let deadline = context.clock.now() + LONGEST_WAIT;
    loop {
        match streams.find(pair, &partner.domain, None) {
            Found::Stream(stream) => return Some(stream),
            Found::Coming => {
                let changed = context.clock.timeout_at(deadline, changes.changed());
                tokio::select! {
                    changed = changed => if changed.is_err() {
                        break;
                    },
                    () = stop.asked() => return None,
                }
            }
            Found::Nothing => break,
        }
    }
    if !streams.shares(&partner.domain) {
        return None;
    }
    // The stream of another of its domains, if that is where this one's would lead.
    let servers = Servers::of(context, &pair.to).await.ok()?;
    match streams.find(pair, &partner.domain, servers.first()) {
        Found::Stream(stream) => Some(stream),
        Found::Coming | Found::Nothing => None,
    }
}

/// Has another pair's stream carry the pair.
async fn ride(stream: mpsc::Sender<Call>, pair: &Pair) -> Result<Carried, Unavailable> {
    let (left, over) = oneshot::channel();
    let pair = pair.clone();
    if stream
        .send(Call::Carry(Passenger { pair, left }))
        .await
        .is_err()
    {
        return Ok(Carried::Apart);
    }
    match over.await {
        Ok(Left::Over { carried: true }) => Ok(Carried::Yes),
        Ok(Left::Invalid) => Err(Failure::KeyInvalid.into()),
        // These are about the stream, so one of its own may do better.
        Ok(Left::Refused(
            DialbackError {
                condition:
                    Some(
                        StanzaError::NotAuthorized
                        | StanzaError::PolicyViolation
                        | StanzaError::ResourceConstraint,
                    ),
                ..
            },
            _,
        ))
        | Ok(Left::Over { carried: false } | Left::Unanswered)
        | Err(_) => Ok(Carried::Apart),
        Ok(Left::Refused(error, peer)) => Err(Unavailable::KeyUndecided(error, peer)),
    }
}
