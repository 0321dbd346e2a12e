//! The question to the authoritative server (XEP-0220 §2.1.2): on a connection of its own, which
//! ends with the answer.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::dial::{self, Negotiated, Unreachable, dial};
use super::initiating::{Failure, Plan, Purpose};
use crate::context::Context;
use crate::dialback::{Problem, Verdict};
use crate::domain::Pair;
use crate::resolve::ResolveError;
use crate::stream::Condition;

/// Asks whether the sender of `asserted` issued the key for the stream with that id.
///
/// What keeps the answer away becomes a dialback error (XEP-0220 §2.5).
pub(crate) async fn verify(
    context: &Arc<Context>,
    asserted: &Pair,
    stream_id: String,
    key: String,
) -> Verdict {
    let verdict = ask(context, asserted, stream_id, key).await;
    match verdict {
        Verdict::Valid => tracing::debug!(pair = %asserted, "key is valid"),
        Verdict::Invalid => tracing::info!(pair = %asserted, "key is invalid"),
        Verdict::Failed(problem) => {
            tracing::info!(pair = %asserted, problem = problem.name(), "key is not verified");
        }
    }
    verdict
}

async fn ask(context: &Arc<Context>, asserted: &Pair, stream_id: String, key: String) -> Verdict {
    let deadline = Instant::now() + context.rules.limits().dialback_timeout;
    let Some(terms) = context.rules.terms(&asserted.from) else {
        return Verdict::Failed(Problem::PolicyViolation);
    };
    let Ok(_permit) = context.connections.admit() else {
        return Verdict::Failed(Problem::ResourceConstraint);
    };
    let dialled = match timeout_at(deadline, dial(context, &asserted.from)).await {
        Ok(Ok(dialled)) => dialled,
        Ok(Err(unreachable)) => return Verdict::Failed(nowhere(&unreachable)),
        Err(_) => return Verdict::Failed(Problem::RemoteServerTimeout),
    };
    let plan = Plan {
        pair: asserted.reversed(),
        terms,
        strict: context.rules.strict(),
        purpose: Purpose::Verify { stream_id, key },
    };
    let (connection, verdict) =
        match dial::open(context, dialled, plan, deadline, &mut context.tasks.stop()).await {
            Negotiated::Told(connection, verdict) => (Some(connection), verdict),
            Negotiated::Failed(connection, failure) => {
                (connection, Verdict::Failed(blame(failure)))
            }
            Negotiated::TimedOut(connection)
            | Negotiated::Stopped(connection)
            | Negotiated::Open(connection, _)
            | Negotiated::Undecided(connection, _) => (
                Some(connection),
                Verdict::Failed(Problem::RemoteServerTimeout),
            ),
        };
    if let Some(connection) = connection {
        dial::hang_up(context, connection);
    }
    verdict
}

fn nowhere(unreachable: &Unreachable) -> Problem {
    match unreachable {
        Unreachable::Unresolved(
            ResolveError::NotFound { .. } | ResolveError::RefusesService { .. },
        ) => Problem::RemoteServerNotFound,
        Unreachable::Unresolved(_) => Problem::RemoteServerTimeout,
        Unreachable::Unanswered { .. } => Problem::RemoteConnectionFailed,
    }
}

fn blame(failure: Failure) -> Problem {
    match failure {
        Failure::Closed(Some(Condition::HostUnknown | Condition::HostGone)) => {
            Problem::RemoteServerNotFound
        }
        Failure::Closed(_) | Failure::Confused => Problem::RemoteServerTimeout,
        Failure::BadCertificate(_)
        | Failure::KeyInvalid
        | Failure::NoMethod
        | Failure::PeerRequiresTls
        | Failure::SaslRefused
        | Failure::TlsMissing
        | Failure::TlsRefused => Problem::RemoteConnectionFailed,
    }
}
