//! The lab's certificate factory: an authority and certificates of every kind, good and bad.
//!
//! Keys are made once per [`Authority`] and shared by all certificates of their kind, so that a
//! certificate costs one signature. Start at [`Authority::issue`].

mod authority;
mod clock;
mod identity;
mod names;

pub use authority::{Authority, BadAuthority};
pub use clock::today;
pub use identity::Identity;
pub use names::NameForms;

pub(crate) use clock::unix_time;

#[cfg(test)]
mod tests;
