//! Partners that dial in: the roles of the receiving and the authoritative server.
//!
//! [`Receiving`](receiving::Receiving) decides without sockets, and [`serve`] carries out the decisions.

mod action;
mod managing;
mod perform;
mod receiving;
mod refusal;
mod request;
mod sasl;
mod serve;

pub(crate) use serve::listen;

#[cfg(test)]
mod tests;
