//! A TCP connection with or without TLS, read as frames.
//!
//! Partners' and gateways' sockets are read and written only here. Reading is cancel-safe; writing
//! has a time limit.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::transport::Transport;
use crate::clock::Clock;
use crate::limits::Limits;
use crate::xml::{Bounds, Frame, ReadError, Reader};

/// The first byte of a TLS handshake (RFC 8446 §5.1). No XML begins with it.
const HANDSHAKE: u8 = 22;
/// How many bytes are read from a socket at once.
const CHUNK: usize = 8192;
/// How long a closed connection is still read, so that the peer receives the final bytes.
const LINGER: Duration = Duration::from_secs(2);
/// How many bytes are read and dropped during that time.
const LEFTOVER: usize = 1 << 20;

/// Why a connection has no more frames.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each has its text")]
pub enum Lost {
    #[error("the connection ended without a closing tag")]
    Ended,
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("the peer does not read")]
    Stuck,
    #[error("the stream cannot be read")]
    Unreadable(#[source] ReadError),
}

impl Lost {
    /// The cause in a few words, for logs.
    pub fn reason(&self) -> String {
        self.source()
            .map_or_else(|| "closed".to_owned(), ToString::to_string)
    }
}

/// This side's role in a TLS handshake.
pub enum Tls {
    /// Accepts the peer, and asks for its certificate if so configured.
    Accept(Arc<ServerConfig>),
    /// Connects to the server of that name.
    Connect(Arc<ClientConfig>, ServerName<'static>),
}

/// The reading half: frames from bytes.
#[derive(Debug)]
pub struct Incoming<R = Transport> {
    io: R,
    reader: Reader,
    buffer: BytesMut,
    bounds: Bounds,
    /// Bytes that the peer may still send; unlimited once it is authenticated.
    budget: Option<usize>,
    before_authentication: usize,
    heard: Instant,
    clock: Clock,
}

/// A connection in both directions.
#[derive(Debug)]
pub struct Connection {
    incoming: Incoming,
    outgoing: Unsent,
    patience: Duration,
}

/// Bytes on their way out.
#[derive(Debug)]
struct Unsent {
    bytes: BytesMut,
    /// Whether the transport may still hold some of what it took.
    held: bool,
    /// Since when the first of them wait.
    since: Instant,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// The next frame. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`Lost`] if there is none any more.
    pub async fn next(&mut self) -> Result<Frame, Lost> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            self.buffer.reserve(CHUNK);
            let count = self
                .io
                .read_buf(&mut (&mut self.buffer).limit(CHUNK))
                .await
                .map_err(Lost::Broken)?;
            self.took(count)?;
        }
    }

    /// The next frame, if it has arrived already.
    pub(crate) fn buffered(&mut self) -> Result<Option<Frame>, Lost> {
        let mut input = &self.buffer[..];
        let frame = self.reader.read(&mut input);
        let taken = self.buffer.len() - input.len();
        self.buffer.advance(taken);
        frame.map_err(Lost::Unreadable)
    }

    /// Counts bytes that have been read.
    fn took(&mut self, count: usize) -> Result<(), Lost> {
        if count == 0 {
            return Err(Lost::Ended);
        }
        self.heard = self.clock.now();
        if let Some(budget) = &mut self.budget {
            *budget = budget
                .checked_sub(count)
                .ok_or(Lost::Unreadable(ReadError::TooLarge))?;
        }
        Ok(())
    }

    /// Reads up to the peer's closing tag, or until the patience runs out. Stanzas are dropped, for
    /// this reason.
    pub async fn await_closing_tag(&mut self, patience: Duration, why: &str) {
        let clock = self.clock.clone();
        let closed = async {
            loop {
                match self.next().await {
                    Ok(Frame::Closed) | Err(_) => return,
                    Ok(Frame::Stanza(stanza)) => stanza.dropped(why),
                    Ok(_) => {}
                }
            }
        };
        let _ = clock.timeout(patience, closed).await;
    }

    /// Starts over with the next byte, where a new stream begins.
    pub fn restart(&mut self) {
        self.reader = Reader::new(self.bounds);
    }

    /// Lifts the limits for unauthenticated peers.
    pub fn trust(&mut self, element_bytes: usize) {
        self.budget = None;
        self.bounds.bytes = element_bytes;
        self.reader.set_bytes(element_bytes);
    }

    /// Passes over elements that cannot be taken, as far as the stream can go on.
    pub fn be_lenient(&mut self) {
        self.reader.be_lenient();
    }

    /// Restarts counting the bytes before authentication.
    pub fn refund(&mut self) {
        if let Some(budget) = &mut self.budget {
            *budget = self.before_authentication;
        }
    }
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, limits: &Limits, clock: &Clock) -> Self {
        // Small writes are waited for. An error here will show up again when writing.
        let _ = stream.set_nodelay(true);
        let bounds = Bounds {
            bytes: limits.bytes_before_authentication,
            depth: limits.depth,
            attributes: limits.attributes,
        };
        let patience = limits.stream_establishment_timeout;
        let mut connection = Self::over(Transport::Plain(stream), bounds, patience, clock);
        connection.incoming.budget = Some(limits.bytes_before_authentication);
        connection
    }

    /// A connection with a peer that is trusted from the beginning. No write may take longer than the patience.
    pub fn over(transport: Transport, bounds: Bounds, patience: Duration, clock: &Clock) -> Self {
        Self {
            incoming: Incoming {
                io: transport,
                reader: Reader::new(bounds),
                buffer: BytesMut::new(),
                bounds,
                budget: None,
                before_authentication: bounds.bytes,
                heard: clock.now(),
                clock: clock.clone(),
            },
            outgoing: Unsent {
                bytes: BytesMut::new(),
                held: false,
                since: clock.now(),
            },
            patience,
        }
    }

    /// The reading half, not split off.
    pub fn incoming(&mut self) -> &mut Incoming {
        &mut self.incoming
    }

    /// The next frame, as with [`Incoming::next`].
    ///
    /// # Errors
    /// As there.
    pub async fn next(&mut self) -> Result<Frame, Lost> {
        self.incoming.next().await
    }

    /// Sends a text after what is queued, in one write if the transport takes it.
    ///
    /// # Errors
    /// [`Lost`] if the connection broke, or the peer does not read.
    pub async fn send(&mut self, text: impl AsRef<[u8]>) -> Result<(), Lost> {
        self.queue(text.as_ref());
        let clock = self.incoming.clock.clone();
        let (io, unsent) = (&mut self.incoming.io, &mut self.outgoing);
        let writing = poll_fn(|context| unsent.advance(io, context));
        match clock.timeout(self.patience, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Lost::Broken(error)),
            Err(_) => Err(Lost::Stuck),
        }
    }

    /// Has bytes sent while frames are waited for.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        if self.outgoing.is_empty() {
            self.outgoing.since = self.incoming.clock.now();
        }
        self.outgoing.bytes.extend_from_slice(bytes);
    }

    /// Whether queued bytes have not gone out yet.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Waits for the next frame, and sends what is queued meanwhile, so that two peers that send to
    /// each other never wait for each other. `None` when the last of it has gone out. Nothing is lost
    /// when the future is dropped.
    pub(crate) async fn exchange(&mut self) -> Result<Option<Frame>, Lost> {
        let clock = self.incoming.clock.clone();
        loop {
            if let Some(frame) = self.incoming.buffered()? {
                return Ok(Some(frame));
            }
            let sending = !self.outgoing.is_empty();
            let stuck = self.outgoing.since + self.patience;
            let moving = poll_fn(|context| self.poll_exchange(sending, context));
            let moved = match sending {
                true => clock.timeout_at(stuck, moving).await,
                false => Ok(moving.await),
            };
            match moved {
                Ok(Ok(Moved::Read(count))) => self.incoming.took(count)?,
                Ok(Ok(Moved::Sent)) => return Ok(None),
                Ok(Err(error)) => return Err(Lost::Broken(error)),
                Err(_) => return Err(Lost::Stuck),
            }
        }
    }

    fn poll_exchange(
        &mut self,
        sending: bool,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Moved>> {
        let Incoming { io, buffer, .. } = &mut self.incoming;
        let sent = match sending {
            true => self.outgoing.advance(io, context),
            false => Poll::Pending,
        };
        if matches!(sent, Poll::Ready(Ok(()))) {
            return Poll::Ready(Ok(Moved::Sent));
        }
        let mut chunk = [0; CHUNK];
        let mut chunk = ReadBuf::new(&mut chunk);
        match Pin::new(io).poll_read(context, &mut chunk) {
            Poll::Ready(Ok(())) => {
                buffer.extend_from_slice(chunk.filled());
                Poll::Ready(Ok(Moved::Read(chunk.filled().len())))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What the peer has said counts more than that it listens no more.
            Poll::Pending => match sent {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            },
        }
    }

    /// When the peer's last bytes arrived.
    pub fn heard(&self) -> Instant {
        self.incoming.heard
    }

    /// Whether there are bytes that do not belong to a complete frame yet.
    pub fn has_unread(&self) -> bool {
        !self.incoming.buffer.is_empty()
    }

    /// Waits for the first byte, without taking it. Returns whether a TLS handshake begins.
    pub async fn begins_with_tls(&self) -> bool {
        let mut first = [0];
        match &self.incoming.io {
            // An error here will show up again when reading.
            Transport::Plain(stream) => {
                matches!(stream.peek(&mut first).await, Ok(1)) && first == [HANDSHAKE]
            }
            Transport::Secured(_) | Transport::Local(_) | Transport::Gone => false,
        }
    }

    /// Starts TLS on the connection, on which a new stream begins. After an error, and when the
    /// future is dropped, the connection is gone.
    ///
    /// # Errors
    /// [`Lost`] if the handshake fails.
    pub async fn secure(&mut self, tls: Tls) -> Result<(), Lost> {
        let incoming = &mut self.incoming;
        let Transport::Plain(stream) = std::mem::replace(&mut incoming.io, Transport::Gone) else {
            return Err(Lost::Broken(io::ErrorKind::AlreadyExists.into()));
        };
        let secured: io::Result<TlsStream<TcpStream>> = match tls {
            Tls::Accept(config) => {
                let accepted = TlsAcceptor::from(config).accept(stream).await;
                accepted.map(Into::into)
            }
            Tls::Connect(config, name) => {
                let connected = TlsConnector::from(config).connect(name, stream).await;
                connected.map(Into::into)
            }
        };
        incoming.io = Transport::Secured(Box::new(secured.map_err(Lost::Broken)?));
        incoming.buffer.clear();
        incoming.heard = incoming.clock.now();
        incoming.restart();
        Ok(())
    }

    /// The version of TLS, none in clear.
    pub(crate) fn tls_version(&self) -> Option<ProtocolVersion> {
        match &self.incoming.io {
            Transport::Secured(stream) => stream.get_ref().1.protocol_version(),
            Transport::Plain(_) | Transport::Local(_) | Transport::Gone => None,
        }
    }

    /// What the peer presented in the handshake.
    pub fn certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match &self.incoming.io {
            Transport::Secured(stream) => stream.get_ref().1.peer_certificates(),
            Transport::Plain(_) | Transport::Local(_) | Transport::Gone => None,
        }
    }

    /// Closes TLS and TCP. For a short time the peer's bytes are still read and dropped, so
    /// it can read what was sent.
    pub async fn close(mut self) {
        let clock = self.incoming.clock.clone();
        let closing = async {
            if self.incoming.io.shutdown().await.is_err() {
                return;
            }
            let mut rest = LEFTOVER;
            let mut sink = vec![0; 4096];
            while let Ok(count @ 1..) = self.incoming.io.read(&mut sink).await {
                rest = match rest.checked_sub(count) {
                    Some(rest) => rest,
                    None => return,
                };
            }
        };
        let _ = clock.timeout(LINGER, closing).await;
    }

    /// Splits the connection, for traffic in both directions at once.
    pub fn split(self) -> (Incoming<ReadHalf<Transport>>, Outgoing) {
        let Self {
            incoming, patience, ..
        } = self;
        let (read, io) = tokio::io::split(incoming.io);
        let clock = incoming.clock.clone();
        let incoming = Incoming {
            io: read,
            reader: incoming.reader,
            buffer: incoming.buffer,
            bounds: incoming.bounds,
            budget: incoming.budget,
            before_authentication: incoming.before_authentication,
            heard: incoming.heard,
            clock: incoming.clock,
        };
        let outgoing = Outgoing {
            io,
            patience,
            clock,
            cut: false,
        };
        (incoming, outgoing)
    }
}

