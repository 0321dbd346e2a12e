//! Finds reactions that can never fire, and actions that make no sense at their point.

use std::ops::Range;

use super::Check;
use crate::diagnostic::Diagnostic;
use crate::event::ConnectionKind;
use crate::persona::{AuthorityFact, Persona, StreamFact, Tls};
use crate::reaction::{self, Do, Offered, Reaction, Values, When, placeholders};

impl Check<'_> {
    pub(super) fn reactions(&mut self) {
        for (at, reaction) in self.persona.reactions.iter().enumerate() {
            self.never_fires(at, reaction);
            let place = |key: &str| self.document.place(&format!("reaction.{at}.{key}"));
            let mistakes = reaction::mistakes(reaction, &place);
            self.found.extend(mistakes);
            for (number, action) in reaction.actions.iter().enumerate() {
                let span = self.document.place(&format!("reaction.{at}.do.{number}"));
                self.placeholders(reaction.when, action, &span);
            }
        }
    }

    fn never_fires(&mut self, at: usize, reaction: &Reaction) {
        let Persona {
            offer,
            facts,
            reactions,
            ..
        } = self.persona;
        let when = reaction.when;
        if when
            .fact()
            .is_some_and(|fact| self.impossible.contains(&fact))
        {
            return;
        }
        let reason = match when {
            _ if reactions[..at]
                .iter()
                .any(|before| covers(before, reaction)) =>
            {
                Some("an earlier reaction has the same `when`")
            }
            _ if when.needs() == Some(Offered::Tls) && offer.tls == Tls::None => {
                Some("the offer has `tls = \"none\"`")
            }
            _ if when.needs() == Some(Offered::External) && !offer.external => {
                Some("the offer has `external = false`")
            }
            When::Features if facts.stream == StreamFact::NoVersion => {
                Some("by its facts it sends no features")
            }
            When::DbVerify if facts.authority == AuthorityFact::Unreachable => {
                Some("according to its facts no server can reach it to verify a key")
            }
            When::Header
            | When::Features
            | When::Starttls
            | When::ProceedSent
            | When::Auth
            | When::DbResult
            | When::DbVerify
            | When::Stanza
                if facts.stream == StreamFact::Silent =>
            {
                Some("by its facts it never answers")
            }
            _ => None,
        };
        if let Some(reason) = reason {
            self.found.push(
                Diagnostic::new(
                    self.document.place(&format!("reaction.{at}.when")),
                    "this reaction can never fire",
                )
                .label(reason)
                .help("leave the reaction out"),
            );
        }
    }

    /// Names in braces: a persona stands alone, so only the standard placeholders exist.
    fn placeholders(&mut self, when: When, action: &Do, span: &Range<usize>) {
        let has_key = matches!(
            when,
            When::DbResult | When::DbVerify | When::ResultReceived | When::VerificationReceived
        );
        for name in action.texts().flat_map(placeholders) {
            let is_counter = name == "n" && matches!(action, Do::Repeat(_));
            let lacks_key = name == "key" && !has_key;
            let title = if lacks_key {
                format!("there is no key at `{}`", when.word())
            } else if is_counter || Values::NAMES.contains(&name) {
                continue;
            } else {
                format!("unknown placeholder `{{{name}}}`")
            };
            let known = Values::NAMES
                .iter()
                .filter(|&&known| !(lacks_key && known == "key"))
                .map(|known| format!("`{{{known}}}`"))
                .collect::<Vec<_>>();
            self.found.push(
                Diagnostic::new(span.clone(), title)
                    .help(format!("expected one of {}", known.join(", "))),
            );
        }
    }
}

/// Whether the first is used wherever the second matches.
fn covers(first: &Reaction, second: &Reaction) -> bool {
    fn as_wide<T: PartialEq + Copy>(first: Option<T>, second: Option<T>) -> bool {
        first.is_none() || first == second
    }
    first.when == second.when
        && (first.on == second.on || (first.on.is_none() && !is_verification(second)))
        && as_wide(first.stage, second.stage)
        && as_wide(first.nth, second.nth)
        && as_wide(first.connection, second.connection)
}

fn is_verification(reaction: &Reaction) -> bool {
    reaction.on == Some(ConnectionKind::Verification)
}
