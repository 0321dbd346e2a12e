//! The lab's authoritative DNS server.
//!
//! It serves the whole tree: a name that was not set does not exist. It forwards no
//! queries, and logs those it receives. Start at [`Dns`] and [`Records`].

mod log;
mod server;
mod zone;

pub use log::Query;
pub use server::Dns;
pub use zone::{Answer, BadName, Data, Kind, Records};

#[cfg(test)]
mod tests;