/// What has happened on a connection.
enum Moved {
    Read(usize),
    /// All that was queued has gone out.
    Sent,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.held
    }

    /// Sends as much as the transport takes. Pending while some is left.
    fn advance(&mut self, io: &mut Transport, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.bytes.is_empty() {
            let count = ready!(Pin::new(&mut *io).poll_write(context, &self.bytes))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.bytes.advance(count);
            self.held = true;
        }
        if self.held {
            ready!(Pin::new(io).poll_flush(context))?;
            self.held = false;
            self.bytes = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// The writing half.
#[derive(Debug)]
pub struct Outgoing {
    io: WriteHalf<Transport>,
    patience: Duration,
    clock: Clock,
    cut: bool,
}

impl Outgoing {
    /// Sends bytes, in one write if the transport takes it.
    ///
    /// # Errors
    /// [`Lost`] if the connection broke, or the peer does not read.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.cut = true;
        let writing = async {
            self.io.write_all(bytes).await?;
            self.io.flush().await
        };
        match self.clock.timeout(self.patience, writing).await {
            Ok(Ok(())) => self.cut = false,
            Ok(Err(error)) => return Err(Lost::Broken(error)),
            Err(_) => return Err(Lost::Stuck),
        }
        Ok(())
    }

    /// Whether bytes were given up in their middle, so that nothing can follow them.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Ends this direction.
    pub async fn close(&mut self) {
        let _ = self.clock.timeout(LINGER, self.io.shutdown()).await;
    }
}

#[cfg(test)]
mod tests;
