//! Partners that dial in: the receiving and the authoritative server's part.
//!
//! [`Receiving`](receiving::Receiving) decides, without sockets; [`serve`] carries out.

mod action;
mod receiving;
mod request;
mod sasl;
mod serve;

pub(crate) use serve::listen;

#[cfg(test)]
mod tests;
