//! The request to the authoritative server (XEP-0220 §2.1.2), on a connection that ends with the
//! answer.

use std::sync::Arc;

use super::dial::{Servers, Unreachable};
use super::negotiate::{Negotiated, hang_up, open};
use super::plan::{Failure, Plan, Purpose};
use super::undelivered::Unavailable;
use crate::connections::Full;
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::Pair;
use crate::resolve::ResolveError;
use crate::stanza::StanzaError;
use crate::stream::{Condition, StreamError};

/// Asks whether the sender of `asserted` issued the key for the stream with this id.
///
/// If there is no answer, the reason becomes a dialback error (XEP-0220 §2.5).
pub(crate) async fn verify(
    context: &Arc<Context>,
    asserted: &Pair,
    stream_id: String,
    key: String,
) -> KeyStatus {
    match ask(context, asserted, stream_id, key).await {
        Ok(status) => {
            context.router.seen(&asserted.from);
            status
        }
        Err(unavailable) => {
            let refusal = unavailable.refusal(&asserted.reversed());
            context.ledger.enter(refusal);
            KeyStatus::Failed(blame(&unavailable))
        }
    }
}

async fn ask(
    context: &Arc<Context>,
    asserted: &Pair,
    stream_id: String,
    key: String,
) -> Result<KeyStatus, Unavailable> {
    let settings = &context.config.settings;
    let deadline = context.clock.now() + settings.limits.dialback_timeout;
    let Some(partner) = context.config.partner(&asserted.from) else {
        return Err(Full::Partner(0).into());
    };
    let terms = partner.terms;
    let _places = context.connections.verify(partner)?;
    let (clock, domain) = (&context.clock, &asserted.from);
    let found = clock
        .timeout_at(deadline, Servers::of(context, domain))
        .await;
    let mut servers = found.map_err(|_| Failure::TimedOut)??;
    let mut broken = None;
    loop {
        let dialled = clock
            .timeout_at(deadline, servers.connect(context, domain))
            .await;
        let dialled = dialled.map_err(|_| Failure::TimedOut)?;
        let dialled = dialled.map_err(|unreachable| match broken.take() {
            Some((failure, at)) => Unavailable::Failed(failure, Some(at)),
            None => unreachable.into(),
        })?;
        let (stream_id, key) = (stream_id.clone(), key.clone());
        let plan = Plan {
            pair: asserted.reversed(),
            terms,
            strict: settings.strict_certificates,
            bidi: false,
            purpose: Purpose::Verify { stream_id, key },
        };
        match open(context, dialled, plan, deadline, &mut context.tasks.stop()).await {
            Negotiated::Told(status) => return Ok(status),
            // As for stanzas, the next server may do better.
            Negotiated::Failed(failure, at) if failure.is_of_server() && servers.has_more() => {
                broken = Some((failure, at));
            }
            Negotiated::Failed(failure, at) => return Err(Unavailable::Failed(failure, Some(at))),
            // Not possible for this purpose.
            Negotiated::Open(connection, _) | Negotiated::Undecided(connection, _) => {
                hang_up(context, connection);
                return Err(Failure::Confused.into());
            }
        }
    }
}

/// What the originating server is told.
fn blame(unavailable: &Unavailable) -> StanzaError {
    let failure = match unavailable {
        Unavailable::Full(_) => return StanzaError::ResourceConstraint,
        Unavailable::NoPartner => return StanzaError::PolicyViolation,
        Unavailable::Unreachable(unreachable) => return nowhere(unreachable),
        Unavailable::Failed(failure, _) => failure,
        Unavailable::KeyUndecided(..) | Unavailable::ShortLived => {
            return StanzaError::RemoteServerTimeout;
        }
    };
    match failure {
        Failure::Closed(Some(StreamError {
            condition: Condition::HostUnknown | Condition::HostGone,
            ..
        })) => StanzaError::RemoteServerNotFound,
        Failure::Closed(_) | Failure::Confused | Failure::Stopping | Failure::TimedOut => {
            StanzaError::RemoteServerTimeout
        }
        Failure::BadCertificate(_)
        | Failure::KeyInvalid
        | Failure::NoCertificate
        | Failure::NoMethod
        | Failure::PeerRequiresTls
        | Failure::SaslRefused(_)
        | Failure::TlsMissing
        | Failure::TlsRefused(_) => StanzaError::RemoteConnectionFailed,
    }
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
