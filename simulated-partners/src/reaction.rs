//! The closed vocabulary in which personas and scenarios deviate: *when* something happens, *do*
//! something else.
//!
//! [`Reaction`] is what a file says, [`mistakes`] finds what is wrong with one, and [`Values`] fill
//! its texts in. What a reaction does to a connection is decided in [`stream`](crate::stream).

mod action;
mod hello;
mod mistake;
mod template;
mod when;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::ConnectionKind;

pub(crate) use action::hex;
pub use action::{Await, Capture, Do, Renegotiate, Repeat};
pub use hello::{Flight, Hello, HelloVersion};
pub(crate) use hello::{suite, suite_name};
pub use mistake::mistakes;
pub use template::{Line, Values, placeholders};
pub use when::{Stage, When};

/// Most that a filled-in text may take: more is cut off, and refused where it is written.
pub const LONGEST_TEXT: usize = 16 * 1024 * 1024;

/// Most times that a text may be repeated.
pub const MOST_TIMES: u32 = 100_000_000;

/// Replaces the engine's own answer at one point of the negotiation. Of several whose point and
/// filters fit, the first one is taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reaction {
    /// The point.
    pub when: When,
    /// Only on connections of this kind. Without it on all but those that the partner opens by
    /// itself to have a key verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<ConnectionKind>,
    /// Only while the connection is that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Only when the point is reached for the nth time on its connection, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub nth: Option<u32>,
    /// Only on the partner's nth connection of its kind, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub connection: Option<u16>,
    /// What happens instead of the correct answer, in order.
    #[serde(rename = "do")]
    pub actions: Vec<Do>,
}

impl Reaction {
    /// A reaction without filters.
    pub fn new(when: When, actions: Vec<Do>) -> Self {
        Self {
            when,
            on: None,
            stage: None,
            nth: None,
            connection: None,
            actions,
        }
    }

    /// All texts in which something could be filled in before the reaction is used, in the order of
    /// its actions.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        self.actions.iter_mut().flat_map(Do::texts_mut)
    }

    /// All texts, in the order of its actions.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().flat_map(Do::texts)
    }

    /// The same reaction with other texts.
    #[must_use]
    pub fn map_texts(&self, mut change: impl FnMut(&str) -> String) -> Self {
        let mut changed = self.clone();
        for text in changed.texts_mut() {
            *text = change(text);
        }
        changed
    }
}
