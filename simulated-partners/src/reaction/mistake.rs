//! What a reaction can say in correct words and still get wrong, wherever it is written.

use super::action::hex;
use super::hello::suite;
use super::template::{is_name, repeated_length};
use super::{Await, Do, LONGEST_TEXT, MOST_TIMES, Reaction, When};
use crate::event::ConnectionKind;

/// Attributes that a stream header can be sent without.
const HEADER_ATTRIBUTES: [&str; 6] = ["from", "id", "to", "version", "xml:lang", "xmlns:db"];

/// Longest wait, in milliseconds.
const LONGEST_WAIT: u32 = 600_000;

/// Where in a reaction a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At `when`.
    When,
    /// At the filter of this name.
    Filter(&'static str),
    /// At `do`.
    Actions,
    /// At this action, counted from 0.
    Action(usize),
}

/// What is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// An action that has to do with it, and what it is then.
    pub also: Option<(usize, &'static str)>,
    /// What is wrong, as the beginning of a sentence.
    pub title: String,
    /// What would be right.
    pub help: String,
}

impl Mistake {
    fn new(place: Place, title: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            place,
            also: None,
            title: title.into(),
            help: help.into(),
        }
    }
}

/// All mistakes of one reaction that show without anything around it. Names of placeholders are
/// left to who knows which there are.
pub fn mistakes(reaction: &Reaction) -> Vec<Mistake> {
    let mut found = Vec::new();
    filters(reaction, &mut found);
    if reaction.actions.is_empty() {
        found.push(Mistake::new(
            Place::Actions,
            "a reaction without actions",
            "to say nothing, write `do = [\"ignore\"]`",
        ));
    }
    let last = reaction.actions.len().saturating_sub(1);
    let mut shut = false;
    for (number, action) in reaction.actions.iter().enumerate() {
        let place = Place::Action(number);
        if action.is_last() && number < last {
            found.push(Mistake {
                also: Some((number + 1, "never done")),
                ..Mistake::new(
                    place,
                    "nothing can come after this action",
                    "make it the last one",
                )
            });
        }
        if shut && action.sends() {
            found.push(Mistake::new(
                place,
                "nothing can be sent after `shut`",
                "send it before, or end with `shut`",
            ));
        }
        shut |= *action == Do::Shut;
        place_of(reaction, action, place, &mut found);
        contents(reaction, action, place, &mut found);
    }
    found
}

fn filters(reaction: &Reaction, found: &mut Vec<Mistake>) {
    for (name, is_zero) in [
        ("nth", reaction.nth == Some(0)),
        ("connection", reaction.connection == Some(0)),
    ] {
        if is_zero {
            found.push(Mistake::new(
                Place::Filter(name),
                format!("`{name}` counts from 1"),
                format!("write `{name} = 1` for the first"),
            ));
        }
    }
    if let (Some(right), Some(on)) = (reaction.when.only_on(), reaction.on)
        && on.direction() != right
    {
        found.push(Mistake::new(
            Place::Filter("on"),
            format!(
                "`{}` is never reached on such a connection",
                reaction.when.word()
            ),
            format!("write `on = \"{right}\"`, or leave `on` out"),
        ));
    }
}

/// Whether the action can be done at the point at all.
fn place_of(reaction: &Reaction, action: &Do, place: Place, found: &mut Vec<Mistake>) {
    let when = reaction.when;
    let places = match action {
        _ if when == When::TlsFailed => {
            if !matches!(
                action,
                Do::Raise(_) | Do::Keep(_) | Do::Ignore | Do::Proceed
            ) {
                found.push(Mistake::new(
                    place,
                    "not possible at `tls-failed`: the connection is gone",
                    "expected `raise`, `keep`, `ignore` or `proceed`",
                ));
            }
            return;
        }
        Do::HeaderWithout(_) => &[When::Header, When::Connected, When::Secured][..],
        Do::Features => &[When::Header, When::Features],
        Do::BreakTls | Do::LegacyTls => &[When::ProceedSent, When::ProceedReceived],
        _ => return,
    };
    if !places.contains(&when) {
        let places: Vec<String> = places
            .iter()
            .map(|place| format!("`{}`", place.word()))
            .collect();
        found.push(Mistake::new(
            place,
            format!("not possible at `{}`", when.word()),
            format!("it belongs to {}", places.join(" or ")),
        ));
    }
}

