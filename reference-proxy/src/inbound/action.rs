//! Inputs and actions of the receiving entity.

use crate::certificate::{CertificateRequest, Judged};
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::ledger::{By, Phase};
use crate::negotiation::Method;
use crate::stream::{Condition, StreamError};
use crate::xml::{Element, Header, ReadError, Stanza};

/// What happens to a stream.
#[derive(Debug)]
pub(super) enum Input {
    /// The peer's header, a fresh id for this side's header, and the verdict on the peer's
    /// certificate as that of the header's `from`.
    Header {
        header: Header,
        id: String,
        certificate: Judged,
    },
    /// A first-level element that is not a stanza.
    Element(Element),
    Stanza(Stanza),
    /// The peer's closing tag.
    Closed,
    /// The peer's bytes cannot be parsed. The id is for this side's header if it was not sent yet.
    Unreadable {
        error: ReadError,
        id: String,
    },
    /// The TLS handshake is done.
    Secured,
    /// The authoritative server's answer about a pair's key, or the reason for its absence.
    Verified {
        pair: Pair,
        status: KeyStatus,
    },
}

/// Actions to carry out, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// A pair is authenticated. The peer does not know yet, so limits may still refuse it.
    Authenticated(Pair, Method),
    /// Deliver a stanza of an authenticated pair.
    Deliver(Pair, Stanza),
    /// Nobody gets a stanza of the peer, for this reason.
    Dropped(Stanza, &'static str),
    /// Restart counting the bytes before authentication.
    Refund,
    /// Tell the administrator of a refusal.
    Refused(Refused),
    /// The peer's next bytes begin a new stream.
    Restart,
    /// Send a text to the peer.
    Send(String),
    /// Begin TLS, and ask for the peer's certificate or not.
    StartTls {
        /// The served domain that the stream is for.
        own: Domain,
        request: CertificateRequest,
    },
    /// Send a key to the authoritative server.
    Verify {
        pair: Pair,
        stream_id: String,
        key: String,
    },
}

/// A refusal, by this side or by the peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) phase: Phase,
    pub(super) by: By,
    pub(super) condition: &'static str,
    /// The domain that the peer claims to be.
    pub(super) domain: Option<Domain>,
    pub(super) text: String,
}

impl Refused {
    /// This side ends the stream.
    pub(super) fn fatal(phase: Phase, (condition, text): Fatal, domain: Option<&Domain>) -> Self {
        Self::by_proxy(phase, condition.word(), domain, text)
    }

    pub(super) fn by_proxy(
        phase: Phase,
        condition: &'static str,
        domain: Option<&Domain>,
        text: &str,
    ) -> Self {
        Self {
            phase,
            by: By::Proxy,
            condition,
            domain: domain.cloned(),
            text: text.to_owned(),
        }
    }

    /// The peer ends the stream with an error.
    pub(super) fn by_peer(phase: Phase, error: &Element, domain: Option<&Domain>) -> Self {
        let StreamError { condition, said } = StreamError::received(error);
        Self {
            phase,
            by: By::Peer,
            condition: condition.word(),
            domain: domain.cloned(),
            text: said,
        }
    }
}

/// Why a stream ends with an error.
pub(super) type Fatal = (Condition, &'static str);

/// The domains of a stream, according to its header.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) to: Domain,
    pub(super) from: Option<Domain>,
}
