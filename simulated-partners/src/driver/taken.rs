//! A connection whose TLS records are made by hand: it reads and writes plaintext
//! records, and encrypts them on TCP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::socket::Tcp;
use crate::tls::Takeover;

/// Bytes read from TCP at a time.
const CHUNK: usize = 4096;

#[derive(Debug)]
pub(super) struct Taken {
    pub(super) tcp: Tcp,
    records: Takeover,
    /// Encrypted, up to the end of a record.
    received: Vec<u8>,
    /// A partially read plaintext record.
    opened: Vec<u8>,
    /// Plaintext, up to the end of a record.
    clear: Vec<u8>,
    /// Encrypted, to be written.
    sealed: Vec<u8>,
}

impl Taken {
    pub(super) fn new(tcp: Tcp, records: Takeover) -> Self {
        Self {
            tcp,
            records,
            received: Vec::new(),
            opened: Vec::new(),
            clear: Vec::new(),
            sealed: Vec::new(),
        }
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.opened.is_empty() {
                let length = self.opened.len().min(buffer.remaining());
                buffer.put_slice(&self.opened[..length]);
                self.opened.drain(..length);
                return Poll::Ready(Ok(()));
            }
            match self.records.open(&mut self.received) {
                Ok(Some(record)) => {
                    self.opened = record;
                    continue;
                }
                Ok(None) => {}
                Err(_) => {
                    let error = rustls::Error::DecryptError;
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
            }
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.received.extend_from_slice(chunk.filled());
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_sealed(cx))?;
        self.clear.extend_from_slice(bytes);
        loop {
            match self.records.seal(&mut self.clear) {
                Ok(Some(record)) => self.sealed.extend(record),
                Ok(None) => return Poll::Ready(Ok(bytes.len())),
                Err(_) => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
            }
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sealed(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_sealed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.sealed.is_empty() {
            let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.sealed))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sealed.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}
