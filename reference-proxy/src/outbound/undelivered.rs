//! Undeliverable stanzas: the reasons, and the errors for their senders.

use super::dial::Unreachable;
use super::plan::{Failure, after_colon};
use crate::context::Context;
use crate::domain::Pair;
use crate::resolve::ResolveError;
use crate::router::{Origin, Queued};
use crate::stanza::{StanzaError, bounce};
use crate::stream::Condition;

/// Why a partner is currently unavailable.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    #[error("connection limit reached")]
    Full,
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("dialback error{}", after_colon(.0.as_ref()))]
    KeyUndecided(Option<StanzaError>),
    #[error("the partner closed the stream at once")]
    ShortLived,
}

impl Unavailable {
    /// The error for senders.
    fn error(&self) -> StanzaError {
        match self {
            Self::Full => StanzaError::ResourceConstraint,
            Self::Unreachable(Unreachable::Unresolved(
                ResolveError::NotFound(_) | ResolveError::RefusesService(_),
            ))
            | Self::Failed(Failure::Closed(Some(Condition::HostUnknown | Condition::HostGone))) => {
                StanzaError::RemoteServerNotFound
            }
            Self::Failed(Failure::KeyInvalid) => StanzaError::InternalServerError,
            Self::Unreachable(_) | Self::Failed(_) | Self::KeyUndecided(_) | Self::ShortLived => {
                StanzaError::RemoteServerTimeout
            }
        }
    }
}

/// Returns all stanzas waiting for the pair.
pub(super) async fn give_up(context: &Context, pair: &Pair, unavailable: &Unavailable) {
    let error = unavailable.error();
    let text = unavailable.to_string();
    let returned = context.router.failed(pair, error, context.clock.now());
    tracing::info!(
        %pair,
        stanzas = returned.len(),
        condition = %error,
        reason = text,
        "stanzas cannot be delivered"
    );
    for queued in returned {
        return_to_sender(context, pair, queued, error, &text).await;
    }
}

/// Answers a gateway's stanza with an error, if it may be answered.
pub(super) async fn return_to_sender(
    context: &Context,
    pair: &Pair,
    queued: Queued,
    error: StanzaError,
    text: &str,
) {
    let Origin::Gateway(gateway) = queued.origin else {
        return;
    };
    let Some(error) = bounce(&queued.stanza, error, text) else {
        return;
    };
    let returned = context.router.give_back(&pair.from, gateway, error).await;
    if returned.is_err() {
        tracing::debug!(%pair, "no gateway left for an error");
    }
}
