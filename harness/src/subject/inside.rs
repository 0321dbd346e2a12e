//! What can be seen and done behind a running target.

use tokio::sync::{Mutex, MutexGuard};

use super::call::Call;
use super::inner_side::{InnerSide, LinkLost, Stanzas};

/// What is behind a target.
pub enum Inside {
    /// A link to its inner side: stanzas go in and come out there.
    Linked(InnerSide),
    /// Nothing of ours: only what partners see on their wires.
    Hidden(Hidden),
}

/// A target without an inner side of ours.
pub struct Hidden {
    /// What makes it send a stanza to a partner.
    pub trigger: Trigger,
    turn: Mutex<()>,
}

/// What makes a target send a stanza to a partner.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// A ping from that partner's domain: the target has to open a stream to answer it.
    Reply,
    /// A command, with the sender, receiver, body and id of the stanza filled in.
    Command(Call),
}

impl Hidden {
    /// A target that is seen from outside only.
    pub fn new(trigger: Trigger) -> Self {
        Self {
            trigger,
            turn: Mutex::new(()),
        }
    }

    /// Waits for the turn to run a trigger command: programs that administrate a server do not expect
    /// to run many at a time.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Inside {
    /// Has requests to these domains answered there for as long as this is kept, where there is a link: a proxy needs
    /// somebody behind it who answers.
    pub fn answering(&self, domains: &[String]) -> Option<Stanzas> {
        match self {
            Self::Linked(inner) => Some(inner.open(domains, true, None)),
            Self::Hidden(_) => None,
        }
    }

    /// Returns when the link to it is lost, with the reason.
    pub async fn lost(&self) -> LinkLost {
        match self {
            Self::Linked(inner) => inner.lost().await,
            Self::Hidden(_) => std::future::pending().await,
        }
    }
}

impl From<InnerSide> for Inside {
    fn from(inner: InnerSide) -> Self {
        Self::Linked(inner)
    }
}
