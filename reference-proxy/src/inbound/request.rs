//! The state after the features: STARTTLS, SASL, dialback and stanzas, in whatever order the peer
//! chooses and the terms allow.

use std::collections::{BTreeMap, BTreeSet};

use super::receiving::{Action, AwaitHandshake, AwaitHeader, Bound, Input, Receiving};
use super::sasl::{self, Failure, Request};
use crate::certificate::Judged;
use crate::config::Config;
use crate::dialback::{self, Dialback, KeyStatus, Step};
use crate::domain::{Domain, Pair};
use crate::negotiation::Method;
use crate::negotiation::Terms;
use crate::stanza::{self, StanzaError};
use crate::stream::{Condition, Shown, closing, error, is_error};
use crate::xml::namespace::{SASL, SERVER, STREAMS, TLS};
use crate::xml::{Element, Stanza};

/// So many failed authentications end the stream (RFC 6120 §6.4.5: two to five).
const FAILURES: u8 = 5;

/// The peer's next element is due.
#[derive(Debug)]
pub(crate) struct AwaitRequest {
    bound: Bound,
    terms: Option<Terms>,
    shown: Shown,
    secured: bool,
    certificate: Judged,
    /// The id of this stream, which dialback keys are bound to.
    id: String,
    pairs: BTreeMap<Pair, Progress>,
    /// Whether SASL authenticated the stream.
    sasl: bool,
    challenged: bool,
    failures: u8,
}

/// How far a pair has come. A verified pair may be verified once more.
#[derive(Debug, Default)]
struct Progress {
    verified: bool,
    pending: bool,
}

