//! Waits until everything that has reached a partner's sockets has been read.
//!
//! Connections are separate tasks. On a busy machine one may lag behind another, so that what the
//! target sent first is not yet known when what it sent last ends a case.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::FAREWELL;
use super::loopback::delivered;

/// What a partner is going to do by itself, without anything from the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ahead {
    /// Nothing.
    #[default]
    Nothing,
    /// It repeats something at intervals.
    Repetition,
    /// It pauses for so long.
    Pause(Duration),
    /// Something is under way.
    Soon,
}

/// Asks a task to reply once its socket has nothing more to read: with what it is going to do then.
pub(super) type Requests = mpsc::UnboundedReceiver<oneshot::Sender<Ahead>>;

/// All tasks that read from sockets.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Vec<mpsc::UnboundedSender<oneshot::Sender<Ahead>>>>);

impl Readers {
    /// Adds a task, for as long as it keeps the returned value.
    pub(super) fn join(&self) -> Requests {
        let (sender, requests) = mpsc::unbounded_channel();
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|reader| !reader.is_closed());
        readers.push(sender);
        requests
    }

    /// Returns when all tasks have read what had arrived before the call, with what they are going to
    /// do then. A task that is busy with a handshake or a write has 100 ms for it.
    pub(super) async fn settle(&self) -> Ahead {
        let mut ahead = Ahead::Nothing;
        delivered().await;
        // The runtime reports ready sockets in the order in which they became ready.
        if let Err(error) = echo().await {
            tracing::warn!(%error, "cannot wait for what has arrived");
        }
        // A connection accepted in the first round replies in the second.
        for _ in 0..2 {
            let answers: Vec<oneshot::Receiver<Ahead>> = {
                let readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                readers.iter().filter_map(ask).collect()
            };
            ahead = Ahead::Nothing;
            let answered = timeout(FAREWELL, async {
                for answer in answers {
                    // A task that has ended has nothing left to read.
                    ahead = ahead.max(answer.await.unwrap_or_default());
                }
            });
            if answered.await.is_err() {
                ahead = Ahead::Soon;
            }
        }
        ahead
    }
}

fn ask(reader: &mpsc::UnboundedSender<oneshot::Sender<Ahead>>) -> Option<oneshot::Receiver<Ahead>> {
    let (done, answer) = oneshot::channel();
    reader.send(done).ok().map(|()| answer)
}

/// Sends a byte to ourselves.
async fn echo() -> io::Result<()> {
    let (mut near, mut far) = UnixStream::pair()?;
    near.write_all(b"!").await?;
    far.read_u8().await.map(drop)
}
