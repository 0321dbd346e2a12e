//! The loss of a target: it takes no connections any more, or its inner link broke.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::idleness::Idleness;
use super::lateness::Wait;
use crate::finding::{Against, Fault, Finding, Step};
use crate::listening::Process;
use crate::subject::Running;
use crate::subject::inner_side::{InnerSide, LinkLost};

/// The requirement that well-formedness stands for: no text of a partner becomes markup.
const WELL_FORMED: &str = "XML-18";
/// How long a target may take to accept a connection.
const KNOCK: Duration = Duration::from_secs(2);
/// How often that is tried.
const KNOCKS: u32 = 3;
/// How often it is tried while the target has more to do than it gets through.
const PATIENT_KNOCKS: u32 = 15;
/// How long a connection has to stay open to show that somebody is there.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the end of a process may take to be known, once its connections are gone.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What became of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It takes no connections any more.
    Gone {
        address: SocketAddr,
        /// How its process ended, with its last words, if that is known.
        how: Option<String>,
    },
    /// It ended its inner link, or sent over it what is no stream.
    Link(LinkLost),
}

impl Loss {
    /// The finding in the case that led to it. None where the target may rightly have ended its link.
    pub(super) fn finding(&self) -> Option<Finding> {
        let gone = Finding::of_fault(Fault::TargetGone, self.to_string());
        match self {
            Self::Gone { .. } => Some(gone),
            Self::Link(lost) if lost.ill_formed => Some(Finding {
                against: Against::Requirements(vec![WELL_FORMED.to_owned()]),
                step: Step::Stanza,
                ..gone
            }),
            Self::Link(_) => None,
        }
    }

    /// The same with the moment at which it happened.
    pub(super) fn told(&self, when: &str) -> String {
        match self {
            Self::Gone { address, how } => match how {
                Some(how) => format!("the server stopped taking connections {when}: {how}"),
                None => format!("the server stopped taking connections at {address} {when}"),
            },
            Self::Link(lost) => format!("the target's inner link was lost {when}: {}", lost.why),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { address, how } => match how {
                Some(how) => write!(to, "the server stopped taking connections: {how}"),
                None => write!(to, "the server stopped taking connections at {address}"),
            },
            Self::Link(lost) if lost.ill_formed => write!(
                to,
                "the target passed on to its inner side what is no well-formed XML: {}",
                lost.why
            ),
            Self::Link(lost) => write!(to, "the target's inner link was lost: {}", lost.why),
        }
    }
}

/// A running target of which it is known whether it still is there.
pub(super) struct Instance {
    pub(super) running: Running,
    loss: watch::Sender<Option<Loss>>,
    idleness: Option<Idleness>,
    /// Whether it may stall without being seen to.
    may_stall: bool,
}

impl Instance {
    pub(super) async fn new(running: Running) -> Self {
        let addresses = [
            Some(running.address),
            running.other_member,
            running.direct_tls,
        ];
        let mut processes = Vec::new();
        if !running.is_inside {
            let addresses = addresses.into_iter().flatten();
            let listening = move || addresses.flat_map(Process::listening_at).collect();
            processes = spawn_blocking(listening).await.unwrap_or_default();
        }
        processes.sort_unstable();
        processes.dedup();
        let has_own = processes.iter().any(|process| process.is_own());
        processes.retain(|process| !process.is_own());
        // What stands before a server that was started elsewhere may rest while that does not come to its work.
        let is_known = !processes.is_empty() && processes.iter().all(|one| one.is_of_ours());
        let is_inside = running.is_inside || has_own && running.process.is_none();
        Self {
            running,
            loss: watch::Sender::new(None),
            idleness: Idleness::start(processes),
            may_stall: !is_inside && !is_known,
        }
    }

    /// Whether it has something to do now.
    pub(super) fn has_work(&self) -> bool {
        self.idleness
            .as_ref()
            .is_some_and(|idleness| !idleness.is_at_rest())
    }

    /// For how long its threads have waited for a processor so far, all together.
    pub(super) fn starved(&self) -> Duration {
        let idleness = self.idleness.as_ref();
        idleness.map_or(Duration::ZERO, Idleness::starved)
    }

