//! An open stream: stanzas in both directions until one side ends it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::component::NS_COMPONENT;
use super::error::{Ending, InnerError};
use super::opening::Opening;
use crate::wire::{Element, Framer, Kind, NS_SERVER, Node};

/// The maximum number of bytes per read.
pub(super) const CHUNK: usize = 8192;
/// The maximum number of stanzas waiting to be sent, and of those waiting to be received.
const QUEUE: usize = 64;
/// The time limit for the other side to end its stream in [`Inner::close`].
const FAREWELL: Duration = Duration::from_secs(1);

/// The namespace of stanzas on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// `jabber:server`, as everywhere in this crate.
    Server,
    /// `jabber:component:accept`.
    Component,
}

/// An open link to the inner side of a target.
///
/// Dropping it ends the stream and closes the connection; [`Inner::close`] waits for that.
#[derive(Debug)]
pub struct Inner {
    outgoing: Outgoing,
    incoming: mpsc::Receiver<Element>,
    state: Arc<watch::Sender<State>>,
    reader: JoinHandle<()>,
    writer: Option<JoinHandle<()>>,
}

/// The sending half of a link, which several tasks can share.
#[derive(Clone, Debug)]
pub struct Outgoing {
    queue: mpsc::Sender<String>,
    state: watch::Receiver<State>,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The other side may continue for a while, this one ends its stream.
    Closing,
    Ended(Ending),
}

impl Inner {
    /// Takes over an opened stream, including bytes in its framer.
    pub(super) fn start<S>(opening: Opening<S>, content: Content) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Opening {
            stream,
            socket,
            framer,
        } = opening;
        let (source, sink) = tokio::io::split(stream);
        let (state, watched) = watch::channel(State::Open);
        let state = Arc::new(state);
        let (queue, to_send) = mpsc::channel(QUEUE);
        let (received, incoming) = mpsc::channel(QUEUE);
        let reader = tokio::spawn(read_to_end(
            Reader {
                source,
                socket,
                framer,
                content,
                received,
            },
            Arc::clone(&state),
        ));
        let writer = tokio::spawn(write_to_end(sink, to_send, Arc::clone(&state)));
        Self {
            outgoing: Outgoing {
                queue,
                state: watched,
                content,
            },
            incoming,
            state,
            reader,
            writer: Some(writer),
        }
    }

    /// Sends a stanza, see [`Outgoing::send`].
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn send(&self, stanza: &Element) -> Result<(), InnerError> {
        self.outgoing.send(stanza).await
    }

    /// A handle for sending from elsewhere. It does not keep the link open.
    pub fn outgoing(&self) -> Outgoing {
        self.outgoing.clone()
    }

    /// The next stanza, in `jabber:server`. Cancel-safe.
    /// If nothing is received, the other side is blocked after a few more stanzas than its queue holds.
    ///
    /// # Errors
    /// When the link has ended and everything before was received: how it ended, each time.
    pub async fn receive(&mut self) -> Result<Element, InnerError> {
        match self.incoming.recv().await {
            Some(stanza) => Ok(stanza),
            None => Err(self.outgoing.ending().into()),
        }
    }

    /// Sends queued stanzas and the end of the stream, and waits briefly for the other
    /// side's end.
    pub async fn close(mut self) {
        self.state.send_if_modified(State::close);
        let Some(writer) = self.writer.take() else {
            return;
        };
        let abort = writer.abort_handle();
        let farewell = async {
            // A task that ended for any reason has closed its half.
            let _ = writer.await;
            // Further stanzas have no receiver, but must not delay the end.
            while self.incoming.recv().await.is_some() {}
        };
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!("the inner side did not end its stream in time");
            abort.abort();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The writer ends the stream by itself and then stops.
        self.state.send_if_modified(State::close);
        self.reader.abort();
    }
}

impl Outgoing {
    /// Queues a stanza of `jabber:server`. Waits while the queue is full; if dropped then, nothing of
    /// the stanza is sent.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn send(&self, stanza: &Element) -> Result<(), InnerError> {
        let text = match self.content {
            Content::Server => stanza.to_xml(),
            Content::Component => {
                let mut stanza = stanza.clone();
                move_to(&mut stanza, NS_SERVER, NS_COMPONENT);
                stanza.to_xml()
            }
        };
        self.write(text).await
    }

    /// Queues text as it is, which need not be XML. The other side may end the link for it.
    ///
    /// # Errors
    /// When the link has ended.
    pub async fn send_raw(&self, text: &str) -> Result<(), InnerError> {
        self.write(text.to_owned()).await
    }

    async fn write(&self, text: String) -> Result<(), InnerError> {
        if *self.state.borrow() != State::Open {
            return Err(self.ending().into());
        }
        let sent = self.queue.send(text).await;
        sent.map_err(|_| self.ending().into())
    }

    fn ending(&self) -> Ending {
        match &*self.state.borrow() {
            State::Ended(ending) => ending.clone(),
            State::Open | State::Closing => Ending::Here,
        }
    }
}

