//! The purpose of a stream, and its result.

use std::fmt;
use std::net::SocketAddr;

use crate::certificate::Fault;
use crate::domain::Pair;
use crate::ledger::{By, Phase};
use crate::negotiation::{Method, Terms};
use crate::stream::{Condition, Offered, StreamError};

/// The purpose of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To deliver stanzas of the pair.
    Deliver {
        /// Whether EXTERNAL failed on an earlier connection and is not tried again.
        external_failed: bool,
    },
    /// To verify a key that was received on the stream with this id.
    Verify { stream_id: String, key: String },
}

/// What stays constant from the first header to the last element.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// This side's domain and the partner's.
    pub(super) pair: Pair,
    /// The partner's terms.
    pub(super) terms: Terms,
    /// Whether to refuse a bad certificate even if dialback would be enough.
    pub(super) strict: bool,
    /// Whether to ask for a bidirectional stream where that is offered.
    pub(super) bidi: bool,
    pub(super) purpose: Purpose,
}

/// What the partner's header and features say of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) id: String,
    /// Whether keys may be sent.
    pub(super) dialback: bool,
    /// Whether an error about a key leaves the stream open.
    pub(super) dialback_errors: bool,
    pub(super) offers_bidi: bool,
    /// Whether it was asked for, so that the partner sends on this stream, too (XEP-0288).
    pub(super) bidi: bool,
    /// Stream management (XEP-0198).
    pub(super) offers_management: bool,
    /// Bytes of the largest stanza that the partner accepts, if it says so (XEP-0478).
    pub(super) largest_stanza: Option<usize>,
}

impl Stream {
    /// The stream with what its features say.
    pub(super) fn offering(self, offered: &Offered) -> Self {
        Self {
            dialback: offered.dialback || self.dialback,
            dialback_errors: offered.dialback_errors,
            offers_bidi: offered.bidi,
            offers_management: offered.management,
            largest_stanza: offered.largest_stanza,
            ..self
        }
    }
}

/// A stream that is open for stanzas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// How this side authenticated.
    pub(super) method: Method,
    pub(super) stream: Stream,
}

/// Where it was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) phase: Phase,
    pub(super) peer: SocketAddr,
}

/// Why a stream was not opened, or a request not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("the partner's certificate is {0}")]
    BadCertificate(Fault),
    #[error("the partner closed the stream{}", after_colon(.0.as_ref()))]
    Closed(Option<StreamError>),
    #[error("the partner's server sent something unexpected")]
    Confused,
    #[error("the partner considers the dialback key wrong")]
    KeyInvalid,
    #[error("the partner has no certificate")]
    NoCertificate,
    #[error("no authentication method in common")]
    NoMethod,
    #[error("the partner requires TLS, which is off for it")]
    PeerRequiresTls,
    /// No other method is left on this connection.
    #[error("the partner refused authentication{}", after_colon(.0.as_ref()))]
    SaslRefused(Option<String>),
    #[error("the proxy stops")]
    Stopping,
    #[error("the partner's server does not answer")]
    TimedOut,
    #[error("TLS is required, and the partner does not offer it")]
    TlsMissing,
    /// In the answer to STARTTLS or in the handshake.
    #[error("TLS could not be started{}", after_colon(.0.as_ref()))]
    TlsRefused(Option<String>),
}

/// The text that a variant adds to a message, if any.
pub(super) fn after_colon(value: Option<&impl fmt::Display>) -> String {
    value.map_or_else(String::new, |value| format!(": {value}"))
}

impl Failure {
    /// Whether only this server failed, so another one of the same partner may do better. What
    /// a server says about the domain or its terms, another one would say too.
    pub(super) fn is_of_server(&self) -> bool {
        match self {
            Self::Closed(error) => !matches!(
                error.as_ref().map(|error| error.condition),
                Some(Condition::HostUnknown | Condition::HostGone | Condition::PolicyViolation)
            ),
            Self::Confused | Self::TimedOut | Self::TlsRefused(_) => true,
            Self::BadCertificate(_)
            | Self::KeyInvalid
            | Self::NoCertificate
            | Self::NoMethod
            | Self::PeerRequiresTls
            | Self::SaslRefused(_)
            | Self::Stopping
            | Self::TlsMissing => false,
        }
    }

    /// The stream error that the partner sent, if that was it.
    pub(super) fn condition(&self) -> Option<Condition> {
        let Self::Closed(error) = self else {
            return None;
        };
        error.as_ref().map(|error| error.condition)
    }

    /// Who refused.
    pub(super) fn by(&self) -> By {
        match self {
            Self::Closed(_) | Self::KeyInvalid | Self::SaslRefused(_) | Self::TlsRefused(_) => {
                By::Peer
            }
            Self::BadCertificate(_)
            | Self::Confused
            | Self::NoCertificate
            | Self::NoMethod
            | Self::PeerRequiresTls
            | Self::Stopping
            | Self::TimedOut
            | Self::TlsMissing => By::Proxy,
        }
    }
}
