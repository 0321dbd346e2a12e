//! Reactions that can never fire, and actions that make no sense where they stand.

use std::ops::Range;

use super::{Check, word};
use crate::persona::mistake::Mistake;
use crate::persona::{AuthorityFact, Persona, StreamFact, Tls};
use crate::reaction::{Do, Values, When};

/// Attributes that a stream header can be sent without.
const HEADER_ATTRIBUTES: [&str; 6] = ["from", "id", "to", "version", "xml:lang", "xmlns:db"];

impl Check<'_> {
    pub(super) fn reactions(&mut self) {
        for (at, reaction) in self.persona.reactions.iter().enumerate() {
            self.never_fires(at, reaction.when);
            self.actions(at, reaction.when, &reaction.actions);
        }
    }

    fn never_fires(&mut self, at: usize, when: When) {
        let Persona {
            offer,
            facts,
            reactions,
            ..
        } = self.persona;
        let reason = match when {
            _ if reactions[..at].iter().any(|before| before.when == when) => {
                Some("an earlier reaction has the same `when`")
            }
            When::Starttls | When::ProceedSent | When::ProceedReceived
                if offer.tls == Tls::None =>
            {
                Some("the offer has `tls = \"none\"`")
            }
            When::Auth if !offer.external => Some("the offer has `external = false`"),
            When::Features if facts.stream == StreamFact::NoVersion => {
                Some("by its facts it sends no features")
            }
            When::DbVerify if facts.authority == AuthorityFact::Unreachable => {
                Some("by its facts nobody can reach it to verify a key")
            }
            When::Accepted | When::ProceedReceived => None,
            _ if facts.stream == StreamFact::Silent => Some("by its facts it never answers"),
            _ => None,
        };
        if let Some(reason) = reason {
            self.found.push(
                Mistake::new(
                    self.document.when(at).unwrap_or_default(),
                    "this reaction can never fire",
                )
                .label(reason)
                .help("leave the reaction out"),
            );
        }
    }

    fn actions(&mut self, at: usize, when: When, actions: &[Do]) {
        if actions.is_empty() {
            self.found.push(
                Mistake::new(
                    self.document.actions(at).unwrap_or_default(),
                    "a reaction without actions",
                )
                .help("to say nothing, write `do = [\"ignore\"]`"),
            );
        }
        for (number, action) in actions.iter().enumerate() {
            let span = self.document.action(at, number).unwrap_or_default();
            if action.is_last() && number + 1 < actions.len() {
                self.found.push(
                    Mistake::new(span.clone(), "nothing can come after this action")
                        .also(self.document.action(at, number + 1), "never done")
                        .help("make it the last one"),
                );
            }
            self.action(when, action, &span);
        }
    }

    fn action(&mut self, when: When, action: &Do, span: &Range<usize>) {
        let places = match action {
            Do::HeaderWithout(_) => &[When::Header][..],
            Do::Features => &[When::Header, When::Features],
            Do::BreakTls | Do::LegacyTls => &[When::ProceedSent, When::ProceedReceived],
            _ => &[],
        };
        if !places.is_empty() && !places.contains(&when) {
            let places: Vec<String> = places
                .iter()
                .map(|&place| format!("`{}`", word(place)))
                .collect();
            self.found.push(
                Mistake::new(span.clone(), format!("not possible at `{}`", word(when)))
                    .help(format!("it belongs to {}", places.join(" or "))),
            );
        }
        match action {
            Do::HeaderWithout(names) => {
                for name in names {
                    if !HEADER_ATTRIBUTES.contains(&name.as_str()) {
                        let known = HEADER_ATTRIBUTES.map(|name| format!("`{name}`"));
                        self.found.push(
                            Mistake::new(
                                span.clone(),
                                format!("a stream header has no attribute `{name}`"),
                            )
                            .help(format!("expected one of {}", known.join(", "))),
                        );
                    }
                }
            }
            Do::Send(text) => {
                for name in placeholders(text) {
                    let is_key = name == "key" && !matches!(when, When::DbResult | When::DbVerify);
                    let title = if !Values::NAMES.contains(&name) {
                        format!("unknown placeholder `{{{name}}}`")
                    } else if is_key {
                        format!("there is no key at `{}`", word(when))
                    } else {
                        continue;
                    };
                    let known = Values::NAMES
                        .iter()
                        .filter(|&&known| !(is_key && known == "key"))
                        .map(|known| format!("`{{{known}}}`"))
                        .collect::<Vec<_>>();
                    self.found.push(
                        Mistake::new(span.clone(), title)
                            .help(format!("expected one of {}", known.join(", "))),
                    );
                }
            }
            _ => {}
        }
    }
}

/// Words in braces: what looks like a placeholder.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|after| {
        let (name, _) = after.split_once('}')?;
        let is_word = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
        is_word.then_some(name)
    })
}
