//! Wrong doings that an expectation has to notice.
//!
//! From what a target showed and one expectation follow things that a wrong target would show: the
//! wanted thing left out, or with another attribute, condition or child, or the forbidden thing done.
//! An expectation that one of them leaves satisfied proves nothing.

use simulated_partners::event::ConnectionKind;
use simulated_partners::event::{Leg, Party};
use simulated_partners::reaction::Stage;
use simulated_partners::wire::{Element, NS_STREAM, Node, Unit};

use super::grade::{self, grade};
use crate::case::{Expect, Mark, Sees};
use crate::observe::Sight;

/// A text that no scenario wants to see.
const STRANGE: &str = "something-else";

/// What is wrong with an expectation that cannot fail: which wrong doing it does not notice.
pub fn unnoticed(expect: &Expect, sights: &[Sight], fill: &dyn Fn(&str) -> String) -> Vec<String> {
    // What an alternative makes of an altered thing is another matter.
    let own = Expect {
        or: Vec::new(),
        ..expect.clone()
    };
    wrongs(expect, sights, fill)
        .into_iter()
        .filter(|wrong| {
            let held = if wrong.altered { &own } else { expect };
            grade(held, &wrong.sights, fill).is_met()
        })
        .map(|wrong| wrong.what)
        .collect()
}

/// A wrong doing, and what would be seen of it.
struct Wrong {
    what: String,
    sights: Vec<Sight>,
    /// Something is otherwise than wanted, rather than there or not there.
    altered: bool,
}

/// All wrong doings.
fn wrongs(expect: &Expect, sights: &[Sight], fill: &dyn Fn(&str) -> String) -> Vec<Wrong> {
    if expect.is_negative() {
        let most = if expect.never {
            0
        } else {
            expect.at_most.unwrap_or_default()
        };
        let mut seen = sights.to_vec();
        for _ in 0..=most {
            insert(expect, &mut seen, fill);
        }
        return vec![Wrong {
            what: format!("{} is seen", expect.sees),
            sights: seen,
            altered: false,
        }];
    }
    let mut wrongs = vec![Wrong {
        what: format!("{} is left out", expect.sees),
        sights: without(expect, sights, fill),
        altered: false,
    }];
    let mut altered = |what: String, change: &dyn Fn(&mut Sight)| {
        let changed = sights
            .iter()
            .map(|sight| {
                let mut altered = sight.clone();
                if grade::is_candidate(expect, sight, fill) {
                    change(&mut altered);
                }
                altered
            })
            .collect();
        wrongs.push(Wrong {
            what,
            sights: changed,
            altered: true,
        });
    };
    for name in expect.with.keys().filter(|name| expect.with[*name] != "*") {
        altered(format!("{name} is something else"), &|sight| {
            set(sight, name, STRANGE);
        });
    }
    for name in &expect.without {
        altered(format!("{name} is there"), &|sight| {
            set(sight, name, STRANGE)
        });
    }
    if !expect.condition.is_empty() {
        altered("the condition is something else".to_owned(), &|sight| {
            spoil(sight);
        });
    }
    if expect.keyed {
        altered("the key takes no secret".to_owned(), &|sight| {
            if let Some(element) = &mut sight.element {
                element.children = vec![Node::Text("1".to_owned())];
            }
        });
    }
    for path in &expect.lacks {
        let path = fill(path);
        altered(format!("{path} is there"), &|sight| {
            if let Some(element) = &mut sight.element {
                grow(element, &path);
            }
        });
    }
    wrongs
}

/// Whether a sight is what an expectation, or one of its alternatives, looks at.
fn is_for(expect: &Expect, sight: &Sight, fill: &dyn Fn(&str) -> String) -> bool {
    grade::is_candidate(expect, sight, fill)
        || expect.or.iter().any(|other| is_for(other, sight, fill))
}

fn without(expect: &Expect, sights: &[Sight], fill: &dyn Fn(&str) -> String) -> Vec<Sight> {
    sights
        .iter()
        .filter(|sight| !is_for(expect, sight, fill))
        .cloned()
        .collect()
}

