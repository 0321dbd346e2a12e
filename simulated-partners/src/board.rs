//! The board of a scenario: signals that stay raised, each with a text.
//!
//! The partners of a scenario and the harness share a board, so that an action of one can wait
//! for, and use, what another has seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::watch;

/// Signals and texts at one moment.
pub type Snapshot = Arc<BTreeMap<String, String>>;

/// Limit on the total size of names and texts; anything more is not raised.
const ROOM: usize = 64 * 1024 * 1024;

/// When something begins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Begins {
    /// Immediately, or never.
    Plain(bool),
    /// When this signal is raised.
    When(String),
}

/// Signals with texts, shared by all clones.
#[derive(Clone, Debug)]
pub struct Board {
    names: Arc<watch::Sender<Snapshot>>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            names: Arc::new(watch::Sender::default()),
        }
    }
}

impl Board {
    /// Raises a signal and sets its text, replacing an earlier one.
    pub fn raise(&self, name: impl Into<String>, text: impl Into<String>) {
        let (name, text) = (name.into(), text.into());
        self.names.send_if_modified(|names| {
            let taken: usize = names
                .iter()
                .filter(|(other, _)| **other != name)
                .map(|(name, text)| name.len() + text.len())
                .sum();
            if names.get(&name) == Some(&text) {
                return false;
            }
            if taken + name.len() + text.len() > ROOM {
                tracing::warn!(name, "no room on the board");
                return false;
            }
            Arc::make_mut(names).insert(name, text);
            true
        });
    }

    /// The text of a raised signal.
    pub fn get(&self, name: &str) -> Option<String> {
        self.names.borrow().get(name).cloned()
    }

    /// Waits until a signal is raised and returns its text. Cancel-safe.
    pub async fn wait_for(&self, name: &str) -> String {
        let mut receiver = self.names.subscribe();
        loop {
            // Marked as seen before it is read, so that nothing is missed in between.
            if let Some(text) = receiver.borrow_and_update().get(name) {
                return text.clone();
            }
            if receiver.changed().await.is_err() {
                // The sender lives as long as this board.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The current state.
    pub fn snapshot(&self) -> Snapshot {
        Arc::clone(&self.names.borrow())
    }

    /// Notifies of each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.names.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_stays_and_wakes_waiters() {
        let board = Board::default();
        let other = board.clone();
        let waiting = tokio::spawn(async move { other.wait_for("done").await });
        board.raise("else", "1");
        board.raise("done", "text");
        assert_eq!(waiting.await.ok().as_deref(), Some("text"));
        assert_eq!(board.wait_for("done").await, "text");
        assert_eq!(board.snapshot().len(), 2);
    }

    #[test]
    fn a_later_text_replaces_an_earlier_one() {
        let board = Board::default();
        assert_eq!(board.get("key"), None);
        board.raise("key", "1");
        board.raise("key", "2");
        assert_eq!(board.get("key").as_deref(), Some("2"));
    }

    #[test]
    fn signals_without_room_are_dropped() {
        let board = Board::default();
        board.raise("big", "x".repeat(ROOM));
        assert_eq!(board.get("big"), None);
        board.raise("small", "x");
        assert_eq!(board.get("small").as_deref(), Some("x"));
    }
}
