//! Partners that are dialled: the roles of the initiating and the originating server, and the receiving
//! server's request to the authoritative one.
//!
//! [`Initiating`](initiating::Initiating) decides without sockets, and [`negotiate`] carries out the
//! decisions.
//! [`link`] takes care of a pair's stanzas.

mod accepting;
mod awaiting;
mod connect;
mod dial;
mod hearing;
mod initiating;
mod link;
mod managing;
mod negotiate;
mod open_stream;
mod plan;
mod reloading;
mod send;
mod sending;
mod trial;
mod undelivered;
mod verify;

pub(crate) use send::{deliver, send, unclaimed};
pub(crate) use sending::Sending;
pub(crate) use trial::trial;
pub(crate) use verify::verify;

#[cfg(test)]
mod tests;
