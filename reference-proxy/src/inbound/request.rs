//! The state after the features: STARTTLS, SASL, dialback and stanzas, in any order that the peer
//! chooses and the terms allow.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Bound, Fatal, Input};
use super::managing::manageable;
use super::refusal::{Refused, about_key};
use super::sasl::{self, Failure, Request};
use crate::certificate::{CertificateRequest, Judged};
use crate::config::Config;
use crate::dialback::{self, Dialback, KeyStatus, Step};
use crate::domain::{Domain, Pair};
use crate::ledger::{BAD_CERTIFICATE, NOT_ACCEPTED, Phase};
use crate::management::Management;
use crate::negotiation::{Method, Terms};
use crate::stanza::{self, StanzaError};
use crate::stream::{Condition, Shown, is_error};
use crate::xml::namespace::{BIDI, DIALBACK, SASL, SERVER, STREAMS, TLS};
use crate::xml::{Element, Stanza};

/// The number of failed authentications that ends the stream (RFC 6120 §6.4.5: two to five).
const FAILURES: u8 = 5;

/// The number of dialback requests without a success in between that ends the stream, at least. Each pair
/// that may share a stream may fail once.
const UNVERIFIED: usize = 20;

/// Waits for the peer's next element.
#[derive(Debug)]
pub(super) struct AwaitRequest {
    pub(super) bound: Bound,
    terms: Option<Terms>,
    shown: Shown,
    secured: bool,
    certificate: Judged,
    /// The id of this stream, which dialback keys are bound to.
    id: String,
    pairs: BTreeMap<Pair, Progress>,
    /// Whether the peer asked for stanzas to be sent back (XEP-0288).
    pub(super) bidi: bool,
    /// Whether SASL authenticated the stream.
    sasl: bool,
    challenged: bool,
    failures: u8,
    /// Dialback requests that did not succeed since the last one that did.
    unverified: usize,
}

/// The state of a pair. A verified pair may be verified again.
#[derive(Debug, Default)]
struct Progress {
    verified: bool,
    pending: bool,
}

/// What follows an input.
pub(super) enum Next {
    Stay,
    /// This side closes. Stanzas of these pairs that were already sent still count.
    Close(BTreeSet<Pair>),
    /// The TLS handshake.
    Handshake,
    /// The header of a stream on which SASL authenticated the pair.
    Restart(Pair),
}

impl AwaitRequest {
    pub(super) fn new(
        bound: Bound,
        terms: Option<Terms>,
        shown: Shown,
        secured: bool,
        certificate: Judged,
        authenticated: Option<Pair>,
        bidi: bool,
        id: String,
    ) -> Self {
        let sasl = authenticated.is_some();
        let verified = Progress {
            verified: true,
            pending: false,
        };
        Self {
            bound,
            terms,
            shown,
            secured,
            certificate,
            id,
            pairs: authenticated.into_iter().zip([verified]).collect(),
            bidi,
            sasl,
            challenged: false,
            failures: 0,
            unverified: 0,
        }
    }

    /// Whether any pair is authenticated.
    pub(super) fn is_authenticated(&self) -> bool {
        self.pairs.values().any(|progress| progress.verified)
    }

    /// How far the stream has come.
    pub(super) fn reached(&self) -> Phase {
        match self.is_authenticated() {
            true => Phase::Open,
            false => Phase::Stream,
        }
    }

    /// What an input is part of.
    pub(super) fn phase(&self, input: &Input) -> Phase {
        match input {
            Input::Element(element) => match element.namespace.as_str() {
                DIALBACK => Phase::Dialback,
                SASL => Phase::Sasl,
                TLS => Phase::Tls,
                _ => self.reached(),
            },
            Input::Verified { .. } => Phase::Dialback,
            Input::Closed
            | Input::Header { .. }
            | Input::Secured
            | Input::Stanza(_)
            | Input::Unreadable { .. } => self.reached(),
        }
    }

    /// The domain that SASL authenticated, or may do so yet.
    pub(super) fn by_sasl(&self) -> Option<&Domain> {
        let may = self.sasl || self.shown.external;
        self.bound.from.as_ref().filter(|_| may)
    }

