//! What both directions share: headers, features, stream errors, and the connection that carries
//! them. Which of them comes next is decided by `inbound` and `outbound`.

mod condition;
mod connection;
mod features;
mod header;

pub(crate) use condition::{Condition, closing, error, is_error};
pub(crate) use connection::{Connection, Incoming, Lost, Outgoing, Tls, Transport};
pub(crate) use features::{Offered, Shown, Starttls};
pub(crate) use header::{Opening, Version, domain, language, version};

use crate::config::Domain;

/// A pair of domains that a stream may speak for: stanzas go from the one to the other
/// (XEP-0220 §1.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    /// The domain that sends.
    pub(crate) from: Domain,
    /// The domain that receives.
    pub(crate) to: Domain,
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}
