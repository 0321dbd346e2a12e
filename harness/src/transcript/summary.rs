//! A negotiation in one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use simulated_partners::event::{
    CertificateSeen, Close, ConnectionId, ConnectionKind, Event, EventKind, Party, TlsSignal,
};
use simulated_partners::wire::{Element, Kind, NS_DIALBACK, NS_SASL, Node, Unit};

use super::canonical::canonical;
use super::look::{attribute, children};
use super::render::printable;

/// Who sent what, in order, each connection up to its decisive event.
///
/// Connections are separated by ` | ` and begin with who dials: `T→P:` the target, `P→T:` the
/// partner, `verify P→T:` the partner as a server that verifies a key. `T:` and `P:` say who sent;
/// what one side sent in a row is joined by `+`; details are in brackets. `!` after
/// a feature: required. `=sasl-tls`: authenticated by this method. No value in it varies between runs.
///
/// ```text
/// T→P: T:header P:header+features[dialback,starttls] T:starttls P:proceed TLS1.3 T:header
/// P:header+features[EXTERNAL] T:auth P:success T:header P:header+features[] =sasl-tls T:iq[get]
/// ```
pub fn wire_summary(events: &[Event]) -> String {
    let mut line = String::new();
    let mut connection: Option<ConnectionId> = None;
    let mut speaker: Option<Party> = None;
    let mut dialler: Option<Party> = None;
    for event in &canonical(events) {
        if connection != Some(event.connection) {
            if connection.is_some() {
                line.push_str(" | ");
            }
            connection = Some(event.connection);
            speaker = None;
        } else if !line.is_empty() && !matches!(event.kind, EventKind::Opened(_)) {
            line.push(' ');
        }
        if let EventKind::Opened(kind) = &event.kind {
            dialler = Some(match kind {
                ConnectionKind::Outbound => Party::Target,
                ConnectionKind::Inbound | ConnectionKind::Verification => Party::Partner,
            });
        }
        let (from, token) = token(&event.kind, dialler);
        if token.is_empty() {
            trim_space(&mut line);
            continue;
        }
        match from {
            Some(from) if speaker == Some(from) => {
                trim_space(&mut line);
                line.push('+');
            }
            Some(Party::Partner) => line.push_str("P:"),
            Some(Party::Target) => line.push_str("T:"),
            None => {}
        }
        speaker = from;
        line.push_str(&token);
    }
    if line.is_empty() {
        "-".to_owned()
    } else {
        line
    }
}

/// The same for all partners: the main one, then each other behind its name, then what the target asked
/// of DNS.
pub fn wire_of_all(
    main: &[Event],
    further: &BTreeMap<String, Vec<Event>>,
    queries: &[String],
) -> String {
    let mut line = wire_summary(main);
    for (name, events) in further {
        let _ = write!(line, " | {}: {}", printable(name), wire_summary(events));
    }
    if !queries.is_empty() {
        let _ = write!(line, " | DNS: {}", printable(&queries.join(", ")));
    }
    line
}

fn trim_space(line: &mut String) {
    if line.ends_with(' ') && !line.ends_with("| ") {
        line.pop();
    }
}

const fn letter(party: Party) -> char {
    match party {
        Party::Partner => 'P',
        Party::Target => 'T',
    }
}

