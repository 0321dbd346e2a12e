//! Finds a partner's servers (RFC 6120 §3.2).

mod lookup;
mod selection;
mod setup;
#[cfg(test)]
mod tests;

pub(crate) use lookup::{ResolveError, Resolver, Server};
pub use setup::{SetupError, client};
