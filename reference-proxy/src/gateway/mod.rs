//! Gateways: mutual TLS, a stream, and stanzas that pass unchanged.

mod admission;
mod reading;
mod serve;
mod sessions;
mod writing;

pub(crate) use serve::{Lobby, listen};
