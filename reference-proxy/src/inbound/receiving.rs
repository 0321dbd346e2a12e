//! The receiving entity, from the first byte to the closing tag.
//!
//! ```text
//! AwaitHeader ──header──► AwaitRequest ──starttls──► AwaitHandshake ──TLS──► AwaitHeader
//!      ▲                     │    │
//!      └───────success───────┘    └── db:result ── verify ── valid: stanzas flow
//! ```
//!
//! Each state is consumed by the input that it waits for. No state touches a socket, a clock or a
//! random number generator.

use std::collections::BTreeSet;

use super::action::{Action, Bound, Fatal, Input};
use super::refusal::{Ground, Refused, detail, refuse};
use super::request::{AwaitRequest, Next};
use crate::certificate::Judged;
use crate::config::Config;
use crate::domain::{Domain, Pair};
use crate::ledger::Phase;
use crate::negotiation::{Method, Terms};
use crate::partner::Partner;
use crate::stanza;
use crate::stream::{
    CLOSING, Condition, Opening, Shown, Starttls, Version, domain, error, language, version,
};
use crate::xml::{Header, Kind};

/// What the receiving entity waits for.
#[derive(Debug)]
pub(super) enum Receiving {
    AwaitHeader(AwaitHeader),
    /// Negotiation or traffic.
    AwaitRequest(AwaitRequest),
    /// `<proceed/>` was sent.
    AwaitHandshake(Bound),
    /// This side has closed. Stanzas of these pairs that were already sent still count.
    AwaitClosingTag(BTreeSet<Pair>),
    /// Nothing; the stream has ended.
    Ended,
}

/// Waits for a header: the first one, or that of a restart.
#[derive(Debug, Default)]
pub(super) struct AwaitHeader {
    bound: Option<Bound>,
    secured: bool,
    authenticated: Option<Pair>,
    /// Whether the peer asked for stanzas to be sent back.
    bidi: bool,
}

impl Receiving {
    /// The state of a new connection, on which direct TLS came first (XEP-0368) or not.
    pub(super) fn new(secured: bool) -> Self {
        Self::AwaitHeader(AwaitHeader {
            secured,
            ..AwaitHeader::default()
        })
    }

    /// Handles an input and adds actions to `out`.
    pub(super) fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Self {
        match self {
            Self::AwaitHeader(state) => state.on(input, config, out),
            Self::AwaitRequest(mut state) => {
                let (phase, shown) = (state.phase(&input), input.shown());
                match state.on(input, config, out) {
                    Ok(Next::Stay) => Self::AwaitRequest(state),
                    Ok(Next::Close(pairs)) => Self::close(pairs, out),
                    Ok(Next::Handshake) => Self::AwaitHandshake(state.bound),
                    Ok(Next::Restart(pair)) => Self::AwaitHeader(AwaitHeader {
                        bound: Some(state.bound),
                        secured: true,
                        authenticated: Some(pair),
                        bidi: state.bidi,
                    }),
                    Err(fatal) => Self::fail(phase, fatal, &shown, state.bound.from.as_ref(), out),
                }
            }
            Self::AwaitHandshake(bound) => match input {
                Input::Secured => Self::AwaitHeader(AwaitHeader {
                    bound: Some(bound),
                    secured: true,
                    ..AwaitHeader::default()
                }),
                _ => Self::Ended,
            },
            Self::AwaitClosingTag(pairs) => match input {
                Input::Closed | Input::Unreadable { .. } => Self::Ended,
                Input::Stanza(stanza) => {
                    let pair = stanza::pair(&stanza).ok();
                    out.push(match pair.filter(|pair| pairs.contains(pair)) {
                        Some(pair) => Action::Deliver(pair, stanza),
                        None => Action::Dropped(stanza, "not of a pair of the closing stream"),
                    });
                    Self::AwaitClosingTag(pairs)
                }
                _ => Self::AwaitClosingTag(pairs),
            },
            Self::Ended => Self::Ended,
        }
    }

