//! The partner as receiving entity, and as the authoritative server for its own domain.

use super::action::{Action, KeyAnswer, Question};
use super::header::{
    could_be_domain, declares_dialback, has_right_namespaces, has_version, same_domain,
};
use super::machine::{Asked, Machine};
use super::state::{State, Step};
use crate::event::ConnectionKind;
use crate::negotiate::dialback::{self, Answer};
use crate::negotiate::sasl;
use crate::persona::Tls;
use crate::reaction::When;
use crate::stanza;
use crate::wire::{Element, Unit};

/// The limit on failed SASL attempts on one stream (RFC 6120 §6.4.5).
const TRIES: u8 = 5;

/// The limit on keys of one connection being verified at a time.
const QUESTIONS: usize = 8;

impl Machine {
    /// The target's header: is it acceptable?
    pub(super) fn answer_header(&mut self, header: &Element) {
        debug_assert_eq!(self.purpose.kind(), ConnectionKind::Outbound);
        let from = header.attribute("from");
        self.stream.from = from.map(str::to_owned);
        self.stream.without_features = !has_version(header);
        if let Err(condition) = self.judge_header(header) {
            return self.fail_stream(condition);
        }
        self.point(When::Header, Some(header));
    }

    pub(super) fn answer_with_header(&mut self, header: &Element) {
        if !self.stream.opened {
            self.send_header(&[]);
        }
        self.point(When::Features, Some(header));
    }

    pub(super) fn answer_with_features(&mut self) {
        if !self.stream.without_features {
            self.send_features();
        }
        self.answered_header();
    }

    /// Header and features were sent, or their replacement by the persona.
    pub(super) fn answered_header(&mut self) {
        if self.state == State::AwaitHeader {
            self.go(Step::Answer);
            if self.sasl_done {
                self.establish();
            }
        }
    }

