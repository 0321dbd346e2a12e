//! Mutations of observations that an expectation has to notice.
//!
//! From the observations of a target and one expectation this derives what a wrong target would show: the
//! expected event is missing or has another attribute, condition or child, or the forbidden event occurs.
//! An expectation that is still satisfied by one of them proves nothing.

use std::collections::BTreeMap;

use simulated_partners::event::ConnectionKind;
use simulated_partners::event::{ConnectionId, Party};
use simulated_partners::reaction::Stage;
use simulated_partners::wire::{Element, Node, Unit};

use super::grade::{self, grade};
use crate::case::{Expect, Mark, Sees};
use crate::observe::Observation;

/// A text that no scenario expects.
const STRANGE: &str = "something-else";

/// What is wrong with an expectation that cannot fail: the mutation that it does not notice.
pub fn unnoticed(
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> Vec<String> {
    // Alternatives may accept a mutated event, so they are not considered.
    let own = Expect {
        or: Vec::new(),
        ..expect.clone()
    };
    wrongs(expect, observations, fill)
        .into_iter()
        .filter(|wrong| {
            let held = if wrong.altered { &own } else { expect };
            grade(held, &wrong.observations, fill).is_met()
        })
        .map(|wrong| wrong.what)
        .collect()
}

/// A mutation and the resulting observations.
struct Wrong {
    what: String,
    observations: Vec<Observation>,
    /// Whether something is changed, rather than added or removed.
    altered: bool,
}

/// All mutations.
fn wrongs(
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> Vec<Wrong> {
    if expect.is_negative() {
        let most = if expect.never {
            0
        } else {
            expect.at_most.unwrap_or_default()
        };
        let mut seen = observations.to_vec();
        for _ in 0..=most {
            insert(expect, &mut seen, fill);
        }
        return vec![Wrong {
            what: format!("{} is seen", expect.sees),
            observations: seen,
            altered: false,
        }];
    }
    let mut wrongs = vec![Wrong {
        what: format!("{} is left out", expect.sees),
        observations: without(expect, observations, fill),
        altered: false,
    }];
    let mut altered = |what: String, change: &dyn Fn(&mut Observation)| {
        let changed = observations
            .iter()
            .map(|observation| {
                let mut altered = observation.clone();
                if grade::is_candidate(expect, observation, fill) {
                    change(&mut altered);
                }
                altered
            })
            .collect();
        wrongs.push(Wrong {
            what,
            observations: changed,
            altered: true,
        });
    };
    for name in expect.with.keys().filter(|name| expect.with[*name] != "*") {
        altered(format!("{name} is something else"), &|observation| {
            set(observation, name, STRANGE);
        });
    }
    let beyond = |bounds: &BTreeMap<String, i32>, by: i32| {
        let beyond = |(name, bound): (&String, &i32)| (name.clone(), bound.saturating_add(by));
        bounds.iter().map(beyond).collect::<Vec<_>>()
    };
    for (name, number) in [beyond(&expect.no_less, -1), beyond(&expect.no_more, 1)].concat() {
        altered(format!("{name} is {number}"), &|observation| {
            for (_, value) in observation
                .facts
                .iter_mut()
                .filter(|(known, _)| **known == name)
            {
                *value = number.to_string();
            }
        });
    }
    for name in &expect.without {
        altered(format!("{name} is there"), &|observation| {
            set(observation, name, STRANGE)
        });
    }
    if !expect.condition.is_empty() {
        altered(
            "the condition is something else".to_owned(),
            &|observation| {
                spoil(observation);
            },
        );
    }
    if expect.keyed {
        altered("the key takes no secret".to_owned(), &|observation| {
            if let Some(element) = &mut observation.element {
                element.children = vec![Node::Text("1".to_owned())];
            }
        });
    }
    for path in &expect.lacks {
        let path = fill(path);
        altered(format!("{path} is there"), &|observation| {
            if let Some(element) = &mut observation.element {
                grow(element, &path);
            }
        });
    }
    wrongs
}

/// Whether an observation matches an expectation or one of its alternatives.
fn is_for(expect: &Expect, observation: &Observation, fill: &dyn Fn(&str) -> String) -> bool {
    grade::is_candidate(expect, observation, fill)
        || expect
            .or
            .iter()
            .any(|other| is_for(other, observation, fill))
}

fn without(
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> Vec<Observation> {
    observations
        .iter()
        .filter(|observation| !is_for(expect, observation, fill))
        .cloned()
        .collect()
}

fn set(observation: &mut Observation, name: &str, value: &str) {
    match &mut observation.element {
        Some(element) => {
            let made = element.clone();
            *element = attribute(made, name, value);
        }
        None => {
            observation.facts.retain(|known, _| *known != name);
        }
    }
}

fn attribute(element: Element, name: &str, value: &str) -> Element {
    match name {
        "xml:lang" => element.lang(value),
        name => element.attr(name, value),
    }
}

/// Gives an error another condition.
fn spoil(observation: &mut Observation) {
    observation.facts.remove("condition");
    if let Some(element) = &mut observation.element {
        element.children.clear();
    }
}

/// Adds the elements that a path of names needs.
fn grow(element: &mut Element, path: &str) {
    let (step, rest) = path.split_once('/').unwrap_or((path, ""));
    let (name, text) = step.split_once('=').unwrap_or((step, ""));
    let (name, namespace) = name.split_once('@').unwrap_or((name, STRANGE));
    let mut child = Element::new(namespace, &name.replace('*', "anything"));
    if !text.is_empty() {
        child.children.push(Node::Text(text.to_owned()));
    }
    if !rest.is_empty() {
        grow(&mut child, rest);
    }
    element.children.push(Node::Element(child));
}

/// Inserts the forbidden event where it would be noticed.
fn insert(expect: &Expect, observations: &mut Vec<Observation>, fill: &dyn Fn(&str) -> String) {
    let made = make(expect, fill);
    let marked = |mark: &Mark| {
        let is_it = |observation: &Observation| {
            mark.sees.covers(observation.sees)
                && (observation.connection.is_none()
                    || observation.sees == Sees::Raised
                    || mark.ours == (observation.by == Party::Partner))
                && mark.with.iter().all(|(name, wanted)| {
                    let value = observation.attribute(name);
                    value.is_some_and(|value| grade::fits(&fill(wanted), value))
                })
        };
        let nth = mark.nth.map_or(0, |nth| usize::from(nth.saturating_sub(1)));
        let found = observations
            .iter()
            .enumerate()
            .filter(|(_, observation)| is_it(observation));
        found.map(|(at, _)| at).nth(nth)
    };
    let (at, near) = match (&expect.after, &expect.before) {
        (Some(mark), _) => match marked(mark) {
            Some(at) => (at + 1, Some(at)),
            None => (observations.len(), None),
        },
        (None, Some(mark)) => (0, marked(mark)),
        (None, None) => (observations.len(), None),
    };
    let fits = |observation: &&Observation| {
        observation.connection.is_some()
            && expect
                .at
                .as_ref()
                .is_none_or(|name| observation.at.as_deref() == Some(name))
            && expect.on.is_none_or(|on| observation.on == Some(on))
    };
    let host = near
        .map(|at| &observations[at])
        .filter(|observation| observation.connection.is_some())
        .or_else(|| observations.iter().find(fits));
    let made = match host {
        Some(host) => Observation {
            at: made.at.or_else(|| host.at.clone()),
            connection: host.connection,
            on: expect.on.or(host.on),
            number: expect.connection.unwrap_or(host.number),
            time: host.time,
            ..made
        },
        None => made,
    };
    observations.insert(at.min(observations.len()), made);
}

/// An observation that an expectation matches.
fn make(expect: &Expect, fill: &dyn Fn(&str) -> String) -> Observation {
    let sees = match expect.sees {
        Sees::Stanza | Sees::Anything => Sees::Unit(Unit::Message),
        Sees::Element => Sees::OtherElement,
        one => one,
    };
    let mut observation = Observation {
        sees,
        by: Party::Target,
        at: expect.at.as_deref().map(Into::into),
        connection: Some(ConnectionId(1)),
        on: expect.on.or(Some(ConnectionKind::Outbound)),
        number: expect.connection.unwrap_or(1),
        stage: expect.stage.unwrap_or(Stage::Clear),
        time: std::time::Duration::ZERO,
        element: sees.element(),
        facts: BTreeMap::new(),
        raw: expect
            .raw
            .as_deref()
            .map_or_else(|| "".into(), |raw| fill(raw).replace('*', STRANGE).into()),
    };
    let condition = expect
        .condition
        .first()
        .map(|one| one.replace('*', STRANGE));
    match &mut observation.element {
        Some(element) => {
            let mut made = element.clone();
            for (name, value) in &expect.with {
                made = attribute(made, name, &fill(value).replace('*', STRANGE));
            }
            for path in &expect.has {
                grow(&mut made, &fill(path));
            }
            if let Some(text) = &expect.text {
                made.children
                    .push(Node::Text(fill(text).replace('*', STRANGE)));
            }
            if let Some(condition) = condition {
                made = with_condition(made, sees, &condition);
            }
            *element = made;
        }
        None => {
            let bounds = expect.no_less.iter().chain(&expect.no_more);
            let bounds = bounds.map(|(name, bound)| (name, bound.to_string()));
            let with = expect.with.iter().map(|(name, value)| (name, fill(value)));
            for (name, value) in bounds.chain(with) {
                if let Some(known) = FACTS.iter().find(|known| *known == name) {
                    observation.facts.insert(known, value.replace('*', STRANGE));
                }
            }
            observation
                .facts
                .extend(condition.map(|one| ("condition", one)));
        }
    }
    observation
}

/// Properties of observations that are not elements.
const FACTS: [&str; 33] = [
    "alpn",
    "asked",
    "bits",
    "by",
    "ca",
    "certificate",
    "certificates",
    "condition",
    "days",
    "days-left",
    "deflate",
    "downgrade",
    "early-data",
    "fallback",
    "key",
    "kind",
    "malformed",
    "message",
    "name",
    "names",
    "offered",
    "purposes",
    "renegotiation",
    "resumed",
    "resumes",
    "sni",
    "stream",
    "subject",
    "suite",
    "suites",
    "tcp",
    "version",
    "versions",
];

fn with_condition(element: Element, sees: Sees, condition: &str) -> Element {
    let unit = match sees {
        Sees::Unit(unit) => unit,
        _ => Unit::Message,
    };
    unit.with_condition(element, condition)
}