    /// All pairs, verified or pending.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.pairs.keys().cloned()
    }

    pub(super) fn verified(&self) -> impl Iterator<Item = &Pair> + Clone {
        let verified = self.pairs.iter().filter(|(_, progress)| progress.verified);
        verified.map(|(pair, _)| pair)
    }

    pub(super) fn verified_pairs(&self) -> BTreeSet<Pair> {
        self.verified().cloned().collect()
    }

    pub(super) fn on(
        &mut self,
        input: Input,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Result<Next, Fatal> {
        match input {
            Input::Element(element) => self.element(&element, config, out),
            Input::Stanza(stanza) => self.stanza(stanza, out),
            Input::Verified { pair, status } => self.judged(&pair, status, config, out),
            Input::Closed => Ok(Next::Close(BTreeSet::new())),
            Input::Unreadable { error, .. } => Err((error.into(), "")),
            Input::Header { .. } | Input::Secured => Err((Condition::BadFormat, "a second header")),
        }
    }

    fn element(
        &mut self,
        element: &Element,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Result<Next, Fatal> {
        if is_error(element) {
            // An error is never answered by an error (RFC 6120 §4.9.1).
            let domain = self.bound.from.as_ref();
            let refused = Refused::by_peer(self.reached(), element, domain);
            out.push(Action::Refused(refused));
            return Ok(Next::Close(BTreeSet::new()));
        }
        if element.is(TLS, "starttls") {
            return Ok(self.starttls(element, out));
        }
        let sasl = element.namespace == SASL;
        if !self.secured && self.terms.is_some_and(Terms::requires_tls) {
            if sasl {
                self.fail(Failure::EncryptionRequired, out);
                return Ok(Next::Close(BTreeSet::new()));
            }
            return Err((Condition::PolicyViolation, "TLS is required"));
        }
        if sasl {
            return self.sasl(element, out);
        }
        if element.is(BIDI, "bidi") && self.shown.bidi && !self.is_authenticated() {
            self.bidi = true;
            return Ok(Next::Stay);
        }
        if let Some(management) = Management::read(element)
            && let Some(pair) = manageable(self.verified(), &self.bound, config)
        {
            out.push(Action::Manage(pair.clone(), management));
            return Ok(Next::Stay);
        }
        if let Some(dialback) = Dialback::read(element) {
            return self.dialback(dialback, config, out);
        }
        let condition = match element.namespace.as_str() {
            STREAMS => Condition::BadFormat,
            SERVER => Condition::UnsupportedStanzaType,
            _ if self.is_authenticated() => Condition::UnsupportedStanzaType,
            _ => Condition::NotAuthorized,
        };
        Err((condition, ""))
    }

    /// RFC 6120 §5.4.2.
    fn starttls(&self, element: &Element, out: &mut Vec<Action>) -> Next {
        let allowed = self.terms.is_none_or(Terms::allows_tls);
        let fresh = !self.secured && self.pairs.is_empty();
        if !allowed || !fresh || !element.children.is_empty() {
            let why = if !allowed {
                "TLS is off for this partner"
            } else if self.secured {
                "TLS is there already"
            } else {
                "it is too late, or not an empty element"
            };
            let domain = self.bound.from.as_ref();
            let refused = Refused::by_proxy(Phase::Tls, "failure", domain, why);
            out.push(Action::Refused(refused));
            out.push(Action::Send(format!("<failure xmlns='{TLS}'/>")));
            return Next::Close(self.verified_pairs());
        }
        let sasl = self.terms.map(|terms| terms.allows(Method::SaslTls));
        out.push(Action::Send(format!("<proceed xmlns='{TLS}'/>")));
        let request = match (&self.bound.from, sasl) {
            (Some(from), Some(true)) => CertificateRequest::Of(from.clone()),
            (Some(_), _) => CertificateRequest::No,
            // Its name may follow under TLS (RFC 6120 §4.7.1).
            (None, _) => CertificateRequest::Anybody,
        };
        let own = self.bound.to.clone();
        out.push(Action::StartTls { own, request });
        Next::Handshake
    }

    fn sasl(&mut self, element: &Element, out: &mut Vec<Action>) -> Result<Next, Fatal> {
        if self.sasl {
            return Err((Condition::NotAuthorized, "authenticated already"));
        }
        let allowed = self
            .terms
            .is_some_and(|terms| terms.allows(Method::SaslTls));
        let request = match element.name.as_str() {
            "auth" if !self.secured => Err(Failure::EncryptionRequired),
            "auth" if !allowed => Err(Failure::InvalidMechanism),
            "auth" => sasl::auth(element),
            "response" if self.challenged => sasl::response(element),
            "abort" => Err(Failure::Aborted),
            _ => Err(Failure::MalformedRequest),
        };
        self.challenged = request == Ok(Request::Begin);
        let proven = match request {
            Ok(Request::Begin) => {
                out.push(Action::Send(format!("<challenge xmlns='{SASL}'/>")));
                return Ok(Next::Stay);
            }
            Ok(Request::Identity(identity)) => self.proven(identity),
            Err(failure) => Err(failure),
        };
        match proven {
            Ok(pair) => {
                out.push(Action::Authenticated(pair.clone(), Method::SaslTls));
                out.push(Action::Send(format!("<success xmlns='{SASL}'/>")));
                out.push(Action::Restart);
                Ok(Next::Restart(pair))
            }
            Err(failure) => {
                self.fail(failure, out);
                self.failures += 1;
                match self.failures {
                    FAILURES.. => Err((Condition::PolicyViolation, "too many attempts")),
                    _ => Ok(Next::Stay),
                }
            }
        }
    }

    fn fail(&self, failure: Failure, out: &mut Vec<Action>) {
        let domain = self.bound.from.as_ref();
        let why = match (failure, self.certificate) {
            (Failure::NotAuthorized, Judged::Bad(fault)) => format!("the certificate is {fault}"),
            (Failure::NotAuthorized, Judged::Absent) => "there is no certificate".to_owned(),
            _ => String::new(),
        };
        let refused = Refused::by_proxy(Phase::Sasl, failure.word(), domain, &why);
        out.push(Action::Refused(refused));
        out.push(Action::Send(failure.element()));
    }

    /// The pair that the certificate authenticates, if the identity is the stream's own (XEP-0178 §3).
    fn proven(&self, identity: Option<Domain>) -> Result<Pair, Failure> {
        let from = self.bound.from.clone().filter(|_| self.shown.external);
        let from = from.ok_or(Failure::NotAuthorized)?;
        if identity.is_some_and(|identity| identity != from) {
            return Err(Failure::InvalidAuthzid);
        }
        let to = self.bound.to.clone();
        Ok(Pair { from, to })
    }

    fn dialback(
        &mut self,
        dialback: Dialback,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Result<Next, Fatal> {
        // This side sends no requests on this stream, so answers are meaningless.
        if dialback.answer.is_some() {
            return Ok(Next::Stay);
        }
        // Its namespace is not declared here either: no answer with its prefix would be well-formed.
        if !self.shown.dialback {
            return Err((Condition::PolicyViolation, "no dialback on this stream"));
        }
        let (Some(from), Some(to)) = (dialback.from, dialback.to) else {
            let text = "'from' and 'to' have to be domains";
            return Err((Condition::ImproperAddressing, text));
        };
        let pair = Pair { from, to };
        match (dialback.step, dialback.id) {
            (Step::Result, _) => self.result(pair, dialback.key, config, out)?,
            (Step::Verify, Some(id)) => {
                let status = self.status(&pair, &id, &dialback.key, config);
                let answer = dialback::answer(Step::Verify, &pair, Some(&id), status);
                out.extend(about_key(&pair, status, "asked about a key"));
                out.extend([Action::Refund, Action::Send(answer)]);
            }
            (Step::Verify, None) => return Err((Condition::BadFormat, "'id' is missing")),
        }
        Ok(Next::Stay)
    }

    /// The role of the receiving server (XEP-0220 §2.1.2, §2.2.1).
    fn result(
        &mut self,
        pair: Pair,
        key: String,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Result<(), Fatal> {
        let known = self.pairs.get(&pair);
        if known.is_some_and(|progress| progress.pending) {
            return Ok(());
        }
        let full = known.is_none() && self.pairs.len() >= config.settings.limits.stream_pairs;
        let objection = match self.objection(&pair, config) {
            None if key.is_empty() => Some(StanzaError::NotAcceptable),
            None if full => Some(StanzaError::ResourceConstraint),
            objection => objection,
        };
        if let Some(error) = objection {
            answer(&pair, KeyStatus::Failed(error), out);
            return self.count_unverified(config);
        }
        self.pairs.entry(pair.clone()).or_default().pending = true;
        out.push(Action::Verify {
            pair,
            stream_id: self.id.clone(),
            key,
        });
        Ok(())
    }

    fn count_unverified(&mut self, config: &Config) -> Result<(), Fatal> {
        self.unverified += 1;
        if self.unverified > UNVERIFIED.max(config.settings.limits.stream_pairs) {
            return Err((Condition::PolicyViolation, "too many requests"));
        }
        Ok(())
    }

    /// Why a pair is refused without verifying its key.
    fn objection(&self, pair: &Pair, config: &Config) -> Option<StanzaError> {
        if !config.serves(&pair.to) {
            return Some(StanzaError::ItemNotFound);
        }
        if config.serves(&pair.from) {
            return Some(StanzaError::NotAcceptable);
        }
        let method = Method::dialback(self.secured);
        if !config
            .terms(&pair.from)
            .is_some_and(|terms| terms.allows(method))
        {
            return Some(StanzaError::PolicyViolation);
        }
        // The certificate was checked for the stream's own `from` and no other name.
        let other = self.bound.from.as_ref() != Some(&pair.from);
        let presented = self.certificate != Judged::Absent;
        let strict = config.settings.strict_certificates;
        (strict && self.secured && presented && other).then_some(StanzaError::NotAuthorized)
    }

    /// The role of the authoritative server (XEP-0220 §2.2.2).
    fn status(&self, asked: &Pair, id: &str, key: &str, config: &Config) -> KeyStatus {
        // The receiving server asks this one, so the key belongs to the opposite direction.
        let issued = || config.keys().issued(&asked.reversed(), id, key);
        match config.terms(&asked.from) {
            _ if !config.serves(&asked.to) => KeyStatus::Failed(StanzaError::ItemNotFound),
            Some(terms) if terms.requires_tls() && !self.secured => {
                KeyStatus::Failed(StanzaError::PolicyViolation)
            }
            Some(terms) if terms.allows_dialback() && issued() => KeyStatus::Valid,
            Some(_) | None => KeyStatus::Invalid,
        }
    }

    fn judged(
        &mut self,
        pair: &Pair,
        status: KeyStatus,
        config: &Config,
        out: &mut Vec<Action>,
    ) -> Result<Next, Fatal> {
        let Some(progress) = self.pairs.get_mut(pair).filter(|progress| progress.pending) else {
            return Ok(Next::Stay);
        };
        progress.pending = false;
        match status {
            KeyStatus::Valid => {
                self.unverified = 0;
                if !progress.verified {
                    progress.verified = true;
                    out.extend(self.instead_of_sasl(&pair.from, config));
                    let method = Method::dialback(self.secured);
                    out.push(Action::Authenticated(pair.clone(), method));
                }
                answer(pair, KeyStatus::Valid, out);
            }
            KeyStatus::Invalid => {
                self.pairs.remove(pair);
                if self.pairs.is_empty() {
                    answer(pair, KeyStatus::Invalid, out);
                    return Ok(Next::Close(BTreeSet::new()));
                }
                answer(pair, KeyStatus::Failed(StanzaError::Forbidden), out);
                self.count_unverified(config)?;
            }
            KeyStatus::Failed(_) => {
                if !progress.verified {
                    self.pairs.remove(pair);
                }
                answer(pair, status, out);
                self.count_unverified(config)?;
            }
        }
        Ok(Next::Stay)
    }

    /// What there is to tell where the certificate did not do, and dialback does instead.
    fn instead_of_sasl(&self, from: &Domain, config: &Config) -> Option<Action> {
        let Judged::Bad(fault) = self.certificate else {
            return None;
        };
        let terms = config.terms(from)?;
        let text = format!("{NOT_ACCEPTED}: {fault}");
        let refused = Refused::by_proxy(Phase::Sasl, BAD_CERTIFICATE, Some(from), &text);
        (self.secured && terms.allows(Method::SaslTls)).then_some(Action::Refused(refused))
    }

    /// RFC 6120 §4.3.5, §8.1.1.2, §8.1.2.2.
    fn stanza(&mut self, stanza: Stanza, out: &mut Vec<Action>) -> Result<Next, Fatal> {
        if !self.is_authenticated() {
            return Err((Condition::NotAuthorized, ""));
        }
        let pair = stanza::pair(&stanza).map_err(|_| (Condition::ImproperAddressing, ""))?;
        let known = self.pairs.get(&pair);
        if known.is_some_and(|progress| progress.verified) {
            out.push(Action::Deliver(pair, stanza));
            return Ok(Next::Stay);
        }
        let is_known = self.verified().any(|known| known.from == pair.from);
        Err(match is_known {
            true => (Condition::HostUnknown, "no domain of this stream"),
            false => (Condition::InvalidFrom, ""),
        })
    }
}

/// Answers a pair's `db:result`.
fn answer(pair: &Pair, status: KeyStatus, out: &mut Vec<Action>) {
    out.extend(about_key(pair, status, "asked to be verified"));
    let text = dialback::answer(Step::Result, pair, None, status);
    out.push(Action::Send(text));
}
