//! Partners that are dialled: the initiating and the originating server's part, and the receiving
//! server's question to the authoritative one.
//!
//! [`Initiating`](initiating::Initiating) decides, without sockets; [`negotiate`] carries out.
//! [`link`] takes care of a pair's stanzas.

mod awaiting;
mod dial;
mod initiating;
mod link;
mod negotiate;
mod open_stream;
mod plan;
mod send;
mod undelivered;
mod verify;

pub(crate) use send::{send, unclaimed};
pub(crate) use verify::verify;

#[cfg(test)]
mod tests;
