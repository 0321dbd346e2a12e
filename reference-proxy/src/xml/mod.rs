//! The restricted XML of XMPP streams, parsed incrementally and written by hand.
//!
//! Bytes become frames here. This module knows namespaces and limits, not what an element means.
//! Start at [`Reader`].

mod element;
mod frame;
pub mod namespace;
mod reader;
mod scopes;
mod shape;
mod skip;

pub(crate) use element::LANGUAGE;
pub use element::{Element, escape};
pub use frame::{Frame, Header, Kind, ReadError, Skipped, Stanza};
pub use reader::{Bounds, Reader};
pub use shape::Child;

#[cfg(test)]
mod tests;
