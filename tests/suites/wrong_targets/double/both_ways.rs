//! Streams that go both ways (XEP-0288).

use std::io;
use std::sync::Arc;

use simulated_partners::negotiate::dialback::{self, Answer};
use simulated_partners::stanza::domain_of;
use simulated_partners::wire::{Element, Unit};

use super::defect::Defect;
use super::incoming::Incoming;
use super::names::canonical;
use super::outgoing::{Outgoing, Refused};
use super::receiving::pair;
use super::sending::Sending;
use super::verification::{Question, Verdict, verify};

pub(super) const NS: &str = "urn:xmpp:bidi";
pub(super) const NS_FEATURE: &str = "urn:xmpp:features:bidi";

impl Outgoing<'_> {
    /// Asks for stanzas the other way, if that is offered.
    pub(super) async fn ask_for_both_ways(&mut self, features: &Element) -> Result<(), Refused> {
        let offered = features.find(NS_FEATURE, "bidi").is_some();
        let agreed = self.server.terms(self.to).bidi && self.link.is_secured();
        if offered && agreed || self.has(Defect::AsksForBidirectionality) {
            let namespace = match self.has(Defect::AsksInTheNamespaceOfTheFeature) {
                true => NS_FEATURE,
                false => NS,
            };
            self.link.send(&Element::new(namespace, "bidi")).await?;
            self.bidi = true;
        }
        Ok(())
    }
}

impl Incoming {
    /// Whether a partner asks for stanzas the other way, and may.
    pub(super) fn asks_for_both_ways(&self, element: &Element) -> bool {
        let peer = self.peer.as_deref().unwrap_or_default();
        element.is(NS, "bidi") && self.server.terms(peer).bidi
    }

    /// The partner wants stanzas the other way.
    pub(super) fn goes_both_ways(&mut self) {
        self.bidi = true;
        if self.has(Defect::SendsBackToStrangers) {
            let peer = self.peer.clone().unwrap_or_default();
            self.lead_back(&peer, &self.local);
        }
    }

    /// A pair of domains, the partner's first, may send.
    pub(super) fn trust(&mut self, theirs: String, ours: String) {
        if self.bidi {
            self.lead_back(&theirs, &ours);
        }
        self.verified.insert((theirs, ours));
    }

    /// Stanzas for a pair go out on this stream from now on.
    fn lead_back(&self, theirs: &str, ours: &str) {
        let mut out = self.server.out.lock().expect("no panic under it");
        let pair = (ours.to_owned(), theirs.to_owned());
        out.insert(pair, self.back.clone());
    }

    /// Asks about a key on the stream that brought it.
    pub(super) async fn ask_here(&mut self, question: &Question) -> io::Result<()> {
        let Question {
            id, from, to, key, ..
        } = question;
        let request = dialback::verify_request(to, from, id, key);
        self.link.send(&request).await
    }
}

impl Sending {
    /// Takes a stanza on a stream of the double's own: whether the stream goes on.
    pub(super) async fn comes_back(&mut self, stanza: Element) -> bool {
        let domain = |name| canonical(domain_of(stanza.attribute(name).unwrap_or_default()));
        let pair = (domain("to"), domain("from"));
        let is_own = pair == (self.from.clone(), self.to.clone()) || self.accepted.contains(&pair);
        if self.server.has(Defect::TakesStanzasTheWrongWay) || self.bidi && is_own {
            self.server.deliver(stanza);
        } else if self.bidi {
            let error = super::stanza::stream_error("invalid-from");
            let _ = self.link.send(&error).await;
            return false;
        }
        true
    }

    /// A key of the partner's, on a stream of the double's own: it is asked about elsewhere.
    pub(super) fn key_comes_back(&mut self, request: &Element) {
        if !self.bidi || self.server.has(Defect::LeavesKeysOnItsOwnStream) {
            return;
        }
        let (from, to) = pair(request);
        let question = Question {
            id: self.id.clone(),
            from,
            to,
            key: request.content(),
            chain: Vec::new(),
            answer: self.answer.clone(),
        };
        if self.server.has(Defect::BelievesKeysOnItsOwnStream) {
            let _ = self.answer.send((question, Verdict::Valid));
            return;
        }
        let asking = verify(Arc::clone(&self.server), question);
        self.server.spawn(asking);
    }

    /// The answer of the authoritative server.
    pub(super) async fn decided(&mut self, question: &Question, verdict: &Verdict) {
        let Question { from, to, .. } = question;
        let answer = match verdict {
            Verdict::Valid => Answer::Valid,
            Verdict::Invalid => Answer::Invalid,
            Verdict::Error(condition) => Answer::Error(condition),
        };
        if *verdict == Verdict::Valid {
            self.accepted.insert((to.clone(), from.clone()));
        }
        let result = dialback::result_answer(to, from, answer);
        let _ = self.link.send(&result).await;
    }
}

/// Whether a stanza came before anybody was authenticated, on a stream that goes both ways.
pub(super) fn is_early(outgoing: &Outgoing<'_>, element: &Element) -> bool {
    let is_stanza = Unit::of(element).is_some_and(Unit::is_stanza);
    outgoing.bidi && is_stanza && outgoing.has(Defect::TakesStanzasUnauthenticated)
}
