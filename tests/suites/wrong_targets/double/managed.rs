//! Streams that are managed: stanzas are counted, acknowledged, and sent again (XEP-0198).

use std::collections::VecDeque;
use std::io;

use simulated_partners::wire::{Element, Unit};

use super::defect::Defect;
use super::incoming::{Incoming, Next};
use super::outgoing::{Outgoing, Refused};

pub(super) const NS: &str = "urn:xmpp:sm:3";

/// Stanzas that wait for an acknowledgement.
const UNACKNOWLEDGED: usize = 300;

/// What can be resumed of a stream that a partner has opened.
pub(super) struct Session {
    /// Who has opened it.
    peer: String,
    received: u32,
}

/// A managed stream that a partner has opened.
pub(super) struct Counted {
    id: String,
    received: u32,
}

/// A managed stream of the double's own.
#[derive(Default)]
pub(super) struct Kept {
    /// By which id it can be resumed, if so.
    pub(super) id: Option<String>,
    /// How many of its stanzas the partner has acknowledged.
    acknowledged: u32,
    /// What was sent since, oldest first.
    unacknowledged: VecDeque<Element>,
    /// How many stanzas have come on it.
    received: u32,
}

impl Kept {
    pub(super) fn sent(&mut self, stanza: &Element) {
        if Unit::of(stanza).is_some_and(Unit::is_stanza) {
            self.unacknowledged.push_back(stanza.clone());
        }
    }

    /// Whether no more may wait for an acknowledgement.
    pub(super) fn is_full(&self) -> bool {
        self.unacknowledged.len() >= UNACKNOWLEDGED
    }

    /// Drops what the partner has, by its count.
    fn acknowledge(&mut self, element: &Element) {
        let count: u32 = element
            .attribute("h")
            .and_then(|count| count.parse().ok())
            .unwrap_or_default();
        while self.acknowledged < count && self.unacknowledged.pop_front().is_some() {
            self.acknowledged += 1;
        }
    }

    /// Takes an element of the partner; the answer, if there is one.
    pub(super) fn takes(&mut self, element: &Element) -> Option<Element> {
        if Unit::of(element).is_some_and(Unit::is_stanza) {
            self.received += 1;
        } else if element.is(NS, "a") {
            self.acknowledge(element);
        } else if element.is(NS, "r") {
            return Some(Element::new(NS, "a").attr("h", &self.received.to_string()));
        }
        None
    }

    /// What the partner has not acknowledged.
    pub(super) fn rest(&mut self) -> VecDeque<Element> {
        std::mem::take(&mut self.unacknowledged)
    }
}

impl Outgoing<'_> {
    /// Has the stream managed if that is offered, or resumes the one before.
    pub(super) async fn manage(&mut self, before: Option<Kept>) -> Result<Option<Kept>, Refused> {
        let offered = self.last.elements().any(|one| one.is(NS, "sm"));
        if !offered || !self.server.terms(self.to).managed {
            return Ok(before);
        }
        if let Some(mut kept) = before {
            let Some(id) = kept.id.clone() else {
                return Ok(Some(kept));
            };
            let resume = Element::new(NS, "resume")
                .attr("previd", &id)
                .attr("h", &kept.received.to_string());
            self.link.send(&resume).await?;
            let answer = self.element().await?;
            if answer.is(NS, "resumed") && !self.has(Defect::ResendsEverything) {
                kept.acknowledge(&answer);
            }
            return Ok(Some(kept));
        }
        let enable = Element::new(NS, "enable").attr("resume", "true");
        self.link.send(&enable).await?;
        let answer = self.element().await?;
        let resumes = answer.attribute("resume") == Some("true");
        let id = answer.attribute("id").filter(|_| resumes);
        Ok(answer.is(NS, "enabled").then(|| Kept {
            id: id.map(str::to_owned),
            ..Kept::default()
        }))
    }
}

impl Incoming {
    /// Counts what arrives.
    pub(super) fn count(&mut self, element: &Element) {
        let is_stanza = Unit::of(element).is_some_and(Unit::is_stanza);
        if is_stanza {
            self.stanzas += 1;
        }
        let counts = is_stanza || self.has(Defect::CountsAllElements);
        if let Some(mut counted) = self.counted.take() {
            counted.received += u32::from(counts);
            self.keep(&counted);
            self.counted = Some(counted);
        }
    }

    /// An element of XEP-0198.
    pub(super) async fn managing(&mut self, element: &Element) -> io::Result<Next> {
        let peer = self.peer.clone().unwrap_or_default();
        match element.name.as_str() {
            "enable" if self.has(Defect::LeavesEnableUnanswered) => {}
            "enable" if self.counted.is_some() && !self.has(Defect::EnablesAgain) => {
                self.link.send(&Element::new(NS, "failed")).await?;
            }
            "enable" => {
                let counted = Counted {
                    id: self.server.stream_id(),
                    received: match self.has(Defect::CountsFromTheBeginning) {
                        true => self.stanzas,
                        false => 0,
                    },
                };
                let enabled = Element::new(NS, "enabled")
                    .attr("id", &counted.id)
                    .attr("resume", "true");
                self.link.send(&enabled).await?;
                self.keep(&counted);
                self.counted = Some(counted);
            }
            "r" => {
                let received = self.counted.as_ref().map_or(0, |counted| counted.received);
                let answer = Element::new(NS, "a").attr("h", &received.to_string());
                self.link.send(&answer).await?;
            }
            "resume" => {
                let id = element.attribute("previd").unwrap_or_default();
                let session = self.resumed(id, &peer);
                let answer = match session {
                    Some(session) => {
                        let received = match self.has(Defect::ForgetsTheCount) {
                            true => 0,
                            false => session.received,
                        };
                        Element::new(NS, "resumed")
                            .attr("previd", id)
                            .attr("h", &received.to_string())
                    }
                    None => Element::new(NS, "failed"),
                };
                self.link.send(&answer).await?;
            }
            _ => {}
        }
        Ok(Next::On)
    }

    /// The stream of this id, if its owner asks for it.
    fn resumed(&self, id: &str, peer: &str) -> Option<Session> {
        let mut sessions = self.server.sessions.lock().expect("no panic under it");
        let session = sessions.get(id)?;
        let is_owner = session.peer == peer || self.has(Defect::ResumesForAnybody);
        if is_owner { sessions.remove(id) } else { None }
    }

    /// Keeps the stream for its owner, as it is now.
    fn keep(&self, counted: &Counted) {
        let session = Session {
            peer: self.peer.clone().unwrap_or_default(),
            received: counted.received,
        };
        let mut sessions = self.server.sessions.lock().expect("no panic under it");
        sessions.insert(counted.id.clone(), session);
    }
}
