//! Reactions that can never fire, and actions that make no sense where they stand.

use std::ops::Range;

use super::Check;
use crate::event::ConnectionKind;
use crate::persona::mistake::Mistake;
use crate::persona::{AuthorityFact, Persona, StreamFact, Tls};
use crate::reaction::{self, Do, Place, Reaction, Values, When, placeholders};

impl Check<'_> {
    pub(super) fn reactions(&mut self) {
        for (at, reaction) in self.persona.reactions.iter().enumerate() {
            self.never_fires(at, reaction);
            let mut mistakes = reaction::mistakes(reaction);
            mistakes.sort_by_key(|mistake| mistake.place);
            let mut mistakes = mistakes.into_iter().peekable();
            for (number, action) in reaction.actions.iter().enumerate() {
                let place = Place::Action(number);
                while let Some(mistake) = mistakes.next_if(|mistake| mistake.place <= place) {
                    self.tell(at, mistake);
                }
                let span = self.place(at, place);
                self.placeholders(reaction.when, action, &span);
            }
            for mistake in mistakes {
                self.tell(at, mistake);
            }
        }
    }

    fn tell(&mut self, at: usize, mistake: reaction::Mistake) {
        let mut found = Mistake::new(self.place(at, mistake.place), mistake.title);
        if let Some((action, label)) = mistake.also {
            found = found.also(self.document.action(at, action), label);
        }
        self.found.push(found.help(mistake.help));
    }

    fn place(&self, at: usize, place: Place) -> Range<usize> {
        match place {
            Place::When => self.document.when(at),
            Place::Filter(name) => self.document.filter(at, name),
            Place::Actions => self.document.actions(at),
            Place::Action(number) => self.document.action(at, number),
        }
        .unwrap_or_default()
    }

    fn never_fires(&mut self, at: usize, reaction: &Reaction) {
        let Persona {
            offer,
            facts,
            reactions,
            ..
        } = self.persona;
        let when = reaction.when;
        let reason = match when {
            _ if reactions[..at]
                .iter()
                .any(|before| covers(before, reaction)) =>
            {
                Some("an earlier reaction has the same `when`")
            }
            When::Starttls
            | When::ProceedSent
            | When::ProceedReceived
            | When::Secured
            | When::TlsFailed
                if offer.tls == Tls::None =>
            {
                Some("the offer has `tls = \"none\"`")
            }
            When::Auth
            | When::Response
            | When::ChallengeReceived
            | When::SuccessReceived
            | When::FailureReceived
                if !offer.external =>
            {
                Some("the offer has `external = false`")
            }
            When::Features if facts.stream == StreamFact::NoVersion => {
                Some("by its facts it sends no features")
            }
            When::DbVerify if facts.authority == AuthorityFact::Unreachable => {
                Some("by its facts nobody can reach it to verify a key")
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
                Mistake::new(
                    self.document.when(at).unwrap_or_default(),
                    "this reaction can never fire",
                )
                .label(reason)
                .help("leave the reaction out"),
            );
        }
    }

    /// Names in braces: a persona stands alone, so there is nothing but what is always there.
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
                Mistake::new(span.clone(), title)
                    .help(format!("expected one of {}", known.join(", "))),
            );
        }
    }
}

/// Whether the first is taken wherever the second fits.
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
