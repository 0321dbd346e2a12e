//! Undeliverable stanzas: the reasons, and the errors for their senders.

use std::error::Error;
use std::iter::successors;
use std::net::SocketAddr;

use super::dial::Unreachable;
use super::plan::{At, Failure};
use crate::connections::Full;
use crate::context::Context;
use crate::dialback::DialbackError;
use crate::domain::Pair;
use crate::ledger::{By, Direction, Kind, Phase, Refusal};
use crate::management::settle;
use crate::resolve::ResolveError;
use crate::router::{Origin, Queued};
use crate::stanza::{StanzaError, bounce};
use crate::stream::Condition;

/// Why a partner is currently unavailable.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    #[error(transparent)]
    Full(#[from] Full),
    #[error("no federation with this domain any more")]
    NoPartner,
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("{0}")]
    Failed(Failure, Option<At>),
    #[error("the partner has no verdict on the dialback key{}", said(.0))]
    KeyUndecided(DialbackError, SocketAddr),
    #[error("the partner closed the stream at once")]
    ShortLived,
}

fn said(error: &DialbackError) -> String {
    match error.said.as_str() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure, None)
    }
}

impl Unavailable {
    /// The error for senders.
    fn error(&self) -> StanzaError {
        match self {
            Self::Full(_) => StanzaError::ResourceConstraint,
            Self::NoPartner => StanzaError::PolicyViolation,
            Self::Unreachable(Unreachable::Unresolved(
                ResolveError::NotFound(_) | ResolveError::RefusesService(_),
            )) => StanzaError::RemoteServerNotFound,
            Self::Failed(Failure::KeyInvalid, _) => StanzaError::InternalServerError,
            Self::Failed(failure, _) => match failure.condition() {
                Some(Condition::HostUnknown | Condition::HostGone) => {
                    StanzaError::RemoteServerNotFound
                }
                Some(_) | None => StanzaError::RemoteServerTimeout,
            },
            Self::Unreachable(_) | Self::KeyUndecided(..) | Self::ShortLived => {
                StanzaError::RemoteServerTimeout
            }
        }
    }

    /// The text for senders, with what lies behind it.
    fn text(&self) -> String {
        let causes = successors(Some(self as &dyn Error), |error| (*error).source());
        let texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.join(": ")
    }

    /// The same for the administrator.
    pub(super) fn refusal(&self, pair: &Pair) -> Refusal {
        let error = self.error().word();
        let (phase, by, condition) = match self {
            Self::Full(_) => (Phase::Connection, By::Proxy, error),
            Self::NoPartner => (Phase::Stanza, By::Proxy, error),
            Self::Unreachable(Unreachable::Unresolved(_)) => (Phase::Dns, By::Proxy, error),
            Self::Unreachable(Unreachable::Unanswered { .. }) => {
                (Phase::Connection, By::Proxy, error)
            }
            Self::Failed(failure, at) => {
                let phase = at.map_or(Phase::Connection, |at| at.phase);
                let condition = failure.condition().map_or(error, Condition::word);
                (phase, failure.by(), condition)
            }
            Self::KeyUndecided(undecided, _) => {
                let condition = undecided.condition.map_or(error, StanzaError::word);
                (Phase::Dialback, By::Peer, condition)
            }
            Self::ShortLived => (Phase::Open, By::Peer, error),
        };
        let peer = match self {
            Self::Failed(_, at) => at.map(|at| at.peer),
            Self::KeyUndecided(_, peer) => Some(*peer),
            Self::Full(_) | Self::NoPartner | Self::Unreachable(_) | Self::ShortLived => None,
        };
        Refusal {
            kind: Kind {
                direction: Direction::Outbound,
                phase,
                by,
                condition,
            },
            domain: Some(pair.to.to_string()),
            peer,
            text: self.text(),
        }
    }
}

/// Returns all stanzas waiting for the pair.
pub(super) async fn give_up(context: &Context, pair: &Pair, unavailable: &Unavailable) {
    let error = unavailable.error();
    let text = unavailable.text();
    context.ledger.enter(unavailable.refusal(pair));
    let now = context.clock.now();
    if !matches!(unavailable, Unavailable::NoPartner) {
        context.register.failed(&pair.to, text.clone(), now);
    }
    let router = &context.router;
    let returned = match unavailable {
        // That is no fault of the partner: the next stanza may find a place.
        Unavailable::Full(_) => router.empty(pair),
        Unavailable::NoPartner => {
            router.opened(pair);
            router.empty(pair)
        }
        Unavailable::Failed(..)
        | Unavailable::KeyUndecided(..)
        | Unavailable::ShortLived
        | Unavailable::Unreachable(_) => router.failed(pair, error, &text, now),
    };
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

/// Answers a gateway's stanza with an error, if it may be answered. That settles it.
pub(super) async fn return_to_sender(
    context: &Context,
    pair: &Pair,
    queued: Queued,
    error: StanzaError,
    text: &str,
) {
    let Queued {
        stanza,
        origin,
        receipt,
    } = queued;
    match (origin, bounce(&stanza, error, text)) {
        (Origin::Gateway(gateway), Some(error)) => {
            let returned = context.router.give_back(&pair.from, gateway, error).await;
            if returned.is_err() {
                stanza.dropped("no gateway is left for its error");
            }
        }
        (Origin::Gateway(_) | Origin::Proxy, _) => stanza.dropped(text),
    }
    settle(receipt);
}
