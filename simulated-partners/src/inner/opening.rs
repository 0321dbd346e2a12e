//! Opens a stream.

use std::io;
use std::net::SocketAddr;

use socket2::{SockRef, Socket};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::error::{Ending, InnerError};
use super::link::{CHUNK, rearm};
use crate::wire::{Element, Framer, Kind, Limits, NS_STREAM};

/// A target may need longer than a partner, and the link serves all cases.
const ROOMY: Limits = Limits {
    unit: 16 << 20,
    depth: 1024,
    attributes: 65_536,
};

/// Connects without delays, and returns a second handle for tuning the socket
/// while TLS owns the first.
pub(super) async fn tcp(address: SocketAddr) -> Result<(TcpStream, Socket), InnerError> {
    let connect = async {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let handle = SockRef::from(&tcp).try_clone()?;
        Ok((tcp, handle))
    };
    connect
        .await
        .map_err(|source: io::Error| InnerError::Connect { address, source })
}

/// A connection that sends and awaits one unit after another.
pub(super) struct Opening<S> {
    pub(super) stream: S,
    pub(super) socket: Socket,
    pub(super) framer: Framer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opening<S> {
    pub(super) fn new(stream: S, socket: Socket) -> Self {
        Self {
            stream,
            socket,
            framer: Framer::new(ROOMY),
        }
    }

    /// Sends a stream header and reads the answering header.
    pub(super) async fn open(&mut self, header: &Element) -> Result<Element, InnerError> {
        self.send(&format!("<?xml version='1.0'?>{}", header.to_open_tag()))
            .await?;
        loop {
            match self.next("a stream header").await? {
                Kind::Declaration | Kind::Whitespace(_) => {}
                Kind::Header(header) if header.is(NS_STREAM, "stream") => return Ok(header),
                other => return Err(unexpected("a stream header", &other)),
            }
        }
    }

    pub(super) async fn send(&mut self, text: &str) -> Result<(), InnerError> {
        self.stream
            .write_all(text.as_bytes())
            .await
            .map_err(|error| broken(&error))?;
        self.stream.flush().await.map_err(|error| broken(&error))
    }

    /// The next element that is not a stream error.
    pub(super) async fn element(&mut self, expected: &'static str) -> Result<Element, InnerError> {
        loop {
            match self.next(expected).await? {
                Kind::Whitespace(_) => {}
                Kind::Element(element) => {
                    return match Ending::of(&element) {
                        Some(ending) => Err(ending.into()),
                        None => Ok(element),
                    };
                }
                Kind::End => return Err(Ending::Stream.into()),
                other => return Err(unexpected(expected, &other)),
            }
        }
    }

    async fn next(&mut self, expected: &'static str) -> Result<Kind, InnerError> {
        let mut chunk = [0; CHUNK];
        loop {
            if let Some(frame) = self.framer.next().map_err(Ending::from)? {
                return Ok(frame.kind);
            }
            let length = self.stream.read(&mut chunk).await.map_err(|error| {
                // In TLS 1.3, a refused client certificate shows after the handshake.
                match error
                    .get_ref()
                    .is_some_and(|inner| inner.is::<rustls::Error>())
                {
                    true => InnerError::Tls(error),
                    false => broken(&error),
                }
            })?;
            rearm(&self.socket);
            if length == 0 {
                tracing::debug!(expected, "the inner side closed while opening");
                return Err(Ending::Fin.into());
            }
            self.framer.push(&chunk[..length]);
        }
    }
}

/// The error for an unexpected unit.
pub(super) fn unexpected(expected: &'static str, got: &Kind) -> InnerError {
    let got = match got {
        Kind::Declaration => "an XML declaration".to_owned(),
        Kind::Header(element) | Kind::Element(element) => {
            format!("<{} xmlns='{}'>", element.name, element.namespace)
        }
        Kind::Whitespace(_) => "white space".to_owned(),
        Kind::End => "the end of the stream".to_owned(),
    };
    InnerError::Unexpected { expected, got }
}

fn broken(error: &io::Error) -> InnerError {
    Ending::Broken(error.kind()).into()
}
