//! A session of a local user: stanzas in both directions.

use reference_proxy::wire::{Bounds, Frame, ReadError, Reader, Stanza};
use tokio::sync::mpsc;

use crate::event::{Event, SessionId};

/// A local user who is signed in. Dropping it signs out.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    /// `user@domain/resource`.
    pub(crate) address: String,
    pub(crate) hub: mpsc::Sender<Event>,
    pub(crate) sign_out: mpsc::UnboundedSender<SessionId>,
    pub(crate) stanzas: mpsc::Receiver<Stanza>,
}

/// The gateway has stopped, or has ended the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the gateway has ended the session")]
pub struct Ended;

impl Session {
    /// The session's full address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a stanza. Its `from` is replaced by the session's address.
    ///
    /// # Errors
    /// [`Ended`] if the gateway has stopped.
    pub async fn send(&self, stanza: Stanza) -> Result<(), Ended> {
        let event = Event::FromSession(self.id, stanza);
        self.hub.send(event).await.map_err(|_| Ended)
    }

    /// The next stanza for the user.
    ///
    /// # Errors
    /// [`Ended`] if the gateway has stopped, or has ended the session.
    pub async fn next(&mut self) -> Result<Stanza, Ended> {
        self.stanzas.recv().await.ok_or(Ended)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A hub that is gone has no sessions any more.
        let _ = self.sign_out.send(self.id);
    }
}

/// Reads one stanza from text.
///
/// # Errors
/// [`ReadError`] if it is no stanza of the namespace `jabber:server`, or more than one.
pub fn stanza(text: &str) -> Result<Stanza, ReadError> {
    let mut reader = Reader::new(Bounds {
        bytes: text.len().max(1024),
        depth: 64,
        attributes: 64,
    });
    let header =
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";
    reader.read(&mut header.as_bytes())?;
    let mut input = text.trim().as_bytes();
    match reader.read(&mut input)? {
        Some(Frame::Stanza(stanza)) if input.is_empty() => Ok(stanza),
        _ => Err(ReadError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly_one_stanza() {
        let read = stanza(" <message to='a@b'><body>x</body></message>\n").expect("a stanza");
        assert_eq!(read.to.as_deref(), Some("a@b"));
        for text in [
            "",
            "x",
            "<message>",
            "<a/>",
            "<message/><message/>",
            "</stream:stream>",
        ] {
            assert!(stanza(text).is_err(), "{text}");
        }
    }
}
