//! What happens between the socket of a connection and its output.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, ReadBuf};

use super::outbox::{Outbox, Step};
use super::socket::Socket;

/// What happened between socket and machine.
pub(super) enum Traffic {
    Read(io::Result<usize>),
    Step(Step),
}

/// Writes pending output, and reads meanwhile. Cancel-safe.
pub(super) async fn traffic(
    outbox: &mut Outbox,
    socket: &mut Socket,
    buffer: &mut [u8],
    reads: bool,
) -> Traffic {
    // The one served last goes first, so that neither starves.
    let reads_first = reads && outbox.takes_turns();
    poll_fn(|cx| {
        if reads_first && let Poll::Ready(read) = poll_read(cx, socket, buffer) {
            return Poll::Ready(Traffic::Read(read));
        }
        if let Poll::Ready(Some(step)) = outbox.poll_next(cx, socket) {
            return Poll::Ready(Traffic::Step(step));
        }
        if reads && !reads_first {
            return poll_read(cx, socket, buffer).map(Traffic::Read);
        }
        Poll::Pending
    })
    .await
}

fn poll_read(
    cx: &mut Context<'_>,
    socket: &mut Socket,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    let read = Pin::new(socket).poll_read(cx, &mut buffer);
    read.map_ok(|()| buffer.filled().len())
}
