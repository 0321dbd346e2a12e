//! The receiving entity, from the first byte to the closing tag.
//!
//! ```text
//! AwaitHeader ──header──► AwaitRequest ──starttls──► AwaitHandshake ──TLS──► AwaitHeader
//!      ▲                     │    │
//!      └───────success───────┘    └── db:result ── verify ── valid: stanzas flow
//! ```
//!
//! Each state is consumed by what it waits for. No state touches a socket, a clock or a generator
//! of random numbers.

use std::collections::BTreeSet;

use super::request::AwaitRequest;
use crate::certificate::Judged;
use crate::config::Config;
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::negotiation::Method;
use crate::negotiation::Terms;
use crate::stream::{
    Condition, Opening, Shown, Starttls, Version, closing, domain, error, language, version,
};
use crate::xml::{Element, Header, Kind, ReadError, Stanza};

/// What happens to a stream.
#[derive(Debug)]
pub(crate) enum Input {
    /// The peer's header, a fresh id for this side's, and the verdict on the peer's certificate
    /// as that of the header's `from`.
    Header {
        header: Header,
        id: String,
        certificate: Judged,
    },
    /// A first-level element.
    Element(Element),
    /// A stanza.
    Stanza(Stanza),
    /// The peer's closing tag.
    Closed,
    /// The peer's bytes can't be read; the id serves a header that was not sent yet.
    Unreadable { error: ReadError, id: String },
    /// The TLS handshake is done.
    Secured,
    /// The authoritative server's verdict on a pair, or what kept it away.
    Verified { pair: Pair, verdict: KeyStatus },
}

/// What has to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A pair is authenticated. Comes before the peer is told, so that limits can still refuse.
    Authenticated(Pair, Method),
    /// A stanza of an authenticated pair.
    Deliver(Pair, Stanza),
    /// The bytes before authentication count anew.
    Refund,
    /// The peer's next bytes begin a new stream.
    Restart,
    /// Text for the peer.
    Send(String),
    /// TLS begins. The domain is the peer's claim, where it made one; the flag says whether a
    /// certificate is of use.
    StartTls {
        claimed: Option<Domain>,
        certificate: bool,
    },
    /// The authoritative server is to be asked about a key.
    Verify {
        pair: Pair,
        stream_id: String,
        key: String,
    },
}

/// The states.
#[derive(Debug)]
pub(crate) enum Receiving {
    /// A header is due.
    AwaitHeader(AwaitHeader),
    /// Negotiation or traffic.
    AwaitRequest(AwaitRequest),
    /// `<proceed/>` was sent.
    AwaitHandshake(AwaitHandshake),
    /// This side has closed; stanzas under way still count.
    AwaitClosingTag(AwaitClosingTag),
    /// Over; nothing is read any more.
    Ended,
}

/// Who a stream is between, once a header said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) to: Domain,
    pub(crate) from: Option<Domain>,
}

/// A header is due: the first, or that of a restart.
#[derive(Debug, Default)]
pub(crate) struct AwaitHeader {
    bound: Option<Bound>,
    secured: bool,
    authenticated: Option<Pair>,
}

/// The handshake is under way.
#[derive(Debug)]
pub(crate) struct AwaitHandshake {
    pub(super) bound: Bound,
}

/// The peer's closing tag is due.
#[derive(Debug)]
pub(crate) struct AwaitClosingTag {
    pub(super) pairs: BTreeSet<Pair>,
}

impl Receiving {
    /// The state of a new connection.
    pub(crate) fn new() -> Self {
        Self::AwaitHeader(AwaitHeader::default())
    }

    /// The state of a new connection under TLS that came first (XEP-0368).
    pub(crate) fn secured() -> Self {
        Self::AwaitHeader(AwaitHeader {
            secured: true,
            ..AwaitHeader::default()
        })
    }

    /// Takes an input; the actions are added to `out`.
    pub(crate) fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Self {
        match self {
            Self::AwaitHeader(state) => state.on(input, config, out),
            Self::AwaitRequest(state) => state.on(input, config, out),
            Self::AwaitHandshake(AwaitHandshake { bound }) => match input {
                Input::Secured => Self::AwaitHeader(AwaitHeader {
                    bound: Some(bound),
                    secured: true,
                    authenticated: None,
                }),
                _ => Self::Ended,
            },
            Self::AwaitClosingTag(state) => state.on(input, out),
            Self::Ended => Self::Ended,
        }
    }

