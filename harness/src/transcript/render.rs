//! Formats events for people: one line each, directions seen from the partner.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use simulated_partners::event::{
    CertificateSeen, Close, ConnectionKind, Event, EventKind, Party, TlsSession, TlsSignal,
};
use simulated_partners::wire::{Frame, Kind};

use super::look::connection_words;

/// How much of an event to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// At most this many columns per line; the middle of long XML is replaced by `…`.
    Columns(usize),
    /// All bytes, in one line of any length.
    Full,
}

/// All events, one line each, numbered from 1.
pub fn render(events: &[Event], detail: Detail) -> String {
    let mut text = String::new();
    for (index, event) in events.iter().enumerate() {
        text.push_str(&line(index + 1, event, detail));
        text.push('\n');
    }
    text
}

/// Whether an event is worth showing: XML declarations and whitespace between stanzas are not.
pub fn telling(event: &Event) -> bool {
    match &event.kind {
        EventKind::Frame { frame, .. } => {
            !matches!(frame.kind, Kind::Declaration | Kind::Whitespace(_))
        }
        _ => true,
    }
}

/// One event: number, connection, direction (`→` is partner to target), layer, content.
pub fn line(number: usize, event: &Event, detail: Detail) -> String {
    let (arrow, layer, what) = describe(&event.kind, detail);
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = write!(line, "{number:>3} #{} {arrow} {layer} ", event.connection.0);
    match detail {
        Detail::Columns(width) => {
            let room = width.saturating_sub(line.chars().count()).max(16);
            line.push_str(&shorten(&what, room));
        }
        Detail::Full => line.push_str(&what),
    }
    line
}

/// One event as data, with all of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "program", derive(schemars::JsonSchema))]
pub struct Step {
    /// The number of the connection, in the order in which the partner opened or took them.
    pub connection: u64,
    /// Who did it; `None` where both did, or neither.
    pub by: Option<&'static str>,
    /// `tcp`, `tls`, `xml` or `raw`.
    pub layer: &'static str,
    /// What was sent, or what happened, safe to show.
    pub text: String,
    /// The time since the partner was started. It differs from run to run.
    #[serde(skip)]
    pub at: Duration,
}

/// All events that are worth showing, as data.
pub fn steps(events: &[Event]) -> Vec<Step> {
    let telling = events.iter().filter(|event| telling(event));
    let step = |event: &Event| {
        let (arrow, layer, text) = describe(&event.kind, Detail::Full);
        let by = match arrow {
            "→" => Some("partner"),
            "←" => Some("target"),
            _ => None,
        };
        Step {
            connection: event.connection.0.into(),
            by,
            layer: layer.trim(),
            text,
            at: event.at,
        }
    };
    telling.map(step).collect()
}

/// Cuts out the middle of a text longer than `room` characters, because the ends of an element say
/// most.
pub fn shorten(text: &str, room: usize) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let tail = kept / 3;
    let head = kept - tail;
    let mut result: String = text.chars().take(head).collect();
    result.push('…');
    result.extend(text.chars().skip(count - tail));
    result
}

/// Makes text from the wire safe for a terminal: control characters and those that change the writing
/// direction are shown as numbers.
pub fn printable(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            c if c.is_control() || turns_direction(c) => {
                let _ = write!(result, "\\u{{{:x}}}", u32::from(c));
            }
            c => result.push(c),
        }
    }
    result
}

/// The same, with its lines as they are.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const fn arrow(from: Party) -> &'static str {
    match from {
        Party::Partner => "→",
        Party::Target => "←",
    }
}

