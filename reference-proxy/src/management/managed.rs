//! The acknowledgements of one stream of the inner side, shared by its reader and its writer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Management, TooMany, Unacknowledged};
use crate::xml::Stanza;

/// Bytes of elements that wait to be written.
const ANSWERS: usize = 4096;

/// What a stream leaves to the one that goes on with it, or to whoever returns its stanzas.
#[derive(Debug, Default)]
pub struct Session {
    /// How many stanzas of the peer have been handled.
    pub handled: u32,
    /// What the peer has not acknowledged.
    pub unacknowledged: Unacknowledged<Stanza>,
}

/// The state of stream management on one stream (XEP-0198). It is off until it is begun.
#[derive(Debug, Default)]
pub struct Managed {
    state: Mutex<State>,
    changed: Notify,
    /// Held while one stanza of the peer is handled.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    on: bool,
    session: Session,
    /// Since when an acknowledgement is asked for.
    asked: Option<Instant>,
    /// Elements to be written before any stanza.
    answers: String,
    /// Whether the peer is to be told how many of its stanzas have been handled.
    acknowledges: bool,
    /// Until when nothing is written that waits, so that a former stream's stanzas come before it.
    held: Option<Instant>,
    /// What a former stream has sent in vain, to be written next.
    again: Vec<Stanza>,
    /// Whether nothing may be written or handled any more.
    over: bool,
    taken: bool,
}

impl Managed {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stanzas are counted from now on, behind this element if there is one to be sent.
    pub fn begin(&self, answer: &str) {
        let mut state = self.state();
        state.on = true;
        state.session = Session::default();
        state.answers += answer;
        drop(state);
        self.changed.notify_one();
    }

    /// Goes on with the session of a former stream. What the peer has not handled is written again, behind
    /// this element if there is one to be sent, and then what has come meanwhile.
    ///
    /// # Errors
    /// [`TooMany`] if the peer has handled more than was sent.
    pub fn resume(
        &self,
        session: Session,
        handled: u32,
        meanwhile: Vec<Stanza>,
        answer: &str,
    ) -> Result<(), TooMany> {
        let mut state = self.state();
        state.on = true;
        state.session = session;
        state.session.unacknowledged.handled(handled)?;
        state.again = state.session.unacknowledged.drain().collect();
        state.again.extend(meanwhile);
        state.answers += answer;
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether stanzas are counted.
    pub fn is_on(&self) -> bool {
        self.state().on
    }

    /// The right to handle a stanza of the peer, which has to be counted before it is given up; none once
    /// another stream goes on.
    pub async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let turn = self.turn.lock().await;
        (!self.state().over).then_some(turn)
    }

    /// Another stanza of the peer has been handled. The count wraps.
    pub fn count(&self) {
        let mut state = self.state();
        if state.on {
            state.session.handled = state.session.handled.wrapping_add(1);
        }
    }

