//! The inner side of a target, played by the test: a gateway behind a proxy, or a
//! component of a server.
//!
//! Both return an [`Inner`], over which stanzas pass in the namespace `jabber:server`. Start at
//! [`gateway::connect`] and [`component::connect`]. Neither has a deadline: wrap them
//! in `tokio::time::timeout`, they can be dropped at any point.

pub mod component;
mod error;
pub mod gateway;
mod link;
mod opening;

pub use error::{Ending, InnerError};
pub use link::{Inner, Outgoing};

#[cfg(test)]
mod tests;
