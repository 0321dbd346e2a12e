//! One connection: its socket, its machine, and the loop between them.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::recorder::Overflow;
use super::socket::{Handshake, Socket, Tcp};
use super::{FAREWELL, Shared};
use crate::event::{Leg, Party, TlsSignal};
use crate::stream::{Action, Errand, Input, Machine, State, TlsRole, Verdict};
use crate::tls;
use crate::wire::Element;

/// Bytes taken from a socket at a time.
const CHUNK: usize = 8 * 1024;

/// Where the verdict of a verification goes.
#[derive(Debug)]
pub(super) struct Report {
    ticket: u32,
    to: mpsc::UnboundedSender<(u32, Verdict)>,
}

impl Report {
    pub(super) fn send(self, verdict: Verdict) {
        // Who asked may be gone.
        let _ = self.to.send((self.ticket, verdict));
    }
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoOn,
    Over,
}

struct Connection<'a> {
    shared: &'a Arc<Shared>,
    leg: Leg,
    socket: Socket,
    machine: Machine,
    deadline: Option<Instant>,
    /// Where those put their verdicts whom this connection asked.
    verdicts: mpsc::UnboundedSender<(u32, Verdict)>,
    decided: mpsc::UnboundedReceiver<(u32, Verdict)>,
    report: Option<Report>,
    /// Stanzas that are to be sent once the connection is authenticated.
    stanzas: Option<mpsc::UnboundedReceiver<Element>>,
    outbox: Vec<u8>,
    /// Writing failed; what the peer sent before is still read.
    mute: bool,
    stopping: bool,
}

/// Runs a connection from its first byte to its last.
pub(super) async fn run(
    shared: &Arc<Shared>,
    stream: TcpStream,
    errand: Errand,
    report: Option<Report>,
    stanzas: Option<mpsc::UnboundedReceiver<Element>>,
) {
    let leg = shared.recorder.opened(errand.kind());
    let (verdicts, decided) = mpsc::unbounded_channel();
    let mut connection = Connection {
        shared,
        leg,
        socket: Socket::Plain(Tcp::new(stream)),
        machine: Machine::new(Arc::clone(&shared.profile), leg.0, errand),
        deadline: None,
        verdicts,
        decided,
        report,
        stanzas,
        outbox: Vec::new(),
        mute: false,
        stopping: false,
    };
    connection.converse(shared.stop.clone()).await;
}

impl Connection<'_> {
    async fn converse(&mut self, mut stop: watch::Receiver<bool>) {
        let mut buffer = vec![0; CHUNK];
        if self.take(Input::Opened, &mut stop).await == Flow::Over {
            return;
        }
        loop {
            let deadline = self.deadline;
            let input = tokio::select! {
                biased;
                _ = stop.wait_for(|stopped| *stopped), if !self.stopping => self.stopped(),
                Some((ticket, verdict)) = self.decided.recv() => {
                    Input::Verified { ticket, verdict }
                }
                Some(stanza) = handed_in(&mut self.stanzas),
                    if self.machine.state() == State::Established =>
                {
                    Input::Send(stanza)
                }
                read = self.socket.read(&mut buffer) => match read {
                    Ok(0) => Input::PeerClosed,
                    Ok(length) => Input::Bytes(&buffer[..length]),
                    Err(error) => broken(&error),
                },
                () = async { sleep_until(deadline.unwrap_or_else(Instant::now)).await },
                    if deadline.is_some() =>
                {
                    self.deadline = None;
                    Input::Deadline
                }
            };
            if self.take(input, &mut stop).await == Flow::Over {
                return;
            }
        }
    }

    /// From here on there is little time.
    fn stopped(&mut self) -> Input<'static> {
        self.stopping = true;
        self.deadline = Some(Instant::now() + FAREWELL);
        Input::Stop
    }

    /// Hands an input to the machine and carries out what it wants.
    async fn take(&mut self, input: Input<'_>, stop: &mut watch::Receiver<bool>) -> Flow {
        let mut role = match self.carry_out(input).await {
            Ok(role) => role,
            Err(flow) => return flow,
        };
        while let Some(side) = role {
            let input = self.handshake(side, stop).await;
            role = match self.carry_out(input).await {
                Ok(role) => role,
                Err(flow) => return flow,
            };
        }
        Flow::GoOn
    }

    /// Carries the answer to one input out: whether a handshake is due, or that it is over.
    async fn carry_out(&mut self, input: Input<'_>) -> Result<Option<TlsRole>, Flow> {
        let mut role = None;
        for action in self.machine.handle(input) {
            match action {
                Action::Observe(what) => {
                    if let Err(Overflow) = self.shared.recorder.record(self.leg, what) {
                        tracing::warn!(leg = self.leg.0, "more happens than can be held");
                        self.socket.reset();
                        return Err(Flow::Over);
                    }
                }
                Action::Send(bytes) => self.outbox.extend(bytes),
                Action::StartTls(side) => role = Some(side),
                Action::Deadline(_) if self.stopping => {}
                Action::Deadline(wait) => {
                    self.deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
                }
                Action::Ask { ticket, question } => {
                    let to = self.verdicts.clone();
                    self.shared.verify(question, Report { ticket, to });
                }
                Action::Answer(stanza) => self.shared.dial(Errand::Deliver(stanza), None, None),
                Action::Decide(verdict) => {
                    if let Some(report) = self.report.take() {
                        report.send(verdict);
                    }
                }
                Action::Close => {
                    self.flush().await;
                    self.socket.close().await;
                    return Err(Flow::Over);
                }
                Action::Reset => {
                    self.flush().await;
                    self.socket.reset();
                    return Err(Flow::Over);
                }
            }
        }
        self.flush().await;
        Ok(role)
    }

    /// Sends what is to be sent, in one piece.
    async fn flush(&mut self) {
        if self.outbox.is_empty() {
            return;
        }
        let patience = if self.stopping {
            FAREWELL
        } else {
            self.shared.profile.patience
        };
        if !self.mute {
            // A peer that is gone, or takes nothing, shows when it is read, with its last words.
            let written = timeout(patience, self.socket.write_all(&self.outbox)).await;
            self.mute = !matches!(written, Ok(Ok(())));
        }
        self.outbox.clear();
    }

    async fn handshake(
        &mut self,
        role: TlsRole,
        stop: &mut watch::Receiver<bool>,
    ) -> Input<'static> {
        let shared = self.shared;
        let handshake = match (role, &shared.server_name) {
            (TlsRole::Server, _) => Handshake::Server(Arc::clone(&shared.server_tls)),
            (TlsRole::Client, Some(name)) => {
                Handshake::Client(Arc::clone(&shared.client_tls), name.clone())
            }
            (TlsRole::Client, None) => {
                return Input::TlsFailed {
                    by: Party::Partner,
                    signal: TlsSignal::Garbage("the target's domain is no DNS name".to_owned()),
                };
            }
        };
        let deadline = self
            .deadline
            .unwrap_or_else(|| Instant::now() + shared.profile.patience);
        let done = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped), if !self.stopping => None,
            done = timeout_at(
                deadline,
                self.socket.secure(handshake, &shared.profile.target_domain, &shared.roots),
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

/// The next stanza for a connection that takes some.
async fn handed_in(stanzas: &mut Option<mpsc::UnboundedReceiver<Element>>) -> Option<Element> {
    stanzas.as_mut()?.recv().await
}

/// What an error of reading means. Under TLS it may be the target's judgement of our certificate:
/// in TLS 1.3 that comes after the client is through with the handshake (RFC 8446 §4.4.2.4).
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
