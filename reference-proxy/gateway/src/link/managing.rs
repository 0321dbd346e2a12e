//! Acknowledgements on a link, and how the next connection goes on with it (XEP-0198).

use std::time::Duration;

use reference_proxy::wire::{
    Connection, Frame, Managed, Management, Session, Skipped, StreamError, is_error,
};
use tokio::sync::mpsc::error::SendError;
use tokio::time::Instant;

use super::{Failure, LinkContext, STOPPING};
use crate::event::{Event, LinkId};

/// How long what a broken link has left waits for the next connection to the same proxy.
const RESUMPTION: Duration = Duration::from_secs(60);

/// What a broken link has left.
pub(super) struct Kept {
    /// By which the proxy knows it.
    name: String,
    session: Session,
    pub(super) until: Instant,
}

impl Kept {
    pub(super) fn new(name: String, session: Session, now: Instant) -> Self {
        Self {
            name,
            session,
            until: now + RESUMPTION,
        }
    }

    /// Nobody goes on with it: what was sent may have arrived or not.
    pub(super) async fn give_up(self, context: &LinkContext) {
        give_up(self.session, context).await;
    }
}

/// Returns what a session had sent in vain, as far as that is known.
pub(super) async fn give_up(mut session: Session, context: &LinkContext) {
    let stanzas: Vec<_> = session.unacknowledged.drain().collect();
    if stanzas.is_empty() {
        return;
    }
    let told = context.hub.send(Event::Unacknowledged(stanzas)).await;
    if let Err(SendError(Event::Unacknowledged(stanzas))) = told {
        // The users have been signed out.
        for stanza in stanzas {
            stanza.dropped(STOPPING);
        }
    }
}

/// Goes on with what a former connection has left, or has stanzas acknowledged anew. Returns the name by
/// which the link can be resumed, if it can. What comes before that is in `early`.
pub(super) async fn begin(
    context: &LinkContext,
    id: LinkId,
    connection: &mut Connection,
    managed: &Managed,
    kept: &mut Option<Kept>,
    early: &mut Vec<Event>,
) -> Result<Option<String>, Failure> {
    if let Some(former) = kept {
        let resume = Management::Resume {
            previous: former.name.clone(),
            handled: Some(former.session.handled),
        };
        connection.send(resume.text()).await?;
        let answer = answer(context, id, connection, early).await?;
        let Some(Kept {
            name, mut session, ..
        }) = kept.take()
        else {
            return Err(Failure::Unexpected);
        };
        match answer {
            Management::Resumed { handled, .. } => {
                let handled = handled.unwrap_or_default();
                managed.resume(session, handled, Vec::new(), "")?;
                tracing::info!("the link goes on where it was");
                return Ok(Some(name));
            }
            Management::Failed { handled } => {
                if let Some(handled) = handled {
                    session.unacknowledged.handled(handled)?;
                }
                give_up(session, context).await;
            }
            _ => {
                give_up(session, context).await;
                return Err(Failure::Unexpected);
            }
        }
    }
    let enable = Management::Enable { resume: true };
    connection.send(enable.text()).await?;
    match answer(context, id, connection, early).await? {
        Management::Enabled { id } => {
            managed.begin("");
            Ok(id)
        }
        Management::Failed { .. } => Ok(None),
        _ => Err(Failure::Unexpected),
    }
}

/// The proxy's answer. Stanzas that come before it do not count.
async fn answer(
    context: &LinkContext,
    id: LinkId,
    connection: &mut Connection,
    early: &mut Vec<Event>,
) -> Result<Management, Failure> {
    while early.len() <= context.limits.queue_stanzas {
        let event = match connection.next().await? {
            Frame::Stanza(stanza) => Event::FromLink(id, stanza),
            Frame::Skipped(Skipped {
                error,
                stanza: Some(stanza),
            }) => Event::Skipped(id, stanza, error),
            Frame::Skipped(_) => continue,
            Frame::Element(element) if is_error(&element) => {
                return Err(Failure::Refused(StreamError::received(&element)));
            }
            Frame::Element(element) => {
                return Management::read(&element).ok_or(Failure::Unexpected);
            }
            Frame::Header(_) | Frame::Closed => return Err(Failure::Unexpected),
        };
        early.push(event);
    }
    Err(Failure::Unexpected)
}
