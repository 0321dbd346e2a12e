//! Why there is no diagnosis, or no part of it: an enum for each step that can fail. What is wrong with
//! the target is a [`Finding`](super::Finding) instead.

use std::io;
use std::net::IpAddr;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::ProtoError;
use simulated_partners::dns::BadName;

use crate::policy::PolicyNumber;
use crate::subject::StartError;

/// What keeps the doctor from its work.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The machine has no address or file left for it.
    #[error("there is no test network")]
    Network(#[source] io::Error),
    /// The target cannot have the policy that is asked for.
    #[error("the target cannot be set to {policy}: {why}")]
    Policy {
        policy: PolicyNumber,
        /// What the target says.
        why: String,
    },
    /// The target cannot have any policy.
    #[error("the target cannot be set to any policy: {0}")]
    NoPolicy(String),
    /// A persona is missing from the build.
    #[error("the built-in persona `{0}` is missing")]
    Persona(&'static str),
    /// Nothing can be learned of a target that does not run.
    #[error("the target does not start")]
    Start(#[source] StartError),
    /// Nothing can be learned of a target that takes no streams.
    #[error("{0}")]
    Absent(String),
}

/// Why no partner met the target.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrialError {
    /// The target was not worth the attempt.
    #[error("the target does not answer a stream header")]
    NoStream,
    /// The machine has no port for it.
    #[error("a partner could not listen on {address}")]
    Listen {
        /// Where.
        address: IpAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Its domain, or the host of its address, is no name for DNS.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A persona is missing from the build.
    #[error("the built-in persona `{0}` is missing")]
    Persona(&'static str),
}

/// Why nothing is known of the target's own records.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// The system's name servers are not known.
    #[error("/etc/resolv.conf cannot be read")]
    ResolvConf(#[source] io::Error),
    /// The system has none.
    #[error("/etc/resolv.conf names no server")]
    NoServers,
    /// Asking would leave this machine.
    #[error(
        "the system's name server {0} is not on this machine, and nothing leaves it unasked: \
         --nameserver names one, --allow-remote lets this one be asked"
    )]
    Remote(IpAddr),
    /// The resolver cannot be set up.
    #[error("the resolver cannot be set up")]
    Resolver(#[source] NetError),
    /// Nothing can be asked about such a name.
    #[error("`{name}` is no name for DNS")]
    Name {
        name: String,
        /// What is wrong with it.
        source: ProtoError,
    },
    /// An answer that is none.
    #[error("{asked} gave no answer")]
    Answer {
        /// Who was asked.
        asked: String,
        /// What came instead.
        source: NetError,
    },
    /// No answer.
    #[error("{0} did not answer in time")]
    Overdue(String),
}
