//! The request to the authoritative server (XEP-0220 §2.1.2), on a connection that ends with the
//! answer.

use std::sync::Arc;

use super::dial::{Dialled, Servers, Unreachable};
use super::negotiate::{Negotiated, hang_up, open};
use super::plan::{Failure, Plan, Purpose};
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::resolve::ResolveError;
use crate::stanza::StanzaError;
use crate::stream::Condition;

/// Asks whether the sender of `asserted` issued the key for the stream with this id.
///
/// If there is no answer, the reason becomes a dialback error (XEP-0220 §2.5).
pub(crate) async fn verify(
    context: &Arc<Context>,
    asserted: &Pair,
    stream_id: String,
    key: String,
) -> KeyStatus {
    let asked = ask(context, asserted, stream_id, key).await;
    let status = asked.unwrap_or_else(KeyStatus::Failed);
    match status {
        KeyStatus::Valid => tracing::debug!(pair = %asserted, "key is valid"),
        KeyStatus::Invalid => tracing::info!(pair = %asserted, "key is invalid"),
        KeyStatus::Failed(error) => {
            tracing::info!(pair = %asserted, %error, "key is not verified");
        }
    }
    status
}

async fn ask(
    context: &Arc<Context>,
    asserted: &Pair,
    stream_id: String,
    key: String,
) -> Result<KeyStatus, StanzaError> {
    let settings = &context.config.settings;
    let deadline = context.clock.now() + settings.limits.dialback_timeout;
    let terms = context.config.terms(&asserted.from);
    let terms = terms.ok_or(StanzaError::PolicyViolation)?;
    let admitted = context.connections.admit();
    let _place = admitted.map_err(|_| StanzaError::ResourceConstraint)?;
    let dialled = dial(context, &asserted.from);
    let dialled = context
        .clock
        .timeout_at(deadline, dialled)
        .await
        .map_err(|_| StanzaError::RemoteServerTimeout)?
        .map_err(|unreachable| nowhere(&unreachable))?;
    let plan = Plan {
        pair: asserted.reversed(),
        terms,
        strict: settings.strict_certificates,
        purpose: Purpose::Verify { stream_id, key },
    };
    match open(context, dialled, plan, deadline, &mut context.tasks.stop()).await {
        Negotiated::Told(status) => Ok(status),
        Negotiated::Failed(failure) => Err(blame(failure)),
        // Not possible for this purpose.
        Negotiated::Open(connection, _) | Negotiated::Undecided(connection, _) => {
            hang_up(context, connection);
            Err(StanzaError::RemoteServerTimeout)
        }
    }
}

async fn dial(context: &Context, domain: &Domain) -> Result<Dialled, Unreachable> {
    let mut servers = Servers::of(context, domain).await?;
    servers.connect(context, domain).await
}

fn nowhere(unreachable: &Unreachable) -> StanzaError {
    match unreachable {
        Unreachable::Unresolved(ResolveError::NotFound(_) | ResolveError::RefusesService(_)) => {
            StanzaError::RemoteServerNotFound
        }
        Unreachable::Unresolved(_) => StanzaError::RemoteServerTimeout,
        Unreachable::Unanswered { .. } => StanzaError::RemoteConnectionFailed,
    }
}

fn blame(failure: Failure) -> StanzaError {
    match failure {
        Failure::Closed(Some(Condition::HostUnknown | Condition::HostGone)) => {
            StanzaError::RemoteServerNotFound
        }
        Failure::Closed(_) | Failure::Confused | Failure::Stopping | Failure::TimedOut => {
            StanzaError::RemoteServerTimeout
        }
        Failure::BadCertificate(_)
        | Failure::KeyInvalid
        | Failure::NoCertificate
        | Failure::NoMethod
        | Failure::PeerRequiresTls
        | Failure::SaslRefused
        | Failure::TlsMissing
        | Failure::TlsRefused => StanzaError::RemoteConnectionFailed,
    }
}