    fn judge_header(&self, header: &Element) -> Result<(), &'static str> {
        let config = &self.config;
        if !has_right_namespaces(header) {
            return Err("invalid-namespace");
        }
        match header.attribute("to") {
            None => return Err("improper-addressing"),
            Some(to) if !same_domain(to, &config.domain) => return Err("host-unknown"),
            Some(_) => {}
        }
        let from = header.attribute("from");
        if from.is_some_and(|from| !could_be_domain(from) || same_domain(from, &config.domain)) {
            return Err("invalid-from");
        }
        // The identity was settled before the restart and cannot change (RFC 6120 §6.4.6).
        let settled = self.authenticated.as_deref();
        let settled = settled.unwrap_or(&config.target_domain);
        if self.sasl_done && !from.is_some_and(|from| same_domain(from, settled)) {
            return Err("invalid-from");
        }
        if config.persona.offer.insists_on_db_namespace && !declares_dialback(header) {
            return Err("invalid-namespace");
        }
        if self.stream.without_features && self.lacks_tls() {
            return Err("unsupported-version");
        }
        Ok(())
    }

    /// A child of the stream that the target opened.
    pub(super) fn asked(&mut self, when: When, element: &Element) {
        match when {
            When::Starttls => self.asked_for_tls(element),
            When::Auth => self.asked_for_sasl(element),
            // An answer on a stream without requests has no effect (XEP-0220 §3.1).
            When::ResultReceived | When::VerificationReceived => {}
            When::DbResult => self.asked_for_result(element),
            When::DbVerify => self.asked_for_verification(element),
            When::Stanza => self.stanza(element),
            _ if Unit::Abort.is(element) => self.refuse_sasl("aborted"),
            _ if self.established.is_none() => self.fail_stream("not-authorized"),
            _ => self.fail_stream("unsupported-stanza-type"),
        }
    }

    fn asked_for_tls(&mut self, element: &Element) {
        if self.has_more() {
            self.show_unread("bytes in clear after <starttls/>");
            return self.refuse_tls();
        }
        let wanted = self.config.persona.offer.tls != Tls::None;
        if !wanted || self.encrypted || !self.is_negotiating() {
            return self.refuse_tls();
        }
        self.send_element(Unit::Proceed.element());
        self.proceeds = true;
        self.point(When::ProceedSent, Some(element));
    }

    /// Whether the target may choose from features now.
    fn is_negotiating(&self) -> bool {
        matches!(self.state, State::Negotiating | State::Scripted)
    }

    fn refuse_tls(&mut self) {
        self.send_element(Unit::TlsFailure.element());
        self.end_stream();
    }

    fn refuse_sasl(&mut self, condition: &str) {
        let failure = Unit::SaslFailure;
        self.send_element(failure.with_condition(failure.element(), condition));
    }

    fn asked_for_sasl(&mut self, element: &Element) {
        if !self.is_negotiating() {
            return self.fail_stream("policy-violation");
        }
        let claim = sasl::Claim {
            encrypted: self.encrypted,
            offered: self.config.persona.offer.external,
            trusted: self.standing().trusted,
            from: self.stream.from.as_deref(),
        };
        match sasl::judge(element, claim) {
            Ok(()) => {
                self.send_element(Unit::Success.element());
                self.sasl_done = true;
                self.authenticated.clone_from(&self.stream.from);
                self.restart(Step::RestartStream);
            }
            Err(condition) => {
                self.tries += 1;
                self.refuse_sasl(condition);
                if self.tries >= TRIES {
                    self.fail_stream("policy-violation");
                }
            }
        }
    }

    /// The domains of a dialback request, or the condition with which the stream ends.
    fn pair_of<'a>(&self, element: &'a Element) -> Result<(&'a str, &'a str), &'static str> {
        let pair = element.attribute("from").zip(element.attribute("to"));
        let pair = pair.ok_or("improper-addressing")?;
        match (self.config.persona.offer.dialback, self.lacks_tls()) {
            (true, _) => Ok(pair),
            (false, true) => Err("policy-violation"),
            (false, false) => Err("unsupported-stanza-type"),
        }
    }

    /// A claim to a domain, which its authoritative server decides (XEP-0220 §2.2.1).
    fn asked_for_result(&mut self, element: &Element) {
        let (from, to) = match self.pair_of(element) {
            Ok(pair) => pair,
            Err(condition) => return self.fail_stream(condition),
        };
        let refusal = if self.config.persona.offer.needs_external {
            Some(("not-authorized", true))
        } else if self.lacks_tls() {
            Some(("policy-violation", true))
        } else if !same_domain(to, &self.config.domain) {
            Some(("item-not-found", false))
        } else if !could_be_domain(from) {
            Some(("not-acceptable", false))
        } else if same_domain(from, &self.config.domain) {
            Some(("policy-violation", false))
        } else if self.config.target_named(from).is_none() {
            Some(("remote-server-not-found", false))
        } else if self.pending.len() >= QUESTIONS {
            Some(("resource-constraint", false))
        } else {
            None
        };
        if let Some((condition, closes)) = refusal {
            let answer = dialback::result_answer(to, from, Answer::Error(condition));
            self.send_element(answer);
            if closes {
                self.end_stream();
            }
            return;
        }
        self.tickets += 1;
        let ticket = self.tickets;
        self.pending.push(Asked {
            ticket,
            sender: from.to_owned(),
        });
        let question = Question {
            sender: from.to_owned(),
            receiver: self.config.domain.clone(),
            id: self.stream.id.clone().unwrap_or_default(),
            key: element.content().trim().to_owned(),
        };
        self.actions.push(Action::Ask { ticket, question });
    }

    /// A question is decided: pass the answer on.
    pub(super) fn verified(&mut self, ticket: u32, answer: KeyAnswer) {
        let Some(index) = self.pending.iter().position(|one| one.ticket == ticket) else {
            return;
        };
        let sender = self.pending.remove(index).sender;
        if !matches!(
            self.state,
            State::Negotiating | State::Established | State::Scripted
        ) {
            return;
        }
        let domain = self.config.domain.clone();
        let reply = |answer| dialback::result_answer(&domain, &sender, answer);
        match answer {
            KeyAnswer::Valid => {
                self.send_element(reply(Answer::Valid));
                self.establish();
            }
            KeyAnswer::Invalid => {
                self.send_element(reply(Answer::Invalid));
                if self.established.is_none() {
                    self.end_stream();
                }
            }
            KeyAnswer::Undecided(condition) => {
                self.send_element(reply(Answer::Error(condition)));
            }
        }
    }

    /// A request about one of our keys (XEP-0220 §2.2.2).
    fn asked_for_verification(&mut self, element: &Element) {
        let (from, to) = match self.pair_of(element) {
            Ok(pair) => pair,
            Err(condition) => return self.fail_stream(condition),
        };
        let id = element.attribute("id").unwrap_or_default();
        let config = &self.config;
        let answer = if self.lacks_tls() {
            Answer::Error("policy-violation")
        } else if !same_domain(to, &config.domain) {
            Answer::Error("item-not-found")
        } else if id.is_empty() {
            Answer::Error("bad-request")
        } else if dialback::is_key(
            &element.content(),
            &config.secret,
            &from.to_ascii_lowercase(),
            &config.domain,
            id,
        ) {
            Answer::Valid
        } else {
            Answer::Invalid
        };
        let refused = self.lacks_tls();
        let answer = dialback::verify_answer(to, from, id, answer);
        self.send_element(answer);
        self.served = true;
        if refused {
            self.end_stream();
        }
    }

    fn stanza(&mut self, stanza: &Element) {
        if self.established.is_none() {
            return self.fail_stream(if self.lacks_tls() {
                "policy-violation"
            } else {
                "not-authorized"
            });
        }
        let (Some(from), Some(to)) = (stanza.attribute("from"), stanza.attribute("to")) else {
            return self.fail_stream("improper-addressing");
        };
        if self.config.target_named(stanza::domain_of(from)).is_none() {
            return self.fail_stream("invalid-from");
        }
        if !same_domain(stanza::domain_of(to), &self.config.domain) {
            return self.fail_stream("improper-addressing");
        }
        if self.config.answers && stanza::is_question(stanza) {
            self.actions.push(Action::Answer(stanza::result(stanza)));
        }
    }
}