/// Why an element ends the stream.
type Fatal = (Condition, &'static str);

impl AwaitRequest {
    /// The state after this side's features.
    pub(super) fn new(
        bound: Bound,
        terms: Option<Terms>,
        shown: Shown,
        secured: bool,
        certificate: Judged,
        authenticated: Option<Pair>,
        id: String,
    ) -> Self {
        let sasl = authenticated.is_some();
        let verified = |pair| {
            let progress = Progress {
                verified: true,
                pending: false,
            };
            (pair, progress)
        };
        Self {
            bound,
            terms,
            shown,
            secured,
            certificate,
            id,
            pairs: authenticated.into_iter().map(verified).collect(),
            sasl,
            challenged: false,
            failures: 0,
        }
    }

    /// Whether any pair is authenticated.
    pub(super) fn is_authenticated(&self) -> bool {
        self.pairs.values().any(|progress| progress.verified)
    }

    pub(super) fn on(self, input: Input, config: &Config, out: &mut Vec<Action>) -> Receiving {
        match input {
            Input::Element(element) => self.element(&element, config, out),
            Input::Stanza(stanza) => self.stanza(stanza, config, out),
            Input::Verified { pair, verdict } => self.verified(&pair, verdict, out),
            Input::Closed => {
                out.push(Action::Send(closing().to_owned()));
                Receiving::Ended
            }
            Input::Unreadable { error, .. } => fail((error.into(), ""), out),
            Input::Header { .. } | Input::Secured => {
                fail((Condition::BadFormat, "a second header"), out)
            }
        }
    }

    /// Closes in good order. Stanzas that cross the closing tag still count.
    pub(super) fn close(self, out: &mut Vec<Action>) -> Receiving {
        let pairs = self.verified_pairs();
        Receiving::closing(pairs, out)
    }

    fn verified_pairs(&self) -> BTreeSet<Pair> {
        self.pairs
            .iter()
            .filter(|(_, progress)| progress.verified)
            .map(|(pair, _)| pair.clone())
            .collect()
    }

    fn element(mut self, element: &Element, config: &Config, out: &mut Vec<Action>) -> Receiving {
        if is_error(element) {
            // An error is never answered by one (RFC 6120 §4.9.1).
            out.push(Action::Send(closing().to_owned()));
            return Receiving::Ended;
        }
        if element.is(TLS, "starttls") {
            return self.starttls(element, out);
        }
        let sasl = element.namespace == SASL;
        if !self.secured && self.terms.is_some_and(|terms| terms.requires_tls()) {
            if sasl {
                out.push(Action::Send(Failure::EncryptionRequired.text()));
                return Receiving::closing(BTreeSet::new(), out);
            }
            return fail((Condition::PolicyViolation, "TLS is required"), out);
        }
        if sasl {
            return self.sasl(element, out);
        }
        if let Some(dialback) = Dialback::read(element) {
            return match self.dialback(dialback, config, out) {
                Ok(()) => Receiving::AwaitRequest(self),
                Err(fatal) => fail(fatal, out),
            };
        }
        let condition = match element.namespace.as_str() {
            STREAMS => Condition::BadFormat,
            SERVER => Condition::UnsupportedStanzaType,
            _ if self.is_authenticated() => Condition::UnsupportedStanzaType,
            _ => Condition::NotAuthorized,
        };
        fail((condition, ""), out)
    }

    /// RFC 6120 §5.4.2.
    fn starttls(self, element: &Element, out: &mut Vec<Action>) -> Receiving {
        let allowed = self.terms.is_none_or(|terms| terms.allows_tls());
        let fresh = !self.secured && self.pairs.is_empty();
        if !allowed || !fresh || !element.children.is_empty() {
            out.push(Action::Send(format!("<failure xmlns='{TLS}'/>")));
            return Receiving::closing(self.verified_pairs(), out);
        }
        out.push(Action::Send(format!("<proceed xmlns='{TLS}'/>")));
        out.push(Action::StartTls {
            claimed: self.bound.from.clone(),
            certificate: self.terms.is_none_or(|terms| terms.allows(Method::SaslTls)),
        });
        Receiving::AwaitHandshake(AwaitHandshake { bound: self.bound })
    }

    fn sasl(mut self, element: &Element, out: &mut Vec<Action>) -> Receiving {
        if self.sasl {
            return fail((Condition::NotAuthorized, "authenticated already"), out);
        }
        let request = match element.name.as_str() {
            "auth" if !self.secured => Err(Failure::EncryptionRequired),
            "auth"
                if self
                    .terms
                    .is_none_or(|terms| !terms.allows(Method::SaslTls)) =>
            {
                Err(Failure::InvalidMechanism)
            }
            "auth" => sasl::auth(element),
            "response" if self.challenged => sasl::response(element),
            "abort" => Err(Failure::Aborted),
            _ => Err(Failure::MalformedRequest),
        };
        self.challenged = false;
        let failure = match request {
            Ok(Request::Begin) => {
                self.challenged = true;
                out.push(Action::Send(format!("<challenge xmlns='{SASL}'/>")));
                return Receiving::AwaitRequest(self);
            }
            Ok(Request::Identity(identity)) => match self.proven(identity) {
                Ok(pair) => {
                    out.push(Action::Authenticated(pair.clone(), Method::SaslTls));
                    out.push(Action::Send(format!("<success xmlns='{SASL}'/>")));
                    out.push(Action::Restart);
                    return Receiving::AwaitHeader(AwaitHeader::authenticated(self.bound, pair));
                }
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        out.push(Action::Send(failure.text()));
        self.failures += 1;
        if self.failures >= FAILURES {
            return fail((Condition::PolicyViolation, "too many attempts"), out);
        }
        Receiving::AwaitRequest(self)
    }

    /// The pair that the certificate proves, if the identity is the stream's own (XEP-0178 §3).
    fn proven(&self, identity: Option<Domain>) -> Result<Pair, Failure> {
        let Some(from) = self.bound.from.clone().filter(|_| self.shown.external) else {
            return Err(Failure::NotAuthorized);
        };
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
    ) -> Result<(), Fatal> {
        // This side asked nothing on this stream, so no answer here has a meaning.
        if dialback.answer.is_some() {
            return Ok(());
        }
        if !self.shown.dialback && !self.is_authenticated() {
            return Err((Condition::PolicyViolation, "no dialback on this stream"));
        }
        let Dialback {
            step,
            from,
            to,
            id,
            key,
            ..
        } = dialback;
        let (Some(from), Some(to)) = (from, to) else {
            return Err((
                Condition::ImproperAddressing,
                "'from' and 'to' have to be domains",
            ));
        };
        let pair = Pair { from, to };
        match (step, id) {
            (Step::Result, _) => self.result(pair, key, config, out),
            (Step::Verify, Some(id)) => self.verify(&pair, &id, &key, config, out),
            (Step::Verify, None) => return Err((Condition::BadFormat, "'id' is missing")),
        }
        Ok(())
    }

    /// The receiving server's part (XEP-0220 §2.1.2, §2.2.1).
    fn result(&mut self, pair: Pair, key: String, config: &Config, out: &mut Vec<Action>) {
        let known = self.pairs.get(&pair);
        if known.is_some_and(|progress| progress.pending) {
            return;
        }
        let full = known.is_none() && self.pairs.len() >= config.settings.limits.stream_pairs;
        let problem = match self.objection(&pair, config) {
            Some(problem) => Some(problem),
            None if key.is_empty() => Some(StanzaError::NotAcceptable),
            None if full => Some(StanzaError::ResourceConstraint),
            None => None,
        };
        if let Some(problem) = problem {
            let verdict = KeyStatus::Failed(problem);
            out.push(Action::Send(dialback::answer(
                Step::Result,
                &pair,
                None,
                verdict,
            )));
            return;
        }
        self.pairs.entry(pair.clone()).or_default().pending = true;
        out.push(Action::Verify {
            pair,
            stream_id: self.id.clone(),
            key,
        });
    }

    /// Why a pair is refused before anybody is asked about its key.
    fn objection(&self, pair: &Pair, config: &Config) -> Option<StanzaError> {
        if !config.serves(&pair.to) {
            return Some(StanzaError::ItemNotFound);
        }
        if config.serves(&pair.from) {
            return Some(StanzaError::NotAcceptable);
        }
        let Some(terms) = config.terms(&pair.from) else {
            return Some(StanzaError::PolicyViolation);
        };
        if !terms.allows(Method::dialback(self.secured)) {
            return Some(StanzaError::PolicyViolation);
        }
        // The certificate was judged for the stream's own `from` and no other name.
        let other = self.bound.from.as_ref() != Some(&pair.from);
        let presented = self.certificate != Judged::Absent;
        (config.settings.strict_certificates && self.secured && presented && other)
            .then_some(StanzaError::NotAuthorized)
    }

    /// The authoritative server's part (XEP-0220 §2.2.2).
    fn verify(&self, asked: &Pair, id: &str, key: &str, config: &Config, out: &mut Vec<Action>) {
        // The request is from the receiving server to this one, so the key's pair is the reverse.
        let issued = asked.reversed();
        let verdict = match config.terms(&asked.from) {
            _ if !config.serves(&asked.to) => KeyStatus::Failed(StanzaError::ItemNotFound),
            Some(terms) if terms.requires_tls() && !self.secured => {
                KeyStatus::Failed(StanzaError::PolicyViolation)
            }
            Some(terms) if terms.allows_dialback() && config.keys().issued(&issued, id, key) => {
                KeyStatus::Valid
            }
            Some(_) | None => KeyStatus::Invalid,
        };
        out.push(Action::Refund);
        let answer = dialback::answer(Step::Verify, asked, Some(id), verdict);
        out.push(Action::Send(answer));
    }

    fn verified(mut self, pair: &Pair, verdict: KeyStatus, out: &mut Vec<Action>) -> Receiving {
        let Some(progress) = self.pairs.get_mut(pair).filter(|progress| progress.pending) else {
            return Receiving::AwaitRequest(self);
        };
        progress.pending = false;
        let send = |verdict| Action::Send(dialback::answer(Step::Result, pair, None, verdict));
        match verdict {
            KeyStatus::Valid => {
                if !progress.verified {
                    progress.verified = true;
                    let method = match self.secured {
                        true => Method::TlsDialback,
                        false => Method::TcpDialback,
                    };
                    out.push(Action::Authenticated(pair.clone(), method));
                }
                out.push(send(KeyStatus::Valid));
            }
            KeyStatus::Invalid => {
                self.pairs.remove(pair);
                if self.pairs.is_empty() {
                    out.push(send(KeyStatus::Invalid));
                    return Receiving::closing(BTreeSet::new(), out);
                }
                out.push(send(KeyStatus::Failed(StanzaError::Forbidden)));
            }
            KeyStatus::Failed(problem) => {
                if !progress.verified {
                    self.pairs.remove(pair);
                }
                out.push(send(KeyStatus::Failed(problem)));
            }
        }
        Receiving::AwaitRequest(self)
    }

    /// RFC 6120 §8.1.1.2, §8.1.2.2.
    fn stanza(self, stanza: Stanza, config: &Config, out: &mut Vec<Action>) -> Receiving {
        if !self.is_authenticated() {
            let condition = match self.terms {
                Some(terms) if terms.requires_tls() && !self.secured => Condition::PolicyViolation,
                Some(_) | None => Condition::NotAuthorized,
            };
            return fail((condition, ""), out);
        }
        let Ok(pair) = stanza::pair(&stanza) else {
            return fail((Condition::ImproperAddressing, ""), out);
        };
        let verified = |progress: &Progress| progress.verified;
        if self.pairs.get(&pair).is_some_and(verified) {
            out.push(Action::Deliver(pair, stanza));
            return Receiving::AwaitRequest(self);
        }
        let sender_known = self
            .pairs
            .iter()
            .any(|(known, progress)| known.from == pair.from && progress.verified);
        let condition = match sender_known {
            false => Condition::InvalidFrom,
            true if config.serves(&pair.to) => Condition::NotAuthorized,
            true => Condition::HostUnknown,
        };
        fail((condition, ""), out)
    }
}

fn fail((condition, text): Fatal, out: &mut Vec<Action>) -> Receiving {
    out.push(Action::Send(error(condition, text)));
    Receiving::Ended
}
