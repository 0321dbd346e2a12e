//! Compares observations with expectations.

use std::collections::BTreeSet;
use std::time::Duration;

use simulated_partners::event::Party;
use simulated_partners::wire::{Element, Unit};

use super::sequence;
use super::words::describe;
use crate::case::{Expect, Mark, Sees, times};
use crate::observe::Observation;

/// The status of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Met.
    Met,
    /// Tolerated, with the reason.
    Tolerated(String),
    /// Not met; what was observed instead.
    Unmet(String),
}

impl Grade {
    /// Whether no further observation is needed.
    pub fn is_met(&self) -> bool {
        !matches!(self, Self::Unmet(_))
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Met => 0,
            Self::Tolerated(_) => 1,
            Self::Unmet(_) => 2,
        }
    }
}

/// The status of an expectation given all observations. `fill` replaces placeholders.
pub fn grade(
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> Grade {
    let own = match (alone(expect, observations, fill), &expect.warn) {
        (Grade::Met, Some(reason)) => {
            Grade::Tolerated(explained(reason, expect, observations, fill))
        }
        (grade, _) => grade,
    };
    let others = expect
        .or
        .iter()
        .map(|other| grade(other, observations, fill));
    let mut best = own;
    for other in others {
        if other.rank() < best.rank() {
            best = other;
        }
    }
    best
}

/// Why something is only tolerated, with the condition where the scenario allows several.
fn explained(
    reason: &str,
    expect: &Expect,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> String {
    let mut found = observations
        .iter()
        .filter(|observation| is_candidate(expect, observation, fill));
    let condition = found.next().and_then(Observation::condition);
    match condition.filter(|_| expect.condition.len() != 1) {
        Some(condition) => format!("{reason} ({} `{condition}`)", expect.sees),
        None => reason.to_owned(),
    }
}

/// Whether it came only once the partner had given up waiting on that connection: such an end of a stream
/// answers the end that the partner has put to it, and what was wanted is still missing.
fn is_too_late(expect: &Expect, at: usize, observations: &[Observation]) -> bool {
    let by_either = expect.with.get("by").is_some_and(|by| by == "*");
    let seen = &observations[at];
    if expect.is_negative() || by_either || seen.connection.is_none() {
        return false;
    }
    let of_it = |one: &Observation| (&one.at, one.connection) == (&seen.at, seen.connection);
    let mut before = observations[..at].iter();
    before.any(|one| one.sees == Sees::GaveUp && of_it(one))
}

/// Whether it only ends a wait: that answers nothing, and whoever is owed an error for what it did has not got it.
fn answers_nothing(expect: &Expect, observation: &Observation) -> bool {
    let wants_any = expect.sees == Sees::Unit(Unit::StreamError) && expect.condition.is_empty();
    wants_any && !expect.is_negative() && observation.ends_a_wait()
}

/// The status without alternatives.
fn alone(expect: &Expect, observations: &[Observation], fill: &dyn Fn(&str) -> String) -> Grade {
    let near: Vec<&Observation> = observations
        .iter()
        .enumerate()
        .filter(|(at, observation)| {
            is_candidate(expect, observation, fill)
                && is_in_time(expect, *at, observations, fill)
                && !is_too_late(expect, *at, observations)
                && !answers_nothing(expect, observation)
        })
        .map(|(_, observation)| observation)
        .collect();
    let with_condition = |wanted: &[String]| {
        near.iter()
            .filter(|observation| {
                observation
                    .condition()
                    .is_some_and(|condition| wanted.iter().any(|one| fits(one, condition)))
            })
            .copied()
            .collect::<Vec<_>>()
    };
    let exact = if expect.condition.is_empty() {
        near.clone()
    } else {
        with_condition(&expect.condition)
    };
    let exactly = count(expect, &exact, observations);
    if exactly.is_ok() || expect.tolerated.is_empty() {
        return match exactly {
            Ok(()) => Grade::Met,
            Err(why) => Grade::Unmet(describe(&why, expect, &near, observations, fill)),
        };
    }
    let lenient = with_condition(&expect.tolerated);
    match count(expect, &lenient, observations) {
        Ok(()) => {
            let condition = lenient
                .first()
                .and_then(|observation| observation.condition());
            Grade::Tolerated(format!(
                "{} is `{}`, but `{}` would be more specific",
                expect.sees,
                condition.unwrap_or_default(),
                expect.condition.join("` or `")
            ))
        }
        Err(why) => Grade::Unmet(describe(&why, expect, &near, observations, fill)),
    }
}

/// Whether the count is right, and whether values differ where they must.
fn count(
    expect: &Expect,
    found: &[&Observation],
    observations: &[Observation],
) -> Result<(), String> {
    let number = u32::try_from(found.len()).unwrap_or(u32::MAX);
    let most = if expect.never {
        Some(0)
    } else {
        expect.at_most
    };
    let least = expect.at_least.unwrap_or_else(|| u32::from(most.is_none()));
    if number < least {
        return Err(if least == 1 {
            "not seen".to_owned()
        } else {
            format!("seen {}, expected {least}", times(number))
        });
    }
    if let Some(most) = most
        && number > most
    {
        return Err(if most == 0 {
            "seen, and must not be".to_owned()
        } else {
            format!("seen {}, {most} at most", times(number))
        });
    }
    if let Some(attribute) = &expect.distinct {
        let mut values = BTreeSet::new();
        for observation in found {
            let value = value(observation, attribute).unwrap_or_default();
            if !values.insert(value.clone()) {
                return Err(format!("two occurrences have the `{attribute}` `{value}`"));
            }
        }
    }
    if expect.keyed
        && let Some(way) = super::guess::way(found, observations)
    {
        return Err(way);
    }
    let values = |attribute: &String| -> Vec<String> {
        let all = found
            .iter()
            .map(|observation| value(observation, attribute));
        all.map(Option::unwrap_or_default).collect()
    };
    if let Some(attribute) = &expect.ascending {
        sequence::ascends(&values(attribute)).map_err(|why| format!("`{attribute}` {why}"))?;
    }
    if let Some(attribute) = &expect.random {
        sequence::is_random(&values(attribute)).map_err(|why| format!("`{attribute}` {why}"))?;
    }
    Ok(())
}

/// An attribute, or the element's text for `text`.
pub(super) fn value(observation: &Observation, name: &str) -> Option<String> {
    if name == "text" {
        return observation
            .element
            .as_ref()
            .map(|element| element.content().trim().to_owned());
    }
    observation.attribute(name).map(str::to_owned)
}

/// Whether everything except the condition and the time matches.
pub(super) fn is_candidate(
    expect: &Expect,
    observation: &Observation,
    fill: &dyn Fn(&str) -> String,
) -> bool {
    let attributes = || {
        expect.with.iter().all(|(name, wanted)| {
            observation
                .attribute(name)
                .is_some_and(|value| fits(&fill(wanted), value))
        }) && out_of_bounds(expect, observation).next().is_none()
            && expect
                .without
                .iter()
                .all(|name| observation.attribute(name).is_none())
    };
    let inside = || {
        let has = |path: &String| {
            observation
                .element
                .as_ref()
                .is_some_and(|element| leads(element, &fill(path)))
        };
        expect.has.iter().all(has) && !expect.lacks.iter().any(has)
    };
    let texts = || {
        expect.text.as_ref().is_none_or(|wanted| {
            observation
                .element
                .as_ref()
                .is_some_and(|element| fits(&fill(wanted), element.content().trim()))
        }) && expect.hex.is_none_or(|digits| {
            let text = observation
                .element
                .as_ref()
                .map(Element::content)
                .unwrap_or_default();
            let text = text.trim();
            text.len() == usize::from(digits) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        }) && expect
            .raw
            .as_ref()
            .is_none_or(|wanted| fits(&fill(wanted), &observation.raw))
    };
    expect.sees.covers(observation.sees)
        && (observation.by == Party::Target || names_who(expect))
        && expect
            .at
            .as_ref()
            .is_none_or(|name| observation.at.as_deref() == Some(name))
        && expect.on.is_none_or(|on| observation.on == Some(on))
        && expect
            .connection
            .is_none_or(|number| observation.number == number)
        && expect.stage.is_none_or(|stage| observation.stage == stage)
        && attributes()
        && inside()
        && texts()
}

/// The attributes that have to be numbers between bounds, and are not.
pub(super) fn out_of_bounds<'a>(
    expect: &'a Expect,
    observation: &'a Observation,
) -> impl Iterator<Item = &'a String> {
    let number = |name: &str| -> Option<i32> { observation.attribute(name)?.parse().ok() };
    let less = move |(name, least): &(&String, &i32)| number(name).is_none_or(|is| is < **least);
    let more = move |(name, most): &(&String, &i32)| number(name).is_none_or(|is| is > **most);
    let (less, more) = (
        expect.no_less.iter().filter(less),
        expect.no_more.iter().filter(more),
    );
    less.chain(more).map(|(name, _)| name)
}

