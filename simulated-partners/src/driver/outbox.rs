//! What goes out of a connection, in order: bytes, and what is to happen between them.
//!
//! Writing goes on beside reading, so that a peer that answers while it is being talked to is heard.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::socket::Socket;
use crate::reaction::Line;

/// Bytes of repeated lines that are made at a time.
const BATCH: usize = 16 * 1024;

/// Something to be done when all before it is out.
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

/// A step that is not the outbox's own.
#[derive(Debug)]
pub(super) enum Step {
    /// The clock of a pause begins to run.
    Timer(Duration),
    /// A name goes to the board.
    Raise {
        name: String,
        /// Its text.
        value: String,
    },
    /// Writing ends.
    ShutWrite,
    /// A segment is out, and the peer may have a look at it.
    Yield,
}

/// What is to go out.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: VecDeque<Out>,
    /// What waits for nothing.
    steps: VecDeque<Step>,
    /// What is being written, and how much of it is out.
    chunk: Vec<u8>,
    written: usize,
    /// Where the segment ends that is being written.
    segment_end: usize,
    /// Most bytes of a segment; zero is no bound.
    segment: usize,
    needs_flush: bool,
    /// Nothing more can be written.
    mute: bool,
    progress: Instant,
    /// When the next repetition is due.
    paced_until: Option<Instant>,
    /// Reading has the next turn.
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

    /// Has a step done after what is to be sent, or as soon as can be.
    pub(super) fn step_after(&mut self, step: Step, sent: bool) {
        if sent {
            self.queue.push_back(Out::Step(step));
        } else {
            self.steps.push_back(step);
        }
    }

    /// The time that a write may take begins when there is something to write.
    fn begin(&mut self) {
        if !self.is_writing() {
            self.progress = Instant::now();
        }
    }

    /// Whether nothing is left.
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

    /// When the peer last took something, while there is something to take.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        (!self.mute && self.is_writing()).then_some(self.progress)
    }

    /// When the next repetition is due, where they are spread.
    pub(super) fn paced_until(&self) -> Option<Instant> {
        self.paced_until
    }

    /// It is due.
    pub(super) fn go_on(&mut self) {
        self.paced_until = None;
    }

    /// Whether it is the peer's turn: every other time.
    pub(super) fn takes_turns(&mut self) -> bool {
        self.turn = !self.turn;
        self.turn
    }

    /// Bytes that wait, without those that are not made yet.
    pub(super) fn backlog(&self) -> usize {
        let queued = self.queue.iter().map(|out| match out {
            Out::Bytes(bytes) => bytes.len(),
            _ => 0,
        });
        self.chunk.len() - self.written + queued.sum::<usize>()
    }

    /// The peer reads nothing more: what is left to write is dropped, and its waiters are done.
    pub(super) fn mute(&mut self) {
        self.mute = true;
        self.chunk.clear();
        self.written = 0;
        self.segment_end = 0;
        self.needs_flush = false;
        self.paced_until = None;
        self.queue.retain(|out| matches!(out, Out::Step(_)));
    }

    /// The peer has ended: there is no point in repeating.
    pub(super) fn stop_repeating(&mut self) {
        self.paced_until = None;
        self.queue.retain(|out| !matches!(out, Out::Many { .. }));
    }

    /// Writes as much as can be. Gives the next step that somebody else has to do, or nothing when
    /// all is out.
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
                Ok(true) => return Poll::Ready(Some(Step::Yield)),
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
                        // Others may have their turn between two batches.
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
            // Until then nobody is waited for.
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

    /// Writes what is being written: whether a segment was ended that another one follows.
    fn poll_chunk(&mut self, cx: &mut Context<'_>, socket: &mut Socket) -> Poll<io::Result<bool>> {
        while self.written < self.chunk.len() {
            if self.segment_end <= self.written {
                self.segment_end = match self.segment {
                    0 => self.chunk.len(),
                    length => self.chunk.len().min(self.written + length),
                };
            }
            let rest = &self.chunk[self.written..self.segment_end];
            let count = ready!(socket.poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.needs_flush = true;
            self.progress = Instant::now();
            if self.written == self.segment_end && self.written < self.chunk.len() {
                ready!(socket.poll_flush(cx))?;
                self.needs_flush = false;
                return Poll::Ready(Ok(true));
            }
        }
        if self.needs_flush {
            ready!(socket.poll_flush(cx))?;
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
        (Socket::Plain(Tcp::new(ours)), peer)
    }

    /// What a peer reads that is always faster than the next write.
    async fn segments(mut outbox: Outbox) -> Vec<String> {
        let (mut socket, mut peer) = pair().await;
        let mut read = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let step = poll_fn(|cx| outbox.poll_next(cx, &mut socket)).await;
            // After each step something is there.
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
