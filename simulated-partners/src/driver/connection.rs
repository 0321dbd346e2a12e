//! One connection: its socket, its machine, and the loop between them.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::outbox::{Outbox, Step};
use super::recorder::Overflow;
use super::released::Released;
use super::settle::{Ahead, Requests};
use super::socket::{Handshake, Socket, Tcp};
use super::traffic::{Traffic, traffic};
use super::{FAREWELL, Shared};
use crate::board::Snapshot;
use crate::event::{ConnectionId, Party, TlsSignal};
use crate::stream::{Action, Input, KeyAnswer, Machine, Purpose, State, TlsRole};
use crate::tls;
use crate::wire::Element;

/// Bytes read from a socket at a time.
const CHUNK: usize = 8 * 1024;

/// Limit on bytes waiting to be sent; above it, nothing more is read.
const BACKLOG: usize = 256 * 1024;

/// Who asked for a verification, and receives its result.
#[derive(Debug)]
pub(super) struct Asker {
    ticket: u32,
    to: mpsc::UnboundedSender<(u32, KeyAnswer)>,
}

impl Asker {
    pub(super) fn send(self, answer: KeyAnswer) {
        // The requester may be gone.
        let _ = self.to.send((self.ticket, answer));
    }
}

/// A connection that was noted as such.
pub(super) struct Opened {
    pub(super) stream: Tcp,
    pub(super) connection: ConnectionId,
    pub(super) requests: Requests,
}

/// Whether the connection continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoOn,
    Over,
}

/// A step due before the next read.
#[derive(Debug)]
enum Due {
    Handshake(TlsRole),
    /// Sending these records under the keys held by rustls.
    TakeOver(Vec<u8>),
}

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    connection: ConnectionId,
    socket: Socket,
    machine: Machine,
    deadline: Option<Instant>,
    /// Results of verification connections arrive here.
    answers: mpsc::UnboundedSender<(u32, KeyAnswer)>,
    decided: mpsc::UnboundedReceiver<(u32, KeyAnswer)>,
    asker: Option<Asker>,
    /// Stanzas to send once the connection is authenticated.
    stanzas: Option<mpsc::UnboundedReceiver<Element>>,
    outbox: Outbox,
    /// When a paused list continues.
    timer: Option<Instant>,
    board: watch::Receiver<Snapshot>,
    /// The waiters for the moment when nothing is left to read.
    requests: Requests,
    /// Whether the machine wants input from the peer.
    reads: bool,
    stopping: bool,
}

/// Runs a connection from start to end.
pub(super) async fn run(
    shared: &Arc<Shared>,
    opened: Opened,
    purpose: Purpose,
    number: u16,
    asker: Option<Asker>,
    stanzas: Option<mpsc::UnboundedReceiver<Element>>,
) {
    let Opened {
        stream,
        connection,
        requests,
    } = opened;
    let began = Instant::now();
    let (answers, decided) = mpsc::unbounded_channel();
    let mut board = shared.board.subscribe();
    // Signals that are already raised must be handled, too.
    board.mark_changed();
    let mut connection = Connection {
        shared,
        connection,
        socket: Socket::Plain(stream),
        machine: Machine::new(Arc::clone(&shared.config), connection.0, purpose).as_nth(number),
        deadline: None,
        answers,
        decided,
        asker,
        stanzas,
        outbox: Outbox::new(),
        timer: None,
        board,
        requests,
        reads: true,
        stopping: false,
    };
    connection.converse(shared.stop.clone()).await;
    if connection.is_wanted()
        && let Some(releases) = &shared.releases
        && let Some(released) = Released::of(connection.machine, connection.socket, began)
    {
        // Whoever wanted it may have gone.
        let _ = releases.send(released);
    }
}

