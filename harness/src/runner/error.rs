//! Why a case could not be completed, by cause. None of this says whether the
//! target is right or wrong.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use simulated_partners::dns::BadName;

use super::loss::Loss;
use super::records::RecordError;

/// An error that prevents a case from completing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaseError {
    /// The machine has no free port or address.
    #[error("the partner could not listen: {0}")]
    Listen(#[source] io::Error),
    /// The target has stopped.
    #[error("{0}")]
    TargetLost(Loss),
    /// More was sent than a case can keep.
    #[error("a flood: more happened than the {} MiB that a case can keep", kept / (1024 * 1024))]
    Flood {
        /// The limit, in bytes.
        kept: usize,
    },
    /// A partner could not do or see all that it should have.
    #[error("the partner `{role}` left out {what}")]
    LeftOut {
        /// The partner.
        role: String,
        what: &'static str,
    },
    /// Nothing listens at the target's address.
    #[error("the server does not answer at {address}: {error}")]
    Unreachable {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::ErrorKind,
    },
    /// The target does not accept a correct partner, so nothing makes it dial.
    #[error("no trigger: a correct partner of the same domain could not get in: {0}")]
    NoTrigger(String),
    /// The partner that makes the target dial was disconnected too early.
    #[error("the trigger was disconnected before the target dialled: {0}")]
    TriggerLost(String),
    /// The command that makes the target dial failed.
    #[error("{0}")]
    Command(String),
    /// The scenario needs a certificate that cannot be made.
    #[error("the certificate of `{role}`: {why}")]
    Certificate {
        /// The partner.
        role: String,
        why: String,
    },
    /// The scenario sends something that is not a stanza.
    #[error("what the inner side sends: {0}")]
    Stanza(String),
    /// The scenario needs a DNS record that cannot be made.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The target cannot be changed as the case has it.
    #[error("the target could not be changed: {0}")]
    Step(String),
    /// A domain of the case is not a valid domain name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The machine had too much to do, even for this case alone.
    #[error(
        "this machine was too slow: even when the case ran alone, s2spec itself was up to {} ms late",
        late.as_millis()
    )]
    TooSlow {
        /// How late the runner was.
        late: Duration,
    },
    /// The same, for a server on this machine.
    #[error(
        "this machine was too slow: even when the case ran alone, the server waited for a processor more than a \
         fourth of the time"
    )]
    Starved,
    /// A persona is missing from the build.
    #[error("the built-in persona `{0}` is missing")]
    Persona(&'static str),
}