fn describe(what: &EventKind, detail: Detail) -> (&'static str, &'static str, String) {
    match what {
        EventKind::Opened(kind) => (
            dialler(*kind),
            "tcp",
            format!("open: {}", connection_words(*kind)),
        ),
        EventKind::ConnectFailed(kind, error) => (
            dialler(*kind),
            "tcp",
            format!("connect failed: {error} ({})", connection_words(*kind)),
        ),
        EventKind::Frame { from, frame, .. } => (arrow(*from), "xml", frame_text(frame, detail)),
        EventKind::Raw { from, bytes, fault } => {
            (arrow(*from), "raw", raw_text(bytes, fault, detail))
        }
        EventKind::TlsUp(facts) => (" ", "tls", tls_text(facts)),
        EventKind::TlsFailed { by, signal } => (
            arrow(*by),
            "tls",
            match signal {
                TlsSignal::Alert(name) => format!("alert {}", printable(name)),
                TlsSignal::Closed => format!("handshake cut by {by}"),
                TlsSignal::Garbage(why) => format!("no TLS: {}", printable(why)),
            },
        ),
        EventKind::Established(method) => (" ", "xml", format!("established by {method}")),
        EventKind::Closed { by, how } => (
            arrow(*by),
            "tcp",
            format!(
                "{} by {}",
                match how {
                    Close::Stream => "closed after the stream's end",
                    Close::Fin => "closed with no stream end",
                    Close::Reset => "reset",
                },
                by
            ),
        ),
        EventKind::Repeated { bytes, times } => (
            arrow(Party::Partner),
            "raw",
            format!("{times} times {}", raw_text(bytes, &None, detail)),
        ),
        EventKind::Handshake(facts) => {
            let facts: Vec<String> = facts
                .iter()
                .map(|(name, value)| format!("{name}={}", printable(value)))
                .collect();
            (arrow(Party::Target), "tls", facts.join(" "))
        }
        EventKind::Raised(name) => (" ", "---", format!("raised {}", printable(name))),
        EventKind::LeftOut(what) => (" ", "---", format!("left out {what}")),
        EventKind::GaveUp { waiting_for } => {
            (" ", "---", format!("gave up waiting for {waiting_for}"))
        }
    }
}

const fn dialler(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Outbound => "←",
        ConnectionKind::Inbound | ConnectionKind::Verification => "→",
    }
}

fn frame_text(frame: &Frame, detail: Detail) -> String {
    if let Kind::Whitespace(bytes) = frame.kind {
        let unit = if bytes == 1 { "byte" } else { "bytes" };
        return format!("white space, {bytes} {unit}");
    }
    let text = String::from_utf8_lossy(&frame.raw);
    match detail {
        Detail::Full => printable(&text),
        // Namespaces are familiar to the reader and take most of a line.
        Detail::Columns(_) => printable(&without_namespaces(&text)),
    }
}

/// Removes ` xmlns…='…'` inside tags. Only for display.
fn without_namespaces(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(" xmlns") {
        let after = &rest[at + " xmlns".len()..];
        let end = after.find('=').and_then(|equals| {
            let quote = after[equals + 1..].chars().next()?;
            (quote == '\'' || quote == '"').then_some(())?;
            let value = equals + 1 + quote.len_utf8();
            let close = after[value..].find(quote)?;
            let name = &after[..equals];
            (name.is_empty() || name.starts_with(':')).then_some(value + close + quote.len_utf8())
        });
        match end {
            Some(end) => {
                result.push_str(&rest[..at]);
                rest = &after[end..];
            }
            None => {
                result.push_str(&rest[..at + " xmlns".len()]);
                rest = after;
            }
        }
    }
    result.push_str(rest);
    result
}

fn raw_text(bytes: &[u8], fault: &Option<String>, detail: Detail) -> String {
    const SHOWN: usize = 24;
    let shown = match std::str::from_utf8(bytes) {
        Ok(text) => printable(text),
        Err(_) => {
            let limit = match detail {
                Detail::Full => bytes.len(),
                Detail::Columns(_) => SHOWN,
            };
            let mut hex = String::new();
            for byte in bytes.iter().take(limit) {
                let _ = write!(hex, "{byte:02x} ");
            }
            if bytes.len() > limit {
                hex.push('…');
            }
            hex.trim_end().to_owned()
        }
    };
    match fault {
        Some(fault) if shown.is_empty() => format!("not legal: {}", printable(fault)),
        Some(fault) => format!("not legal: {}: {shown}", printable(fault)),
        None => shown,
    }
}

fn tls_text(facts: &TlsSession) -> String {
    let mut text = format!("TLS {} {}", facts.version, facts.suite);
    if let Some(sni) = &facts.sni {
        let _ = write!(text, ", SNI {}", printable(sni));
    }
    match &facts.target_certificate {
        CertificateSeen::None => text.push_str(", target shows no certificate"),
        CertificateSeen::Good => text.push_str(", target's certificate good"),
        CertificateSeen::Bad(why) => {
            let _ = write!(text, ", target's certificate bad: {}", printable(why));
        }
    }
    text
}
