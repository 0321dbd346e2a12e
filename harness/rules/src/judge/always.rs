//! What no target may do in any scenario, whether its file speaks of it or not.
//!
//! A scenario says what follows from its own stimulus. That an answer leaves by the right stream, and that
//! bytes are a legal stream at all, holds everywhere: a target that gets one thing right by doing
//! another wrong has not passed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use simulated_partners::event::{ConnectionId, ConnectionKind, Party};
use simulated_partners::stanza::domain_of;
use simulated_partners::wire::{Element, Unit};

use crate::case::{Expect, Sees};
use crate::finding::Step;
use crate::observe::Observation;

/// Something that is wrong in every scenario.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Breach {
    /// The requirement that it breaks; none for that of the scenario.
    pub(super) requirement: Option<&'static str>,
    /// The part of the negotiation that it belongs to.
    pub(super) step: Step,
    /// What was seen, in a sentence.
    pub(super) text: String,
}

/// The namespace in which a side asks for bidirectionality (XEP-0288 §3).
const BIDI: &str = "urn:xmpp:bidi";

type Place<'a> = (Option<&'a Arc<str>>, ConnectionId);

/// What is known of a connection up to some point.
#[derive(Default)]
struct Course<'a> {
    /// Whether stanzas may travel both ways.
    both_ways: bool,
    /// The domains of the target that the stream is for.
    domains: BTreeSet<&'a str>,
}

/// What the target did that no scenario allows, each thing once.
pub(super) fn breaches(expected: &[Expect], observations: &[Observation]) -> BTreeSet<Breach> {
    let mut courses: BTreeMap<Place<'_>, Course<'_>> = BTreeMap::new();
    let mut found = BTreeSet::new();
    let faults_count = !expected.iter().any(speaks_of_faults);
    for observation in observations {
        let (Some(connection), Some(on)) = (observation.connection, observation.on) else {
            continue;
        };
        let course = courses
            .entry((observation.at.as_ref(), connection))
            .or_default();
        let by_target = observation.by == Party::Target;
        if by_target && observation.sees == Sees::Illegal && faults_count {
            found.extend(observation.condition().map(|fault| Breach {
                requirement: None,
                step: observation.sees.step(),
                text: format!("the target sent what is not a legal stream: {fault}"),
            }));
        }
        let Some(element) = &observation.element else {
            continue;
        };
        course.learn(observation, element);
        if by_target && !course.both_ways {
            found.extend(course.wrong_way(observation, element, on));
        }
    }
    found
}

/// Whether an expectation judges faults itself.
fn speaks_of_faults(expect: &Expect) -> bool {
    expect.sees == Sees::Illegal || expect.or.iter().any(speaks_of_faults)
}

impl<'a> Course<'a> {
    fn learn(&mut self, observation: &Observation, element: &'a Element) {
        if element.is(BIDI, "bidi") {
            self.both_ways = true;
        }
        match (observation.sees, observation.by) {
            (Sees::Header, Party::Target) => self.domains.extend(element.attribute("from")),
            (Sees::Unit(Unit::DbResult), Party::Partner)
                if element.attribute("type") == Some("valid") =>
            {
                self.domains.extend(element.attribute("to"));
            }
            _ => {}
        }
    }

    /// What leaves by a stream that it may not leave by.
    fn wrong_way(
        &self,
        observation: &Observation,
        element: &Element,
        on: ConnectionKind,
    ) -> Option<Breach> {
        let Sees::Unit(unit) = observation.sees else {
            return None;
        };
        let own = on == ConnectionKind::Outbound;
        let is_answer = element.attribute("type").is_some();
        // An error speaks in the name of whoever was meant.
        let is_error = element.attribute("type") == Some("error");
        let (requirement, text) = match unit {
            unit if unit.is_stanza() && !own => (
                "STR-33",
                "sent a stanza on a stream that the partner opened",
            ),
            unit if unit.is_stanza() && !is_error && !self.is_for(element) => (
                "ADR-09",
                "sent a stanza of a domain that its stream is not for",
            ),
            Unit::DbResult if is_answer && own => {
                ("DB-43", "answered a key on a stream that it opened itself")
            }
            Unit::DbResult if !is_answer && !own => {
                ("DB-33", "sent its key on a stream that the partner opened")
            }
            Unit::DbVerify if is_answer && own => (
                "DB-90",
                "answered a request to verify on a stream that it opened itself",
            ),
            _ => return None,
        };
        Some(Breach {
            requirement: Some(requirement),
            step: observation.sees.step(),
            text: format!("the target {text}"),
        })
    }

    /// Whether the sender of a stanza is of a domain that the stream is for.
    fn is_for(&self, stanza: &Element) -> bool {
        let from = domain_of(stanza.attribute("from").unwrap_or_default());
        let mut domains = self.domains.iter();
        self.domains.is_empty() || domains.any(|own| own.eq_ignore_ascii_case(from))
    }
}
