//! Inputs and actions of the receiving entity.

use std::borrow::Cow;

use super::refusal::{Refused, cut};
use crate::certificate::{CertificateRequest, Judged};
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::management::Management;
use crate::negotiation::Method;
use crate::stream::Condition;
use crate::xml::{Element, Header, Kind, ReadError, Stanza};

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

impl Input {
    /// What came, for the administrator. Nothing is written for a stanza: most are welcome.
    pub(super) fn shown(&self) -> Cow<'static, str> {
        match self {
            Self::Element(element) => {
                let Element {
                    namespace, name, ..
                } = element;
                cut(&format!("<{name} xmlns='{namespace}'>")).into()
            }
            Self::Stanza(stanza) => match stanza.kind {
                Kind::Iq => "an iq".into(),
                Kind::Message => "a message".into(),
                Kind::Presence => "a presence".into(),
            },
            Self::Unreadable { error, .. } => error.to_string().into(),
            Self::Closed | Self::Header { .. } | Self::Secured | Self::Verified { .. } => "".into(),
        }
    }
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
    /// An element of stream management, on a stream that is authenticated for the pair.
    Manage(Pair, Management),
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

/// Why a stream ends with an error.
pub(super) type Fatal = (Condition, &'static str);

/// The domains of a stream, according to its header.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) to: Domain,
    pub(super) from: Option<Domain>,
}
