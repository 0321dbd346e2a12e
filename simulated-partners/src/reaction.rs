//! The vocabulary for deviations of personas and scenarios: *when* something happens, *do*
//! something else.
//!
//! [`Reaction`] is the content of a file, [`mistakes`] finds what is wrong with it, and [`Values`] fill
//! in its texts. The effect of a reaction on a connection is decided in [`stream`](crate::stream).

mod action;
mod hello;
mod mistake;
mod template;
mod when;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::event::ConnectionKind;

pub(crate) use action::hex;
pub use action::{Await, Capture, Do, Renegotiate, Repeat, Signal};
pub use hello::{Flight, Hello, HelloVersion};
pub(crate) use hello::{suite, suite_name};
pub use mistake::mistakes;
pub use template::{Line, Values, placeholders};
pub(crate) use when::Offered;
pub use when::{Stage, When};

/// The maximum size of a filled-in text: longer ones are truncated, and rejected in files.
pub const LONGEST_TEXT: usize = 16 * 1024 * 1024;

/// The maximum number of repetitions of a text.
pub const MOST_TIMES: u32 = 100_000_000;

/// Replaces the normal behaviour at one point of the negotiation. The first reaction whose point and
/// filters match is used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reaction {
    /// The point.
    pub when: When,
    /// Only on connections of this kind. By default on all except those that the partner itself opens
    /// to verify a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<ConnectionKind>,
    /// Only at this stage of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Only the nth time that the point is reached on its connection, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub nth: Option<u32>,
    /// Only on the partner's nth connection of its kind, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
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

    /// All texts in which placeholders could be filled in before the reaction is used, in the order of
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
