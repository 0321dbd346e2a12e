//! Why a case could not be brought to an end, by who is to blame. None of it says anything of what the
//! target does right or wrong.

use std::io;
use std::net::SocketAddr;

use simulated_partners::dns::BadName;

use super::records::RecordError;

/// What kept a case from its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaseError {
    /// The machine has no port or address left.
    #[error("the partner could not listen: {0}")]
    Listen(#[source] io::Error),
    /// The target's other side is silent.
    #[error("the target's inner side does not answer")]
    InnerSideSilent,
    /// The target is gone.
    #[error("{0}")]
    TargetLost(String),
    /// Nobody listens where the target should.
    #[error("the server does not answer at {address}: {error}")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: io::ErrorKind,
    },
    /// The target does not let a conforming partner in, so that nothing makes it dial.
    #[error("no trigger: a correct partner of the same domain could not get in: {0}")]
    NoTrigger(String),
    /// The partner that makes the target dial was thrown out too early.
    #[error("the trigger was cut off before the target had dialled: {0}")]
    TriggerLost(String),
    /// The command that makes the target dial failed.
    #[error("{0}")]
    Command(String),
    /// The scenario wants a certificate that cannot be made.
    #[error("the certificate of `{role}`: {why}")]
    Certificate {
        /// The partner.
        role: String,
        why: String,
    },
    /// The scenario sends something that is no stanza.
    #[error("what the local side sends: {0}")]
    Stanza(String),
    /// The scenario wants a DNS record that cannot be made.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A domain of the case is no domain name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A persona is missing from the build.
    #[error("the built-in persona `{0}` is missing")]
    Persona(&'static str),
}
