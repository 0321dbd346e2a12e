//! A test message: how far it gets, and the addresses that await answers to one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use strum::Display;
use tokio::sync::mpsc;

use crate::negotiation::Method;
use crate::xml::Stanza;

/// The steps on the way of a message, in their order.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// The sender may send: its domain is served here, and limits leave room.
    LocalPolicy,
    /// The recipient's domain is one of a partner.
    Route,
    /// A gateway is connected, which takes what the partner answers.
    InnerLink,
    /// The partner's servers are found.
    Dns,
    /// One of them takes a connection.
    Tcp,
    /// TLS as both sides want it.
    Tls,
    /// Both sides agree on a way of authentication, and it succeeds.
    Method,
    /// The partner answers, on a stream of its own.
    Answer,
    /// It takes the message for the recipient.
    Recipient,
}

/// The first step that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) step: Step,
    pub(crate) why: String,
    /// How this side has authenticated, if it came to that.
    pub(crate) method: Option<Method>,
}

impl Broken {
    pub(crate) fn at(step: Step, why: impl Into<String>) -> Self {
        Self {
            step,
            why: why.into(),
            method: None,
        }
    }
}

/// Addresses that await answers instead of their gateway.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    waiting: Mutex<BTreeMap<String, mpsc::Sender<Stanza>>>,
    /// Whether there are any. Changed under the lock, and looked at without it: an answer comes long after the question.
    any: AtomicBool,
}

/// Answers that are awaited at the same time.
const ANSWERS: usize = 8;

impl Trials {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, mpsc::Sender<Stanza>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Awaits stanzas to an address, until [`Trials::end`].
    pub(crate) fn begin(&self, address: &str) -> mpsc::Receiver<Stanza> {
        let (sender, receiver) = mpsc::channel(ANSWERS);
        let mut waiting = self.waiting();
        waiting.insert(address.to_owned(), sender);
        self.any.store(true, Ordering::Relaxed);
        drop(waiting);
        receiver
    }

    pub(crate) fn end(&self, address: &str) {
        let mut waiting = self.waiting();
        waiting.remove(address);
        self.any.store(!waiting.is_empty(), Ordering::Relaxed);
    }

    /// Takes a stanza that is awaited, or gives it back.
    pub(crate) fn take(&self, stanza: Stanza) -> Option<Stanza> {
        if !self.any.load(Ordering::Relaxed) {
            return Some(stanza);
        }
        let waiting = self.waiting();
        let Some(trial) = stanza.to.as_ref().and_then(|to| waiting.get(to)) else {
            return Some(stanza);
        };
        // A partner that answers more often than asked has its surplus dropped.
        let _ = trial.try_send(stanza);
        None
    }
}
