//! The stanzas of partners: which of them get to the inner side.

use std::io;

use simulated_partners::stanza::domain_of;
use simulated_partners::wire::{Element, NS_STANZAS, NS_XML, Node, Unit};

use super::defect::Defect;
use super::incoming::{Incoming, Next};
use super::managed;
use super::names::canonical;
use super::stanza::{error, is_address, is_faulty};

/// Bytes that a stanza may have.
const STANZA: usize = 262_144;

impl Incoming {
    pub(super) async fn stanza(&mut self, stanza: Element) -> io::Result<Next> {
        let attribute = |name| stanza.attribute(name).unwrap_or_default().to_owned();
        let (sender, recipient) = (attribute("from"), attribute("to"));
        if self.verified.is_empty() && !self.has(Defect::RelaysStrangers) {
            return match self.has(Defect::DropsStrangersSilently) {
                true => Ok(Next::On),
                false => self.fail("not-authorized").await,
            };
        }
        if stanza.prefix.is_some() && !self.has(Defect::DeliversPrefixes) {
            return self.fail("bad-namespace-prefix").await;
        }
        let length = stanza.to_xml().len();
        if length > STANZA && self.has(Defect::DropsWhatIsTooLarge) {
            return Ok(Next::On);
        }
        if self.has(Defect::RefusesRareCharacters) && stanza.to_xml().contains('\u{7f}') {
            return Ok(Next::On);
        }
        self.bytes += length;
        if self.bytes > STANZA && self.has(Defect::CountsBytesOfAllStanzas) {
            return self.fail("policy-violation").await;
        }
        if !self.pending.is_empty() && self.has(Defect::RefusesWhileVerifying) {
            return self.fail("not-authorized").await;
        }
        let lacks_sender = sender.is_empty() && !self.has(Defect::NeedsNoSender);
        let lacks_recipient = recipient.is_empty() && !self.has(Defect::NeedsNoRecipient);
        if lacks_sender || lacks_recipient {
            return self.fail("improper-addressing").await;
        }
        let lower = |domain: &str| match self.server.defect {
            Some(Defect::ComparesCapitals) => domain.to_owned(),
            Some(Defect::KeepsFinalDots | Defect::KnowsNoForeignNames) => {
                domain.to_ascii_lowercase()
            }
            _ => canonical(domain),
        };
        let (from, to) = (lower(domain_of(&sender)), lower(domain_of(&recipient)));
        let is_verified = self.verified.iter().any(|(theirs, ours)| {
            let sends = *theirs == from
                || self.has(Defect::ComparesEndsOfSenders) && theirs.ends_with(&from)
                || self.has(Defect::ComparesEndsOfSenders) && from.ends_with(theirs.as_str())
                || self.has(Defect::ComparesBeginningsOfSenders)
                    && from.starts_with(theirs.as_str())
                || self.has(Defect::TakesAnySender)
                || self.has(Defect::NeedsNoSender) && from.is_empty();
            sends && (*ours == to || self.has(Defect::TakesAnyDomainOfOurs))
        });
        let well_formed = [&sender, &recipient]
            .into_iter()
            .all(|address| address.is_empty() || is_address(address));
        if !well_formed && !self.has(Defect::TakesAnyAddress) {
            return self.fail("improper-addressing").await;
        }
        let stranger = !self.verified.iter().any(|(theirs, _)| *theirs == from);
        if !is_verified && !self.has(Defect::RelaysStrangers) {
            if self.has(Defect::NeedsNoRecipient) && recipient.is_empty() {
                self.server.deliver(stanza);
                return Ok(Next::On);
            }
            if stranger {
                return self.fail("invalid-from").await;
            }
            if self.has(Defect::RelaysToAnybody) && !self.server.is_ours(&to) {
                self.server.relay(stanza);
                return Ok(Next::On);
            }
            return self.fail("host-unknown").await;
        }
        if is_faulty(&stanza) {
            if self.has(Defect::AnswersFaultyRequests) {
                let answer = simulated_partners::stanza::result(&stanza);
                self.link.send(&answer).await?;
                return Ok(Next::On);
            }
            let answer = self.objection(&stanza, "bad-request");
            if self.has(Defect::ErrorsOnTheWayIn) {
                self.link.send(&answer).await?;
                return Ok(Next::On);
            }
            self.server.route(answer);
            return Ok(Next::On);
        }
        self.reply_here(&stanza).await?;
        let is_answer = matches!(stanza.attribute("type"), Some("error" | "result"));
        if is_answer && self.has(Defect::AnswersErrors) {
            self.server.route(error(&stanza, "service-unavailable"));
        }
        if Unit::Message.is(&stanza) && !is_answer && self.has(Defect::MessagesFindNobody) {
            self.server.route(error(&stanza, "item-not-found"));
            return Ok(Next::On);
        }
        if self.has(Defect::AnswersTwice) && !is_answer {
            for _ in 0..2 {
                self.server.route(error(&stanza, "service-unavailable"));
            }
        }
        let more = self.link.has_unread() && self.has(Defect::DeliversOutOfOrder);
        if more && self.held.is_none() {
            self.held = Some(stanza);
            return Ok(Next::On);
        }
        if self.has(Defect::SendsFeaturesAgain) {
            let late = Element::new(managed::NS, "sm");
            let features = Unit::Features.element().child(late);
            self.link.send(&features).await?;
        }
        let stanza = self.in_its_language(stanza);
        self.server.deliver(stanza);
        if let Some(held) = self.held.take() {
            self.server.deliver(held);
        }
        Ok(Next::On)
    }

    /// The error that answers a stanza.
    fn objection(&self, stanza: &Element, condition: &str) -> Element {
        let mut answer = error(stanza, condition);
        if self.has(Defect::ErrorsOfTwoConditions) {
            for child in &mut answer.children {
                if let Node::Element(error) = child {
                    let second = Element::new(NS_STANZAS, "undefined-condition");
                    error.children.push(Node::Element(second));
                }
            }
        }
        answer
    }

    /// A stanza with the language that it has by its stream.
    fn in_its_language(&self, stanza: Element) -> Element {
        let tag = |element: &Element| {
            let mut attributes = element.attributes.iter();
            let found = attributes.find(|one| one.namespace == NS_XML && one.name == "lang");
            found.map(|one| one.value.clone())
        };
        match tag(&self.echo).filter(|language| language != "en") {
            Some(language)
                if tag(&stanza).is_none() && !self.has(Defect::LosesTheLanguageOfStreams) =>
            {
                stanza.lang(&language)
            }
            Some(_) | None => stanza,
        }
    }

    /// What a server answers that takes the partner's stream for its own.
    pub(super) async fn reply_here(&mut self, stanza: &Element) -> io::Result<()> {
        if self.has(Defect::AnswersOnTheWayIn) && Unit::Iq.is(stanza) {
            let answer = simulated_partners::stanza::result(stanza);
            self.link.send(&answer).await?;
        }
        Ok(())
    }
}