    /// Has an element written. A peer that asks and does not read gets no more answers than these bytes hold.
    pub fn answer(&self, answer: &str) {
        let mut state = self.state();
        if state.answers.len() < ANSWERS {
            state.answers += answer;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Has the peer told how many of its stanzas have been handled.
    pub fn acknowledge(&self) {
        self.state().acknowledges = true;
        self.changed.notify_one();
    }

    /// The peer has handled so many.
    ///
    /// # Errors
    /// [`TooMany`] if that is more than was sent.
    pub fn handled(&self, count: u32) -> Result<(), TooMany> {
        let mut state = self.state();
        if state.session.unacknowledged.handled(count)? > 0 {
            state.asked = None;
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// What is to be written, with these stanzas at the end, and a request for an acknowledgement. With
    /// management they are kept here and taken out of the list. None once another stream goes on.
    pub fn compose(&self, batch: &mut Vec<Stanza>, now: Instant) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.over {
            return None;
        }
        let mut bytes = std::mem::take(&mut state.answers).into_bytes();
        if std::mem::take(&mut state.acknowledges) {
            let handled = Some(state.session.handled);
            bytes.extend_from_slice(Management::Acknowledgement(handled).text().as_bytes());
        }
        for stanza in std::mem::take(&mut state.again) {
            bytes.extend_from_slice(&stanza.bytes);
            state.session.unacknowledged.push(stanza);
        }
        for stanza in batch.iter() {
            bytes.extend_from_slice(&stanza.bytes);
        }
        if state.on {
            for stanza in batch.drain(..) {
                state.session.unacknowledged.push(stanza);
            }
            if state.asked.is_none() && !state.session.unacknowledged.is_empty() {
                state.asked = Some(now);
                bytes.extend_from_slice(Management::Request.text().as_bytes());
            }
        }
        Some(bytes)
    }

    /// The last element before the closing tag: nothing of the peer is handled from now on.
    pub fn last_word(&self) -> String {
        let mut state = self.state();
        if !state.on {
            return String::new();
        }
        state.over = true;
        Management::Acknowledgement(Some(state.session.handled)).text()
    }

    /// Has what waits go on waiting until then, or until the peer has said whether it goes on.
    pub fn hold(&self, until: Instant) {
        self.state().held = Some(until);
    }

    /// The peer has said whether it goes on.
    pub fn release(&self) {
        if self.state().held.take().is_some() {
            self.changed.notify_one();
        }
    }

    /// Until when nothing is written that waits.
    pub fn held(&self) -> Option<Instant> {
        self.state().held
    }

    /// Whether fewer stanzas than these wait for their acknowledgement.
    pub fn has_room(&self, most: usize) -> bool {
        self.state().session.unacknowledged.len() < most
    }

    /// When the peer has to have acknowledged something.
    pub fn due(&self, patience: Duration) -> Option<Instant> {
        Some(self.state().asked? + patience)
    }

    /// Waits for something to write, for room, or for the end.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What the stream leaves, once: its owner gets it, or whoever goes on.
    pub fn take(&self) -> Option<Session> {
        let mut state = self.state();
        if std::mem::replace(&mut state.taken, true) {
            return None;
        }
        state.over = true;
        let mut session = std::mem::take(&mut state.session);
        for stanza in std::mem::take(&mut state.again) {
            session.unacknowledged.push(stanza);
        }
        drop(state);
        self.changed.notify_one();
        Some(session)
    }

    /// The same from another stream: the reader and the writer of this one end first.
    pub async fn surrender(&self) -> Option<Session> {
        self.state().over = true;
        self.changed.notify_one();
        let _turn = self.turn.lock().await;
        self.take()
    }

    /// Waits until another stream goes on.
    pub async fn taken(&self) {
        while !self.state().taken {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Kind;

    fn stanza(id: &str) -> Stanza {
        Stanza {
            kind: Kind::Message,
            from: None,
            to: None,
            id: Some(id.to_owned()),
            type_: None,
            bytes: format!("<{id}/>").into_bytes(),
        }
    }

    fn composed(managed: &Managed, ids: &[&str]) -> Option<String> {
        let mut batch = ids.iter().map(|id| stanza(id)).collect();
        let bytes = managed.compose(&mut batch, Instant::now())?;
        assert_eq!(batch.is_empty(), managed.is_on() || ids.is_empty());
        let text = String::from_utf8(bytes).expect("UTF-8");
        Some(text.replace(" xmlns='urn:xmpp:sm:3'", ""))
    }

    #[test]
    fn stanzas_count_from_the_beginning_of_management() {
        let managed = Managed::default();
        assert_eq!(composed(&managed, &["x"]).as_deref(), Some("<x/>"));
        managed.count();
        managed.begin(&Management::Enabled { id: None }.text());
        assert_eq!(
            composed(&managed, &["y", "z"]).as_deref(),
            Some("<enabled/><y/><z/><r/>")
        );
        assert_eq!(composed(&managed, &["w"]).as_deref(), Some("<w/>"), "once");
        managed.count();
        managed.acknowledge();
        assert_eq!(composed(&managed, &[]).as_deref(), Some("<a h='1'/>"));
        assert!(managed.has_room(4) && !managed.has_room(3));
        managed.handled(2).expect("sent");
        // What is left is asked for at once, without another stanza.
        assert_eq!(composed(&managed, &[]).as_deref(), Some("<r/>"));
        managed.handled(4).expect_err("not sent");
        assert_eq!(managed.last_word().matches("h='1'").count(), 1);
        assert_eq!(composed(&managed, &["v"]), None);
    }

    #[tokio::test]
    async fn another_stream_repeats_what_was_not_handled() {
        let first = Managed::default();
        first.begin("");
        composed(&first, &["a", "b", "c"]).expect("written");
        let turn = first.turn().await.expect("nobody else");
        let surrendered = first.surrender();
        tokio::pin!(surrendered);
        // What is being handled just now still counts.
        assert!(futures_pending(surrendered.as_mut()).await);
        first.count();
        drop(turn);
        let session = surrendered.await.expect("it is there");
        assert_eq!(session.handled, 1);
        assert!(first.turn().await.is_none() && first.take().is_none());
        let second = Managed::default();
        let resumed = Management::Resumed {
            previous: "s".to_owned(),
            handled: Some(session.handled),
        };
        let resumed = resumed.text();
        let meanwhile = vec![stanza("m")];
        let resumed = second.resume(session, 1, meanwhile, &resumed);
        resumed.expect("sent");
        assert_eq!(
            composed(&second, &["d"]).as_deref(),
            Some("<resumed previd='s' h='1'/><b/><c/><m/><d/><r/>")
        );
        let left = second.take().expect("it is there").unacknowledged;
        let left: Vec<_> = left.iter().filter_map(|stanza| stanza.id.clone()).collect();
        assert_eq!(left, ["b", "c", "m", "d"]);
    }

    /// Whether a future is not ready yet.
    async fn futures_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
        let mut future = future;
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }
}