fn set(sight: &mut Sight, name: &str, value: &str) {
    match &mut sight.element {
        Some(element) => {
            let made = element.clone();
            *element = attribute(made, name, value);
        }
        None => {
            sight.facts.retain(|known, _| *known != name);
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
fn spoil(sight: &mut Sight) {
    sight.facts.remove("condition");
    if let Some(element) = &mut sight.element {
        element.children.clear();
    }
}

/// Adds what a path of names leads to.
fn grow(element: &mut Element, path: &str) {
    let (step, rest) = path.split_once('/').unwrap_or((path, ""));
    let (name, text) = step.split_once('=').unwrap_or((step, ""));
    let (name, namespace) = name.split_once('@').unwrap_or((name, STRANGE));
    let mut child = Element::new(namespace, name);
    if !text.is_empty() {
        child.children.push(Node::Text(text.to_owned()));
    }
    if !rest.is_empty() {
        grow(&mut child, rest);
    }
    element.children.push(Node::Element(child));
}

/// Puts the forbidden thing where it would be noticed.
fn insert(expect: &Expect, sights: &mut Vec<Sight>, fill: &dyn Fn(&str) -> String) {
    let made = make(expect, fill);
    let marked = |mark: &Mark| {
        let is_it = |sight: &Sight| {
            mark.sees.covers(sight.sees)
                && (sight.leg.is_none()
                    || sight.sees == Sees::Raised
                    || mark.ours == (sight.by == Party::Partner))
                && mark.with.iter().all(|(name, wanted)| {
                    let value = sight.attribute(name);
                    value.is_some_and(|value| grade::fits(&fill(wanted), value))
                })
        };
        let nth = mark.nth.map_or(0, |nth| usize::from(nth.saturating_sub(1)));
        let found = sights.iter().enumerate().filter(|(_, sight)| is_it(sight));
        found.map(|(at, _)| at).nth(nth)
    };
    let (at, near) = match (&expect.after, &expect.before) {
        (Some(mark), _) => match marked(mark) {
            Some(at) => (at + 1, Some(at)),
            None => (sights.len(), None),
        },
        (None, Some(mark)) => (0, marked(mark)),
        (None, None) => (sights.len(), None),
    };
    let fits = |sight: &&Sight| {
        sight.leg.is_some()
            && expect
                .at
                .as_ref()
                .is_none_or(|name| sight.at.as_deref() == Some(name))
            && expect.on.is_none_or(|on| sight.on == Some(on))
    };
    let host = near
        .map(|at| &sights[at])
        .filter(|sight| sight.leg.is_some())
        .or_else(|| sights.iter().find(fits));
    let made = match host {
        Some(host) => Sight {
            at: made.at.or_else(|| host.at.clone()),
            leg: host.leg,
            on: expect.on.or(host.on),
            connection: expect.connection.unwrap_or(host.connection),
            time: host.time,
            ..made
        },
        None => made,
    };
    sights.insert(at.min(sights.len()), made);
}

/// A sight that an expectation is about.
fn make(expect: &Expect, fill: &dyn Fn(&str) -> String) -> Sight {
    let sees = match expect.sees {
        Sees::Stanza | Sees::Anything => Sees::Unit(Unit::Message),
        Sees::Element => Sees::OtherElement,
        one => one,
    };
    let mut sight = Sight {
        sees,
        by: Party::Target,
        at: expect.at.as_deref().map(Into::into),
        leg: Some(Leg(1)),
        on: expect.on.or(Some(ConnectionKind::Outbound)),
        connection: expect.connection.unwrap_or(1),
        stage: expect.stage.unwrap_or(Stage::Clear),
        time: std::time::Duration::ZERO,
        element: element(sees),
        facts: std::collections::BTreeMap::new(),
        raw: expect
            .raw
            .as_deref()
            .map_or_else(|| "".into(), |raw| fill(raw).replace('*', STRANGE).into()),
    };
    let condition = expect
        .condition
        .first()
        .map(|one| one.replace('*', STRANGE));
    match &mut sight.element {
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
            for (name, value) in &expect.with {
                if let Some(known) = FACTS.iter().find(|known| *known == name) {
                    sight.facts.insert(known, fill(value).replace('*', STRANGE));
                }
            }
            sight.facts.extend(condition.map(|one| ("condition", one)));
        }
    }
    sight
}

/// What is known of things that are no elements.
const FACTS: [&str; 24] = [
    "alpn",
    "asked",
    "by",
    "certificate",
    "condition",
    "deflate",
    "downgrade",
    "early-data",
    "fallback",
    "kind",
    "malformed",
    "message",
    "name",
    "offered",
    "renegotiation",
    "resumed",
    "resumes",
    "sni",
    "stream",
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

/// The element that a word stands for.
fn element(sees: Sees) -> Option<Element> {
    match sees {
        Sees::Unit(unit) => Some(unit.element()),
        Sees::Header => Some(Element::prefixed("stream", NS_STREAM, "stream")),
        Sees::MalformedError => Some(Unit::StreamError.element()),
        Sees::Delivered | Sees::Returned => Some(Unit::Message.element()),
        Sees::Answered => Some(Unit::Iq.element()),
        Sees::OtherElement => Some(Element::new(STRANGE, STRANGE)),
        _ => None,
    }
}
