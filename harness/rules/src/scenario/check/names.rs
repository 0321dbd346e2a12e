//! Placeholders, names that are raised and waited for, and reactions.

use std::collections::{BTreeMap, BTreeSet};

use simulated_partners::reaction::{self, Do, Reaction, Values};

use super::{Check, Layer, meant};
use crate::case::Dials;
use crate::case::Expect;
use crate::case::MAIN;
use crate::case::names::KNOWN;
use crate::case::names::with_values;

/// Names that the bench raises by itself.
const RAISED: [&str; 5] = ["delivered", "answered", "returned", "ended", "looked-up"];

impl Check<'_> {
    /// Placeholders, and names that somebody waits for.
    pub(super) fn names(&mut self) {
        let mut known: BTreeSet<String> = Values::NAMES
            .iter()
            .chain(&KNOWN)
            .chain(&["n"])
            .map(|name| (*name).to_owned())
            .collect();
        let mut raised: BTreeSet<String> = RAISED.iter().map(|name| (*name).to_owned()).collect();
        let layers = self.layers();
        for layer in &layers {
            known.extend(layer.values.keys().cloned());
            for name in layer.parts.keys().map(String::as_str).chain([MAIN]) {
                known.insert(name.to_owned());
                known.insert(format!("{name}-address"));
                known.insert(format!("{name}-port"));
                known.insert(format!("{name}-host"));
            }
            for (_, list) in layer.reactions() {
                for action in list.iter().flat_map(|reaction| &reaction.actions) {
                    match action {
                        Do::Raise(name) => {
                            raised.insert(name.clone());
                        }
                        Do::Keep(keep) => {
                            raised.insert(keep.name.clone());
                            known.insert(keep.name.clone());
                        }
                        _ => {}
                    }
                }
            }
        }
        let mut texts: Vec<(String, String)> = Vec::new();
        let mut waits: Vec<(String, String)> = Vec::new();
        for layer in &layers {
            gather(layer, &mut texts, &mut waits);
        }
        for (path, text) in texts {
            for name in reaction::placeholders(&text) {
                if !known.contains(name) {
                    let all: Vec<&str> = known.iter().map(String::as_str).collect();
                    self.tell(
                        &path,
                        format!("nothing is called `{{{name}}}`"),
                        meant(name, &all, "a value, a partner, a kept text, or one of the placeholders in scenarios/README.md"),
                    );
                }
            }
        }
        for (path, name) in waits {
            let numbered = name.rsplit_once('-').is_some_and(|(word, number)| {
                RAISED.contains(&word) && number.parse::<u32>().is_ok()
            });
            if !raised.contains(&name) && !numbered {
                let all: Vec<&str> = raised.iter().map(String::as_str).collect();
                self.tell(
                    &path,
                    format!("nobody raises `{name}`"),
                    meant(&name, &all, "raise it in a reaction: `{ raise = \"…\" }`"),
                );
            }
        }
    }

    pub(super) fn reactions(&mut self) {
        let layers = self.layers();
        let mut told = BTreeSet::new();
        for layer in &layers {
            for (path, list) in layer.reactions() {
                // What the base says is held against the values of every variant, too.
                let over = layers
                    .iter()
                    .filter(|other| layer.path.is_empty() || other.path == layer.path);
                for values in over.map(|other| other.values) {
                    let mut filled = self.file.values.clone();
                    filled.extend(values.clone());
                    self.list(&path, list, &filled, &mut told);
                }
            }
        }
    }

    /// Names that the bench raises by itself, raised by a partner.
    pub(super) fn taken_names(&mut self) {
        for layer in self.layers() {
            for (path, list) in layer.reactions() {
                for (at, one) in list.iter().enumerate() {
                    for (number, action) in one.actions.iter().enumerate() {
                        if let Do::Raise(name) = action
                            && RAISED.contains(&name.as_str())
                        {
                            self.tell(
                                &format!("{path}.{at}.do.{number}"),
                                format!("`{name}` is raised by the bench itself"),
                                "choose another name",
                            );
                        }
                    }
                }
            }
        }
    }

    /// The mistakes of a list of reactions with these values, but for those that were told.
    pub(super) fn list(
        &mut self,
        path: &str,
        list: &[Reaction],
        values: &BTreeMap<String, String>,
        told: &mut BTreeSet<String>,
    ) {
        for (at, one) in list.iter().enumerate() {
            let place = |key: &str| self.place(&format!("{path}.{at}.{key}"));
            for mistake in reaction::mistakes(&with_values(one, values), &place) {
                if told.insert(format!("{:?} {}", mistake.span, mistake.title)) {
                    self.found.push(mistake);
                }
            }
        }
    }
}

/// Texts with placeholders, and names that are waited for, each with its place.
fn gather(layer: &Layer<'_>, texts: &mut Vec<(String, String)>, waits: &mut Vec<(String, String)>) {
    for (name, value) in layer.values {
        texts.push((layer.at(&format!("values.{name}")), value.clone()));
    }
    let mut parts = vec![("partner".to_owned(), layer.part)];
    parts.extend(
        layer
            .parts
            .iter()
            .map(|(name, part)| (format!("partners.{name}"), part)),
    );
    for (path, part) in parts {
        texts.extend(
            part.domain
                .clone()
                .map(|domain| (layer.at(&format!("{path}.domain")), domain)),
        );
        if let Some(Dials::When(name)) = &part.dials {
            waits.push((layer.at(&format!("{path}.dials")), name.clone()));
        }
    }
    for (path, list) in layer.reactions() {
        for (at, one) in list.iter().enumerate() {
            for (number, action) in one.actions.iter().enumerate() {
                let place = format!("{path}.{at}.do.{number}");
                if let Do::WaitFor(name) = action {
                    waits.push((place, name.clone()));
                    continue;
                }
                texts.extend(action.texts().map(|text| (place.clone(), text.to_owned())));
            }
        }
    }
    for (at, local) in layer.local.into_iter().flatten().enumerate() {
        texts.push((layer.at(&format!("local.{at}.send")), local.send.clone()));
        waits.extend(
            local
                .when
                .clone()
                .map(|name| (layer.at(&format!("local.{at}.when")), name)),
        );
    }
    for (at, dns) in layer.dns.into_iter().flatten().enumerate() {
        texts.push((layer.at(&format!("dns.{at}.name")), dns.name.clone()));
        for srv in dns.srv.iter().flatten() {
            texts.push((layer.at(&format!("dns.{at}.srv")), srv.target.clone()));
        }
        for address in dns.address.iter().flatten() {
            texts.push((layer.at(&format!("dns.{at}.address")), address.clone()));
        }
        waits.extend(
            dns.when
                .clone()
                .map(|name| (layer.at(&format!("dns.{at}.when")), name)),
        );
    }
    for (at, expect) in layer.expect.into_iter().flatten().enumerate() {
        expected(&layer.at(&format!("expect.{at}")), expect, texts);
    }
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
