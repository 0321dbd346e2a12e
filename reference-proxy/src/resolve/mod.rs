//! Where a partner's server is (RFC 6120 §3.2).

mod lookup;
mod selection;
#[cfg(test)]
mod tests;

pub use lookup::{ResolveError, Resolver, Server};
