//! A TCP connection that may be upgraded to TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::capture::{Sent, Tap};
use super::taken::Taken;
use crate::event::{Party, TlsSession, TlsSignal};
use crate::tls::{self, OfferRecorder, Takeover};

/// The time limit for the peer to close, and for an alert left by a broken handshake.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The number of reads after our end, at most 1 KiB each.
const IGNORED: usize = 64;

/// TCP without delays: sending immediately, and acknowledging each segment at once. A peer
/// that waits for acknowledgements would otherwise lose 40 ms per session.
#[derive(Debug)]
pub(super) struct Tcp {
    stream: TcpStream,
    tap: Option<Tap>,
}

impl Tcp {
    /// What a tap records is what the kernel takes and gives.
    pub(super) fn new(stream: TcpStream, tap: Option<Tap>) -> Self {
        // A lost connection is noticed when reading.
        let _ = stream.set_nodelay(true);
        let tcp = Self { stream, tap };
        tcp.acknowledge();
        tcp
    }

    /// The kernel resets this now and then.
    fn acknowledge(&self) {
        let _ = SockRef::from(&self.stream).set_tcp_quickack(true);
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let has_room = buffer.remaining() > 0;
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.acknowledge();
        if let Some(tap) = &self.tap {
            match (&read, &buffer.filled()[before..]) {
                (Ok(()), []) if has_room => tap.end(Party::Target, Sent::Fin),
                (Ok(()), bytes) => tap.bytes(Party::Target, bytes),
                (Err(error), _) if error.kind() == io::ErrorKind::ConnectionReset => {
                    tap.end(Party::Target, Sent::Reset);
                }
                (Err(_), _) => {}
            }
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        if let (Some(tap), Ok(length)) = (&self.tap, &written) {
            tap.bytes(Party::Partner, &bytes[..*length]);
        }
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        if let (Some(tap), Ok(length)) = (&self.tap, &written) {
            let mut left = *length;
            for slice in slices {
                let taken = left.min(slice.len());
                tap.bytes(Party::Partner, &slice[..taken]);
                left -= taken;
            }
        }
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = ready!(Pin::new(&mut self.stream).poll_shutdown(cx));
        if let (Some(tap), Ok(())) = (&self.tap, &ended) {
            tap.end(Party::Partner, Sent::Fin);
        }
        Poll::Ready(ended)
    }
}

/// A connection.
#[derive(Debug)]
pub(super) enum Socket {
    /// Plaintext.
    Plain(Tcp),
    /// Under TLS.
    Tls(Box<TlsStream<Tcp>>),
    /// TLS with records made by hand.
    Taken(Box<Taken>),
    /// Gone.
    Closed,
}

/// A side of a handshake with its configuration.
#[derive(Debug)]
pub(super) enum Handshake {
    /// Ours is the ClientHello.
    Client(Arc<ClientConfig>, ServerName<'static>),
    /// We answer it.
    Server(Arc<ServerConfig>),
}

impl Socket {
    /// Ends our side, with close_notify under TLS, and leaves the peer's open.
    pub(super) async fn shut_write(&mut self) {
        let ended = async {
            match self {
                Self::Plain(tcp) => tcp.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
                Self::Taken(taken) => taken.tcp.shutdown().await,
                Self::Closed => Ok(()),
            }
        };
        // A lost peer is noticed when reading.
        let _ = timeout(LAST_WORDS, ended).await;
    }

    /// Starts TLS on the connection. `domain` is the domain that the target's certificate is judged for.
    ///
    /// # Errors
    /// Who ended the handshake and how; the connection is then gone.
    pub(super) async fn secure(
        &mut self,
        handshake: Handshake,
        domains: &[&str],
        roots: &Arc<RootCertStore>,
    ) -> Result<TlsSession, (Party, TlsSignal)> {
        let Self::Plain(tcp) = std::mem::replace(self, Self::Closed) else {
            return Err((
                Party::Partner,
                TlsSignal::Garbage("a second layer of TLS".to_owned()),
            ));
        };
        let (done, facts) = match handshake {
            Handshake::Client(config, name) => {
                let sni = match &name {
                    ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
                    _ => None,
                };
                // Without the extension, no name is sent.
                let sni = sni.filter(|_| config.enable_sni);
                let (config, recorder) = OfferRecorder::client(&config);
                let connect = TlsConnector::from(config).connect(name, tcp);
                match connect.into_fallible().await {
                    Ok(stream) => {
                        let connection = stream.get_ref().1;
                        let sni = sni.as_deref();
                        let facts = tls::client_facts(connection, &recorder, sni, domains, roots);
                        (TlsStream::Client(stream), facts)
                    }
                    Err((error, tcp)) => return Err(last_words(&error, tcp).await),
                }
            }
            Handshake::Server(config) => {
                let (config, recorder) = OfferRecorder::server(&config);
                match TlsAcceptor::from(config).accept(tcp).into_fallible().await {
                    Ok(mut stream) => {
                        let connection = stream.get_mut().1;
                        let facts = tls::server_facts(connection, &recorder, domains, roots);
                        (TlsStream::Server(stream), facts)
                    }
                    Err((error, tcp)) => return Err(last_words(&error, tcp).await),
                }
            }
        };
        *self = Self::Tls(Box::new(done));
        Ok(facts)
    }

