//! The acknowledgements of one stream of the inner side, shared by its reader and its writer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::settled::Settled;
use super::{Management, TooMany, Unacknowledged};
use crate::xml::Stanza;

/// Bytes of elements that wait to be written.
const ANSWERS: usize = 4096;

/// What a stream leaves to the one that goes on with it, or to whoever returns its stanzas.
#[derive(Debug, Default)]
pub struct Session {
    /// How many stanzas of the peer have come.
    pub handled: u32,
    /// What the peer has not acknowledged.
    pub unacknowledged: Unacknowledged<Stanza>,
}

/// The state of stream management on one stream (XEP-0198). It is off until it is begun.
#[derive(Debug, Default)]
pub struct Managed {
    state: Mutex<State>,
    changed: Notify,
    /// Tells a writer that the connection is given up.
    given_up: Notify,
    /// Tells the reader that errors for the peer have been written, or never will be.
    emptied: Notify,
    /// Held while one stanza of the peer is handled.
    turn: tokio::sync::Mutex<()>,
    /// Held while there is a writer.
    pen: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    on: bool,
    /// Which of the peer's stanzas are settled.
    settled: Settled,
    /// How many the peer was told of.
    told: u32,
    question: Question,
    unacknowledged: Unacknowledged<Stanza>,
    /// The bytes of these.
    bytes: usize,
    /// Since when the peer owes an answer.
    asked: Option<Instant>,
    /// When it last gave one that told nothing new.
    nothing_new: Option<Instant>,
    /// Since when something waits, and the peer has acknowledged nothing more.
    stalled: Option<Instant>,
    /// Elements to be written before any stanza.
    answers: String,
    /// Until when nothing is written that waits, so that a former stream's stanzas come before it.
    held: Option<Instant>,
    /// What a former stream has sent in vain or not at all, to be written next.
    again: Vec<Stanza>,
    /// Errors for the peer, to be written however much it has not acknowledged.
    errors: Vec<Stanza>,
    /// What this one has not sent.
    left: Vec<Stanza>,
    /// Whether there is no writer any more.
    unwritten: bool,
    /// Whether nothing may be written or handled any more.
    over: bool,
    taken: bool,
    /// Whether whoever has taken the session has all of it.
    followed: bool,
}

/// Whether the peer wants to know how many of its stanzas have been handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Question {
    #[default]
    None,
    /// It is to be told now.
    New,
    /// It was told, but not of all that had come.
    Open,
}

impl State {
    fn push(&mut self, stanza: Stanza) {
        self.bytes += stanza.bytes.len();
        self.unacknowledged.push(stanza);
    }

    /// Returns whether the peer has handled anything new.
    fn acknowledged(&mut self, count: u32) -> Result<bool, TooMany> {
        let handled = self.unacknowledged.handled(count)?;
        let is_new = handled.len() > 0;
        self.bytes -= handled.map(|stanza| stanza.bytes.len()).sum::<usize>();
        Ok(is_new)
    }

    /// Whether the peer may be asked: an answer that tells nothing new is not followed by the next question at once.
    fn may_ask(&self, now: Instant, patience: Duration) -> bool {
        let again = self.nothing_new.map(|since| since + patience / 2);
        self.asked.is_none() && again.is_none_or(|again| again <= now)
    }
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
        state.settled = Settled::after(session.handled);
        state.told = session.handled;
        state.unacknowledged = session.unacknowledged;
        let sizes = state.unacknowledged.iter();
        state.bytes = sizes.map(|stanza| stanza.bytes.len()).sum();
        state.again = meanwhile;
        state.acknowledged(handled)?;
        state.bytes = 0;
        let again = state.unacknowledged.drain().collect();
        let meanwhile = std::mem::replace(&mut state.again, again);
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

    /// Another stanza of the peer has come, and is settled. The count wraps.
    pub fn count(&self) {
        let mut state = self.state();
        if state.on {
            let number = state.settled.receive();
            state.settled.settle(number);
        }
    }

