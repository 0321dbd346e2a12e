//! Machines against machines, without sockets.

mod bounds;
mod network;
mod partners;
mod properties;
mod reactions;
mod table;
mod target;

use std::sync::Arc;
use std::time::Duration;

use super::PartnerConfig;
use crate::event::{Close, EventKind, Party};
use crate::persona::{Offer, Persona};
use crate::reaction::Reaction;
use crate::wire::{Element, Kind};

/// The part of a persona file that a machine uses.
#[derive(serde::Deserialize)]
struct Lines {
    offer: Offer,
    #[serde(default)]
    reaction: Vec<Reaction>,
}

/// A persona from the relevant lines of a file, unchecked: a machine must cope with any.
pub(super) fn persona(text: &str) -> Arc<Persona> {
    let lines: Lines = toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    Arc::new(Persona {
        reactions: lines.reaction,
        ..Persona::correct("test", "test", lines.offer)
    })
}

pub(super) fn offer(tls: &str, external: bool, dialback: bool) -> String {
    format!("[offer]\ntls = '{tls}'\nexternal = {external}\ndialback = {dialback}\n")
}

pub(super) fn config(domain: &str, target: &str, persona: &Arc<Persona>) -> Arc<PartnerConfig> {
    Arc::new(PartnerConfig {
        domain: domain.to_owned(),
        persona: Arc::clone(persona),
        identity: None,
        target_domain: target.to_owned(),
        other_domains: Vec::new(),
        secret: format!("secret of {domain}"),
        patience: Duration::from_secs(5),
        answers: true,
        insists: false,
        values: Arc::default(),
        seed: 1,
    })
}

pub(super) fn ping(from: &str, to: &str) -> Element {
    Element::new(crate::wire::NS_SERVER, "iq")
        .attr("type", "get")
        .attr("id", "p1")
        .attr("from", from)
        .attr("to", to)
        .child(Element::new(crate::wire::NS_PING, "ping"))
}

/// An observation in a few words.
pub(super) fn brief(what: &EventKind) -> String {
    match what {
        EventKind::Opened(kind) => format!("opened {kind:?}"),
        EventKind::ConnectFailed(kind, error) => format!("connect failed {kind:?} {error:?}"),
        EventKind::Frame {
            from,
            encrypted,
            frame,
        } => format!(
            "{}{} {}",
            arrow(*from),
            if *encrypted { "*" } else { "" },
            unit(&frame.kind)
        ),
        EventKind::Raw { from, bytes, fault } => format!(
            "{} {} raw bytes{}",
            arrow(*from),
            bytes.len(),
            fault
                .as_ref()
                .map(|fault| format!(": {fault}"))
                .unwrap_or_default()
        ),
        EventKind::TlsUp(_) => "TLS up".to_owned(),
        EventKind::TlsFailed { by, signal } => format!("TLS failed by {by:?}: {signal:?}"),
        EventKind::Established(method) => format!("established {method:?}"),
        EventKind::Closed { by, how } => format!(
            "closed by {by:?}{}",
            match how {
                Close::Stream => "",
                Close::Fin => " without a word",
                Close::Reset => " with a reset",
            }
        ),
        EventKind::Repeated { bytes, times } => format!("→ {} bytes {times} times", bytes.len()),
        EventKind::Raised(name) => format!("raised {name}"),
        EventKind::LeftOut(what) => format!("left out {what}"),
        EventKind::Handshake(facts) => format!("← by hand: {facts:?}"),
        EventKind::GaveUp { waiting_for } => format!("gave up waiting for {waiting_for}"),
    }
}

fn arrow(from: Party) -> &'static str {
    match from {
        Party::Partner => "→",
        Party::Target => "←",
    }
}

fn unit(kind: &Kind) -> String {
    match kind {
        Kind::Declaration => "<?xml?>".to_owned(),
        Kind::Header(header) => {
            let has = |name| header.attribute(name).is_some();
            format!(
                "<stream{}{}{}>",
                if has("id") { " id" } else { "" },
                if has("version") { " version" } else { "" },
                if super::header::declares_dialback(header) {
                    " db"
                } else {
                    ""
                }
            )
        }
        Kind::Element(element) => {
            let inner: Vec<String> = element
                .elements()
                .map(|child| {
                    child
                        .elements()
                        .map(|inner| inner.name.as_str())
                        .fold(child.name.clone(), |text, inner| format!("{text}/{inner}"))
                })
                .collect();
            let kind = element
                .attribute("type")
                .map(|kind| format!(" {kind}"))
                .unwrap_or_default();
            let inner = if inner.is_empty() {
                String::new()
            } else {
                format!(" [{}]", inner.join(" "))
            };
            format!("<{}{kind}{inner}>", element.name)
        }
        Kind::Whitespace(count) => format!("{count} blanks"),
        Kind::End => "</stream>".to_owned(),
    }
}
