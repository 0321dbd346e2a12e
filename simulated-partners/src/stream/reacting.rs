//! A persona's reactions: what it does in place of a correct server's answer.

use super::machine::Machine;
use super::opaque::Broken;
use super::state::Step;
use crate::event::{Party, What};
use crate::reaction::{Do, Values, When};
use crate::wire::{Element, Framer, Kind, Limits};

/// What was received at the point of a reaction.
#[derive(Clone, Copy, Default)]
pub(super) struct Point<'a> {
    element: Option<&'a Element>,
}

impl<'a> Point<'a> {
    pub(super) fn of(element: &'a Element) -> Self {
        Self {
            element: Some(element),
        }
    }
}

/// Whether the engine has something left to do at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reacted {
    /// There is no reaction, or it ends in "proceed": a correct server's answer follows.
    GoOn,
    /// The reaction was the answer.
    Done,
}

impl Reacted {
    pub(super) fn is_done(self) -> bool {
        self == Self::Done
    }
}

impl Machine {
    pub(super) fn reacts(&self, when: When) -> bool {
        self.profile
            .persona
            .reactions
            .iter()
            .any(|reaction| reaction.when == when)
    }

    /// Does what the persona has for this point, if it has anything.
    pub(super) fn react(&mut self, when: When, point: Point<'_>) -> Reacted {
        let persona = std::sync::Arc::clone(&self.profile.persona);
        let Some(reaction) = persona.reactions.iter().find(|one| one.when == when) else {
            return Reacted::GoOn;
        };
        for action in &reaction.actions {
            match action {
                Do::Send(template) => {
                    let text = self.fill(template, point);
                    self.send_text(text);
                }
                Do::HeaderWithout(attributes) => {
                    self.send_header(attributes);
                }
                Do::Features => self.send_features(),
                Do::Close => {
                    self.end_stream();
                    return Reacted::Done;
                }
                Do::Reset => {
                    self.reset();
                    return Reacted::Done;
                }
                Do::Hold => {
                    self.go(Step::Hold);
                    return Reacted::Done;
                }
                Do::Ignore => return Reacted::Done,
                Do::BreakTls => {
                    self.break_tls(Broken::Garbage);
                    return Reacted::Done;
                }
                Do::LegacyTls => {
                    self.break_tls(Broken::Legacy);
                    return Reacted::Done;
                }
                Do::Proceed => return Reacted::GoOn,
                other => tracing::debug!(word = other.word(), "not done yet"),
            }
        }
        Reacted::Done
    }

    fn fill(&self, template: &str, point: Point<'_>) -> String {
        let attribute = |name| point.element.and_then(|element| element.attribute(name));
        let profile = &self.profile;
        let key = point.element.map(Element::content).unwrap_or_default();
        Values {
            id: attribute("id")
                .or(self.stream.id.as_deref())
                .unwrap_or_default(),
            from: attribute("from")
                .or(self.stream.from.as_deref())
                .unwrap_or_default(),
            to: attribute("to").unwrap_or(&profile.domain),
            domain: &profile.domain,
            target: &profile.target_domain,
            key: key.trim(),
            ..Values::default()
        }
        .fill(template)
    }

    /// Sends text as it is, and shows it as units where it is some.
    fn send_text(&mut self, text: String) {
        match self.units(&text) {
            Some(units) => {
                for (kind, raw) in units {
                    match kind {
                        Kind::Header(_) => self.stream.opened = true,
                        Kind::Declaration | Kind::Element(_) | Kind::Whitespace(_) | Kind::End => {}
                    }
                    self.send(kind, raw);
                }
            }
            None => {
                let shown = text.len().min(1024);
                self.observe(What::Raw {
                    from: Party::Partner,
                    bytes: text.as_bytes()[..shown].to_vec(),
                    fault: None,
                });
                self.actions.push(super::Action::Send(text.into_bytes()));
            }
        }
    }

    /// The text as whole units in the scope of our header; nothing where it is not all that.
    fn units(&self, text: &str) -> Option<Vec<(Kind, String)>> {
        let mut framer = Framer::new(Limits::default());
        if self.stream.opened {
            framer.push(self.header_in_scope().as_bytes());
            framer.next().ok()??;
        }
        framer.push(text.as_bytes());
        let mut units = Vec::new();
        while let Some(frame) = framer.next().ok()? {
            units.push((frame.kind, String::from_utf8(frame.raw).ok()?));
        }
        framer.pending().is_empty().then_some(units)
    }
}
