//! The restricted XML of XMPP streams, parsed incrementally and written by hand.
//!
//! Bytes become frames here. This module knows namespaces and limits, not what an element means.
//! Start at [`Reader`].

mod element;
mod frame;
pub(crate) mod namespace;
mod reader;
mod scopes;
mod skip;

pub(crate) use element::{Element, escape};
pub(crate) use frame::{Frame, Header, Kind, ReadError, Skipped, Stanza};
pub(crate) use reader::{Bounds, Reader};

#[cfg(test)]
mod tests;
