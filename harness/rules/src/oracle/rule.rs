//! A rule, and the look-up of the first one that holds.

use crate::case::{Case, Direction};

use super::seen::Seen;
use super::situation::{Profile, Situation};
use super::{inbound, outbound};
use crate::expectation::{Allowed, Expectation};

/// A line of a rule table. The first line that holds decides.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, such as `out.6.good.external`: the step of the table, then what tells it apart.
    pub id: &'static str,
    /// The clause behind it.
    pub clause: &'static str,
    /// What it says, in a sentence.
    pub says: &'static str,
    /// Whether it decides, given that no earlier line did.
    pub(super) holds: fn(&Seen) -> bool,
    /// The allowed ends, the expected one first.
    pub(super) ends: fn(&Seen) -> Vec<Allowed>,
}

/// The table of a direction, in order.
pub fn rules(direction: Direction) -> &'static [Rule] {
    match direction {
        Direction::Outbound => &outbound::RULES,
        Direction::Inbound => &inbound::RULES,
    }
}

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    [Direction::Outbound, Direction::Inbound]
        .into_iter()
        .flat_map(rules)
        .find(|rule| rule.id == id)
}

/// What a case may end in. None where its scenario says what is allowed.
pub fn allowed(case: &Case, profile: Profile) -> Option<Expectation> {
    case.scenario()
        .is_none()
        .then(|| expectation(&Situation::of(case, profile)))
}

/// What a situation may end in.
pub fn expectation(situation: &Situation<'_>) -> Expectation {
    decide(situation.direction, &Seen::of(situation))
}

/// The same for a situation that is already in symbols.
pub(super) fn decide(direction: Direction, seen: &Seen) -> Expectation {
    let rule = rules(direction)
        .iter()
        .find(|rule| (rule.holds)(seen))
        .expect("the last line of each table always holds");
    Expectation {
        rule: rule.id,
        clause: rule.clause,
        allowed: merged((rule.ends)(seen)),
    }
}

/// Each end once, at its first place; free of a ground if it is so anywhere.
fn merged(ends: Vec<Allowed>) -> Vec<Allowed> {
    let mut merged: Vec<Allowed> = Vec::with_capacity(ends.len());
    for allowed in ends {
        match merged.iter_mut().find(|known| known.end == allowed.end) {
            Some(known) => known.warn = known.warn.and(allowed.warn),
            None => merged.push(allowed),
        }
    }
    merged
}
