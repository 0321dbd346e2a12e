//! TLS of the partners: configurations, verifiers that record instead of refusing, and legacy
//! records made by hand.
//!
//! A partner completes a handshake with any certificate and judges it afterwards, so that a test
//! sees what the target would do next. Start at [`server_config`] and [`client_config`].

mod alert;
mod config;
mod details;
mod facts;
mod failure;
pub(crate) mod handmade;
mod identity;
mod judge;
pub mod legacy;
mod options;
mod reading;
mod recorder;
mod shown;
mod takeover;

pub use alert::alert_name;
pub(crate) use config::provider;
pub use config::{client_config, server_config};
pub use details::{Details, Usage};
pub use facts::{client_facts, server_facts};
pub use failure::failure;
pub use identity::Name;
pub use judge::judge;
pub use options::{AcceptableCas, Demand, TlsOptions};
pub(crate) use reading::read_opened;
pub use reading::{Found, Heard, read};
pub use recorder::OfferRecorder;
pub(crate) use takeover::Takeover;

#[cfg(test)]
mod tests;
