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
