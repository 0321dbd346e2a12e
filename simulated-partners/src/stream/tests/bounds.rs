//! What a machine tolerates from unauthenticated peers, and what it sends despite a refusal.

use std::sync::Arc;

use super::target::HEADER;
use super::{brief, config, offer, persona, ping};
use crate::stream::machine::STRANGERS_BYTES;
use crate::stream::{Action, Input, Machine, PartnerConfig, Purpose};

const DOMAIN: &str = "p.example";
const TARGET: &str = "t.example";

fn told(machine: &mut Machine, text: &str) -> Vec<String> {
    let actions = machine.handle(Input::Bytes(text.as_bytes()));
    let seen = actions.iter().filter_map(|action| match action {
        Action::Observe(what) => Some(brief(what)),
        _ => None,
    });
    seen.collect()
}

fn noise(machine: &mut Machine, bytes: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let unit = format!("<what xmlns='urn:x'>{}</what>", "x".repeat(1000));
    for _ in 0..bytes / unit.len() + 1 {
        seen.extend(told(machine, &unit));
    }
    seen
}

/// A dialling machine that waits for features and is sent other elements.
fn dialling(insists: bool, stranger: bool) -> Machine {
    let text = offer("none", false, true);
    let config = PartnerConfig {
        insists,
        ..(*config(DOMAIN, TARGET, &persona(&text))).clone()
    };
    let mut machine = Machine::new(Arc::new(config), 1, Purpose::Deliver(ping(DOMAIN, TARGET)));
    machine.handle(Input::Opened);
    told(&mut machine, HEADER);
    if !stranger {
        told(&mut machine, "<stream:features/>");
        told(
            &mut machine,
            "<db:result from='t.example' to='p.example' type='valid'/>",
        );
    }
    machine
}

#[test]
fn a_stranger_that_talks_without_end_is_cut_off() {
    // Whitespace is legal in any amount, so only the limit can end it.
    let mut machine = dialling(false, true);
    let blanks = " ".repeat(STRANGERS_BYTES);
    let seen = told(&mut machine, &blanks).join("\n");
    assert!(seen.contains("raw bytes"), "{seen}");
    assert!(seen.contains("error"), "{seen}");
}

#[test]
fn an_authenticated_target_may_talk_for_longer() {
    let mut machine = dialling(false, false);
    let seen = noise(&mut machine, STRANGERS_BYTES).join("\n");
    assert!(!seen.contains("raw bytes"), "{seen}");
}

#[test]
fn a_refused_stanza_is_sent_once_before_the_end_of_the_stream() {
    let mut machine = dialling(true, true);
    told(&mut machine, "<stream:features/>");
    let seen = told(
        &mut machine,
        "<db:result from='t.example' to='p.example' type='invalid'/>",
    );
    let stanzas = seen.iter().filter(|line| line.contains("iq")).count();
    assert_eq!(stanzas, 1, "{seen:?}");
    let mut quiet = dialling(false, true);
    told(&mut quiet, "<stream:features/>");
    let seen = told(
        &mut quiet,
        "<db:result from='t.example' to='p.example' type='invalid'/>",
    );
    assert!(!seen.iter().any(|line| line.contains("iq")), "{seen:?}");
}

#[test]
fn a_stanza_that_got_through_is_not_sent_again() {
    let mut machine = dialling(true, false);
    let seen = told(&mut machine, "</stream:stream>");
    assert!(!seen.iter().any(|line| line.contains("iq")), "{seen:?}");
}