impl Connection<'_> {
    async fn converse(&mut self, mut stop: watch::Receiver<bool>) {
        let mut buffer = vec![0; CHUNK];
        if self.take(Input::Opened, &mut stop).await == Flow::Over {
            return;
        }
        loop {
            let (deadline, timer) = (self.deadline, self.timer);
            let stalled = self
                .outbox
                .writing_since()
                .map(|since| since + self.patience());
            let paced = self.outbox.paced_until();
            let reads = self.reads && self.outbox.backlog() < BACKLOG;
            let input = tokio::select! {
                biased;
                () = told(&mut stop), if !self.stopping => self.stopped(),
                Some((ticket, answer)) = self.decided.recv() => {
                    Input::Verified { ticket, answer }
                }
                Some(stanza) = handed_in(&mut self.stanzas),
                    if self.machine.state() == State::Established =>
                {
                    Input::Send(stanza)
                }
                Ok(()) = self.board.changed() => {
                    let snapshot = Arc::clone(&self.board.borrow_and_update());
                    Input::Board(snapshot)
                }
                () = at(timer), if timer.is_some() => {
                    self.timer = None;
                    Input::Timer
                }
                step = traffic(&mut self.outbox, &mut self.socket, &mut buffer, reads) => match step {
                    Traffic::Read(Ok(0)) => Input::PeerClosed,
                    Traffic::Read(Ok(length)) => Input::Bytes(&buffer[..length]),
                    Traffic::Read(Err(error)) => broken(&error),
                    Traffic::Step(step) => {
                        self.step(step).await;
                        continue;
                    }
                },
                () = at(deadline), if deadline.is_some() => {
                    self.deadline = None;
                    // The machine cannot receive what it has not requested yet.
                    if let Some(later) = stalled.filter(|&later| later > Instant::now())
                        && !self.stopping
                    {
                        self.deadline = Some(later);
                        continue;
                    }
                    Input::Deadline
                }
                () = at(paced), if paced.is_some() => {
                    self.outbox.go_on();
                    continue;
                }
                () = at(stalled), if stalled.is_some() => {
                    // A peer that accepts nothing is noticed when reading, with its last data.
                    self.outbox.mute();
                    continue;
                }
                // Last, so it is reached only when nothing else is ready.
                Some(done) = self.requests.recv() => {
                    // The waiter may have given up.
                    let _ = done.send(ahead(timer, paced));
                    continue;
                }
            };
            if self.take(input, &mut stop).await == Flow::Over {
                return;
            }
            if self.is_wanted() {
                return self.drain(&mut stop).await;
            }
        }
    }

    /// Whether it is handed over from here on.
    fn is_wanted(&self) -> bool {
        let established = self.machine.state() == State::Established;
        established && self.shared.releases.is_some() && !self.stopping
    }

    /// From here on, time is limited.
    fn stopped(&mut self) -> Input<'static> {
        self.stopping = true;
        self.outbox.stop_repeating();
        self.deadline = Some(Instant::now() + FAREWELL);
        Input::Stop
    }

    fn patience(&self) -> Duration {
        if self.stopping {
            FAREWELL
        } else {
            self.shared.config.patience
        }
    }

    /// Passes an input to the machine and carries out its actions.
    async fn take(&mut self, input: Input<'_>, stop: &mut watch::Receiver<bool>) -> Flow {
        if matches!(input, Input::PeerClosed | Input::PeerReset) {
            self.outbox.stop_repeating();
        }
        // Signals raised by others earlier count first.
        if self.board.has_changed().unwrap_or(false) && !matches!(input, Input::Board(_)) {
            let snapshot = Arc::clone(&self.board.borrow_and_update());
            if let Err(flow) = self.carry_out(Input::Board(snapshot), stop).await {
                return flow;
            }
        }
        let mut due = match self.carry_out(input, stop).await {
            Ok(due) => due,
            Err(flow) => return flow,
        };
        while let Some(next) = due {
            let input = match next {
                Due::Handshake(side) => self.handshake(side, stop).await,
                Due::TakeOver(records) => match self.socket.take_over().await {
                    Ok(()) => {
                        self.outbox.send(records);
                        return Flow::GoOn;
                    }
                    Err(why) => Input::TlsFailed {
                        by: Party::Partner,
                        signal: TlsSignal::Garbage(why),
                    },
                },
            };
            due = match self.carry_out(input, stop).await {
                Ok(due) => due,
                Err(flow) => return flow,
            };
        }
        Flow::GoOn
    }

    /// Carries the answer to one input out: what is due now, or that it is over.
    async fn carry_out(
        &mut self,
        input: Input<'_>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Due>, Flow> {
        let mut due = None;
        let mut actions = self.machine.handle(input).into_iter();
        while let Some(action) = actions.next() {
            match action {
                Action::Observe(what) => {
                    if let Err(Overflow) = self.shared.recorder.record(self.connection, what) {
                        tracing::warn!(
                            connection = self.connection.0,
                            "more happens than can be held"
                        );
                        self.socket.reset();
                        return Err(Flow::Over);
                    }
                }
                Action::Send(bytes) => self.outbox.send(bytes),
                Action::SendMany { line, times, every } => {
                    self.outbox.send_many(line, times, every)
                }
                Action::Flush => self.outbox.flush(),
                Action::Segments(length) => self.outbox.segments(length),
                Action::ShutWrite => self.outbox.step_after(Step::ShutWrite, true),
                Action::Read(reads) => self.reads = reads,
                Action::Timer { time, after_sent } => {
                    self.timer = None;
                    self.outbox.step_after(Step::Timer(time), after_sent);
                }
                Action::Raise {
                    name,
                    value,
                    after_sent,
                } => self
                    .outbox
                    .step_after(Step::Raise { name, value }, after_sent),
                Action::StartTls(side) => due = Some(Due::Handshake(side)),
                Action::TakeOver(records) => due = Some(Due::TakeOver(records)),
                Action::Deadline(_) if self.stopping => {}
                Action::Deadline(wait) => {
                    self.deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
                }
                Action::Ask { ticket, question } => {
                    let to = self.answers.clone();
                    self.shared.verify(question, Asker { ticket, to });
                }
                Action::Answer(stanza) => self.shared.dial(Purpose::Deliver(stanza), None, None),
                Action::Decide(answer) => {
                    if let Some(asker) = self.asker.take() {
                        asker.send(answer);
                    }
                }
                end @ (Action::Close | Action::Cut | Action::Reset) => {
                    self.drain(stop).await;
                    match end {
                        Action::Close => self.socket.close().await,
                        Action::Cut => self.socket.cut().await,
                        _ => self.socket.reset(),
                    }
                    self.raise_all(actions);
                    return Err(Flow::Over);
                }
            }
        }
        if due.is_some() {
            self.drain(stop).await;
        }
        Ok(due)
    }

    /// Raises the signals among what is left to do where a connection has ended.
    fn raise_all(&self, left: impl Iterator<Item = Action>) {
        for action in left {
            if let Action::Raise { name, value, .. } = action {
                self.shared.board.raise(name, value);
            }
        }
    }

    /// Carries out a step that is due between two writes.
    async fn step(&mut self, step: Step) {
        match step {
            Step::Timer(time) => self.timer = Instant::now().checked_add(time),
            Step::Raise { name, value } => self.shared.board.raise(name, value),
            Step::ShutWrite => {
                self.socket.shut_write().await;
                self.outbox.mute();
            }
            Step::Yield => tokio::task::yield_now().await,
            Step::Segment => {
                self.shared.segments.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Sends everything, as long as the peer keeps reading.
    async fn drain(&mut self, stop: &mut watch::Receiver<bool>) {
        // The machine stops when its turn comes.
        let mut hurries = self.stopping;
        while !self.outbox.is_empty() {
            let patience = if hurries { FAREWELL } else { self.patience() };
            let stalled = self.outbox.writing_since().map(|since| since + patience);
            let paced = self.outbox.paced_until();
            let (outbox, socket) = (&mut self.outbox, &mut self.socket);
            let step = tokio::select! {
                biased;
                () = told(stop), if !hurries => {
                    // Time is limited, so there are no repetitions.
                    hurries = true;
                    self.outbox.stop_repeating();
                    continue;
                }
                step = poll_fn(|cx| outbox.poll_next(cx, socket)) => step,
                () = at(paced), if paced.is_some() => {
                    self.outbox.go_on();
                    continue;
                }
                () = at(stalled), if stalled.is_some() => {
                    self.outbox.mute();
                    continue;
                }
            };
            match step {
                Some(step) => self.step(step).await,
                None => return,
            }
        }
    }

    async fn handshake(
        &mut self,
        role: TlsRole,
        stop: &mut watch::Receiver<bool>,
    ) -> Input<'static> {
        let shared = self.shared;
        let domains = self.machine.counterparts();
        let handshake = match role {
            TlsRole::Server => Handshake::Server(Arc::clone(&shared.server_tls)),
            TlsRole::Client => {
                let own = || ServerName::try_from(domains[0].to_owned()).ok();
                let Some(name) = shared.server_name.clone().or_else(own) else {
                    return Input::TlsFailed {
                        by: Party::Partner,
                        signal: TlsSignal::Garbage("the target's domain is no DNS name".to_owned()),
                    };
                };
                Handshake::Client(Arc::clone(&shared.client_tls), name)
            }
        };
        let deadline = self
            .deadline
            .unwrap_or_else(|| Instant::now() + shared.config.patience);
        let done = tokio::select! {
            biased;
            () = told(stop), if !self.stopping => None,
            done = timeout_at(
                deadline,
                self.socket.secure(handshake, &domains, &shared.roots),
            ) => Some(done),
        };
        match done {
            None => self.stopped(),
            Some(Ok(Ok(facts))) => Input::TlsUp(facts),
            Some(Ok(Err((by, signal)))) => Input::TlsFailed { by, signal },
            Some(Err(_)) => Input::Deadline,
        }
    }
}

/// What a connection is going to do by itself.
fn ahead(timer: Option<Instant>, paced: Option<Instant>) -> Ahead {
    match (timer, paced) {
        (Some(end), _) => Ahead::Pause(end.saturating_duration_since(Instant::now())),
        (None, Some(_)) => Ahead::Repetition,
        (None, None) => Ahead::Nothing,
    }
}

/// Waits for the stop signal.
async fn told(stop: &mut watch::Receiver<bool>) {
    // If the partner is gone, the machine knows already.
    let _ = stop.wait_for(|stopped| *stopped).await;
}

/// Waits for a time, if there is one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The next stanza for a connection that takes some.
async fn handed_in(stanzas: &mut Option<mpsc::UnboundedReceiver<Element>>) -> Option<Element> {
    stanzas.as_mut()?.recv().await
}

/// Interprets a read error. Under TLS it may be the target's verdict on our certificate:
/// in TLS 1.3 that arrives after the client has finished the handshake (RFC 8446 §4.4.2.4).
fn broken(error: &io::Error) -> Input<'static> {
    let is_tls = error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>());
    match error.kind() {
        _ if is_tls => {
            let (by, signal) = tls::failure(error);
            Input::TlsFailed { by, signal }
        }
        // TLS without close_notify.
        io::ErrorKind::UnexpectedEof => Input::PeerClosed,
        _ => Input::PeerReset,
    }
}