/// Whether what the action says makes sense.
fn contents(reaction: &Reaction, action: &Do, place: Place, found: &mut Vec<Mistake>) {
    let mut tell = |title: String, help: String| found.push(Mistake::new(place, title, help));
    match action {
        Do::HeaderWithout(names) => {
            for name in names {
                if !HEADER_ATTRIBUTES.contains(&name.as_str()) {
                    let known = HEADER_ATTRIBUTES.map(|name| format!("`{name}`"));
                    tell(
                        format!("a stream header has no attribute `{name}`"),
                        format!("expected one of {}", known.join(", ")),
                    );
                }
            }
        }
        // What a value stands for is seen once it is filled in.
        Do::SendBytes(text) if text.contains('{') => {}
        Do::SendBytes(text) => match hex(text) {
            Some(bytes) if bytes.is_empty() => tell(
                "no bytes".to_owned(),
                "write pairs of hexadecimal digits, such as `\"c0 af\"`".to_owned(),
            ),
            Some(_) => {}
            None => tell(
                format!("`{text}` is no hexadecimal"),
                "write pairs of hexadecimal digits, such as `\"c0 af\"`".to_owned(),
            ),
        },
        Do::Hello(hello) => {
            for name in &hello.suites {
                if suite(name).is_none() {
                    tell(
                        format!("`{name}` is no suite that is known here"),
                        "write IANA's name, or its number as `0x1301`".to_owned(),
                    );
                }
            }
        }
        Do::Repeat(repeat) if repeat.times == 0 || repeat.times > MOST_TIMES => tell(
            format!("`times = {}` is out of bounds", repeat.times),
            format!("expected a number from 1 to {MOST_TIMES}"),
        ),
        Do::Repeat(super::Repeat {
            every: Some(time), ..
        }) if *time == 0 || *time > LONGEST_WAIT => tell(
            format!("`every = {time}` is out of bounds"),
            format!("expected milliseconds from 1 to {LONGEST_WAIT}"),
        ),
        Do::Repeat(repeat) if repeat.send.is_empty() => tell(
            "nothing to repeat".to_owned(),
            "write what is to be sent as `send`".to_owned(),
        ),
        Do::Wait(time) if *time == 0 || *time > LONGEST_WAIT => tell(
            format!("`wait = {time}` is out of bounds"),
            format!("expected milliseconds from 1 to {LONGEST_WAIT}"),
        ),
        Do::WaitFor(name) | Do::Raise(name) | Do::Keep(super::Keep { name, .. })
            if !is_name(name) =>
        {
            tell(
                format!("`{name}` is no name for the board"),
                "names are made of lower-case letters, digits and hyphens".to_owned(),
            );
        }
        Do::Await(_) if reaction.actions.last() == Some(&Do::Proceed) => tell(
            "`await` has no effect before `proceed`".to_owned(),
            "leave one of them out".to_owned(),
        ),
        Do::Await(wanted)
            if reaction.on == Some(ConnectionKind::Outbound)
                && !matches!(wanted, Await::Header | Await::Nothing) =>
        {
            tell(
                "a listening partner does not wait for this".to_owned(),
                "expected `await = \"header\"` or `await = \"nothing\"`".to_owned(),
            );
        }
        _ => {}
    }
    if action
        .texts()
        .any(|text| text.len().saturating_add(repeated_length(text)) > LONGEST_TEXT)
    {
        tell(
            "a text that is too long".to_owned(),
            format!("at most {LONGEST_TEXT} bytes; to send more, use `repeat`"),
        );
    }
}