    /// Takes over the TLS keys: from here on, plaintext records are written and read. A partially
    /// read record is lost.
    ///
    /// # Errors
    /// Why that is not possible; the connection is then gone.
    pub(super) async fn take_over(&mut self) -> Result<(), String> {
        let Self::Tls(mut stream) = std::mem::replace(self, Self::Closed) else {
            return Err("there is no renegotiation without TLS".to_owned());
        };
        // A peer that reads nothing leaves data to send, and the keys stay where they are.
        let _ = timeout(LAST_WORDS, stream.flush()).await;
        let (tcp, connection) = match *stream {
            TlsStream::Client(stream) => {
                let (tcp, connection) = stream.into_inner();
                (tcp, rustls::Connection::from(connection))
            }
            TlsStream::Server(stream) => {
                let (tcp, connection) = stream.into_inner();
                (tcp, rustls::Connection::from(connection))
            }
        };
        let records = Takeover::of(connection).map_err(|refusal| refusal.to_string())?;
        *self = Self::Taken(Box::new(Taken::new(tcp, records)));
        Ok(())
    }

    /// Ends our side, with close_notify under TLS, and lets the peer end its own: what it
    /// still sends would otherwise be answered with a reset.
    pub(super) async fn close(&mut self) {
        let farewell = async {
            // The peer may already be gone.
            let ended = match self {
                Self::Plain(tcp) => tcp.shutdown().await,
                Self::Tls(stream) => stream.shutdown().await,
                Self::Taken(taken) => taken.tcp.shutdown().await,
                Self::Closed => return,
            };
            let mut ignored = [0; 1024];
            let mut chunks = if ended.is_ok() { IGNORED } else { 0 };
            while chunks > 0 && matches!(self.read(&mut ignored).await, Ok(1..)) {
                chunks -= 1;
            }
        };
        // Whether or not it succeeded, there is nothing left to wait for.
        let _ = timeout(LAST_WORDS, farewell).await;
        *self = Self::Closed;
    }

    /// Ends TCP on our side without ending TLS, and is gone once the peer has ended too.
    pub(super) async fn cut(&mut self) {
        if let Self::Tls(stream) = self {
            // There is no other writer, so no close_notify follows.
            let tcp = match &mut **stream {
                TlsStream::Client(stream) => stream.get_mut().0,
                TlsStream::Server(stream) => stream.get_mut().0,
            };
            let farewell = async {
                let _ = tcp.shutdown().await;
                let mut ignored = [0; 1024];
                let mut chunks = IGNORED;
                while chunks > 0 && matches!(tcp.read(&mut ignored).await, Ok(1..)) {
                    chunks -= 1;
                }
            };
            let _ = timeout(LAST_WORDS, farewell).await;
            *self = Self::Closed;
        }
        self.close().await;
    }

    /// Resets TCP.
    pub(super) fn reset(&mut self) {
        let tcp = match self {
            Self::Plain(tcp) => Some(&*tcp),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::Taken(taken) => Some(&taken.tcp),
            Self::Closed => None,
        };
        if let Some(tcp) = tcp {
            // With no time to linger, closing resets.
            let _ = SockRef::from(&tcp.stream).set_linger(Some(Duration::ZERO));
            if let Some(tap) = &tcp.tap {
                tap.end(Party::Partner, Sent::Reset);
            }
        }
        *self = Self::Closed;
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Taken(taken) => taken.poll_read(cx, buffer),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Taken(taken) => taken.poll_write(cx, bytes),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Taken(taken) => taken.poll_flush(cx),
            Self::Closed => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Taken(taken) => Pin::new(&mut taken.tcp).poll_shutdown(cx),
            Self::Closed => Poll::Ready(Ok(())),
        }
    }
}

/// Why a handshake failed. If our own write failed first, the peer's alert may be
/// unread.
async fn last_words(error: &io::Error, mut tcp: Tcp) -> (Party, TlsSignal) {
    let (by, signal) = tls::failure(error);
    if signal != TlsSignal::Closed {
        // Sends FIN after our alert, if there was one.
        let _ = timeout(LAST_WORDS, tcp.shutdown()).await;
        return (by, signal);
    }
    let mut words = Vec::new();
    let mut limited = tcp.take(4096);
    // Whatever arrived until it broke is still read.
    let _ = timeout(LAST_WORDS, limited.read_to_end(&mut words)).await;
    match tls::legacy::read_alert(&words) {
        Some(name) => (Party::Target, TlsSignal::Alert(name)),
        None => (by, signal),
    }
}
