//! What is wrong with an unmet expectation, in words.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use simulated_partners::event::Party;

use super::grade::{fits, leads, out_of_bounds};
use crate::case::{Expect, Sees};
use crate::observe::Observation;

/// What is wrong, with the nearest match.
pub(super) fn describe(
    why: &str,
    expect: &Expect,
    near: &[&Observation],
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> String {
    /// The maximum number listed.
    const SHOWN: usize = 3;
    let mut text = why.to_owned();
    let conditions: BTreeSet<&str> = near
        .iter()
        .filter_map(|observation| observation.condition())
        .collect();
    if !expect.condition.is_empty() && !conditions.is_empty() && !expect.is_negative() {
        let conditions: Vec<&str> = conditions.into_iter().collect();
        let _ = write!(text, ", but with `{}`", conditions.join("`, `"));
        return text;
    }
    if expect.is_negative() {
        if let Some(first) = near.first() {
            let _ = write!(text, ": {}", short(first));
        }
        return text;
    }
    let alike = || {
        observations.iter().filter(|observation| {
            expect.sees.covers(observation.sees) && observation.by == Party::Target
        })
    };
    let differing: BTreeSet<String> = alike()
        .map(|observation| differences(expect, observation, fill))
        .filter(|differences| !differences.is_empty())
        .collect();
    if let Some(nearest) = differing
        .iter()
        .min_by_key(|text| text.matches(", ").count())
    {
        let _ = write!(text, "; there was {} with {nearest}", expect.sees);
        return text;
    }
    let alike: Vec<String> = alike().take(SHOWN).map(short).collect();
    if !alike.is_empty() {
        let _ = write!(text, "; there was {}", alike.join(", "));
        return text;
    }
    let on_the_wire = || {
        observations
            .iter()
            .filter(|observation| observation.connection.is_some())
    };
    if !on_the_wire().any(|observation| observation.by == Party::Target) {
        text.push_str("; the target showed nothing");
        return text;
    }
    // What the target did last, and what the partner did at last.
    let target = |observation: &&Observation| observation.by == Party::Target;
    let first = on_the_wire().rev().filter(target).nth(SHOWN - 1);
    let since = first.map_or(Duration::ZERO, |observation| observation.time);
    let mut last: Vec<String> = on_the_wire()
        .skip_while(|observation| observation.time < since)
        .filter(|observation| observation.sees != Sees::Declaration)
        .map(told)
        .collect();
    let skipped = last.len().saturating_sub(2 * SHOWN);
    last.drain(..skipped);
    let _ = write!(text, "; the last there was: {}", last.join(", "));
    text
}

/// In which attributes and children an observation differs from what is expected.
fn differences(
    expect: &Expect,
    observation: &Observation,
    fill: &dyn Fn(&str) -> String,
) -> String {
    let attributes =
        expect
            .with
            .iter()
            .filter_map(|(name, wanted)| match observation.attribute(name) {
                Some(value) if fits(&fill(wanted), value) => None,
                Some(value) => Some(format!("{name}='{}'", cut(value))),
                None => Some(format!("no `{name}`")),
            });
    let bounds = out_of_bounds(expect, observation).map(|name| match observation.attribute(name) {
        Some(value) => format!("{name}='{}'", cut(value)),
        None => format!("no `{name}`"),
    });
    let added = expect.without.iter().filter_map(|name| {
        let value = observation.attribute(name)?;
        Some(format!("{name}='{}'", cut(value)))
    });
    let holds = |path: &String| {
        let element = observation.element.as_ref();
        element.is_some_and(|element| leads(element, &fill(path)))
    };
    let missing = expect.has.iter().filter(|path| !holds(path));
    let present = expect.lacks.iter().filter(|path| holds(path));
    let differences: Vec<String> = attributes
        .chain(bounds)
        .chain(added)
        .chain(missing.map(|path| format!("no {}", cut(path))))
        .chain(present.map(|path| cut(path)))
        .collect();
    differences.join(", ")
}

/// A value, as far as it fits into a sentence.
fn cut(value: &str) -> String {
    const SHOWN: usize = 60;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// Who did what: `features`, `auth by partner`, `closed fin by target`.
fn told(observation: &Observation) -> String {
    let mut text = observation.sees.to_string();
    if let Some(condition) = observation.condition() {
        let _ = write!(text, " {condition}");
    }
    match (observation.sees, observation.attribute("by")) {
        (Sees::Closed, Some(by)) => {
            let _ = write!(text, " by {by}");
        }
        _ if observation.by == Party::Partner => text.push_str(" by partner"),
        _ => {}
    }
    text
}

/// A short description of an observation.
fn short(observation: &Observation) -> String {
    const SHOWN: usize = 120;
    let mut text = if observation.raw.is_empty() {
        let facts: Vec<String> = observation
            .facts
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{} {}", observation.sees, facts.join(" "))
    } else {
        observation.raw.to_string()
    };
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push('…');
    }
    text.trim_end().to_owned()
}