    /// Ends the stream from this side: in good order, or with an error.
    pub(crate) fn finish(
        self,
        fault: Option<(Condition, &str)>,
        id: &str,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Self {
        match (self, fault) {
            (Self::AwaitHeader(state), Some((condition, text))) => {
                state.refuse(None, condition, text, id, config, out)
            }
            (Self::AwaitRequest(state), None) => state.close(out),
            (Self::AwaitRequest(_), Some((condition, text))) => {
                out.push(Action::Send(error(condition, text)));
                Self::Ended
            }
            (Self::AwaitClosingTag(_) | Self::AwaitHandshake(_) | Self::Ended, _)
            | (Self::AwaitHeader(_), None) => Self::Ended,
        }
    }

    /// Whether a pair is authenticated.
    pub(crate) fn is_authenticated(&self) -> bool {
        match self {
            Self::AwaitHeader(state) => state.authenticated.is_some(),
            Self::AwaitRequest(state) => state.is_authenticated(),
            Self::AwaitHandshake(_) | Self::Ended => false,
            Self::AwaitClosingTag(_) => true,
        }
    }
}

impl AwaitHeader {
    /// The state after `<success/>`.
    pub(super) fn authenticated(bound: Bound, pair: Pair) -> Self {
        Self {
            bound: Some(bound),
            secured: true,
            authenticated: Some(pair),
        }
    }

    fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Receiving {
        match input {
            Input::Header {
                header,
                id,
                certificate,
            } => self.header(&header, id, certificate, config, out),
            Input::Unreadable { error, id } => {
                self.refuse(None, error.into(), "", &id, config, out)
            }
            // Nothing else can come before a header.
            _ => Receiving::Ended,
        }
    }