    /// Ends the stream from this side, cleanly or with an error.
    pub(super) fn finish(
        self,
        fatal: Option<Fatal>,
        id: &str,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Self {
        match (self, fatal) {
            (Self::AwaitHeader(state), Some(fatal)) => {
                let ground = Ground {
                    detail: "there is no header in time".to_owned(),
                    ..state.ground(fatal)
                };
                refuse(None, ground, id, config, out)
            }
            (Self::AwaitRequest(state), None) => Self::close(state.verified_pairs(), out),
            (Self::AwaitRequest(state), Some(fatal)) => {
                let why = match state.is_authenticated() {
                    true => "nothing was heard for too long",
                    false => "it is not authenticated in time",
                };
                Self::fail(state.reached(), fatal, why, state.bound.from.as_ref(), out)
            }
            (Self::AwaitClosingTag(_) | Self::AwaitHandshake(_) | Self::Ended, _)
            | (Self::AwaitHeader(_), None) => Self::Ended,
        }
    }

    /// The authenticated pairs of the partner that asked for it, if stanzas may be sent back on the stream now.
    pub(super) fn sends_back<'a>(
        &'a self,
        config: &'a Config,
    ) -> impl Iterator<Item = &'a Pair> + Clone {
        let state = match self {
            Self::AwaitRequest(state) if state.bidi => Some(state),
            _ => None,
        };
        let partner = |domain: &Domain| config.partner(domain).map(|partner| &partner.domain);
        state.into_iter().flat_map(move |state| {
            let asked = state.bound.from.as_ref().and_then(partner);
            let is_theirs = move |pair: &&Pair| asked.is_some() && partner(&pair.from) == asked;
            state.verified().filter(is_theirs)
        })
    }

    /// Who the peer claims to be.
    pub(super) fn claimed(&self) -> Option<&Domain> {
        match self {
            Self::AwaitHeader(state) => state.known(),
            Self::AwaitRequest(state) => state.bound.from.as_ref(),
            Self::AwaitHandshake(bound) => bound.from.as_ref(),
            Self::AwaitClosingTag(_) | Self::Ended => None,
        }
    }

    /// Whether a pair is authenticated.
    pub(super) fn is_authenticated(&self) -> bool {
        match self {
            Self::AwaitHeader(state) => state.authenticated.is_some(),
            Self::AwaitRequest(state) => state.is_authenticated(),
            Self::AwaitHandshake(_) | Self::Ended => false,
            Self::AwaitClosingTag(_) => true,
        }
    }

    /// The domain that its certificate authenticated, or may authenticate yet, if there is one.
    pub(super) fn by_sasl(&self) -> Option<&Domain> {
        match self {
            Self::AwaitHeader(state) => state.authenticated.as_ref().map(|pair| &pair.from),
            Self::AwaitRequest(state) => state.by_sasl(),
            Self::AwaitHandshake(_) | Self::AwaitClosingTag(_) | Self::Ended => None,
        }
    }

    /// The pairs for which the stream goes by the terms of the partner.
    pub(super) fn agreed(&self) -> Vec<Pair> {
        let of = |bound: &Bound| {
            let from = bound.from.clone()?;
            let to = bound.to.clone();
            Some(Pair { from, to })
        };
        match self {
            Self::AwaitHeader(state) => state.bound.as_ref().and_then(of).into_iter().collect(),
            Self::AwaitRequest(state) => state.pairs().chain(of(&state.bound)).collect(),
            Self::AwaitHandshake(bound) => of(bound).into_iter().collect(),
            Self::AwaitClosingTag(_) | Self::Ended => Vec::new(),
        }
    }

    fn close(pairs: BTreeSet<Pair>, out: &mut Vec<Action>) -> Self {
        out.push(Action::Send(CLOSING.to_owned()));
        match pairs.is_empty() {
            // Nothing that still arrives could count.
            true => Self::Ended,
            false => Self::AwaitClosingTag(pairs),
        }
    }

    /// Ends the stream with an error. What is shown besides its text is for the administrator.
    fn fail(
        phase: Phase,
        fatal: Fatal,
        shown: &str,
        domain: Option<&Domain>,
        out: &mut Vec<Action>,
    ) -> Self {
        let (condition, text) = fatal;
        out.push(Action::Refused(Refused::fatal(phase, fatal, shown, domain)));
        out.push(Action::Send(error(condition, text)));
        Self::Ended
    }
}

impl AwaitHeader {
    fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Receiving {
        let (header, id, certificate) = match input {
            Input::Header {
                header,
                id,
                certificate,
            } => (header, id, certificate),
            Input::Unreadable { error, id } => {
                let ground = Ground {
                    detail: error.to_string(),
                    ..self.ground((error.into(), ""))
                };
                return refuse(None, ground, &id, config, out);
            }
            // Nothing else can come before a header.
            _ => return Receiving::Ended,
        };
        if header.is_stream_error() {
            // An error is never answered with an error (RFC 6120 §4.9.1.1).
            let refused = Refused::by_peer(Phase::Stream, &header.element, self.known());
            out.push(Action::Refused(refused));
            return Receiving::Ended;
        }
        let bound = match self.check(&header, config) {
            Ok(bound) => bound,
            Err(fatal) => {
                let ground = Ground {
                    detail: detail(fatal, &header),
                    ..self.ground(fatal)
                };
                return refuse(Some(&header), ground, &id, config, out);
            }
        };
        let version = version(&header);
        let terms = bound.from.as_ref().and_then(|from| config.terms(from));
        let partner = bound.from.as_ref().and_then(|from| config.partner(from));
        let shown = self.features(terms, certificate, partner);
        let strict = config.settings.strict_certificates;
        if let Some(fatal) = self.refusal(terms, certificate, version, shown, strict) {
            let ground = Ground {
                phase: Phase::Tls,
                detail: match certificate {
                    Judged::Bad(fault) => format!("it is {fault}"),
                    Judged::Absent if self.secured => "there is none".to_owned(),
                    Judged::Absent | Judged::Good => String::new(),
                },
                ..self.ground(fatal)
            };
            return refuse(Some(&header), ground, &id, config, out);
        }
        let opening = Opening {
            dialback: shown.dialback,
            versioned: version != Version::Legacy,
            language: language(&header),
            ..Opening::new(
                &bound.to.in_addresses(),
                bound.from.as_ref().map(Domain::in_addresses).as_deref(),
                Some(&id),
            )
        }
        .text();
        out.push(Action::Send(match version {
            Version::One => opening + &shown.text(),
            Version::Legacy | Version::Invalid => opening,
        }));
        Receiving::AwaitRequest(AwaitRequest::new(
            bound,
            terms,
            shown,
            self.secured,
            certificate,
            self.authenticated,
            self.bidi,
            id,
        ))
    }