    /// Another stanza of the peer has come, which counts as handled once its receipt is settled. None if stanzas
    /// are not counted.
    pub(crate) fn receive(self: &Arc<Self>) -> Option<Receipt> {
        let mut state = self.state();
        let number = state.on.then(|| state.settled.receive())?;
        drop(state);
        Some(Receipt {
            of: Arc::clone(self),
            number,
        })
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

    /// Has an error for the peer written, once fewer than these wait for that. That never depends on what the peer
    /// acknowledges: only the reader hears that, who has to pass the error on first.
    pub(crate) async fn give_back(&self, error: Stanza, most: usize) {
        let is_full = || {
            let state = self.state();
            !state.unwritten && state.errors.len() >= most
        };
        while is_full() {
            self.emptied.notified().await;
        }
        self.state().errors.push(error);
        self.changed.notify_one();
    }

    /// Has the peer told how many of its stanzas have been handled: now, and again when there are more, until it
    /// knows of all.
    pub fn acknowledge(&self) {
        self.state().question = Question::New;
        self.changed.notify_one();
    }

    /// The peer has handled so many.
    ///
    /// # Errors
    /// [`TooMany`] if that is more than was sent.
    pub fn handled(&self, count: u32, now: Instant) -> Result<(), TooMany> {
        let mut state = self.state();
        let is_new = state.acknowledged(count)?;
        // An answer that tells nothing new is a sign of life all the same.
        state.asked = None;
        state.nothing_new = (!is_new).then_some(now);
        if is_new {
            state.stalled = (!state.unacknowledged.is_empty()).then_some(now);
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// What is to be written, with these stanzas at the end, then how many of the peer's have been handled, if it
    /// wants to know, and a request for an acknowledgement. `waiting` says how many stanzas are to be written later. With
    /// management these are kept here and taken out of the list. None once another stream goes on.
    pub fn compose(
        &self,
        batch: &mut Vec<Stanza>,
        waiting: impl FnOnce() -> usize,
        now: Instant,
        patience: Duration,
    ) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.over {
            return None;
        }
        let mut bytes = std::mem::take(&mut state.answers).into_bytes();
        let first = std::mem::take(&mut state.again);
        let first = first.into_iter().chain(std::mem::take(&mut state.errors));
        self.emptied.notify_one();
        if state.on {
            for stanza in first {
                bytes.extend_from_slice(&stanza.bytes);
                state.push(stanza);
            }
        } else {
            batch.splice(..0, first);
        }
        for stanza in batch.iter() {
            bytes.extend_from_slice(&stanza.bytes);
        }
        if !state.on {
            return Some(bytes);
        }
        let handled = state.settled.tell(batch.len(), waiting);
        batch.drain(..).for_each(|stanza| state.push(stanza));
        let is_told = match state.question {
            Question::None => true,
            Question::New => false,
            Question::Open => handled == state.told,
        };
        if !is_told {
            let told = Management::Acknowledgement(Some(handled));
            bytes.extend_from_slice(told.text().as_bytes());
            state.told = handled;
            state.question = match handled == state.settled.received() {
                true => Question::None,
                false => Question::Open,
            };
        }
        if !state.unacknowledged.is_empty() {
            state.stalled.get_or_insert(now);
            if state.may_ask(now, patience) {
                (state.asked, state.nothing_new) = (Some(now), None);
                bytes.extend_from_slice(Management::Request.text().as_bytes());
            }
        }
        Some(bytes)
    }

    /// The last element before the closing tag: nothing of the peer is handled from now on. What has come is still
    /// taken care of.
    pub fn last_word(&self) -> String {
        let mut state = self.state();
        if !state.on {
            return String::new();
        }
        state.over = true;
        Management::Acknowledgement(Some(state.settled.received())).text()
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

    /// Whether fewer stanzas and bytes than these wait for their acknowledgement.
    pub fn has_room(&self, stanzas: usize, bytes: usize) -> bool {
        let state = self.state();
        state.unacknowledged.len() < stanzas && state.bytes < bytes
    }

    /// How many stanzas wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        let state = self.state();
        state.again.len() + state.errors.len() + state.unacknowledged.len()
    }

    /// When the peer has to have answered.
    pub fn answer_due(&self, patience: Duration) -> Option<Instant> {
        Some(self.state().asked? + patience)
    }

    /// When the peer has to have acknowledged something more.
    pub fn progress_due(&self, patience: Duration) -> Option<Instant> {
        Some(self.state().stalled? + patience)
    }

    /// When the peer is asked once more.
    pub fn next_question(&self, patience: Duration) -> Option<Instant> {
        Some(self.state().nothing_new? + patience / 2)
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
        let mut unacknowledged = std::mem::take(&mut state.unacknowledged);
        let errors = std::mem::take(&mut state.errors);
        for stanza in std::mem::take(&mut state.again).into_iter().chain(errors) {
            unacknowledged.push(stanza);
        }
        Some(Session {
            handled: state.settled.received(),
            unacknowledged,
        })
    }
}

/// What the streams of one gateway hand on to each other.
impl Managed {
    /// The right to write, held as long as there is a writer.
    pub async fn pen(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.pen.lock().await
    }

    /// The connection is given up, even if its writer waits for it.
    pub fn give_up(&self) {
        self.given_up.notify_one();
    }

    /// Waits until the connection is given up.
    pub async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// The writer has not sent these, and writes nothing any more.
    pub fn leave(&self, left: Vec<Stanza>) {
        let mut state = self.state();
        state.left = left;
        state.unwritten = true;
        drop(state);
        self.emptied.notify_one();
    }

    /// What the writer has left, unless another stream has got it.
    pub fn left(&self) -> Vec<Stanza> {
        std::mem::take(&mut self.state().left)
    }

    /// The session, and what the writer has left, for another stream: the reader and the writer of this one end first.
    pub async fn surrender(&self) -> Option<(Session, Vec<Stanza>)> {
        self.state().over = true;
        self.changed.notify_one();
        self.give_up();
        let _pen = self.pen.lock().await;
        let _turn = self.turn.lock().await;
        let session = self.take()?;
        Some((session, self.left()))
    }

    /// Another stream has all that it goes on with.
    pub fn follow(&self) {
        self.state().followed = true;
        self.changed.notify_one();
    }

    /// Waits until another stream goes on.
    pub async fn followed(&self) {
        while !self.state().followed {
            self.changed.notified().await;
        }
    }
}

/// Which stanza of which peer it was. One that is dropped settles nothing.
#[derive(Debug)]
#[must_use = "the peer has its stanza until this is settled"]
pub(crate) struct Receipt {
    of: Arc<Managed>,
    number: u32,
}

/// These stanzas have been passed on for good, or returned.
pub(crate) fn settle(receipts: impl IntoIterator<Item = Receipt>) {
    let mut receipts = receipts.into_iter().peekable();
    while let Some(Receipt { of, number }) = receipts.next() {
        let mut state = of.state();
        let before = state.settled.count();
        state.settled.settle(number);
        // Most of a batch are of one peer.
        while let Some(next) = receipts.next_if(|next| Arc::ptr_eq(&next.of, &of)) {
            state.settled.settle(next.number);
        }
        let is_awaited = state.question == Question::Open && state.settled.count() != before;
        drop(state);
        if is_awaited {
            of.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
