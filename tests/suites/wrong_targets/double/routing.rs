//! Ways through the double: from the inner side to streams, and back.

use std::sync::Arc;

use simulated_partners::stanza::domain_of;
use simulated_partners::wire::{Element, Unit};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

use super::defect::Defect;
use super::names::canonical;
use super::{DOMAIN, Server, UNLISTED, sending, stanza};

/// Stanzas that wait for one stream.
const WAITING: usize = 500;
/// Stanzas that a stream carries, where they are counted.
const CARRIED: usize = 100;

impl Server {
    /// Passes a stanza to the inner side.
    pub(super) fn deliver(&self, stanza: Element) {
        let _ = self.inside.send(self.passed(stanza));
    }

    /// Passes a stanza of the inner side on.
    pub(super) fn route(self: &Arc<Self>, stanza: Element) {
        let stanza = self.passed(stanza);
        let to = self.recipient(stanza.attribute("to").unwrap_or_default());
        let mut from = domain_of(stanza.attribute("from").unwrap_or_default()).to_owned();
        if to == UNLISTED || !stanza::is_own(&from) && !self.has(Defect::SpeaksForAnybody) {
            self.bounce(&stanza, "remote-server-not-found");
            return;
        }
        if self
            .given_up
            .lock()
            .expect("no panic under it")
            .contains(&to)
        {
            self.bounce(&stanza, "remote-server-timeout");
            return;
        }
        if self.has(Defect::DropsWhatHasTheSameId)
            && let Some(id) = stanza.attribute("id")
            && !self
                .sent
                .lock()
                .expect("no panic under it")
                .insert(id.to_owned())
        {
            return;
        }
        if self.has(Defect::OneStreamForAllSenders) {
            from = DOMAIN.to_owned();
        }
        self.queue((from, to), stanza);
    }

    /// The partner that an address belongs to.
    fn recipient(&self, address: &str) -> String {
        let domain = match address.rsplit_once('@') {
            Some((_, domain)) if self.has(Defect::SplitsAtTheLastAt) => domain,
            _ => domain_of(address),
        };
        match self.has(Defect::KeepsFinalDots) {
            true => domain.to_owned(),
            false => canonical(domain),
        }
    }

    /// Hands an element to the stream of a pair, which is opened if need be.
    pub(super) fn queue(self: &Arc<Self>, pair: (String, String), stanza: Element) {
        let mut out = self.out.lock().expect("no panic under it");
        if self.has(Defect::StreamForEachStanza) {
            out.remove(&pair);
        }
        let any = self.has(Defect::OneStreamForAllPartners);
        let same = |(other, _): &(&(String, String), _)| other.0 == pair.0;
        let open = out
            .get(&pair)
            .or_else(|| Some(out.iter().find(same).filter(|_| any)?.1));
        let is_over = self.has(Defect::CountsAllThatWasSent) && self.carried(&pair) > CARRIED;
        let is_open = open.is_some();
        match open.and_then(|open| open.try_send(stanza.clone()).err()) {
            None if is_open && !is_over => return,
            Some(TrySendError::Closed(_)) if self.has(Defect::LosesWhatComesLater) => return,
            None if !is_open => {}
            Some(TrySendError::Closed(_)) => {}
            None | Some(TrySendError::Full(_)) => {
                drop(out);
                self.bounce(&stanza, "resource-constraint");
                return;
            }
        }
        let (queue, waiting) = mpsc::channel(match self.has(Defect::EndlessQueues) {
            true => Semaphore::MAX_PERMITS,
            false => WAITING,
        });
        let _ = queue.try_send(stanza);
        out.insert(pair.clone(), queue);
        self.spawn(sending::run(Arc::clone(self), pair, waiting));
    }

    /// How many stanzas a pair has been given so far.
    fn carried(&self, pair: &(String, String)) -> usize {
        let mut queued = self.queued.lock().expect("no panic under it");
        let count = queued.entry(pair.clone()).or_default();
        *count += 1;
        *count
    }

    /// Passes a stanza of a partner on to another domain.
    pub(super) fn relay(self: &Arc<Self>, stanza: Element) {
        let to = domain_of(stanza.attribute("to").unwrap_or_default()).to_owned();
        self.queue((DOMAIN.to_owned(), to), stanza);
    }

    /// Returns a stanza to its sender.
    pub(super) fn bounce(&self, stanza: &Element, condition: &str) {
        let is_error = stanza.attribute("type") == Some("error");
        let is_stanza = Unit::of(stanza).is_some_and(Unit::is_stanza);
        let is_final = is_error && !self.has(Defect::BouncesErrors);
        // The harness asks itself what has arrived by what comes back from there.
        let is_question = stanza
            .attribute("to")
            .is_some_and(|to| domain_of(to) == UNLISTED);
        if !is_stanza || is_final || self.has(Defect::NeverBounces) && !is_question {
            return;
        }
        let mut answer = match self.has(Defect::EveryFailureIsATimeout) {
            true => stanza::error(stanza, "remote-server-timeout"),
            false => stanza::error(stanza, condition),
        };
        if self.has(Defect::BouncesAsMessages) && !is_question {
            "message".clone_into(&mut answer.name);
        }
        self.deliver(answer);
    }
}
