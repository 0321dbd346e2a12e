//! A TCP connection with or without TLS, read as frames.
//!
//! The only place that reads and writes sockets of partners and gateways. Reading is cancel-safe;
//! writing has a time limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::limits::Limits;
use crate::xml::{Bounds, Frame, ReadError, Reader};

/// The first byte of a TLS handshake (RFC 8446 §5.1). No XML begins with it.
const HANDSHAKE: u8 = 22;
/// Bytes asked of a socket at once.
const CHUNK: usize = 8192;
/// How long a closed connection is still read, so that the peer gets the last words.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are read and thrown away meanwhile.
const LEFTOVER: usize = 1 << 20;

/// Why a connection gives no more frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    /// TCP or TLS ended without the stream's closing tag.
    #[error("the connection ended")]
    Ended,
    /// TCP or TLS broke.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// Writing took too long.
    #[error("the peer does not read")]
    Stuck,
    /// The bytes are no stream.
    #[error("the stream is unreadable")]
    Unreadable(#[source] ReadError),
}

/// Which part of a TLS handshake is this side's.
pub(crate) enum Tls {
    /// The server's.
    Accept(Arc<ServerConfig>),
    /// The client's, with the name that the server is asked for.
    Connect(Arc<ClientConfig>, ServerName<'static>),
}

/// TCP, or TLS over it.
#[derive(Debug)]
pub(crate) enum Transport {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

/// Frames out of bytes.
#[derive(Debug)]
pub(crate) struct Incoming<R> {
    io: R,
    reader: Reader,
    buffer: BytesMut,
    bounds: Bounds,
    /// Bytes that the peer may still send; no bound once it is authenticated.
    budget: Option<usize>,
    before_authentication: usize,
    heard: Instant,
}

/// A connection in both directions.
#[derive(Debug)]
pub(crate) struct Connection {
    incoming: Incoming<Transport>,
    patience: Duration,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// The next frame. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Lost`] when there will be no more.
    pub(crate) async fn next(&mut self) -> Result<Frame, Lost> {
        loop {
            let mut input = &self.buffer[..];
            let frame = self.reader.read(&mut input);
            let taken = self.buffer.len() - input.len();
            self.buffer.advance(taken);
            if let Some(frame) = frame.map_err(Lost::Unreadable)? {
                return Ok(frame);
            }
            self.buffer.reserve(CHUNK);
            let count = self
                .io
                .read_buf(&mut (&mut self.buffer).limit(CHUNK))
                .await
                .map_err(Lost::Broken)?;
            if count == 0 {
                return Err(Lost::Ended);
            }
            self.heard = Instant::now();
            if let Some(budget) = &mut self.budget {
                *budget = budget
                    .checked_sub(count)
                    .ok_or(Lost::Unreadable(ReadError::TooLarge))?;
            }
        }
    }

    /// When the peer's last bytes came.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// The peer's next bytes begin a new stream.
    pub(crate) fn restart(&mut self) {
        self.reader = Reader::new(self.bounds);
    }

    /// The peer is authenticated: elements may have that many bytes, and there is no end to them.
    pub(crate) fn trust(&mut self, element_bytes: usize) {
        self.budget = None;
        self.bounds.bytes = element_bytes;
        self.reader.set_bytes(element_bytes);
    }

    /// The bytes before authentication count anew.
    pub(crate) fn refund(&mut self) {
        if let Some(budget) = &mut self.budget {
            *budget = self.before_authentication;
        }
    }
}

impl Connection {
    /// A fresh TCP connection.
    pub(crate) fn new(stream: TcpStream, limits: &Limits) -> Self {
        // Small writes are answers that somebody waits for. A failure shows itself at once anyway.
        let _ = stream.set_nodelay(true);
        let bounds = Bounds {
            bytes: limits.bytes_before_authentication,
            depth: limits.depth,
            attributes: limits.attributes,
        };
        Self {
            incoming: Incoming {
                io: Transport::Plain(stream),
                reader: Reader::new(bounds),
                buffer: BytesMut::new(),
                bounds,
                budget: Some(limits.bytes_before_authentication),
                before_authentication: limits.bytes_before_authentication,
                heard: Instant::now(),
            },
            patience: limits.stream_establishment_timeout,
        }
    }

    /// The reading half's own methods.
    pub(crate) fn incoming(&mut self) -> &mut Incoming<Transport> {
        &mut self.incoming
    }

    /// The next frame, as [`Incoming::next`].
    ///
    /// # Errors
    ///
    /// [`Lost`] when there will be no more.
    pub(crate) async fn next(&mut self) -> Result<Frame, Lost> {
        self.incoming.next().await
    }