/// `dialler` opened the connection: the other side's header must have an id.
fn token(what: &EventKind, dialler: Option<Party>) -> (Option<Party>, String) {
    match what {
        EventKind::Opened(kind) => (None, format!("{}:", dialled(*kind))),
        EventKind::ConnectFailed(kind, error) => (
            None,
            format!("{}: connect-failed[{error:?}]", dialled(*kind)),
        ),
        EventKind::Frame { from, frame, .. } => (
            Some(*from),
            match &frame.kind {
                Kind::Declaration | Kind::Whitespace(_) => return (None, String::new()),
                Kind::Header(header) => header_token(header, dialler != Some(*from)),
                Kind::Element(element) => element_token(element),
                Kind::End => "end".to_owned(),
            },
        ),
        EventKind::Raw { from, fault, .. } => (
            Some(*from),
            match fault {
                Some(fault) => format!("fault[{}]", printable(fault)),
                None => "raw".to_owned(),
            },
        ),
        EventKind::Handshake(facts) => (
            Some(Party::Target),
            facts
                .get("message")
                .map_or_else(|| "handshake".to_owned(), |message| printable(message)),
        ),
        EventKind::TlsUp(facts) => (
            None,
            match facts.target_certificate {
                CertificateSeen::Good => format!("TLS{}", facts.version),
                CertificateSeen::None => format!("TLS{}[no-certificate]", facts.version),
                CertificateSeen::Bad(_) => format!("TLS{}[bad-certificate]", facts.version),
            },
        ),
        EventKind::TlsFailed { by, signal } => (
            None,
            match signal {
                TlsSignal::Alert(name) => {
                    format!("TLS-failed[{}:{}]", letter(*by), printable(name))
                }
                TlsSignal::Closed => format!("TLS-failed[{}:cut]", letter(*by)),
                TlsSignal::Garbage(_) => format!("TLS-failed[{}:no-tls]", letter(*by)),
            },
        ),
        EventKind::Established(method) => (None, format!("={method}")),
        EventKind::Closed { by, how } => (
            Some(*by),
            match how {
                Close::Stream => "close",
                Close::Fin => "fin",
                Close::Reset => "reset",
            }
            .to_owned(),
        ),
        EventKind::Repeated { times, .. } => (Some(Party::Partner), format!("raw[{times} times]")),
        EventKind::Raised(name) => (None, format!("raised[{}]", printable(name))),
        EventKind::LeftOut(what) => (None, format!("left-out[{what}]")),
        EventKind::GaveUp { waiting_for } => {
            (Some(Party::Partner), format!("gave-up[{waiting_for}]"))
        }
    }
}

const fn dialled(kind: ConnectionKind) -> &'static str {
    match kind {
        ConnectionKind::Outbound => "T→P",
        ConnectionKind::Inbound => "P→T",
        ConnectionKind::Verification => "verify P→T",
    }
}

/// A header, with what is unusual about it.
fn header_token(header: &Element, answers: bool) -> String {
    let mut missing = Vec::new();
    if answers && attribute(header, "id").is_none() {
        missing.push("no-id");
    }
    if attribute(header, "version").is_none() {
        missing.push("no-version");
    }
    if header
        .declarations
        .iter()
        .all(|(_, namespace)| namespace != NS_DIALBACK)
    {
        missing.push("no-db");
    }
    if missing.is_empty() {
        "header".to_owned()
    } else {
        format!("header[{}]", missing.join(","))
    }
}

fn element_token(element: &Element) -> String {
    let Some(unit) = Unit::of(element) else {
        return format!("<{}>", printable(&element.name));
    };
    let condition = || printable(unit.condition(element).unwrap_or("none"));
    match unit {
        Unit::Features => format!("features[{}]", features(element).join(",")),
        Unit::StreamError | Unit::SaslFailure => format!("{}[{}]", unit.name(), condition()),
        Unit::TlsFailure => "tls-failure".to_owned(),
        Unit::Auth => match attribute(element, "mechanism") {
            Some("EXTERNAL") => "auth".to_owned(),
            mechanism => format!("auth[{}]", printable(mechanism.unwrap_or("none"))),
        },
        Unit::DbResult | Unit::DbVerify => typed(&format!("db:{}", unit.name()), unit, element),
        Unit::Message | Unit::Presence | Unit::Iq => typed(unit.name(), unit, element),
        Unit::Starttls
        | Unit::Proceed
        | Unit::Challenge
        | Unit::Response
        | Unit::Abort
        | Unit::Success => unit.name().to_owned(),
    }
}

/// An element with its type, and with the condition if the type is `error`.
fn typed(name: &str, unit: Unit, element: &Element) -> String {
    match attribute(element, "type") {
        None => name.to_owned(),
        Some("error") => {
            let condition = unit.condition(element).unwrap_or("none");
            format!("{name}[error:{}]", printable(condition))
        }
        Some(kind) => format!("{name}[{}]", printable(kind)),
    }
}

fn features(element: &Element) -> Vec<String> {
    let mut names = Vec::new();
    for feature in children(element) {
        if feature.namespace == NS_SASL && feature.name == "mechanisms" {
            names.extend(children(feature).map(|m| printable(&content(m))));
            continue;
        }
        let mut name = printable(&feature.name);
        if children(feature).any(|child| child.name == "required") {
            let _ = write!(name, "!");
        }
        names.push(name);
    }
    names.sort();
    names
}

fn content(element: &Element) -> String {
    element
        .children
        .iter()
        .map(|node| match node {
            Node::Text(text) => text.as_str(),
            Node::Element(_) => "",
        })
        .collect()
}
