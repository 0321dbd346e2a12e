//! What happens to the hub, which owns the state.

use reference_proxy::wire::{ReadError, Stanza};
use tokio::sync::{mpsc, oneshot, watch};

use crate::address::Bare;
use crate::directory::Directory;
use crate::refusal::Refusal;
use crate::withdrawal::Withdrawal;

/// One connection to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId {
    /// The proxy's place in the configuration: links are preferred in this order.
    pub(crate) place: usize,
    /// Which connection to it.
    pub(crate) connection: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// What the hub has of a link.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) queue: mpsc::Sender<Stanza>,
    /// How many stanzas have been put into the queue.
    pub(crate) given: u64,
    /// How many of these the proxy has dealt with.
    pub(crate) through: watch::Receiver<u64>,
}

/// A user's wish to sign in.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) user: Bare,
    /// A resource of the user's choice, if it has one.
    pub(crate) resource: Option<String>,
    pub(crate) queue: mpsc::Sender<Stanza>,
    /// Gets the session's id and full address.
    pub(crate) answer: oneshot::Sender<Result<(SessionId, String), SignInError>>,
}

/// Why a user cannot sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// By the configuration.
    #[error("{0}")]
    Refused(Refusal),
    /// There are as many sessions as may be.
    #[error("too many sessions")]
    Full,
    /// The gateway has stopped.
    #[error("the gateway has stopped")]
    Stopped,
}

#[derive(Debug)]
pub(crate) enum Event {
    FromLink(LinkId, Stanza),
    FromSession(SessionId, Stanza),
    /// A stanza that could not be taken, without its content, and its fault.
    Skipped(LinkId, Stanza, ReadError),
    /// A link is ready; stanzas for it go into its queue.
    LinkUp(LinkId, Way),
    /// A link is over. These stanzas it did not send.
    LinkDown(LinkId, Vec<Stanza>),
    /// These stanzas were sent, and the proxy may have got them or not.
    Unacknowledged(Vec<Stanza>),
    Reload(Box<Directory>),
    /// Whether the state was saved.
    Saved(bool),
    /// Whether a user may talk to a contact.
    MayTalk(Bare, Bare, oneshot::Sender<Result<(), Refusal>>),
    /// How far the withdrawals of the last reload are.
    Withdrawing(oneshot::Sender<Withdrawal>),
    SignIn(SignIn),
}
