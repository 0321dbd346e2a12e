//! What a proxy tells of itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a proxy does at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Its version.
    pub version: String,
    /// The process that it runs in.
    pub process: u32,
    /// Where it listens.
    pub listeners: Vec<Listening>,
}

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listening {
    /// Who connects there.
    pub side: Side,
    /// Its address.
    pub address: SocketAddr,
}

/// A side of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Towards partners.
    External,
    /// Towards gateways.
    Internal,
}
