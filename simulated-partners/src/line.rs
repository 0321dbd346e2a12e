//! An open stream at full speed: whole units come in and bytes go out, and nothing is parsed or observed.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::wire::{Cut, Cutter, Limits, WireError};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// One end of an open stream.
#[derive(Debug)]
pub struct Line<S> {
    io: S,
    cutter: Cutter,
    unsent: BytesMut,
    /// Whether the transport may hold some of what it took.
    held: bool,
}

/// What a turn has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Bytes have gone out or come in.
    Moved,
    /// The peer has ended the connection.
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Takes over a connection behind the headers, where these bytes have come in already.
    pub fn new(io: S, unread: &[u8]) -> Self {
        Self {
            io,
            cutter: Cutter::behind_header(Limits::default(), unread),
            unsent: BytesMut::new(),
            held: false,
        }
    }

    /// Has bytes sent by the next turns.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// Whether anything still has to go out.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty() || self.held
    }

    /// The connection below. What was not sent is dropped.
    pub fn into_transport(self) -> S {
        self.io
    }

    /// The next whole unit that has come in.
    ///
    /// # Errors
    /// When the peer's bytes are no stream. There are no more units then.
    pub fn cut(&mut self) -> Result<Option<Cut<'_>>, WireError> {
        self.cutter.cut()
    }

    /// Sends what is queued as far as the peer takes it, and reads. Returns when either has led to something.
    /// Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn turn(&mut self) -> io::Result<Turn> {
        poll_fn(|context| self.poll_turn(context)).await
    }

    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let sent = self.send(context);
        let buffer = self.cutter.buffer();
        buffer.reserve(CHUNK);
        match pin!(self.io.read_buf(buffer)).poll(context) {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(Turn::Ended)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(Turn::Moved)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the peer has said counts more than that it listens no more.
            Poll::Pending => match sent {
                Ok(true) => Poll::Ready(Ok(Turn::Moved)),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }

    /// Sends as much as the transport takes. Returns whether that was anything.
    fn send(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut sent = false;
        while !self.unsent.is_empty() {
            match Pin::new(&mut self.io).poll_write(context, &self.unsent) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.unsent.advance(count);
                    self.held = true;
                    sent = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(sent),
            }
        }
        if self.held
            && let Poll::Ready(flushed) = Pin::new(&mut self.io).poll_flush(context)
        {
            flushed?;
            self.held = false;
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn both_ends_send_at_once_more_than_the_transport_holds() {
        let (one, other) = tokio::io::duplex(1024);
        let ends = [Line::new(one, b""), Line::new(other, b"")];
        let ends = ends.map(|mut line| async move {
            let stanza = format!("<message>{}</message>", "x".repeat(100_000));
            line.queue(stanza.as_bytes());
            let mut whole = 0;
            while whole < 1 || line.unsent() > 0 {
                assert_eq!(line.turn().await.expect("it is open"), Turn::Moved);
                while let Some(cut) = line.cut().expect("it is XML") {
                    assert_eq!(cut, Cut::Element(stanza.as_bytes()));
                    whole += 1;
                }
            }
            line
        });
        let [one, other] = ends;
        tokio::join!(one, other);
    }

    #[tokio::test]
    async fn what_has_come_before_the_end_is_not_lost() {
        let (mut peer, io) = tokio::io::duplex(1024);
        let mut line = Line::new(io, b"<iq");
        peer.write_all(b"/></stream:stream>")
            .await
            .expect("it has room");
        drop(peer);
        assert_eq!(line.turn().await.expect("there are bytes"), Turn::Moved);
        assert_eq!(line.cut(), Ok(Some(Cut::Element(b"<iq/>"))));
        assert_eq!(line.cut(), Ok(Some(Cut::End(b"</stream:stream>"))));
        assert_eq!(line.turn().await.expect("no error"), Turn::Ended);
    }
}
