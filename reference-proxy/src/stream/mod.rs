//! What both directions share: headers, features, stream errors, and the connection that carries
//! them. `inbound` and `outbound` decide what comes next.

mod condition;
mod connection;
mod features;
mod header;
mod transport;

pub(crate) use condition::error_with;
pub use condition::{CLOSING, Condition, StreamError, error, is_error};
pub use connection::{Connection, Incoming, Lost, Outgoing, Tls};
pub(crate) use features::{Offered, Shown, Starttls};
pub use header::Opening;
pub(crate) use header::{Version, domain, language, version};
pub use transport::Transport;