    /// Whether it may have been silent for so long only because it did not come to it.
    pub(super) fn is_busy(&self, wait: Wait) -> bool {
        self.idleness
            .as_ref()
            .is_some_and(|idleness| idleness.is_busy(wait))
    }

    /// Whether it worked most of the time since a moment.
    pub(super) fn is_slow(&self, since: Instant) -> bool {
        self.idleness
            .as_ref()
            .is_some_and(|idleness| idleness.is_slow(since))
    }

    /// Whether it may stall without being seen to.
    pub(super) fn may_stall(&self) -> bool {
        self.may_stall
    }

    /// Returns when what it has passed on before has been read, if it answers its inner side.
    pub(super) async fn barrier(&self, inner: &InnerSide) {
        let was_busy = |since: Instant| {
            let length = since.elapsed();
            self.is_busy(Wait { since, length }) || self.is_slow(since)
        };
        inner.barrier(was_busy).await;
    }

    /// Returns when it is lost.
    pub(super) async fn lost(&self) -> Loss {
        let mut known = self.loss.subscribe();
        let noticed = tokio::select! {
            biased;
            known = async { known.wait_for(Option::is_some).await.ok()?.clone() } => match known {
                Some(loss) => return loss,
                // The sender lives as long as this value.
                None => return std::future::pending().await,
            },
            how = ended(&self.running) => self.gone(Some(how)),
            lost = self.running.inner.lost() => match self.answers().await {
                true => Loss::Link(lost),
                false => self.gone(self.last_words().await),
            },
        };
        self.note(noticed)
    }

    /// Whether it is known to be lost, and how.
    pub(super) fn known_loss(&self) -> Option<Loss> {
        self.loss.borrow().clone()
    }

    /// Whether it still takes connections, asked of it, and has its link. If not, it is lost from here on.
    pub(super) async fn still_answers(&self) -> bool {
        if self.answers().await {
            // A link that broke meanwhile is known by now.
            tokio::select! {
                biased;
                lost = self.running.inner.lost() => self.note(Loss::Link(lost)),
                () = std::future::ready(()) => return self.loss.borrow().is_none(),
            };
            return false;
        }
        let how = self.last_words().await;
        self.note(self.gone(how));
        false
    }

    /// The first that was noticed counts.
    fn note(&self, loss: Loss) -> Loss {
        self.loss.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(loss.clone());
            }
            first
        });
        self.loss.borrow().clone().unwrap_or(loss)
    }

    fn gone(&self, how: Option<String>) -> Loss {
        Loss::Gone {
            address: self.running.address,
            how,
        }
    }

    /// Whether a member of it takes connections.
    async fn answers(&self) -> bool {
        let other = match self.running.other_member {
            Some(other) => self.opens(other).await,
            None => false,
        };
        other || self.opens(self.running.address).await
    }

    async fn opens(&self, address: SocketAddr) -> bool {
        let mut is_open = false;
        let mut left = KNOCKS;
        for _ in 0..PATIENT_KNOCKS {
            if left == 0 {
                break;
            }
            let since = Instant::now();
            let length = KNOCK;
            let knock = timeout(length, TcpStream::connect(address)).await;
            is_open = false;
            match knock {
                Ok(Ok(mut connection)) => {
                    is_open = true;
                    // A process that is about to end may close its port last.
                    let mut byte = [0];
                    if timeout(PAUSE, connection.read(&mut byte)).await.is_err() {
                        break;
                    }
                }
                Err(_) if self.is_busy(Wait { since, length }) => continue,
                Ok(Err(_)) | Err(_) => {}
            }
            left -= 1;
        }
        is_open
    }

    async fn last_words(&self) -> Option<String> {
        self.running.process.as_ref()?;
        timeout(LAST_WORDS, ended(&self.running)).await.ok()
    }
}

/// Returns when the target's process has ended, with the way it did.
async fn ended(running: &Running) -> String {
    let Some(mut process) = running.process.clone() else {
        return std::future::pending().await;
    };
    let ended = process.wait_for(Option::is_some).await;
    match ended.ok().and_then(|how| how.clone()) {
        Some(how) => format!("it ended with {how}"),
        // Its watcher is gone with the run.
        None => std::future::pending().await,
    }
}
