//! Where a partner's server is (RFC 6120 §3.2).

mod lookup;
mod selection;

pub use lookup::{ResolveError, Resolver};