    /// Who the peer claimed to be before.
    fn known(&self) -> Option<&Domain> {
        self.bound.as_ref().and_then(|bound| bound.from.as_ref())
    }

    fn ground(&self, fatal: Fatal) -> Ground {
        Ground {
            phase: Phase::Stream,
            fatal,
            detail: String::new(),
            known: self.known().cloned(),
        }
    }

    /// The header's namespaces and addresses (RFC 6120 §4.7.1, §4.7.2).
    fn check(&self, header: &Header, config: &Config) -> Result<Bound, Fatal> {
        if !header.is_server_stream() {
            return Err(match header.element.name.as_str() {
                "stream" => (Condition::InvalidNamespace, ""),
                name if name.parse::<Kind>().is_ok() => {
                    (Condition::NotAuthorized, "a stream header is due")
                }
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
        if version(header) == Version::Invalid {
            return Err((Condition::UnsupportedVersion, ""));
        }
        let bound = match &self.bound {
            None => Bound { to, from },
            Some(bound) if bound.to != to => {
                return Err((Condition::PolicyViolation, "'to' changed in a restart"));
            }
            Some(bound) => match (&bound.from, from) {
                // An identity from before TLS is discarded; one proved by SASL is not.
                (Some(_), None) if self.authenticated.is_some() => bound.clone(),
                (Some(known), Some(from)) if *known != from => {
                    return Err((Condition::InvalidFrom, "'from' changed in a restart"));
                }
                (_, from) => Bound { to, from },
            },
        };
        match &bound.from {
            Some(from) if config.partner(from).is_none() => {
                Err((Condition::PolicyViolation, "no federation with this domain"))
            }
            Some(_) | None => Ok(bound),
        }
    }

    /// The features that the partner's terms and the stream's state allow.
    fn features(
        &self,
        terms: Option<Terms>,
        certificate: Judged,
        partner: Option<&Partner>,
    ) -> Shown {
        let starttls = match terms {
            _ if self.secured => Starttls::Absent,
            Some(terms) if terms.requires_tls() => Starttls::Required,
            Some(terms) if !terms.allows_tls() => Starttls::Absent,
            Some(_) | None => Starttls::Offered,
        };
        let dialback = Method::dialback(self.secured);
        Shown {
            starttls,
            external: self.secured
                && self.authenticated.is_none()
                && certificate == Judged::Good
                && terms.is_some_and(|terms| terms.allows(Method::SaslTls)),
            // A peer that does not identify itself can still authenticate, pair by pair.
            dialback: terms.is_none_or(|terms| terms.allows(dialback)),
            // It has to be asked for before authentication.
            bidi: self.authenticated.is_none()
                && partner.is_some_and(|partner| partner.bidirectional),
            management: self.authenticated.is_some()
                && partner.is_some_and(|partner| partner.stream_management),
        }
    }

    /// Why the stream ends right after its header, if so.
    fn refusal(
        &self,
        terms: Option<Terms>,
        certificate: Judged,
        version: Version,
        shown: Shown,
        strict: bool,
    ) -> Option<Fatal> {
        if self.authenticated.is_some() {
            return None;
        }
        let bad = matches!(certificate, Judged::Bad(_));
        let text = if self.secured && strict && bad {
            "certificate not acceptable"
        } else if shown.dialback || (version == Version::One && shown.external) {
            return None;
        } else if self.secured {
            let sasl = terms.is_some_and(|terms| terms.allows(Method::SaslTls));
            match (sasl, version) {
                (true, Version::One) => "a certificate that names the domain is required",
                _ => "no authentication method is left",
            }
        } else if version != Version::One {
            // Without features there is no STARTTLS, so nothing could follow.
            "TLS is required"
        } else {
            return None;
        };
        Some((Condition::PolicyViolation, text))
    }
}
