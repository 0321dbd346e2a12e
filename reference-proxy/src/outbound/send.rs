//! Sends stanzas to partners.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::link::attend;
use crate::context::Context;
use crate::domain::Pair;
use crate::ledger::{By, Direction, Kind, Phase, Refusal};
use crate::router::{Origin, Placed, Queued};
use crate::stanza::{StanzaError, bounce};
use crate::xml::namespace::SERVER;
use crate::xml::{self, Stanza};

/// A stanza that nobody sends, with the error for its sender and a text.
pub(crate) type Returned = (Queued, StanzaError, String);

/// Sends a stanza to a partner: it waits for the pair's stream, or is returned at once.
pub(crate) fn send(context: &Arc<Context>, pair: &Pair, mut queued: Queued) -> Option<Returned> {
    let context = &context.newest();
    let Some(partner) = context.config.partner(&pair.to) else {
        let (error, text) = (
            StanzaError::PolicyViolation,
            "no federation with this domain",
        );
        context.ledger.enter(Refusal {
            kind: Kind {
                direction: Direction::Outbound,
                phase: Phase::Stanza,
                by: By::Proxy,
                condition: error.word(),
            },
            domain: Some(pair.to.to_string()),
            peer: None,
            text: text.to_owned(),
        });
        return Some((queued, error, text.to_owned()));
    };
    if !partner.kind.sees_status_notes()
        && queued.stanza.kind == xml::Kind::Presence
        && queued.stanza.remove(SERVER, "status").is_err()
    {
        return Some((queued, StanzaError::NotAcceptable, String::new()));
    }
    passes(context, &queued.stanza);
    match context.router.enqueue(pair, queued, context.clock.now()) {
        Placed::Waiting => None,
        Placed::Unattended => {
            start(context, pair);
            None
        }
        Placed::Refused(queued, error, text) => {
            tracing::info!(%pair, condition = %error, text, "stanza refused");
            Some((queued, error, text))
        }
    }
}

/// Logs a message that passes, and what it says only if the configuration asks for that.
fn passes(context: &Context, stanza: &Stanza) {
    if stanza.kind != xml::Kind::Message {
        return;
    }
    let Stanza { from, to, id, .. } = stanza;
    if !context.config.settings.log_message_bodies {
        tracing::debug!(from, to, id, "message");
        return;
    }
    for body in stanza.texts(SERVER, "body").unwrap_or_default() {
        tracing::info!(from, to, id, ?body, "message");
    }
}

/// Starts a link for the pair if a stanza waits and there is none.
pub(super) fn attend_if_waiting(context: &Arc<Context>, pair: &Pair) {
    if context.router.unattended(pair) {
        start(context, pair);
    }
}

fn start(context: &Arc<Context>, pair: &Pair) {
    let task = attend(Arc::clone(context), pair.clone(), context.tasks.stop());
    context.tasks.spawn(task);
}

/// Passes a partner's stanza to the gateway. Without a gateway, the sender gets an error on a stream of
/// this side.
pub(crate) async fn deliver(context: &Arc<Context>, pair: &Pair, stanza: Stanza) {
    passes(&context.newest(), &stanza);
    // Most gateways have room.
    if let Some(stanza) = context.router.try_deliver(&pair.to, stanza) {
        wait_to_deliver(context, pair, stanza).await;
    }
}

/// Boxed, because a stream may be both where a stanza comes from and where its error goes.
fn wait_to_deliver<'a>(
    context: &'a Arc<Context>,
    pair: &'a Pair,
    stanza: Stanza,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(async move {
        if let Err(stanza) = context.router.deliver(&pair.to, stanza).await {
            unclaimed(context, pair, &stanza, "no gateway is there for it");
        }
    })
}

/// Answers a partner's stanza that no gateway accepted, or may not have.
pub(crate) fn unclaimed(context: &Arc<Context>, pair: &Pair, stanza: &Stanza, why: &str) {
    let Some(error) = bounce(stanza, StanzaError::ServiceUnavailable, "") else {
        return stanza.dropped(why);
    };
    tracing::info!(%pair, why, "stanza refused");
    let queued = Queued {
        stanza: error,
        origin: Origin::Proxy,
        receipt: None,
    };
    if let Some((queued, _, text)) = send(context, &pair.reversed(), queued) {
        queued.stanza.dropped(&text);
    }
}
