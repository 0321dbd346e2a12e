//! The partner as initiating entity: to deliver a stanza or to verify a key.

use super::action::{KeyAnswer, TlsRole};
use super::config::Purpose;
use super::features;
use super::header::{has_right_namespaces, has_version, same_domain};
use super::machine::Machine;
use super::state::{State, Step};
use crate::negotiate::dialback::{self, Answer};
use crate::negotiate::sasl;
use crate::persona::Tls;
use crate::reaction::When;
use crate::wire::{Element, Unit};

/// EXTERNAL needs no challenge; one is answered, in case the initial response was lost.
const CHALLENGES: u8 = 1;

impl Machine {
    /// The target's header, in answer to ours (RFC 6120 §4.7).
    pub(super) fn read_header(&mut self, header: &Element) {
        self.stream.from = header.attribute("from").map(str::to_owned);
        self.stream.id = header
            .attribute("id")
            .filter(|id| !id.is_empty())
            .map(str::to_owned);
        self.point(When::HeaderReceived, Some(header));
    }

    /// Whether the header is acceptable.
    pub(super) fn header_came(&mut self, header: &Element) {
        if !has_right_namespaces(header) {
            return self.fail_stream("invalid-namespace");
        }
        let from = header.attribute("from");
        if from.is_some_and(|from| !same_domain(from, self.addressed())) {
            return self.fail_stream("invalid-from");
        }
        if has_version(header) {
            return self.go(Step::Header);
        }
        // A pre-1.0 server supports only dialback (RFC 6120 §4.7.5).
        self.stream.without_features = true;
        if self.sasl_done || (self.lacks_tls() && !self.is_verifying()) {
            return self.fail_stream("unsupported-version");
        }
        self.try_dialback();
    }

    /// Whether plaintext followed `<proceed/>`: it would count as protected by TLS
    /// (RFC 6120 §5.4.3.3), so the negotiation stops.
    pub(super) fn is_premature(&mut self, element: &Element) -> bool {
        let is_one = self.state == State::AwaitProceed
            && Unit::Proceed.is(element)
            && !self.unread().is_empty();
        if is_one {
            self.show_unread("bytes in clear after <proceed/>");
            self.decide(KeyAnswer::Undecided("remote-connection-failed"));
            self.reset();
        }
        is_one
    }

    /// Whether `<success/>` means that the target accepts our identity.
    pub(super) fn awaits_success(&self) -> bool {
        !self.is_listening() && matches!(self.state, State::AwaitSuccess | State::Scripted)
    }

    /// A child of the stream that the partner opened. In a scripted state, reactions decide
    /// what happens.
    pub(super) fn answered(&mut self, when: When, element: &Element) {
        let waits = |state| self.state == state || self.state == State::Scripted;
        match when {
            When::FeaturesReceived if waits(State::AwaitFeatures) => self.choose(element),
            When::ProceedReceived if waits(State::AwaitProceed) => self.begin_tls(TlsRole::Client),
            _ if self.state == State::AwaitProceed && Unit::TlsFailure.is(element) => {
                self.decide(KeyAnswer::Undecided("remote-connection-failed"));
                self.end_stream();
            }
            When::SuccessReceived if waits(State::AwaitSuccess) => self.succeeded(),
            When::ChallengeReceived if waits(State::AwaitSuccess) && self.tries < CHALLENGES => {
                self.tries += 1;
                if self.state == State::Scripted {
                    self.go(Step::AskSasl);
                }
                let response = sasl::response(&self.config.domain);
                self.send_element(response);
            }
            When::FailureReceived if waits(State::AwaitSuccess) => {
                self.go(Step::RefuseSasl);
                self.try_dialback();
            }
            When::ResultReceived if waits(State::AwaitResult) => self.result(element),
            When::VerificationReceived if waits(State::AwaitAnswer) => self.verification(element),
            _ if matches!(
                self.state,
                State::AwaitFeatures | State::AwaitProceed | State::AwaitSuccess
            ) =>
            {
                self.fail_stream("unsupported-stanza-type");
            }
            // Without bidi, nothing received here is authentic, and unsolicited answers
            // have no effect (RFC 6120 §4.5, XEP-0220 §3.1).
            _ => {}
        }
    }

    /// Uses the best method that both sides have.
    fn choose(&mut self, features: &Element) {
        let offer = &self.config.persona.offer;
        if self.sasl_done {
            return self.establish();
        }
        if !self.encrypted && offer.tls != Tls::None && features::has_starttls(features) {
            self.go(Step::AskTls);
            return self.send_element(Unit::Starttls.element());
        }
        if self.is_verifying() {
            return self.try_dialback();
        }
        if self.lacks_tls() {
            return self.fail_stream("policy-violation");
        }
        if self.encrypted && offer.external && sasl::offers_external(features) {
            self.go(Step::AskSasl);
            let request = sasl::request(&self.config.domain);
            return self.send_element(request);
        }
        self.try_dialback();
    }

    fn is_verifying(&self) -> bool {
        matches!(self.purpose, Purpose::Verify(_))
    }

    fn succeeded(&mut self) {
        self.restart(Step::RestartStream);
        self.open_stream();
    }

    /// Sends a key, whether or not the target advertises dialback: its answer is what
    /// counts, and older servers advertise nothing.
    fn try_dialback(&mut self) {
        if let Purpose::Verify(question) = &self.purpose {
            let request = dialback::verify_request(
                &question.receiver,
                &question.sender,
                &question.id,
                &question.key,
            );
            self.go(Step::AskVerify);
            return self.send_element(request);
        }
        if !self.config.accepts_dialback() {
            return self.end_stream();
        }
        let Some(id) = self.stream.id.as_deref() else {
            // No key can be made (XEP-0220 §2.1.1).
            return self.fail_stream("bad-format");
        };
        let config = &self.config;
        let key = dialback::key(&config.secret, self.addressed(), &config.domain, id);
        let request = dialback::result_request(&config.domain, self.addressed(), &key);
        self.go(Step::AskResult);
        self.send_element(request);
    }

    fn is_between_us(&self, element: &Element) -> bool {
        let is = |name, domain: &str| {
            element
                .attribute(name)
                .is_some_and(|value| same_domain(value, domain))
        };
        is("from", self.addressed()) && is("to", &self.config.domain)
    }

    /// The answer to our key. One for another pair is unsolicited (XEP-0220 §3.1).
    fn result(&mut self, element: &Element) {
        if !self.is_between_us(element) {
            return;
        }
        match dialback::read_answer(element) {
            Some(Answer::Valid) => self.establish(),
            Some(Answer::Invalid | Answer::Error(_)) => self.end_stream(),
            None => {}
        }
    }

    /// The answer to a request about somebody's key; a mismatched one is dropped.
    fn verification(&mut self, element: &Element) {
        let Purpose::Verify(question) = &self.purpose else {
            return;
        };
        if !self.is_between_us(element) || element.attribute("id") != Some(question.id.as_str()) {
            return;
        }
        let answer = match dialback::read_answer(element) {
            Some(Answer::Valid) => KeyAnswer::Valid,
            Some(Answer::Invalid) => KeyAnswer::Invalid,
            Some(Answer::Error(_)) => KeyAnswer::Undecided("remote-server-not-found"),
            None => return,
        };
        self.decide(answer);
        self.end_stream();
    }

    /// Sends the stanza.
    pub(super) fn deliver(&mut self) {
        if let Purpose::Deliver(stanza) = &self.purpose {
            let stanza = stanza.clone();
            self.send_element(stanza);
        }
    }
}