/// Whether it says itself who ended a connection. Else only what the target did counts.
fn names_who(expect: &Expect) -> bool {
    expect.sees == Sees::Closed && expect.with.contains_key("by")
}

/// Whether it lies between `after` and `before`.
fn is_in_time(
    expect: &Expect,
    at: usize,
    observations: &[Observation],
    fill: &dyn Fn(&str) -> String,
) -> bool {
    let observation = &observations[at];
    let since = match &expect.after {
        None => Some(Duration::ZERO),
        Some(mark) => observations[..at]
            .iter()
            .filter(|other| is_mark(mark, other, observation, fill))
            .nth(nth(mark))
            .map(|other| other.time),
    };
    let Some(since) = since else { return false };
    let early = expect.before.as_ref().is_none_or(|mark| {
        observations[..at]
            .iter()
            .filter(|other| is_mark(mark, other, observation, fill))
            .nth(nth(mark))
            .is_none()
    });
    let soon = expect
        .within
        .is_none_or(|within| observation.time <= since + Duration::from_millis(within.into()));
    early && soon
}

fn nth(mark: &Mark) -> usize {
    mark.nth.map_or(0, |nth| usize::from(nth.saturating_sub(1)))
}

fn is_mark(
    mark: &Mark,
    other: &Observation,
    observation: &Observation,
    fill: &dyn Fn(&str) -> String,
) -> bool {
    let party = if mark.ours {
        Party::Partner
    } else {
        Party::Target
    };
    // Signals and observations without a connection belong to no side.
    let placeless = other.connection.is_none() || other.sees == Sees::Raised;
    let says_who = other.sees == Sees::Closed && mark.with.contains_key("by");
    mark.sees.covers(other.sees)
        && (placeless || says_who || other.by == party)
        && (mark.anywhere
            || placeless
            || observation.connection.is_none()
            || (other.at == observation.at && other.connection == observation.connection))
        && mark.with.iter().all(|(name, wanted)| {
            other
                .attribute(name)
                .is_some_and(|value| fits(&fill(wanted), value))
        })
}

