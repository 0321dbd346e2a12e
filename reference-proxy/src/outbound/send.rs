//! Sends stanzas to partners.

use std::sync::Arc;

use super::link::attend;
use super::undelivered::return_to_sender;
use crate::context::Context;
use crate::domain::Pair;
use crate::router::{Origin, Placed, Queued};
use crate::stanza::{StanzaError, bounce};
use crate::xml::Stanza;

/// Sends a stanza to a partner: it waits for the pair's stream, or is returned with an error.
pub(crate) async fn send(context: &Arc<Context>, pair: &Pair, queued: Queued) {
    if context.config.partner(&pair.to).is_none() {
        return_to_sender(context, pair, queued, StanzaError::PolicyViolation, "").await;
        return;
    }
    match context.router.enqueue(pair, queued, context.clock.now()) {
        Placed::Waiting => {}
        Placed::Unattended => {
            let task = attend(Arc::clone(context), pair.clone(), context.tasks.stop());
            context.tasks.spawn(task);
        }
        Placed::Refused(queued, error) => {
            return_to_sender(context, pair, queued, error, "").await;
        }
    }
}

/// Answers a partner's stanza that no gateway accepted.
pub(crate) async fn unclaimed(context: &Arc<Context>, pair: &Pair, stanza: &Stanza) {
    tracing::debug!(%pair, "no gateway");
    if let Some(stanza) = bounce(stanza, StanzaError::ServiceUnavailable, "") {
        let origin = Origin::Proxy;
        send(context, &pair.reversed(), Queued { stanza, origin }).await;
    }
}
