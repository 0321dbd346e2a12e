//! The question to the authoritative server (XEP-0220 §2.1.2): on a connection of its own, which
//! ends with the answer.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::dial::{self, Negotiated, Unreachable, dial};
use super::initiating::{Failure, Plan, Purpose};
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::Pair;
use crate::resolve::ResolveError;
use crate::stanza::StanzaError;
use crate::stream::Condition;

/// Asks whether the sender of `asserted` issued the key for the stream with that id.
///
/// What keeps the answer away becomes a dialback error (XEP-0220 §2.5).
pub(crate) async fn verify(
    context: &Arc<Context>,
    asserted: &Pair,
    stream_id: String,
    key: String,
) -> KeyStatus {
    let verdict = ask(context, asserted, stream_id, key).await;
    match verdict {
        KeyStatus::Valid => tracing::debug!(pair = %asserted, "key is valid"),
        KeyStatus::Invalid => tracing::info!(pair = %asserted, "key is invalid"),
        KeyStatus::Failed(problem) => {
            tracing::info!(pair = %asserted, %problem, "key is not verified");
        }
    }
    verdict
}

async fn ask(context: &Arc<Context>, asserted: &Pair, stream_id: String, key: String) -> KeyStatus {
    let deadline = Instant::now() + context.config.settings.limits.dialback_timeout;
    let Some(terms) = context.config.terms(&asserted.from) else {
        return KeyStatus::Failed(StanzaError::PolicyViolation);
    };
    let Ok(_permit) = context.connections.admit() else {
        return KeyStatus::Failed(StanzaError::ResourceConstraint);
    };
    let dialled = match timeout_at(deadline, dial(context, &asserted.from)).await {
        Ok(Ok(dialled)) => dialled,
        Ok(Err(unreachable)) => return KeyStatus::Failed(nowhere(&unreachable)),
        Err(_) => return KeyStatus::Failed(StanzaError::RemoteServerTimeout),
    };
    let plan = Plan {
        pair: asserted.reversed(),
        terms,
        strict: context.config.settings.strict_certificates,
        purpose: Purpose::Verify { stream_id, key },
    };
    let (connection, verdict) =
        match dial::open(context, dialled, plan, deadline, &mut context.tasks.stop()).await {
            Negotiated::Told(connection, verdict) => (Some(connection), verdict),
            Negotiated::Failed(connection, failure) => {
                (connection, KeyStatus::Failed(blame(failure)))
            }
            Negotiated::TimedOut(connection)
            | Negotiated::Stopped(connection)
            | Negotiated::Open(connection, _)
            | Negotiated::Undecided(connection, _) => (
                Some(connection),
                KeyStatus::Failed(StanzaError::RemoteServerTimeout),
            ),
        };
    if let Some(connection) = connection {
        dial::hang_up(context, connection);
    }
    verdict
}

fn nowhere(unreachable: &Unreachable) -> StanzaError {
    match unreachable {
        Unreachable::Unresolved(
            ResolveError::NotFound { .. } | ResolveError::RefusesService { .. },
        ) => StanzaError::RemoteServerNotFound,
        Unreachable::Unresolved(_) => StanzaError::RemoteServerTimeout,
        Unreachable::Unanswered { .. } => StanzaError::RemoteConnectionFailed,
    }
}

fn blame(failure: Failure) -> StanzaError {
    match failure {
        Failure::Closed(Some(Condition::HostUnknown | Condition::HostGone)) => {
            StanzaError::RemoteServerNotFound
        }
        Failure::Closed(_) | Failure::Confused => StanzaError::RemoteServerTimeout,
        Failure::BadCertificate(_)
        | Failure::KeyInvalid
        | Failure::NoMethod
        | Failure::PeerRequiresTls
        | Failure::SaslRefused
        | Failure::TlsMissing
        | Failure::TlsRefused => StanzaError::RemoteConnectionFailed,
    }
}