/// Whether a path of local names exists, with `*` as wildcard. Each may have a namespace without slashes,
/// `x@urn:x`, and the last one a text: `mechanism=EXTERNAL`.
pub(super) fn leads(element: &Element, path: &str) -> bool {
    let (step, rest) = match path.split_once('/') {
        Some((step, rest)) => (step, Some(rest)),
        None => (path, None),
    };
    let (name, text) = match step.split_once('=') {
        Some((name, text)) => (name, Some(text)),
        None => (step, None),
    };
    let (name, namespace) = match name.split_once('@') {
        Some((name, namespace)) => (name, Some(namespace)),
        None => (name, None),
    };
    element
        .elements()
        .filter(|child| fits(name, &child.name))
        .filter(|child| namespace.is_none_or(|wanted| child.namespace == wanted))
        .filter(|child| text.is_none_or(|text| fits(text, child.content().trim())))
        .any(|child| rest.is_none_or(|rest| leads(child, rest)))
}

/// Whether a text matches a pattern in which `*` stands for any text.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    if !pattern.contains('*') {
        return rest.is_empty();
    }
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use simulated_partners::event::ConnectionId;

    use super::*;
    use crate::observe;
    use simulated_partners::wire::NS_SERVER;

    fn rising(ids: &[&str]) -> Grade {
        let observations: Vec<Observation> = ids
            .iter()
            .map(|id| Element::new(NS_SERVER, "message").attr("id", id))
            .flat_map(|message| observe::local(&message, Duration::ZERO))
            .collect();
        let expect = Expect {
            ascending: Some("id".to_owned()),
            ..Expect::new(Sees::Delivered)
        };
        grade(&expect, &observations, &str::to_owned)
    }

    #[test]
    fn what_comes_after_the_partner_gave_up_is_too_late() {
        let message = Element::new(NS_SERVER, "message");
        let seen = |sees, number| Observation {
            sees,
            connection: Some(ConnectionId(number)),
            ..observe::local(&message, Duration::ZERO).remove(0)
        };
        let end = |number| {
            let observations = [seen(Sees::GaveUp, 1), seen(Sees::StreamEnd, number)];
            grade(&Expect::new(Sees::StreamEnd), &observations, &str::to_owned)
        };
        assert!(!end(1).is_met());
        assert_eq!(end(2), Grade::Met, "another connection");
        let other = Observation {
            at: Some("other".into()),
            ..seen(Sees::StreamEnd, 1)
        };
        let observations = [seen(Sees::GaveUp, 1), other];
        let graded = grade(&Expect::new(Sees::StreamEnd), &observations, &str::to_owned);
        assert_eq!(graded, Grade::Met, "another partner's");
        let never = Expect {
            never: true,
            ..Expect::new(Sees::StreamEnd)
        };
        let observations = [seen(Sees::GaveUp, 1), seen(Sees::StreamEnd, 1)];
        assert!(!grade(&never, &observations, &str::to_owned).is_met());
    }

    #[test]
    fn numbers_at_the_end_rise_as_numbers() {
        assert_eq!(rising(&["p-9", "p-10", "p-12"]), Grade::Met);
        assert!(!rising(&["p-9", "p-10", "p-10"]).is_met());
        assert!(!rising(&["p-10", "p-9"]).is_met());
        assert!(!rising(&["p-"]).is_met());
    }
}
