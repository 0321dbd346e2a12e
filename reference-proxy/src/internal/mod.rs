//! Gateways: mutual TLS, a stream, and stanzas that pass unchanged.

mod gateway;

pub(crate) use gateway::listen;
