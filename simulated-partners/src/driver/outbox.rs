//! The output of a connection, in order: bytes, and steps between them.
//!
//! Writing continues alongside reading, so that a peer that answers early is heard.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite as _;
use tokio::time::Instant;

use super::socket::Socket;
use crate::reaction::Line;

/// Bytes of repeated text generated at a time.
const BATCH: usize = 16 * 1024;

/// A step to carry out once everything before it has been sent.
#[derive(Debug)]
enum Out {
    Bytes(Vec<u8>),
    Many {
        line: Line,
        next: u32,
        times: u32,
        every: Option<Duration>,
    },
    Flush,
    Segments(usize),
    Step(Step),
}

/// A step that the caller carries out.
#[derive(Debug)]
pub(super) enum Step {
    /// The clock of a pause starts.
    Timer(Duration),
    /// A signal is raised.
    Raise {
        name: String,
        /// Its text.
        value: String,
    },
    /// Writing ends.
    ShutWrite,
    /// Others have their turn.
    Yield,
    /// A segment has been sent that another one follows.
    Segment,
}

/// Pending output.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: VecDeque<Out>,
    /// Steps that wait for nothing.
    steps: VecDeque<Step>,
    /// The bytes being written, and how many have been sent.
    chunk: Vec<u8>,
    written: usize,
    /// The end of the segment being written.
    segment_end: usize,
    /// The segment size limit; zero means none.
    segment: usize,
    needs_flush: bool,
    /// Nothing more can be written.
    mute: bool,
    progress: Instant,
    /// When the next repetition is due.
    paced_until: Option<Instant>,
    /// Reading goes next.
    turn: bool,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            steps: VecDeque::new(),
            chunk: Vec::new(),
            written: 0,
            segment_end: 0,
            segment: 0,
            needs_flush: false,
            mute: false,
            progress: Instant::now(),
            paced_until: None,
            turn: false,
        }
    }

    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        self.begin();
        match self.queue.back_mut() {
            Some(Out::Bytes(before)) => before.extend(bytes),
            _ => self.queue.push_back(Out::Bytes(bytes)),
        }
    }

    pub(super) fn send_many(&mut self, line: Line, times: u32, every: Option<Duration>) {
        self.begin();
        self.queue.push_back(Out::Many {
            line,
            next: 1,
            times,
            every,
        });
    }

    pub(super) fn flush(&mut self) {
        self.queue.push_back(Out::Flush);
    }

    pub(super) fn segments(&mut self, length: usize) {
        self.queue.push_back(Out::Segments(length));
    }

    /// Adds a step after the pending output, or as soon as possible.
    pub(super) fn step_after(&mut self, step: Step, sent: bool) {
        if sent {
            self.queue.push_back(Out::Step(step));
        } else {
            self.steps.push_back(step);
        }
    }

    /// A write's time limit starts when there is something to write.
    fn begin(&mut self) {
        if !self.is_writing() {
            self.progress = Instant::now();
        }
    }

    /// Whether nothing is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.steps.is_empty() && !self.is_writing()
    }

    fn is_writing(&self) -> bool {
        self.written < self.chunk.len()
            || self.needs_flush
            || self
                .queue
                .iter()
                .any(|out| matches!(out, Out::Bytes(_) | Out::Many { .. }))
    }

    /// When the peer last accepted data, while some is pending.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        (!self.mute && self.is_writing()).then_some(self.progress)
    }

    /// When the next repetition is due, if they are spread out.
    pub(super) fn paced_until(&self) -> Option<Instant> {
        self.paced_until
    }

    /// The next repetition is due.
    pub(super) fn go_on(&mut self) {
        self.paced_until = None;
    }

    /// Whether it is the peer's turn: every other time.
    pub(super) fn takes_turns(&mut self) -> bool {
        self.turn = !self.turn;
        self.turn
    }

    /// Pending bytes, without those not generated yet.
    pub(super) fn backlog(&self) -> usize {
        let queued = self.queue.iter().map(|out| match out {
            Out::Bytes(bytes) => bytes.len(),
            _ => 0,
        });
        self.chunk.len() - self.written + queued.sum::<usize>()
    }

    /// The peer has stopped reading: the rest is dropped, and its waiters are released.
    pub(super) fn mute(&mut self) {
        self.mute = true;
        self.chunk.clear();
        self.written = 0;
        self.segment_end = 0;
        self.needs_flush = false;
        self.paced_until = None;
        self.queue.retain(|out| matches!(out, Out::Step(_)));
    }

    /// The peer has ended: repeating is pointless.
    pub(super) fn stop_repeating(&mut self) {
        self.paced_until = None;
        self.queue.retain(|out| !matches!(out, Out::Many { .. }));
    }

    /// Writes as much as possible. Returns the next step for the caller, or `None` when
    /// everything has been sent.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
    ) -> Poll<Option<Step>> {
        if let Some(step) = self.steps.pop_front() {
            return Poll::Ready(Some(step));
        }
        loop {
            if self.paced_until.is_some() {
                return Poll::Pending;
            }
            match ready!(self.poll_chunk(cx, socket)) {
                Ok(true) => return Poll::Ready(Some(Step::Segment)),
                Ok(false) => {}
                Err(_) => self.mute(),
            }
            let Some(next) = self.queue.pop_front() else {
                return Poll::Ready(None);
            };
            match next {
                Out::Step(step) => return Poll::Ready(Some(step)),
                Out::Bytes(_) | Out::Many { .. } if self.mute => {}
                Out::Bytes(bytes) => self.chunk = bytes,
                Out::Many {
                    line,
                    next,
                    times,
                    every,
                } => {
                    self.batch(line, next, times, every);
                    if next > 1 {
                        // Yields to others between two batches.
                        return Poll::Ready(Some(Step::Yield));
                    }
                }
                Out::Segments(length) => self.segment = length,
                Out::Flush => return Poll::Ready(Some(Step::Yield)),
            }
        }
    }

    fn batch(&mut self, line: Line, mut next: u32, times: u32, every: Option<Duration>) {
        if let Some(every) = every
            && next > 1
        {
            let due = Instant::now() + every;
            self.paced_until = Some(due);
            // Until then, nothing is waited for.
            self.progress = due;
        }
        let batch = if every.is_some() { 1 } else { BATCH };
        while next <= times && self.chunk.len() < batch {
            line.write(next, &mut self.chunk);
            next = next.saturating_add(1);
        }
        if next <= times {
            self.queue.push_front(Out::Many {
                line,
                next,
                times,
                every,
            });
        }
    }

    /// Writes the current bytes. Returns whether a segment ended that another one follows.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<bool>> {
        while self.written < self.chunk.len() {
            if self.segment_end <= self.written {
                self.segment_end = match self.segment {
                    0 => self.chunk.len(),
                    length => self.chunk.len().min(self.written + length),
                };
            }
            let rest = &self.chunk[self.written..self.segment_end];
            let count = ready!(Pin::new(&mut *socket).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.needs_flush = true;
            self.progress = Instant::now();
            if self.written == self.segment_end && self.written < self.chunk.len() {
                ready!(Pin::new(&mut *socket).poll_flush(cx))?;
                self.needs_flush = false;
                return Poll::Ready(Ok(true));
            }
        }
        if self.needs_flush {
            ready!(Pin::new(&mut *socket).poll_flush(cx))?;
            self.needs_flush = false;
            self.progress = Instant::now();
        }
        self.chunk.clear();
        self.written = 0;
        self.segment_end = 0;
        Poll::Ready(Ok(false))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::socket::Tcp;
    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let ours = TcpStream::connect(address).await.expect("it listens");
        let (peer, _) = listener.accept().await.expect("it was dialled");
        (Socket::Plain(Tcp::new(ours, None)), peer)
    }

    /// The bytes received by a peer that always reads before the next write.
    async fn segments(mut outbox: Outbox) -> Vec<String> {
        let (mut socket, mut peer) = pair().await;
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let step = poll_fn(|cx| outbox.poll_next(cx, &mut socket)).await;
            // Each step leaves something behind.
            let length = peer.read(&mut buffer).await.expect("it is there");
            read.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            if step.is_none() {
                return read;
            }
        }
    }

    #[tokio::test]
    async fn bytes_go_out_in_one_segment_unless_flushed_or_split() {
        let mut whole = Outbox::new();
        whole.send(b"one ".to_vec());
        whole.send(b"two".to_vec());
        assert_eq!(segments(whole).await, ["one two"]);

        let mut flushed = Outbox::new();
        flushed.send(b"one ".to_vec());
        flushed.flush();
        flushed.send(b"two".to_vec());
        assert_eq!(segments(flushed).await, ["one ", "two"]);

        let mut split = Outbox::new();
        split.segments(3);
        split.send(b"one two".to_vec());
        assert_eq!(segments(split).await, ["one", " tw", "o"]);

        let mut ended = Outbox::new();
        ended.segments(1);
        ended.segments(0);
        ended.send(b"one two".to_vec());
        assert_eq!(segments(ended).await, ["one two"]);
    }

    #[tokio::test]
    async fn steps_keep_their_place_behind_what_is_sent() {
        let (mut socket, _peer) = pair().await;
        let mut outbox = Outbox::new();
        let raise = |name: &str| Step::Raise {
            name: name.to_owned(),
            value: String::new(),
        };
        outbox.send(b"x".to_vec());
        outbox.step_after(raise("late"), true);
        outbox.step_after(raise("early"), false);
        let mut names = Vec::new();
        while let Some(step) = poll_fn(|cx| outbox.poll_next(cx, &mut socket)).await {
            if let Step::Raise { name, .. } = step {
                names.push((name, outbox.backlog()));
            }
        }
        assert_eq!(names, [("early".to_owned(), 1), ("late".to_owned(), 0)]);
        assert!(outbox.is_empty());
    }

    #[tokio::test]
    async fn a_mute_outbox_drops_bytes_and_keeps_steps() {
        let mut outbox = Outbox::new();
        outbox.send(b"x".to_vec());
        outbox.step_after(Step::Timer(Duration::ZERO), true);
        outbox.mute();
        outbox.send(b"y".to_vec());
        let mut socket = Socket::Closed;
        let step = poll_fn(|cx| outbox.poll_next(cx, &mut socket)).await;
        assert!(matches!(step, Some(Step::Timer(_))), "{step:?}");
        let step = poll_fn(|cx| outbox.poll_next(cx, &mut socket)).await;
        assert!(step.is_none(), "{step:?}");
        assert_eq!(outbox.writing_since(), None);
    }
}
