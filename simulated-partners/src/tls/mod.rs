//! TLS of the partners: profiles, verifiers that record instead of refusing, hand-made legacy
//! records.
//!
//! A partner completes a handshake with any certificate and judges it afterwards, so that a test
//! sees what the target would do next. Start at [`server_config`] and [`client_config`].

mod alert;
mod config;
mod facts;
mod failure;
mod identity;
mod judge;
pub mod legacy;

pub use alert::alert_name;
pub use config::{client_config, server_config};
pub use facts::{client_facts, server_facts};
pub use failure::failure;
pub use judge::judge;

#[cfg(test)]
mod tests;
