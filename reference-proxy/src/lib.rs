//! A working XMPP federation proxy: partners on one side, the gateway on the other.
//!
//! Start at [`config::Config`], which a [TOML file](config::Config::load) or an
//! [embedding program](config::Config::checked) supplies, and give it to [`Proxy::start`].
//!
//! # The internal side
//!
//! A gateway connects with TLS from the first byte; both sides authenticate by certificate. Inside
//! it opens a `jabber:server` stream; the proxy answers with its header and empty features, and
//! from then on stanzas pass unchanged in both directions. The gateway's header tells which
//! stanzas it takes: those for the served domain in `from`, else for the one in `to`, else for
//! all. Of several gateways for a domain the one that came last gets the stanzas. Stanzas that
//! can't be delivered come back as errors.

pub mod certificate;
pub mod config;
pub mod connections;
pub mod domain;
pub mod key;
pub mod limits;
pub mod negotiation;
pub mod partner;
pub mod resolve;

mod context;
mod dialback;
mod gateway;
mod inbound;
mod outbound;
mod proxy;
mod router;
mod rules;
mod stanza;
mod stream;
mod task;
mod xml;

pub use proxy::{Proxy, StartError};