impl State {
    fn close(&mut self) -> bool {
        let open = *self == Self::Open;
        if open {
            *self = Self::Closing;
        }
        open
    }

    /// The first reason stays.
    fn end(&mut self, ending: Ending) -> bool {
        let first = !matches!(self, Self::Ended(_));
        if first {
            *self = Self::Ended(match self {
                // The other side's answer to our end of the stream is not a separate reason.
                Self::Closing => Ending::Here,
                _ => ending,
            });
        }
        first
    }
}

struct Reader<S> {
    source: ReadHalf<S>,
    socket: Socket,
    framer: Framer,
    content: Content,
    received: mpsc::Sender<Element>,
}

async fn read_to_end<S: AsyncRead>(mut reader: Reader<S>, state: Arc<watch::Sender<State>>) {
    let ending = reader.run().await;
    // State first: whoever finds the queue closed wants to know why.
    state.send_if_modified(|state| state.end(ending));
    drop(reader);
}

impl<S: AsyncRead> Reader<S> {
    async fn run(&mut self) -> Ending {
        let mut chunk = [0; CHUNK];
        loop {
            loop {
                match self.framer.next() {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        if let Some(ending) = self.take(frame.kind).await {
                            return ending;
                        }
                    }
                    Err(fault) => return Ending::Wire(fault),
                }
            }
            match self.source.read(&mut chunk).await {
                Ok(0) => return Ending::Fin,
                Ok(length) => self.framer.push(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    // TLS that ends without close_notify.
                    return Ending::Fin;
                }
                Err(error) => return Ending::Broken(error.kind()),
            }
            rearm(&self.socket);
        }
    }

    async fn take(&mut self, kind: Kind) -> Option<Ending> {
        match kind {
            Kind::Declaration | Kind::Header(_) | Kind::Whitespace(_) => None,
            Kind::End => Some(Ending::Stream),
            Kind::Element(mut element) => {
                if let Some(ending) = Ending::of(&element) {
                    return Some(ending);
                }
                if self.content == Content::Component {
                    move_to(&mut element, NS_COMPONENT, NS_SERVER);
                }
                let taken = self.received.send(element).await;
                taken.err().map(|_| Ending::Here)
            }
        }
    }
}

async fn write_to_end<S: AsyncWrite>(
    mut sink: WriteHalf<S>,
    mut to_send: mpsc::Receiver<String>,
    state: Arc<watch::Sender<State>>,
) {
    let mut watched = state.subscribe();
    let written = async move {
        loop {
            tokio::select! {
                biased;
                text = to_send.recv() => match text {
                    Some(text) => sink.write_all(text.as_bytes()).await?,
                    None => break,
                },
                () = no_longer_open(&mut watched) => break,
            }
            if to_send.is_empty() {
                sink.flush().await?;
            }
        }
        // Stanzas queued before the end are sent before it.
        to_send.close();
        while let Some(text) = to_send.recv().await {
            sink.write_all(text.as_bytes()).await?;
        }
        sink.write_all(b"</stream:stream>").await?;
        sink.flush().await?;
        sink.shutdown().await
    };
    tokio::pin!(written);
    let mut closing = state.subscribe();
    let outcome = tokio::select! {
        outcome = &mut written => outcome,
        // A peer that does not read must not keep the task alive.
        () = no_longer_open(&mut closing) => timeout(FAREWELL, written)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    };
    if let Err(error) = outcome {
        state.send_if_modified(|state| state.end(Ending::Broken(error.kind())));
    }
}

async fn no_longer_open(state: &mut watch::Receiver<State>) {
    // An error means that the sender is gone, which is an end as well.
    let _ = state.wait_for(|state| *state != State::Open).await;
}

/// Moves an element and its descendants from one content namespace to the other, as far as they are
/// connected: a stanza quoted inside another payload keeps its own.
fn move_to(element: &mut Element, from: &str, to: &str) {
    if element.namespace != from {
        return;
    }
    to.clone_into(&mut element.namespace);
    for (_, declared) in &mut element.declarations {
        if declared == from {
            to.clone_into(declared);
        }
    }
    for child in &mut element.children {
        if let Node::Element(child) = child {
            move_to(child, from, to);
        }
    }
}

/// Enables immediate acknowledgements again: the kernel resets this with each read, and a peer
/// with Nagle's algorithm then waits 40 ms. Costs one system call; a failure does not matter.
pub(super) fn rearm(socket: &Socket) {
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_quickack(true);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}
