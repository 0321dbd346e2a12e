//! Checks the meaning of a reaction that has the correct form.

use std::ops::Range;

use super::action::hex;
use super::hello::suite;
use super::template::{is_name, repeated_length};
use super::{Await, Do, LONGEST_TEXT, MOST_TIMES, Reaction, Signal, When};
use crate::diagnostic::Diagnostic;
use crate::event::ConnectionKind;

/// Attributes that can be left out of a stream header.
const HEADER_ATTRIBUTES: [&str; 6] = ["from", "id", "to", "version", "xml:lang", "xmlns:db"];

/// The longest wait, in milliseconds.
const LONGEST_WAIT: u32 = 600_000;

/// All mistakes of one reaction that are visible on their own. Placeholder names are
/// checked by callers who know them. `place` gives the place of a key, such as `when` or `do.0`.
pub fn mistakes(reaction: &Reaction, place: &dyn Fn(&str) -> Range<usize>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    filters(reaction, place, &mut found);
    if reaction.actions.is_empty() {
        found.push(
            Diagnostic::new(place("do"), "a reaction without actions")
                .help("to say nothing, write `do = [\"no-reply\"]`"),
        );
    }
    let last = reaction.actions.len().saturating_sub(1);
    let mut shut = false;
    for (number, action) in reaction.actions.iter().enumerate() {
        let span = place(&format!("do.{number}"));
        if action.is_last() && number < last {
            let next = place(&format!("do.{}", number + 1));
            found.push(
                Diagnostic::new(span.clone(), "nothing can come after this action")
                    .also(Some(next), "never done")
                    .help("make it the last one"),
            );
        }
        if shut && action.sends() {
            found.push(
                Diagnostic::new(span.clone(), "nothing can be sent after `shutdown-write`")
                    .help("send it before, or end with `shutdown-write`"),
            );
        }
        shut |= *action == Do::ShutdownWrite;
        found.extend(misplaced(reaction.when, action, &span));
        let mut tell = |title: String, help: String| {
            found.push(Diagnostic::new(span.clone(), title).help(help));
        };
        contents(reaction, action, &mut tell);
    }
    found
}

fn filters(reaction: &Reaction, place: &dyn Fn(&str) -> Range<usize>, found: &mut Vec<Diagnostic>) {
    for (name, is_zero) in [
        ("nth", reaction.nth == Some(0)),
        ("connection", reaction.connection == Some(0)),
    ] {
        if is_zero {
            found.push(
                Diagnostic::new(place(name), format!("`{name}` counts from 1"))
                    .help(format!("write `{name} = 1` for the first")),
            );
        }
    }
    if let (Some(right), Some(on)) = (reaction.when.only_on(), reaction.on)
        && on.direction() != right
    {
        let title = format!(
            "`{}` is never reached on such a connection",
            reaction.when.word()
        );
        found.push(
            Diagnostic::new(place("on"), title)
                .help(format!("write `on = \"{right}\"`, or leave `on` out")),
        );
    }
}

/// The error for an action that is impossible at the point.
fn misplaced(when: When, action: &Do, span: &Range<usize>) -> Option<Diagnostic> {
    let places = match action {
        Do::Raise(_) | Do::Capture(_) | Do::NoReply | Do::Proceed if when == When::TlsFailed => {
            return None;
        }
        _ if when == When::TlsFailed => {
            let title = "not possible at `tls-failed`: the connection is gone";
            let wrong = Diagnostic::new(span.clone(), title);
            return Some(wrong.help("expected `raise`, `capture`, `no-reply` or `proceed`"));
        }
        Do::HeaderWithout(_) => &[When::Header, When::Connected, When::Secured][..],
        Do::Features => &[When::Header, When::Features],
        Do::BreakTls | Do::LegacyTls => &[When::ProceedSent, When::ProceedReceived],
        _ => return None,
    };
    let words: Vec<String> = places
        .iter()
        .map(|place| format!("`{}`", place.word()))
        .collect();
    (!places.contains(&when)).then(|| {
        Diagnostic::new(span.clone(), format!("not possible at `{}`", when.word()))
            .help(format!("it belongs to {}", words.join(" or ")))
    })
}

/// Checks the values of an action.
fn contents(reaction: &Reaction, action: &Do, tell: &mut dyn FnMut(String, String)) {
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
        // A placeholder's value is only known once it is filled in.
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
            "write what to send as `send`".to_owned(),
        ),
        Do::Wait(time) if *time == 0 || *time > LONGEST_WAIT => tell(
            format!("`wait = {time}` is out of bounds"),
            format!("expected milliseconds from 1 to {LONGEST_WAIT}"),
        ),
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
    if let Some(Signal::Awaited(name) | Signal::Raised(name)) = action.signal()
        && !is_name(name)
    {
        tell(
            format!("`{name}` is no name for the board"),
            "names are made of lower-case letters, digits and hyphens".to_owned(),
        );
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
