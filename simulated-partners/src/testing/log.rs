//! Events as readable lines.

use std::fmt::Write as _;

use crate::event::{ConnectionKind, Event, EventKind, Method, Party, TlsSignal};
use crate::wire::Kind;

/// The number of characters shown of one unit.
const SHOWN: usize = 400;

/// One line per event: connection, direction, content. `→` is from the partner, `←` from the server under
/// test.
pub(super) fn transcript(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        if let EventKind::Frame { frame, .. } = &event.kind
            && matches!(frame.kind, Kind::Declaration | Kind::Whitespace(_))
        {
            continue;
        }
        let (arrow, what) = describe(&event.kind);
        let _ = writeln!(text, "{:>2} {arrow} {what}", event.connection.0);
    }
    if text.is_empty() {
        text.push_str("nothing happened\n");
    }
    text
}

fn describe(what: &EventKind) -> (&'static str, String) {
    match what {
        EventKind::Opened(kind) => (dialler(*kind), format!("connected {}", purpose(*kind))),
        EventKind::ConnectFailed(kind, error) => (
            dialler(*kind),
            format!("connect failed: {error} ({})", purpose(*kind)),
        ),
        EventKind::Frame { from, frame, .. } => (arrow(*from), readable(&frame.raw)),
        EventKind::Raw { from, bytes, fault } => {
            let bytes = readable(bytes);
            let text = match fault {
                Some(fault) => format!("not legal: {fault}: {bytes}"),
                None => bytes,
            };
            (arrow(*from), text)
        }
        EventKind::TlsUp(facts) => (" ", format!("TLS {} {}", facts.version, facts.suite)),
        EventKind::TlsFailed { by, signal } => (
            arrow(*by),
            match signal {
                TlsSignal::Alert(name) => format!("TLS alert {name}"),
                TlsSignal::Closed => "TLS handshake cut".to_owned(),
                TlsSignal::Garbage(why) => format!("no TLS: {why}"),
            },
        ),
        EventKind::Established(method) => (" ", format!("established by {}", name(*method))),
        EventKind::Closed { by, how } => {
            (arrow(*by), format!("closed: {how:?}").to_ascii_lowercase())
        }
        EventKind::Repeated { bytes, times } => {
            ("→", format!("{times} times: {}", readable(bytes)))
        }
        EventKind::Raised(name) => (" ", format!("raised {name}")),
        EventKind::LeftOut(what) => (" ", format!("left out {what}")),
        EventKind::Handshake(facts) => ("←", format!("by hand: {facts:?}")),
        EventKind::GaveUp { waiting_for } => ("→", format!("gave up waiting for {waiting_for}")),
    }
}

const fn arrow(from: Party) -> &'static str {
    match from {
        Party::Partner => "→",
        Party::Target => "←",
    }
}

const fn dialler(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Outbound => "←",
        ConnectionKind::Inbound | ConnectionKind::Verification => "→",
    }
}

const fn purpose(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Outbound => "to the partner",
        ConnectionKind::Inbound => "to get a stanza through",
        ConnectionKind::Verification => "to have a dialback key verified",
    }
}

const fn name(method: Method) -> &'static str {
    match method {
        Method::SaslTls => "SASL EXTERNAL over TLS",
        Method::TlsDialback => "dialback over TLS",
        Method::TcpDialback => "dialback without TLS",
    }
}

/// Bytes from the wire, made safe for a terminal.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut result = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            let _ = write!(result, "… ({} bytes)", bytes.len());
            break;
        }
        if c.is_control() {
            result.extend(c.escape_default());
        } else {
            result.push(c);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_from_the_wire_are_safe_and_bounded() {
        assert_eq!(readable(b"<a>\x1b[2J</a>"), "<a>\\u{1b}[2J</a>");
        let long = vec![b'x'; 1000];
        assert!(readable(&long).ends_with("x… (1000 bytes)"));
    }
}
