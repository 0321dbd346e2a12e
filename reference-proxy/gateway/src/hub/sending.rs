//! What goes out to partners: into the queue of a link, or owed until a link takes it.

use std::future::pending;

use reference_proxy::wire::{Kind, Stanza};
use tokio::sync::mpsc::error::{SendError, TrySendError};

use super::{Cause, Hub, NO_PROXY, OWED};

impl Hub {
    /// Sends a stanza out: an answer on the link of the question, anything else on the first link.
    pub(super) fn send_out(&mut self, stanza: Stanza, cause: Cause<'_>) {
        // What it would overtake may say the contrary.
        let waits = is_presence(&stanza) && !self.owed.is_empty();
        if waits && !self.links.is_empty() && self.owed.len() < OWED {
            self.owed.push_back(stanza);
            return;
        }
        let Some((stanza, is_full)) = self.put(stanza, cause) else {
            return;
        };
        let is_owed = self.owed.len() < OWED;
        match cause {
            // It is repeated as soon as there is a link.
            Cause::Session(_, sent) if is_broadcast(sent) && !is_full => {}
            // What is taken back or subscribed to is in force already, and nobody could be told later. For want of
            // room alone, some of many contacts would miss what the others see.
            Cause::Session(_, sent)
                if is_owed && (is_full || sent.type_.is_some()) && is_presence(sent) =>
            {
                self.owed.push_back(stanza);
            }
            Cause::Session(id, sent) => self.return_to(id, sent, is_full),
            Cause::Left if is_a_message(&stanza) => self.bounce(&stanza, NO_PROXY),
            // An answer belongs to what the proxy need not keep any longer.
            Cause::Own | Cause::Left | Cause::Link(_) if is_owed => {
                self.owed.push_back(stanza);
            }
            Cause::Own | Cause::Left | Cause::Link(_) => {
                self.withdrawal.loses(&stanza);
                tracing::warn!(
                    to = stanza.to,
                    is_full,
                    "a stanza is dropped: no link takes it"
                );
            }
        }
    }

    /// Puts a stanza into the queue of a link. Gives it back if none takes it, and whether that is for want of room.
    fn put(&mut self, mut stanza: Stanza, cause: Cause<'_>) -> Option<(Stanza, bool)> {
        let own = match cause {
            Cause::Link(id) => Some(id),
            Cause::Session(..) | Cause::Left | Cause::Own => None,
        };
        for own_turn in [true, false] {
            for (id, way) in &mut self.links {
                if (Some(*id) == own) != own_turn {
                    continue;
                }
                match way.queue.try_send(stanza) {
                    Ok(()) => {
                        way.given += 1;
                        return None;
                    }
                    // Another link would overtake what waits in this one.
                    Err(TrySendError::Full(back)) => return Some((back, true)),
                    Err(TrySendError::Closed(back)) => stanza = back,
                }
            }
        }
        Some((stanza, false))
    }

    /// Returns when the first link has room for what is owed.
    pub(super) fn room(&self) -> impl Future<Output = ()> + use<> {
        let first = self.links.values().next().filter(|_| !self.owed.is_empty());
        let queue = first.map(|way| way.queue.clone());
        async move {
            match queue {
                Some(queue) if queue.reserve().await.is_ok() => {}
                // Its end is an event.
                _ => pending().await,
            }
        }
    }

    /// Sends what is owed, as far as there is room.
    pub(super) fn pay(&mut self) {
        while let Some(stanza) = self.owed.pop_front() {
            if let Some((stanza, _)) = self.put(stanza, Cause::Own) {
                self.owed.push_front(stanza);
                return;
            }
        }
    }

    /// Sends all that is owed. Waits for room.
    pub(super) async fn pay_all(&mut self) {
        'owed: for mut stanza in std::mem::take(&mut self.owed) {
            for way in self.links.values() {
                match way.queue.send(stanza).await {
                    Ok(()) => continue 'owed,
                    Err(SendError(back)) => stanza = back,
                }
            }
        }
    }
}

/// Whether it is presence for all who see the user, who is there.
fn is_broadcast(stanza: &Stanza) -> bool {
    is_presence(stanza) && stanza.to.is_none() && stanza.type_.is_none()
}

fn is_presence(stanza: &Stanza) -> bool {
    stanza.kind == Kind::Presence
}

/// Whether it is a message, and no answer to one.
fn is_a_message(stanza: &Stanza) -> bool {
    stanza.kind == Kind::Message && stanza.type_.as_deref() != Some("error")
}
