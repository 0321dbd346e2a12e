//! One connection: a socket, its TLS, and the units of its stream.

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use simulated_partners::wire::{Element, Frame, Framer, Limits, WireError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::stanza::stream_error;

const CHUNK: usize = 8192;

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection ended.
    Ended,
    /// The bytes are no stream.
    Illegal(WireError),
}

enum Socket {
    Plain(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
    Gone,
}

/// What arrives is changed by this before it is parsed.
pub(super) type Scrub = fn(Vec<u8>) -> Vec<u8>;

/// What happens when more arrives than one read takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Full {
    #[default]
    Harmless,
    /// A byte gets lost.
    Loses,
    /// Nothing more is read.
    Stalls,
}

/// A connection of the double.
pub(super) struct Link {
    socket: Socket,
    framer: Framer,
    limits: Limits,
    scrub: Scrub,
    /// What a read that fills its buffer does.
    pub(super) full: Full,
    /// Whether a stanza that the end of the connection cuts off counts as whole.
    pub(super) halves: bool,
    /// The certificates of the other side.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

impl Link {
    pub(super) fn new(tcp: TcpStream, scrub: Scrub, limits: Limits) -> Self {
        let _ = tcp.set_nodelay(true);
        Self {
            socket: Socket::Plain(tcp),
            framer: Framer::new(limits),
            limits,
            scrub,
            full: Full::default(),
            halves: false,
            chain: Vec::new(),
        }
    }

    pub(super) fn is_secured(&self) -> bool {
        matches!(self.socket, Socket::Secured(_))
    }

    /// The next unit. It may be dropped while it waits.
    pub(super) async fn frame(&mut self) -> Result<Frame, Broken> {
        loop {
            match self.framer.next() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(Broken::Illegal(error)),
            }
            let mut chunk = vec![0; CHUNK];
            let read = match &mut self.socket {
                Socket::Plain(tcp) => tcp.read(&mut chunk).await,
                Socket::Secured(tls) => tls.read(&mut chunk).await,
                Socket::Gone => Ok(0),
            };
            match read {
                Ok(0) | Err(_) if self.halves && self.has_unread() => {
                    self.halves = false;
                    self.framer.push(b"</body></message>");
                }
                Ok(0) | Err(_) => return Err(Broken::Ended),
                Ok(length) => {
                    chunk.truncate(length);
                    let is_full = length == CHUNK;
                    match self.full {
                        Full::Loses if is_full => drop(chunk.pop()),
                        Full::Stalls if is_full => std::future::pending().await,
                        Full::Loses | Full::Stalls | Full::Harmless => {}
                    }
                    self.framer.push(&(self.scrub)(chunk));
                }
            }
        }
    }

    /// Says on a stream of its own what is wrong with the other's.
    pub(super) async fn blame(&mut self, broken: &Broken) {
        if let Broken::Illegal(error) = broken {
            let _ = self.send(&stream_error(error.condition)).await;
        }
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.framer.pending().is_empty()
    }

    /// Expects a new stream. What was read already is dropped, unless it is kept by mistake.
    pub(super) fn restart(&mut self, keeps_unread: bool) {
        if keeps_unread {
            self.framer.restart();
        } else {
            self.framer = Framer::new(self.limits);
        }
    }

    pub(super) async fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.socket {
            Socket::Plain(tcp) => tcp.write_all(text.as_bytes()).await,
            Socket::Secured(tls) => {
                tls.write_all(text.as_bytes()).await?;
                tls.flush().await
            }
            Socket::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) async fn send(&mut self, element: &Element) -> io::Result<()> {
        self.write(&element.to_xml()).await
    }

    /// Ends the stream and the connection.
    pub(super) async fn close(&mut self) {
        let _ = self.write("</stream:stream>").await;
        let _ = match &mut self.socket {
            Socket::Plain(tcp) => tcp.shutdown().await,
            Socket::Secured(tls) => tls.shutdown().await,
            Socket::Gone => Ok(()),
        };
    }

    /// A connection whose handshake was broken is left in clear, where it is to be used on.
    pub(super) async fn accept_tls(
        &mut self,
        config: Arc<ServerConfig>,
        keeps: bool,
    ) -> io::Result<()> {
        let accepting = TlsAcceptor::from(config).accept(self.plain()?);
        match accepting.into_fallible().await {
            Ok(tls) => self.secure(TlsStream::Server(tls)),
            Err((error, tcp)) => {
                if keeps {
                    self.socket = Socket::Plain(tcp);
                    self.framer.restart();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) async fn start_tls(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        keeps: bool,
    ) -> io::Result<()> {
        let connecting = TlsConnector::from(config).connect(name, self.plain()?);
        match connecting.into_fallible().await {
            Ok(tls) => self.secure(TlsStream::Client(tls)),
            Err((error, tcp)) => {
                if keeps {
                    self.socket = Socket::Plain(tcp);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// The socket, which is of no further use here.
    pub(super) fn plain(&mut self) -> io::Result<TcpStream> {
        match std::mem::replace(&mut self.socket, Socket::Gone) {
            Socket::Plain(tcp) => Ok(tcp),
            Socket::Secured(_) | Socket::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn secure(&mut self, tls: TlsStream<TcpStream>) {
        let (_, state) = tls.get_ref();
        self.chain = state.peer_certificates().unwrap_or_default().to_vec();
        self.socket = Socket::Secured(Box::new(tls));
    }
}
