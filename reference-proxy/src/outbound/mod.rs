//! Partners that are dialled: the initiating and the originating server's part, and the receiving
//! server's question to the authoritative one.
//!
//! [`Initiating`](initiating::Initiating) decides, without sockets; [`dial`] and [`link`] carry
//! out.

mod dial;
mod initiating;
mod link;
mod verify;

pub(crate) use link::{send, unclaimed};
pub(crate) use verify::verify;

#[cfg(test)]
mod tests;
