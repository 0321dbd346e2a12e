//! Stream management on a stream that a partner opened (XEP-0198).

use std::time::Duration;

use tokio::sync::oneshot;

use super::action::{Action, Bound};
use super::serve::{Course, Gone, Serving};
use crate::config::Config;
use crate::domain::Pair;
use crate::management::{Management, Unacknowledged, failed};
use crate::open_streams::{Call, Registration, Session};
use crate::random::stream_id;
use crate::stanza::StanzaError;
use crate::stream::{Condition, error};
use crate::xml::Element;

/// The time limit for another stream to give its session up.
const SURRENDER: Duration = Duration::from_secs(2);

/// A stream on which stanzas are acknowledged.
pub(super) struct Managed {
    /// Whether it may be resumed.
    resumable: bool,
    /// How many stanzas of the peer's have been handled.
    handled: u32,
}

/// The pair that may have its stream managed and resumed: that of the header, or else another that is
/// authenticated. After dialback there are no new features to offer it, but a request is answered all
/// the same (XEP-0198 §3).
pub(super) fn manageable<'a>(
    verified: impl Iterator<Item = &'a Pair>,
    bound: &Bound,
    config: &Config,
) -> Option<&'a Pair> {
    let own = |pair: &&Pair| bound.to == pair.to && bound.from.as_ref() == Some(&pair.from);
    let pair = verified.max_by_key(own)?;
    let partner = config.partner(&pair.from);
    partner
        .is_some_and(|partner| partner.stream_management)
        .then_some(pair)
}

impl Managed {
    /// Another stanza has been handled. The count wraps.
    pub(super) fn count(&mut self) {
        self.handled = self.handled.wrapping_add(1);
    }
}

impl Serving {
    /// What follows an element of the peer's, which authenticated for the pair: an answer, and whether
    /// the stream goes on after it.
    pub(super) async fn manage(
        &mut self,
        pair: &Pair,
        management: Management,
    ) -> Result<(String, Course), Gone> {
        let answer = match (management, &self.managed) {
            (Management::Enable { .. } | Management::Resume { .. }, Some(_)) => {
                failed(StanzaError::UnexpectedRequest)
            }
            (Management::Enable { resume }, None) => {
                let id = stream_id().map_err(|_| Gone)?;
                let id = resume.then_some(id);
                if let (Some(id), Some(registration)) = (&id, &self.registration) {
                    registration.resumable(id, pair);
                }
                self.managed = Some(Managed {
                    resumable: resume,
                    handled: 0,
                });
                self.sending.manage();
                Management::Enabled { id }.text()
            }
            (Management::Resume { previous, handled }, None) => {
                return self
                    .resume(pair, previous, handled.unwrap_or_default())
                    .await;
            }
            (Management::Request, Some(managed)) => {
                Management::Acknowledgement(Some(managed.handled)).text()
            }
            (Management::Acknowledgement(None), Some(_)) => {
                let text = "an acknowledgement has a number";
                return Ok((error(Condition::BadFormat, text), Course::Over));
            }
            (Management::Acknowledgement(Some(handled)), Some(_)) => {
                return Ok(match self.sending.handled(handled) {
                    Ok(_) => (String::new(), Course::On),
                    Err(too_many) => (too_many.error(), Course::Over),
                });
            }
            // Without stream management, and out of place.
            (_, _) => String::new(),
        };
        Ok((answer, Course::On))
    }

    /// Goes on with the session of that name, which has to be the pair's own.
    async fn resume(
        &mut self,
        pair: &Pair,
        previous: String,
        handled: u32,
    ) -> Result<(String, Course), Gone> {
        let Some(session) = self.former(pair, &previous).await else {
            return Ok((failed(StanzaError::ItemNotFound), Course::On));
        };
        if let Some(registration) = &self.registration {
            registration.resumable(&previous, pair);
        }
        self.managed = Some(Managed {
            resumable: true,
            handled: session.handled,
        });
        self.sending.adopt(session.unacknowledged);
        if let Err(too_many) = self.sending.handled(handled) {
            return Ok((too_many.error(), Course::Over));
        }
        self.sending.repeat();
        tracing::info!(peer = %self.peer, %pair, "stream resumed");
        let handled = Some(session.handled);
        Ok((Management::Resumed { previous, handled }.text(), Course::On))
    }

    /// What the former stream gives up, whether its connection is known to be lost or not.
    async fn former(&self, pair: &Pair, name: &str) -> Option<Session> {
        let stream = self.context.open_streams.session(name, pair)?;
        let (reply, mut session) = oneshot::channel();
        let given_up = async {
            stream.send(Call::Resume(reply)).await.ok()?;
            (&mut session).await.ok()
        };
        let given_up = self.context.clock.timeout(SURRENDER, given_up).await;
        given_up.unwrap_or_else(|_| {
            // It may have come just now, and stays where it is otherwise.
            session.close();
            session.try_recv().ok()
        })
    }

    /// What the peer is told before this side closes. Nothing of the peer's is handled after it.
    pub(super) fn last_word(&self) -> Option<Action> {
        let handled = self.managed.as_ref()?.handled;
        let word = Management::Acknowledgement(Some(handled)).text();
        Some(Action::Send(word))
    }

    /// The stream cannot be resumed, even if its connection is lost before the closing tag comes.
    pub(super) fn forget(&mut self) {
        if let Some(managed) = &mut self.managed {
            managed.resumable = false;
        }
    }

    /// After this side has closed, an acknowledgement is all that still counts.
    pub(super) fn last_acknowledgement(&mut self, element: &Element) {
        if self.closing_since.is_some()
            && let Some(Management::Acknowledgement(Some(handled))) = Management::read(element)
        {
            // More than was sent changes nothing any more.
            let _ = self.sending.handled(handled);
        }
    }

    /// What another stream needs to go on where this one ends.
    pub(super) fn session(&mut self) -> Session {
        let handled = self.managed.as_ref();
        Session {
            handled: handled.map_or(0, |managed| managed.handled),
            unacknowledged: self.sending.surrender(),
        }
    }

    /// The connection is lost: keeps the session for a while, for a stream that resumes it.
    pub(super) async fn wait_to_be_resumed(&mut self) {
        let resumable = self
            .managed
            .as_ref()
            .is_some_and(|managed| managed.resumable);
        let Some(mut registration) = self.registration.take().filter(|_| resumable) else {
            return;
        };
        let clock = self.context.clock.clone();
        let patience = self.context.config.settings.limits.resumption_timeout;
        registration.waits(clock.now());
        self.entry = None;
        let until = clock.now() + patience;
        let called = loop {
            tokio::select! {
                called = clock.timeout_at(until, resumption(&mut registration)) => {
                    break called.ok().flatten();
                }
                () = self.changes.next() => if !self.renew() {
                    break None;
                },
                () = self.stop.asked() => break None,
            }
        };
        if let Some(reply) = called {
            let unacknowledged = match reply.send(self.session()) {
                Ok(()) => Unacknowledged::default(),
                Err(session) => session.unacknowledged,
            };
            self.sending.adopt(unacknowledged);
        }
        self.registration = Some(registration);
    }
}

/// Waits for the stream that goes on with the session, or until its place is needed.
async fn resumption(registration: &mut Registration) -> Option<oneshot::Sender<Session>> {
    loop {
        match registration.call().await {
            Call::Resume(reply) => return Some(reply),
            Call::Close => return None,
            Call::Carry(_) => {}
        }
    }
}
