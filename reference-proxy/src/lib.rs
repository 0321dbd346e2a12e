//! A working XMPP federation proxy: partners on one side, the gateway on the other.
//!
//! Start at [`config::Config`], which a [TOML file](config::Config::load) or an
//! [embedding program](config::Config::checked) supplies.

pub mod certificate;
pub mod config;
pub mod key;
pub mod limits;
pub mod negotiation;
pub mod partner;
pub mod resolve;
