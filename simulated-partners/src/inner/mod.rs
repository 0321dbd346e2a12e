//! The inner side of a target, played by the partners' side: a gateway behind a proxy, or a
//! component of a server.
//!
//! Both give an [`Inner`], over which stanzas pass in the namespace `jabber:server`. Start at
//! [`gateway::connect`] and [`component::connect`]. Neither has a deadline of its own: put them
//! into a `tokio::time::timeout`, they can be dropped at any point.

pub mod component;
mod error;
pub mod gateway;
mod link;
mod opening;

pub use error::{Ending, InnerError};
pub use link::{Inner, Outgoing};

#[cfg(test)]
mod tests;
