//! The states of the initiating entity, with inputs and actions.

use super::plan::{Failure, Stream};
use crate::certificate::Judged;
use crate::ledger::{By, Phase};
use crate::negotiation::Method;
use crate::xml::Frame;

/// What happens to a stream.
#[derive(Debug)]
pub(super) enum Input {
    Frame(Frame),
    /// The TLS handshake is done, with this verdict on the partner's certificate.
    Secured(Judged),
}

/// Actions to carry out, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The peer's next bytes begin a new stream.
    Restart,
    /// Send a text to the peer.
    Send(String),
    /// Begin TLS.
    StartTls,
    /// Tell the administrator why dialback is used instead of SASL, and who will have it so.
    WithoutSasl(By, String),
}

/// What the initiating entity waits for.
#[derive(Debug)]
pub(super) enum Awaiting {
    Header(Stage),
    Features(Stage, Stream),
    /// The answer to `<starttls/>`.
    Proceed,
    Handshake,
    /// The answer to `<auth/>`.
    Success {
        stream: Stream,
        challenged: bool,
    },
    /// The answer to `db:result`.
    Result(Request),
    /// The answer to `db:verify`.
    Answer,
}

/// The stream's security so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Plain,
    Secured(Judged),
    Authenticated {
        /// Whether a bidirectional stream was asked for, which a restart does not change.
        bidi: bool,
    },
}

/// A request to be authenticated by dialback.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) stream: Stream,
    /// Whether EXTERNAL failed on this stream.
    pub(super) external_failed: bool,
}

impl Awaiting {
    /// How far the stream has come.
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Header(_) | Self::Features(..) => Phase::Stream,
            Self::Proceed | Self::Handshake => Phase::Tls,
            Self::Success { .. } => Phase::Sasl,
            Self::Result(_) | Self::Answer => Phase::Dialback,
        }
    }

    /// The error if the connection is lost in this state.
    pub(super) fn lost(&self) -> Failure {
        match self {
            Self::Success { .. } => Failure::SaslRefused(None),
            Self::Result(request) if request.external_failed => Failure::SaslRefused(None),
            Self::Proceed | Self::Handshake => Failure::TlsRefused(None),
            Self::Header(_) | Self::Features(..) | Self::Result(_) | Self::Answer => {
                Failure::Closed(None)
            }
        }
    }
}
