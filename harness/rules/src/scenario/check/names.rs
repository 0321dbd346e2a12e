//! Checks placeholders, signals and reactions.

use std::collections::BTreeSet;

use simulated_partners::board::Begins;
use simulated_partners::nearest::suggestion;
use simulated_partners::reaction::{self, Do, Signal, Values};

use super::Check;
use crate::case::Expect;
use crate::case::names::{KNOWN, with_values};
use crate::scenario::{File, Variant};

/// Signals that the harness raises.
const RAISED: [&str; 6] = [
    "delivered",
    "answered",
    "returned",
    "ended",
    "looked-up",
    "records-changed",
];

/// A scenario and its place in the file.
type Said = Vec<(String, String)>;

/// The names defined anywhere in a file: a variant may remove the definition and keep the use.
pub(super) struct Given {
    /// Names usable as placeholders.
    known: BTreeSet<String>,
    /// Signals that can be waited for.
    raised: BTreeSet<String>,
}

impl Given {
    pub(super) fn of(file: &File) -> Self {
        let always = Values::NAMES.iter().chain(&KNOWN).chain(&["n"]);
        let mut known: BTreeSet<String> = always.map(|name| (*name).to_owned()).collect();
        let mut raised: BTreeSet<String> = RAISED.iter().map(|name| (*name).to_owned()).collect();
        let variants = file.all().map(|(_, variant)| variant);
        for variant in variants.chain([&file.plain]) {
            known.extend(variant.values.keys().cloned());
            for name in variant.partner_names() {
                known.insert(name.to_owned());
                known.extend(["address", "port", "host"].map(|of| format!("{name}-{of}")));
            }
            let reactions: Vec<_> = variant.reactions().collect();
            for action in reactions.iter().flat_map(|(_, one)| &one.actions) {
                if let Some(Signal::Raised(name)) = action.signal() {
                    raised.insert(name.to_owned());
                }
                if let Do::Capture(keep) = action {
                    known.insert(keep.name.clone());
                }
            }
        }
        Self { known, raised }
    }
}

impl Check<'_> {
    /// Checks placeholders and awaited signals.
    pub(super) fn names(&mut self, given: &Given) {
        let Given { known, raised } = given;
        let (texts, waits) = wanted(self.variant);
        for (path, text) in texts {
            for name in reaction::placeholders(&text) {
                if !known.contains(name) {
                    self.tell(
                        &path,
                        format!("nothing is called `{{{name}}}`"),
                        suggestion(
                            name,
                            known.iter().map(String::as_str),
                            "a value, a partner, a kept text, or one of the placeholders in \
                             scenarios/README.md",
                        ),
                    );
                }
            }
        }
        for (path, name) in waits {
            let numbered = name.rsplit_once('-').is_some_and(|(word, number)| {
                RAISED.contains(&word) && number.parse::<u32>().is_ok()
            });
            if !raised.contains(&name) && !numbered {
                self.tell(
                    &path,
                    format!("no script raises `{name}`"),
                    suggestion(
                        &name,
                        raised.iter().map(String::as_str),
                        "raise it in a reaction: `{ raise = \"…\" }`",
                    ),
                );
            }
        }
    }

    /// Checks reactions, and rejects signals raised by a partner that the harness raises itself.
    pub(super) fn reactions(&mut self) {
        for (path, one) in self.variant.reactions() {
            let place = |key: &str| self.document.place(&format!("{path}.{key}"));
            let wrong = reaction::mistakes(&with_values(one, &self.variant.values), &place);
            self.found.extend(wrong);
            for (number, action) in one.actions.iter().enumerate() {
                if let Do::Raise(name) = action
                    && RAISED.contains(&name.as_str())
                {
                    self.tell(
                        &format!("{path}.do.{number}"),
                        format!("`{name}` is raised by s2spec itself"),
                        "choose another name",
                    );
                }
            }
        }
    }
}

/// Collects texts with placeholders and awaited signals.
fn wanted(variant: &Variant) -> (Said, Said) {
    let (mut texts, mut waits) = (Said::new(), Said::new());
    for (name, value) in &variant.values {
        texts.push((format!("values.{name}"), value.clone()));
    }
    for (path, part) in variant.parts() {
        let domain = part.domain.clone();
        texts.extend(domain.map(|domain| (format!("{path}.domain"), domain)));
        let target = part.target.clone();
        texts.extend(target.map(|target| (format!("{path}.target"), target)));
        if let Some(Begins::When(name)) = &part.dials {
            waits.push((format!("{path}.dials"), name.clone()));
        }
        if let Begins::When(name) = &part.accepts {
            waits.push((format!("{path}.accepts"), name.clone()));
        }
    }
    for (path, one) in variant.reactions() {
        for (number, action) in one.actions.iter().enumerate() {
            let place = format!("{path}.do.{number}");
            if let Some(Signal::Awaited(name)) = action.signal() {
                waits.push((place, name.to_owned()));
                continue;
            }
            texts.extend(action.texts().map(|text| (place.clone(), text.to_owned())));
        }
    }
    for (at, local) in variant.local.iter().enumerate() {
        texts.push((format!("local.{at}.send"), local.send.clone()));
        let when = local.when.clone();
        waits.extend(when.map(|name| (format!("local.{at}.when"), name)));
    }
    for (at, room) in variant.room.iter().enumerate() {
        texts.push((format!("room.{at}.address"), room.address.clone()));
        let members = room.members.iter().cloned();
        texts.extend(members.map(|member| (format!("room.{at}.members"), member)));
    }
    for (at, dns) in variant.dns.iter().enumerate() {
        texts.push((format!("dns.{at}.name"), dns.name.clone()));
        for srv in dns.srv.iter().flatten() {
            texts.push((format!("dns.{at}.srv"), srv.target.clone()));
        }
        for address in dns.address.iter().flatten() {
            texts.push((format!("dns.{at}.address"), address.clone()));
        }
        let when = dns.when.clone();
        waits.extend(when.map(|name| (format!("dns.{at}.when"), name)));
    }
    for (at, expect) in variant.expect.iter().enumerate() {
        expected(&format!("expect.{at}"), expect, &mut texts);
    }
    (texts, waits)
}

fn expected(path: &str, expect: &Expect, texts: &mut Vec<(String, String)>) {
    for (name, value) in &expect.with {
        texts.push((format!("{path}.with.{name}"), value.clone()));
    }
    for (key, list) in [("has", &expect.has), ("lacks", &expect.lacks)] {
        texts.extend(
            list.iter()
                .map(|one| (format!("{path}.{key}"), one.clone())),
        );
    }
    for (key, text) in [("text", &expect.text), ("raw", &expect.raw)] {
        texts.extend(text.clone().map(|text| (format!("{path}.{key}"), text)));
    }
    for (at, other) in expect.or.iter().enumerate() {
        expected(&format!("{path}.or.{at}"), other, texts);
    }
}
