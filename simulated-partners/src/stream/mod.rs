//! The machine of one connection of a simulated server, without sockets, clocks or randomness.
//!
//! [`Machine`] takes [`Input`]s and returns [`Action`]s; [`driver`](crate::driver) carries them out on
//! the network, and tests pass them to another machine. [`State`] defines the transitions. It
//! knows nothing about verdicts: everything is observed, and judged elsewhere.

mod action;
mod config;
mod dialling;
mod features;
mod header;
mod listening;
mod machine;
mod opaque;
mod points;
mod reacting;
mod script;
mod sending;
mod state;
mod taking;

#[cfg(test)]
mod tests;

pub use action::{Action, Input, KeyAnswer, Question, TlsRole};
pub use config::{PartnerConfig, Purpose};
pub use machine::Machine;
pub use state::{IllegalMove, State, Step};
