//! Errors of a link.

use std::io;
use std::net::SocketAddr;

use crate::wire::{Element, NS_STREAMS, Unit, WireError};

/// Why a link could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum InnerError {
    /// TCP.
    #[error("cannot connect to the inner side at {address}")]
    Connect {
        /// The peer.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The name for checking the target's certificate.
    #[error("not a server name: {0:?}")]
    ServerName(String),
    /// The TLS configuration.
    #[error("cannot use TLS with this configuration")]
    Config(#[source] rustls::Error),
    /// The TLS handshake.
    #[error("TLS with the inner side failed")]
    Tls(#[source] io::Error),
    /// The other side did not open its stream correctly.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What was expected at this point.
        expected: &'static str,
        /// What was received.
        got: String,
    },
    /// The link ended.
    #[error("the inner link ended")]
    Ended(#[from] Ending),
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// It was closed by this side.
    #[error("this side closed it")]
    Here,
    /// The other side ended its stream.
    #[error("the other side ended the stream")]
    Stream,
    /// The other side closed TCP without ending the stream.
    #[error("the other side closed the connection without ending the stream")]
    Fin,
    /// The other side sent a stream error (RFC 6120 §4.9).
    #[error("the other side sent the stream error {condition}{}", text.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    StreamError {
        /// Its condition, such as `host-unknown`.
        condition: String,
        /// Its text, if it had one.
        text: Option<String>,
    },
    /// The other side sent something that is not a legal stream.
    #[error("the other side did not send a legal stream")]
    Wire(#[from] WireError),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::ErrorKind),
}

impl Ending {
    /// The end caused by a stream element, if it is a stream error.
    pub(super) fn of(element: &Element) -> Option<Self> {
        if !Unit::StreamError.is(element) {
            return None;
        }
        let condition = Unit::StreamError.condition(element);
        Some(Self::StreamError {
            condition: condition.unwrap_or("undefined-condition").to_owned(),
            text: element.find(NS_STREAMS, "text").map(Element::content),
        })
    }
}
