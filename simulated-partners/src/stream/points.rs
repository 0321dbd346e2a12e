//! What happens at a point of the negotiation: a reaction of the persona, or what a correct server does.

use super::action::TlsRole;
use super::machine::Machine;
use super::state::State;
use crate::event::{Close, ConnectionKind};
use crate::reaction::{Reaction, Stage, When};
use crate::wire::Element;

impl Machine {
    /// A point is reached: run the matching reaction or the correct behaviour.
    pub(super) fn point(&mut self, when: When, element: Option<&Element>) {
        let reached = self.reached.entry(when).or_insert(0);
        *reached = reached.saturating_add(1);
        let nth = *reached;
        let fitting = self
            .config
            .persona
            .reactions
            .iter()
            .position(|reaction| self.fits(reaction, when, nth));
        let Some(reaction) = fitting else {
            return self.standard(when, element, false);
        };
        if self.is_listening() {
            match when {
                // They replace the answer, so it counts as given.
                When::Header | When::Features => self.answered_header(),
                When::DbVerify => self.served = true,
                _ => {}
            }
        }
        self.react(reaction, when, element);
    }

    pub(super) fn fits(&self, reaction: &Reaction, when: When, nth: u32) -> bool {
        let kind = self.purpose.kind();
        reaction.when == when
            && match reaction.on {
                // A key is verified correctly whatever the partner does on its own streams.
                None => kind != ConnectionKind::Verification,
                Some(on) => on == kind,
            }
            && reaction.stage.is_none_or(|stage| stage == self.stage())
            && reaction.nth.is_none_or(|wanted| wanted == nth)
            && reaction.connection.is_none_or(|wanted| wanted == self.nth)
    }

    /// Whether a script goes on when the target ends its stream.
    pub(super) fn reacts_to_the_end(&self) -> bool {
        let reached = self.reached.get(&When::StreamEnd).copied();
        let next = reached.unwrap_or_default().saturating_add(1);
        let mut reactions = self.config.persona.reactions.iter();
        reactions.any(|reaction| self.fits(reaction, When::StreamEnd, next))
    }

    fn stage(&self) -> Stage {
        if self.sasl_done || self.established.is_some() {
            Stage::Authenticated
        } else if self.encrypted {
            Stage::Secured
        } else {
            Stage::Clear
        }
    }

    /// The correct behaviour at a point. `asked` if a list ended in "proceed": in a scripted
    /// state, received elements otherwise have no effect.
    pub(super) fn standard(&mut self, when: When, element: Option<&Element>, asked: bool) {
        let is_own_step = ends(when) || matches!(when, When::Features | When::ProceedSent);
        if self.state == State::Scripted && !asked && element.is_some() && !is_own_step {
            return;
        }
        match (when, element) {
            (When::Accepted | When::Connected, _) if self.begins_with_tls() => self.start_tls(),
            (When::Accepted | When::TlsFailed, _) => {}
            (When::Connected, _) => self.open_stream(),
            (When::Secured, _) => {
                if !self.is_listening() {
                    self.open_stream();
                }
            }
            (When::Established, _) => self.deliver(),
            (When::StreamError, _) => self.end_stream(),
            (When::StreamEnd, _) => {
                self.end_stream();
                self.close(Close::Stream);
            }
            (When::Header, Some(header)) => self.answer_with_header(header),
            (When::Features, _) => self.answer_with_features(),
            (When::HeaderReceived, Some(header)) => self.header_came(header),
            (When::ProceedSent, _) => self.begin_tls(TlsRole::Server),
            (_, Some(element)) if self.is_listening() => self.asked(when, element),
            (_, Some(element)) => self.answered(when, element),
            (_, None) => {}
        }
    }
}

/// Points at the end of a stream.
pub(super) fn ends(when: When) -> bool {
    matches!(when, When::StreamError | When::StreamEnd)
}