    /// Sends bytes, all in one write where the transport takes them.
    ///
    /// # Errors
    ///
    /// [`Lost`] when the connection broke or the peer does not read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        write(&mut self.incoming.io, bytes, self.patience).await
    }

    /// When the peer's last bytes came.
    pub(crate) fn heard(&self) -> Instant {
        self.incoming.heard()
    }

    /// Whether bytes have come that belong to no frame yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.incoming.buffer.is_empty()
    }

    /// Whether the first byte is that of a TLS handshake; it stays where it is. Waits for it.
    pub(crate) async fn begins_with_tls(&self) -> bool {
        let mut first = [0];
        match &self.incoming.io {
            // What keeps it from being seen keeps it from being read, too.
            Transport::Plain(stream) => {
                matches!(stream.peek(&mut first).await, Ok(1)) && first == [HANDSHAKE]
            }
            Transport::Secured(_) => false,
        }
    }

    /// Puts TLS over the connection; the stream begins anew.
    ///
    /// # Errors
    ///
    /// [`Lost`] when the handshake fails, or the connection is under TLS already.
    pub(crate) async fn secure(self, tls: Tls) -> Result<Self, Lost> {
        let Self {
            mut incoming,
            patience,
        } = self;
        let Transport::Plain(stream) = incoming.io else {
            return Err(Lost::Broken(io::ErrorKind::AlreadyExists.into()));
        };
        let stream = match tls {
            Tls::Accept(config) => TlsStream::Server(
                TlsAcceptor::from(config)
                    .accept(stream)
                    .await
                    .map_err(Lost::Broken)?,
            ),
            Tls::Connect(config, name) => TlsStream::Client(
                TlsConnector::from(config)
                    .connect(name, stream)
                    .await
                    .map_err(Lost::Broken)?,
            ),
        };
        incoming.reader = Reader::new(incoming.bounds);
        incoming.buffer.clear();
        Ok(Self {
            incoming: Incoming {
                io: Transport::Secured(Box::new(stream)),
                reader: incoming.reader,
                buffer: incoming.buffer,
                bounds: incoming.bounds,
                budget: incoming.budget,
                before_authentication: incoming.before_authentication,
                heard: Instant::now(),
            },
            patience,
        })
    }

    /// What the peer presented in the handshake.
    pub(crate) fn certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match &self.incoming.io {
            Transport::Plain(_) => None,
            Transport::Secured(stream) => stream.get_ref().1.peer_certificates(),
        }
    }

    /// Ends the connection so that the peer can read what was sent: TLS and TCP are closed, and
    /// what still comes is thrown away for a short while.
    pub(crate) async fn close(mut self) {
        let _ = timeout(LINGER, async {
            if self.incoming.io.shutdown().await.is_err() {
                return;
            }
            let mut rest = LEFTOVER;
            let mut sink = [0; 4096];
            while let Ok(count @ 1..) = self.incoming.io.read(&mut sink).await {
                rest = match rest.checked_sub(count) {
                    Some(rest) => rest,
                    None => return,
                };
            }
        })
        .await;
    }

    /// Parts the connection, for traffic in both directions at once.
    pub(crate) fn split(self) -> (Incoming<ReadHalf<Transport>>, Outgoing) {
        let Self { incoming, patience } = self;
        let (read, io) = tokio::io::split(incoming.io);
        let incoming = Incoming {
            io: read,
            reader: incoming.reader,
            buffer: incoming.buffer,
            bounds: incoming.bounds,
            budget: incoming.budget,
            before_authentication: incoming.before_authentication,
            heard: incoming.heard,
        };
        (incoming, Outgoing { io, patience })
    }
}

/// The writing half.
#[derive(Debug)]
pub(crate) struct Outgoing {
    io: WriteHalf<Transport>,
    patience: Duration,
}

impl Outgoing {
    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// [`Lost`] when the connection broke or the peer does not read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        write(&mut self.io, bytes, self.patience).await
    }

    /// Ends this direction.
    pub(crate) async fn close(&mut self) {
        let _ = timeout(LINGER, self.io.shutdown()).await;
    }
}

async fn write<W: AsyncWrite + Unpin>(
    io: &mut W,
    bytes: &[u8],
    patience: Duration,
) -> Result<(), Lost> {
    let writing = async {
        io.write_all(bytes).await?;
        io.flush().await
    };
    match timeout(patience, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Lost::Broken(error)),
        Err(_) => Err(Lost::Stuck),
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secured(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Secured(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secured(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secured(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
