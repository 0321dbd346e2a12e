//! How directly an unmet expectation shows a defect.

use simulated_partners::event::Party;

use super::grade;
use crate::case::{Expect, Sees};
use crate::finding::Sign;
use crate::observe::Observation;

/// The most direct sign that an unmet expectation, or one of its alternatives, gives.
pub(super) fn sign(
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> Sign {
    let others = expect.or.iter();
    others
        .map(|other| sign(other, observations, fill))
        .fold(own(expect, observations, fill), Sign::min)
}

fn own(expect: &Expect, observations: &[Observation], fill: &dyn Fn(&str) -> String) -> Sign {
    if expect.is_negative() {
        return Sign::Wrong;
    }
    let found = || {
        observations
            .iter()
            .filter(|observation| grade::is_candidate(expect, observation, fill))
    };
    let least = usize::try_from(expect.at_least.unwrap_or(1)).unwrap_or(usize::MAX);
    match found().count() {
        0 if is_there_but_differs(expect, observations, fill) => Sign::Wrong,
        0 => Sign::Missing,
        // It came, but at another time than between its marks.
        number if number < least || expect.after.is_some() || expect.before.is_some() => Sign::Few,
        _ => Sign::Wrong,
    }
}

/// Whether the target sent what is expected, with other attributes or children.
pub(super) fn is_there_but_differs(
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> bool {
    let has_content = !expect.with.is_empty()
        || !expect.without.is_empty()
        || !expect.has.is_empty()
        || !expect.lacks.is_empty()
        || expect.text.is_some()
        || expect.hex.is_some()
        || expect.raw.is_some();
    let is_other_stanza = is_named_by_its_id(expect.sees) && !expect.with.contains_key("id");
    // Either side may end a connection.
    if !has_content || is_other_stanza || expect.sees == Sees::Closed {
        return false;
    }
    // A stanza with another id is another stanza.
    let mut bare = Expect {
        at: expect.at.clone(),
        on: expect.on,
        connection: expect.connection,
        stage: expect.stage,
        ..Expect::new(expect.sees)
    };
    if is_named_by_its_id(expect.sees) {
        bare.with = expect.with.clone();
        bare.with.retain(|name, _| name == "id");
    }
    let differs = |observation: &&Observation| {
        observation.by == Party::Target
            && grade::is_candidate(&bare, observation, fill)
            && !grade::is_candidate(expect, observation, fill)
    };
    observations.iter().any(|one| differs(&one))
}

fn is_named_by_its_id(sees: Sees) -> bool {
    match sees {
        Sees::Stanza | Sees::Delivered | Sees::Answered | Sees::Returned => true,
        Sees::Unit(unit) => unit.is_stanza(),
        _ => false,
    }
}
