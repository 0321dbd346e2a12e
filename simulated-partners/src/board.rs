//! The board of a scenario: names that are raised once and stay, with a text each.
//!
//! Partners of one scenario and the harness share a board, so that what one of them does can wait
//! for, and use, what another has seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// Names and texts at one moment.
pub type Snapshot = Arc<BTreeMap<String, String>>;

/// Bytes of names and texts together; what would make it more is not put on the board.
const ROOM: usize = 64 * 1024 * 1024;

/// Names with texts, shared by all clones.
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
    /// Puts a name on the board, and its text in place of one that was there.
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

    /// The text of a name that is on the board.
    pub fn get(&self, name: &str) -> Option<String> {
        self.names.borrow().get(name).cloned()
    }

    /// Waits until a name is on the board, and gives its text. Can be cancelled at any time.
    pub async fn wait_for(&self, name: &str) -> String {
        let mut receiver = self.names.subscribe();
        loop {
            // Marked as seen before it is looked at, so that nothing is missed between.
            if let Some(text) = receiver.borrow_and_update().get(name) {
                return text.clone();
            }
            if receiver.changed().await.is_err() {
                // The sender lives as long as this board does.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What is on it now.
    pub fn snapshot(&self) -> Snapshot {
        Arc::clone(&self.names.borrow())
    }

    /// Tells of each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.names.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_stays_and_wakes_who_waits() {
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
    fn what_has_no_room_is_left_out() {
        let board = Board::default();
        board.raise("big", "x".repeat(ROOM));
        assert_eq!(board.get("big"), None);
        board.raise("small", "x");
        assert_eq!(board.get("small").as_deref(), Some("x"));
    }
}
