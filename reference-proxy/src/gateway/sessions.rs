//! Streams of gateways that another connection may go on with (XEP-0198 §5).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::management::Managed;
use crate::random::stream_id;
use crate::router::{GatewayId, Serves};

/// The maximum number of such streams. One that is over this is not resumable.
const SESSIONS: usize = 256;

/// The streams by their names.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<BTreeMap<String, Resumable>>);

/// A stream that can be resumed, by whoever gets the same stanzas.
#[derive(Clone, Debug)]
pub(super) struct Resumable {
    pub(super) gateway: GatewayId,
    pub(super) serves: Serves,
    pub(super) managed: Arc<Managed>,
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Resumable>> {
        // No code panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a stream a name that nobody guesses, if there is room.
    pub(super) fn enter(&self, stream: Resumable) -> Option<String> {
        let name = stream_id().ok()?;
        let mut all = self.all();
        if all.len() >= SESSIONS {
            return None;
        }
        all.insert(name.clone(), stream);
        Some(name)
    }

    /// The stream of that name, if it gets the same stanzas.
    pub(super) fn find(&self, name: &str, serves: &Serves) -> Option<Resumable> {
        let found = self.all().get(name).cloned();
        found.filter(|stream| stream.serves == *serves)
    }

    /// Whether there is a stream that gets these stanzas.
    pub(super) fn any(&self, serves: &Serves) -> bool {
        let all = self.all();
        all.values().any(|stream| stream.serves == *serves)
    }

    /// Another stream goes on by that name.
    pub(super) fn hand_over(&self, name: &str, stream: Resumable) {
        self.all().insert(name.to_owned(), stream);
    }

    /// Whether the stream can be resumed.
    pub(super) fn has(&self, managed: &Arc<Managed>) -> bool {
        self.with(managed, || {}).is_some()
    }

    /// Does this if the stream can be resumed. Nobody goes on with it before that is done.
    pub(super) fn with<T>(&self, managed: &Arc<Managed>, done: impl FnOnce() -> T) -> Option<T> {
        let all = self.all();
        let mut streams = all.values();
        let is_there = streams.any(|stream| Arc::ptr_eq(&stream.managed, managed));
        is_there.then(done)
    }

    /// The stream cannot be resumed any more.
    pub(super) fn forget(&self, managed: &Arc<Managed>) {
        self.all()
            .retain(|_, stream| !Arc::ptr_eq(&stream.managed, managed));
    }
}
