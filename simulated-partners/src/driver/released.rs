//! An authenticated connection whose stanzas are no longer parsed or observed, because there are too many.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::socket::Socket;
use crate::event::{ConnectionKind, EventKind, Method, Party};
use crate::line::{Line, Turn};
use crate::stream::{Action, Input, Machine};
use crate::wire::{Cut, Unit};

/// A connection of a partner that was handed over. The partner still does what is no matter of stanzas, such
/// as answering the target's questions about keys.
#[derive(Debug)]
pub struct Released {
    kind: ConnectionKind,
    method: Method,
    took: Duration,
    line: Line<Socket>,
    machine: Machine,
    /// The stream error of the target's.
    error: Option<String>,
    /// Whether nothing more is to come.
    finished: bool,
}

/// Why a connection carries nothing more.
#[derive(Debug, thiserror::Error)]
pub enum Over {
    /// Both sides have ended the stream.
    #[error("closed")]
    Closed,
    /// The target ended it with this stream error.
    #[error("stream error {0}")]
    Error(String),
    /// The target ended the connection without ending the stream.
    #[error("the connection ended without a closing tag")]
    Cut,
    /// The connection is broken.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
}

impl Released {
    /// A connection that is authenticated, on which all was sent, with the moment when it was opened.
    pub(super) fn of(mut machine: Machine, socket: Socket, opened: Instant) -> Option<Self> {
        let unread = machine.take_unread();
        Some(Self {
            kind: machine.kind(),
            method: machine.established()?,
            took: opened.elapsed(),
            line: Line::new(socket, &unread),
            machine,
            error: None,
            finished: false,
        })
    }

    /// Who has dialled.
    pub fn kind(&self) -> ConnectionKind {
        self.kind
    }

    /// How it was authenticated.
    pub fn method(&self) -> Method {
        self.method
    }

    /// How long that took from the moment when TCP was connected.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Has stanzas sent by the next turns.
    pub fn queue(&mut self, stanzas: &[u8]) {
        self.line.queue(stanzas);
    }

    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.line.unsent()
    }

    /// Ends this side of the stream. What the target still sends comes in until it ends its own.
    pub fn close(&mut self) {
        let actions = self.machine.handle(Input::Stop);
        self.carry_out(actions);
    }

    /// Sends and receives until something has happened, and hands over each stanza. Nothing is lost when the
    /// future is dropped.
    ///
    /// # Errors
    /// When it carries nothing more.
    pub async fn turn(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), Over> {
        if self.finished && !self.line.has_unsent() {
            return Err(self.error.take().map_or(Over::Closed, Over::Error));
        }
        match self.line.turn().await {
            Ok(Turn::Moved) => {}
            Ok(Turn::Ended) => return Err(self.error.take().map_or(Over::Cut, Over::Error)),
            Err(error) => return Err(Over::Broken(error)),
        }
        loop {
            let other = match self.line.cut() {
                Ok(None) => return Ok(()),
                Ok(Some(Cut::Element(bytes))) if is_stanza(bytes) => {
                    take(bytes);
                    continue;
                }
                Ok(Some(Cut::Element(bytes) | Cut::End(bytes))) => bytes.to_vec(),
                Err(fault) => return Err(Over::Broken(io::Error::other(fault))),
            };
            let actions = self.machine.handle(Input::Bytes(&other));
            self.carry_out(actions);
        }
    }

    /// Closes the connection itself.
    pub async fn shut(self) {
        self.line.into_transport().close().await;
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(bytes) => self.line.queue(&bytes),
                Action::Close | Action::Cut | Action::Reset => self.finished = true,
                Action::Observe(event) => {
                    let error = event.element_from(Party::Target);
                    if let Some(error) = error.filter(|element| Unit::StreamError.is(element)) {
                        let condition = Unit::StreamError.condition(error);
                        self.error = Some(condition.unwrap_or("undefined-condition").to_owned());
                    }
                    if matches!(event, EventKind::Closed { .. }) {
                        self.finished = true;
                    }
                }
                // An open stream needs nothing else.
                _ => {}
            }
        }
    }
}

/// Whether an element is a stanza, in the only form that servers write.
fn is_stanza(element: &[u8]) -> bool {
    [&b"<message"[..], b"<presence", b"<iq"].iter().any(|name| {
        let rest = element.strip_prefix(*name);
        rest.is_some_and(|rest| {
            matches!(
                rest.first(),
                Some(b' ' | b'>' | b'/' | b'\t' | b'\r' | b'\n')
            )
        })
    })
}
