//! What can be seen and done behind a running target.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard, watch};

use super::call::Call;
use super::inner_side::InnerSide;

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
    /// Tells when its process has ended, and how; none where it was not started from here.
    pub process: Option<watch::Receiver<Option<String>>>,
    controls: AtomicU64,
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
    pub fn new(trigger: Trigger, process: Option<watch::Receiver<Option<String>>>) -> Self {
        Self {
            trigger,
            process,
            controls: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }

    /// Waits for the turn to run a trigger command: programs that administrate a server do not expect
    /// to run many at a time.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// A domain for a control partner that nobody has had yet in this run of the target.
    pub fn control_domain(&self) -> String {
        let number = self.controls.fetch_add(1, Ordering::Relaxed);
        format!("control-{number}.s2spec.example")
    }
}

impl Inside {
    /// Returns when nothing more can be learnt from the target, with the reason in words.
    pub async fn lost(&self) -> String {
        match self {
            Self::Linked(inner) => {
                format!("the target's inner link was lost: {}", inner.lost().await)
            }
            Self::Hidden(hidden) => {
                let Some(mut process) = hidden.process.clone() else {
                    return std::future::pending().await;
                };
                let ended = process.wait_for(Option::is_some).await;
                let how = ended.ok().and_then(|how| how.clone());
                match how {
                    Some(how) => format!("the server ended during the case: {how}"),
                    // Its watcher is gone with the run.
                    None => std::future::pending().await,
                }
            }
        }
    }
}

impl From<InnerSide> for Inside {
    fn from(inner: InnerSide) -> Self {
        Self::Linked(inner)
    }
}