    fn header(
        self,
        header: &Header,
        id: String,
        certificate: Judged,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Receiving {
        let addressed = match self.check(header, config) {
            Ok(bound) => bound,
            Err((condition, text)) => {
                return self.refuse(Some(header), condition, text, &id, config, out);
            }
        };
        let version = version(header);
        let terms = addressed.from.as_ref().and_then(|from| config.terms(from));
        let shown = self.features(terms, certificate);
        let refusal = self.refusal(terms, certificate, version, shown, config);
        if let Some((condition, text)) = refusal {
            return self.refuse(Some(header), condition, text, &id, config, out);
        }
        let peer = addressed.from.as_ref().map(Domain::in_addresses);
        let mut text = Opening {
            from: &addressed.to.in_addresses(),
            to: peer.as_deref(),
            id: Some(&id),
            dialback: shown.dialback,
            versioned: version != Version::Legacy,
            language: language(header),
        }
        .text();
        if version == Version::One {
            text.push_str(&shown.text());
        }
        out.push(Action::Send(text));
        Receiving::AwaitRequest(AwaitRequest::new(
            addressed,
            terms,
            shown,
            self.secured,
            certificate,
            self.authenticated,
            id,
        ))
    }

    /// The header's namespaces and addresses (RFC 6120 §4.7.1, §4.7.2).
    fn check(&self, header: &Header, config: &Config) -> Result<Bound, (Condition, &'static str)> {
        if !header.is_server_stream() {
            let name = header.element.name.as_str();
            let stanza = name.parse::<Kind>().is_ok();
            return Err(match name {
                "stream" => (Condition::InvalidNamespace, ""),
                _ if stanza => (Condition::NotAuthorized, "a stream header is due"),
                _ => (Condition::BadFormat, "a stream header is due"),
            });
        }
        let to = match domain(header, "to") {
            Ok(Some(to)) if config.serves(&to) => to,
            Ok(Some(_)) | Err(_) => return Err((Condition::HostUnknown, "")),
            Ok(None) => return Err((Condition::ImproperAddressing, "'to' is missing")),
        };
        let from = domain(header, "from")
            .map_err(|_| (Condition::ImproperAddressing, "'from' is no domain"))?;
        if version(header) == Version::Illegible {
            return Err((Condition::UnsupportedVersion, ""));
        }
        let addressed = match &self.bound {
            None => Bound { to, from },
            Some(bound) if bound.to != to => {
                return Err((Condition::PolicyViolation, "'to' changed in a restart"));
            }
            Some(bound) => match (&bound.from, from) {
                // What was said before TLS is forgotten; what SASL proved is not.
                (Some(_), None) if self.authenticated.is_some() => bound.clone(),
                (Some(known), Some(from)) if *known != from => {
                    return Err((Condition::InvalidFrom, "'from' changed in a restart"));
                }
                (_, from) => Bound { to, from },
            },
        };
        match &addressed.from {
            Some(from) if config.partner(from).is_none() => {
                Err((Condition::PolicyViolation, "no federation with this domain"))
            }
            Some(_) | None => Ok(addressed),
        }
    }

    /// What this side shows, after the partner's terms and the stream's state.
    fn features(&self, terms: Option<Terms>, certificate: Judged) -> Shown {
        let starttls = match terms {
            _ if self.secured => Starttls::Absent,
            Some(terms) if terms.requires_tls() => Starttls::Required,
            Some(terms) if !terms.allows_tls() => Starttls::Absent,
            Some(_) | None => Starttls::Offered,
        };
        Shown {
            starttls,
            external: self.secured
                && self.authenticated.is_none()
                && certificate == Judged::Good
                && terms.is_some_and(|terms| terms.allows(Method::SaslTls)),
            // A peer that does not say who it is can still prove it, pair by pair.
            dialback: terms.is_none_or(|terms| terms.allows(Method::dialback(self.secured))),
        }
    }

    /// Why the stream ends right after its header, if it does.
    fn refusal(
        &self,
        terms: Option<Terms>,
        certificate: Judged,
        version: Version,
        shown: Shown,
        config: &Config,
    ) -> Option<(Condition, &'static str)> {
        if self.authenticated.is_some() {
            return None;
        }
        let bad = matches!(certificate, Judged::Bad(_));
        if self.secured && config.settings.strict_certificates && bad {
            return Some((Condition::PolicyViolation, "certificate not acceptable"));
        }
        if shown.dialback || (version == Version::One && shown.external) {
            return None;
        }
        if self.secured {
            let wants_certificate = terms.is_some_and(|terms| terms.allows(Method::SaslTls));
            let text = match (wants_certificate, version) {
                (true, Version::One) => "a certificate that names the domain is required",
                _ => "no authentication method is left",
            };
            return Some((Condition::PolicyViolation, text));
        }
        // Without features there is no STARTTLS, and so nothing that could follow.
        (version != Version::One).then_some((Condition::PolicyViolation, "TLS is required"))
    }

    /// A header of this side and the error inside (RFC 6120 §4.9.1.2).
    fn refuse(
        &self,
        header: Option<&Header>,
        condition: Condition,
        text: &str,
        id: &str,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Receiving {
        let asked = header.and_then(|header| domain(header, "to").ok().flatten());
        let peer = header.and_then(|header| domain(header, "from").ok().flatten());
        let from = match &asked {
            Some(to) if config.serves(to) => to.as_str(),
            Some(_) | None => config.own_domain().as_str(),
        };
        let peer = peer.as_ref().map(Domain::in_addresses);
        let opening = Opening {
            from,
            to: peer.as_deref(),
            id: Some(id),
            dialback: false,
            versioned: true,
            language: "en",
        };
        out.push(Action::Send(format!(
            "{}{}",
            opening.text(),
            error(condition, text)
        )));
        Receiving::Ended
    }
}

impl AwaitClosingTag {
    fn on(self, input: Input, out: &mut Vec<Action>) -> Receiving {
        match input {
            Input::Stanza(stanza) => {
                if let Ok(pair) = crate::stanza::pair(&stanza)
                    && self.pairs.contains(&pair)
                {
                    out.push(Action::Deliver(pair, stanza));
                }
                Receiving::AwaitClosingTag(self)
            }
            Input::Closed | Input::Unreadable { .. } => Receiving::Ended,
            _ => Receiving::AwaitClosingTag(self),
        }
    }
}

impl Receiving {
    /// The state after this side's closing tag, with pairs whose stanzas still count.
    pub(super) fn closing(pairs: BTreeSet<Pair>, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(closing().to_owned()));
        match pairs.is_empty() {
            // Nothing that still comes could count.
            true => Self::Ended,
            false => Self::AwaitClosingTag(AwaitClosingTag { pairs }),
        }
    }
}
