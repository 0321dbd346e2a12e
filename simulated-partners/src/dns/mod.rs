//! The lab's authoritative DNS server.
//!
//! It stands for the whole tree: a name that was not set does not exist. It answers nothing for
//! real, asks nobody, and keeps a log of what was asked. Start at [`Dns`] and [`Records`].

mod log;
mod server;
mod zone;

pub use log::Query;
pub use server::Dns;
pub use zone::{Answer, BadName, Data, Kind, Records};

#[cfg(test)]
mod tests;
