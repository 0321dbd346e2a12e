//! Two partners whose machines are connected. TLS is an agreement between both ends, and time
//! passes only when told to.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{brief, config};
use crate::board::Board;
use crate::event::{CertificateSeen, ConnectionKind, EventKind, TlsSession};
use crate::persona::{Certificate, Persona};
use crate::stream::{Action, Input, KeyAnswer, Machine, PartnerConfig, Purpose, State};
use crate::wire::Element;

/// The number of steps within which two partners must finish.
const STEPS: usize = 200_000;

struct End {
    partner: usize,
    machine: Machine,
    asks_for_tls: bool,
    waits: bool,
    /// The requester of a verification: connection, side, ticket.
    asker: Option<(usize, usize, u32)>,
    seen: Vec<EventKind>,
}

enum Delivery {
    Bytes(Vec<u8>),
    TlsUp(TlsSession),
    Closed,
    Reset,
    Verified(u32, KeyAnswer),
    Timer,
    Board,
}

/// Partners `a.example` and `b.example`.
pub(super) struct Network {
    partners: [Arc<PartnerConfig>; 2],
    connections: Vec<[End; 2]>,
    queue: VecDeque<(usize, usize, Delivery)>,
    chunk: usize,
    pub(super) board: Board,
    opened: [u16; 2],
    pub(super) delivered: usize,
}

impl Network {
    /// Bytes are delivered in chunks of this size.
    pub(super) fn new(a: &Arc<Persona>, b: &Arc<Persona>, chunk: usize) -> Self {
        Self {
            partners: [
                config("a.example", "b.example", a),
                config("b.example", "a.example", b),
            ],
            connections: Vec::new(),
            queue: VecDeque::new(),
            chunk,
            board: Board::default(),
            opened: [0; 2],
            delivered: 0,
        }
    }

    /// Partner `a` dials with a stanza; runs until nothing more happens.
    pub(super) fn dial(&mut self, stanza: Element) {
        self.connect(0, Purpose::Deliver(stanza), None);
        self.run();
    }

    /// Somebody else raises a signal.
    pub(super) fn raise(&mut self, name: &str) {
        self.board.raise(name, "");
        self.tell_of_the_board();
        self.run();
    }

    fn tell_of_the_board(&mut self) {
        for connection in 0..self.connections.len() {
            for side in 0..2 {
                self.queue.push_back((connection, side, Delivery::Board));
            }
        }
    }

    /// Deadlines pass: first those of verifications, because others wait for them.
    pub(super) fn let_time_pass(&mut self) {
        for kinds in [
            [ConnectionKind::Verification, ConnectionKind::Verification],
            [ConnectionKind::Outbound, ConnectionKind::Inbound],
        ] {
            for connection in 0..self.connections.len() {
                for side in 0..2 {
                    let end = &mut self.connections[connection][side];
                    if kinds.contains(&end.machine.purpose.kind()) && std::mem::take(&mut end.waits)
                    {
                        self.feed(connection, side, Input::Deadline);
                    }
                }
            }
            self.run();
        }
    }

    pub(super) fn stop(&mut self) {
        for connection in 0..self.connections.len() {
            for side in 0..2 {
                self.feed(connection, side, Input::Stop);
            }
        }
        self.run();
    }

    fn connect(&mut self, from: usize, purpose: Purpose, asker: Option<(usize, usize, u32)>) {
        let mut end = |partner: usize, purpose, asker| {
            self.opened[partner] += 1;
            End {
                partner,
                machine: Machine::new(
                    Arc::clone(&self.partners[partner]),
                    self.opened[partner],
                    purpose,
                ),
                asks_for_tls: false,
                waits: false,
                asker,
                seen: Vec::new(),
            }
        };
        let ends = [
            end(from, purpose, asker),
            end(1 - from, Purpose::Serve, None),
        ];
        self.connections.push(ends);
        let connection = self.connections.len() - 1;
        for side in 0..2 {
            let snapshot = self.board.snapshot();
            self.feed(connection, side, Input::Board(snapshot));
        }
        self.feed(connection, 0, Input::Opened);
        self.feed(connection, 1, Input::Opened);
    }

    fn run(&mut self) {
        let mut steps = 0;
        while let Some((connection, side, delivery)) = self.queue.pop_front() {
            steps += 1;
            assert!(steps < STEPS, "it goes on for ever");
            match delivery {
                Delivery::Bytes(bytes) => {
                    for chunk in bytes.chunks(self.chunk) {
                        self.feed(connection, side, Input::Bytes(chunk));
                    }
                }
                Delivery::TlsUp(facts) => self.feed(connection, side, Input::TlsUp(facts)),
                Delivery::Closed => self.feed(connection, side, Input::PeerClosed),
                Delivery::Timer => self.feed(connection, side, Input::Timer),
                Delivery::Board => {
                    let snapshot = self.board.snapshot();
                    self.feed(connection, side, Input::Board(snapshot));
                }
                Delivery::Reset => self.feed(connection, side, Input::PeerReset),
                Delivery::Verified(ticket, answer) => {
                    self.feed(connection, side, Input::Verified { ticket, answer });
                }
            }
        }
    }

    fn feed(&mut self, connection: usize, side: usize, input: Input<'_>) {
        let other = 1 - side;
        let end = &mut self.connections[connection][side];
        let actions = end.machine.handle(input);
        let (partner, asker) = (end.partner, end.asker);
        for action in actions {
            match action {
                Action::Observe(what) => self.connections[connection][side].seen.push(what),
                Action::Send(bytes) => {
                    self.queue
                        .push_back((connection, other, Delivery::Bytes(bytes)));
                }
                Action::StartTls(_) => {
                    let ends = &mut self.connections[connection];
                    ends[side].asks_for_tls = true;
                    if ends[other].asks_for_tls {
                        for side in 0..2 {
                            let facts = self.facts(connection, 1 - side);
                            self.connections[connection][side].asks_for_tls = false;
                            self.queue
                                .push_back((connection, side, Delivery::TlsUp(facts)));
                        }
                    }
                }
                Action::Ask { ticket, question } => {
                    let asker = Some((connection, side, ticket));
                    self.connect(partner, Purpose::Verify(question), asker);
                }
                Action::Answer(stanza) => {
                    self.delivered += 1;
                    self.connect(partner, Purpose::Deliver(stanza), None);
                }
                Action::Decide(answer) => {
                    let (connection, side, ticket) =
                        asker.expect("only verifying connections decide");
                    let delivery = Delivery::Verified(ticket, answer);
                    self.queue.push_back((connection, side, delivery));
                }
                Action::SendMany { line, times, .. } => {
                    let mut bytes = Vec::new();
                    for number in 1..=times.min(1000) {
                        line.write(number, &mut bytes);
                    }
                    self.queue
                        .push_back((connection, other, Delivery::Bytes(bytes)));
                }
                Action::Flush | Action::Segments(_) | Action::Read(_) | Action::TakeOver(_) => {}
                Action::ShutWrite => {
                    self.queue.push_back((connection, other, Delivery::Closed));
                }
                Action::Timer { .. } => self.queue.push_back((connection, side, Delivery::Timer)),
                Action::Raise { name, value, .. } => {
                    self.board.raise(name, value);
                    self.tell_of_the_board();
                }
                Action::Cut => self.queue.push_back((connection, other, Delivery::Closed)),
                Action::Close => self.queue.push_back((connection, other, Delivery::Closed)),
                Action::Reset => self.queue.push_back((connection, other, Delivery::Reset)),
                Action::Deadline(wait) => {
                    self.connections[connection][side].waits = wait.is_some();
                }
            }
        }
    }

    /// What one end sees of the certificate at the end `shown_by`.
    fn facts(&self, connection: usize, shown_by: usize) -> TlsSession {
        let partner = self.connections[connection][shown_by].partner;
        let certificate = self.partners[partner].persona.offer.certificate;
        let domain = &self.partners[partner].domain;
        let good = certificate == Certificate::Good;
        TlsSession {
            version: "1.3",
            suite: "TLS_AES_128_GCM_SHA256".to_owned(),
            sni: None,
            certified_for: good.then(|| domain.clone()).into_iter().collect(),
            target_certificate: match certificate {
                Certificate::Good => CertificateSeen::Good,
                Certificate::None => CertificateSeen::None,
                bad => CertificateSeen::Bad(format!("{bad:?}")),
            },
            ..TlsSession::default()
        }
    }

    /// Everything that both ends of each connection saw, as lines. What one end sends and the other
    /// receives is shown once, as seen by the end that opened the connection.
    pub(super) fn transcript(&self) -> String {
        let mut out = String::new();
        for (number, [dialler, listener]) in self.connections.iter().enumerate() {
            out += &format!(
                "connection {} by {} for {:?}: {:?}, {:?}\n",
                number + 1,
                ["a", "b"][dialler.partner],
                dialler.machine.purpose.kind(),
                dialler.machine.state(),
                listener.machine.state(),
            );
            for what in &dialler.seen {
                out += &format!("  {}\n", brief(what));
            }
            for what in &listener.seen {
                if !matches!(what, EventKind::Frame { .. } | EventKind::TlsUp(_)) {
                    out += &format!("  listener: {}\n", brief(what));
                }
            }
        }
        out
    }

    /// All observations in words, for comparison.
    pub(super) fn observations(&self) -> Vec<String> {
        self.connections
            .iter()
            .flatten()
            .flat_map(|end| &end.seen)
            .map(|what| format!("{what:?}"))
            .collect()
    }

    pub(super) fn established(&self) -> usize {
        self.connections
            .iter()
            .flatten()
            .filter(|end| end.machine.state() == State::Established)
            .count()
    }

    /// How the first connection ended, as seen by its dialler.
    pub(super) fn outcome(&self) -> String {
        let [dialler, _] = &self.connections[0];
        match dialler.machine.established {
            Some(method) => format!("{method:?}"),
            None => {
                let last: Vec<String> = dialler
                    .seen
                    .iter()
                    .map(brief)
                    .filter(|text| !text.ends_with("</stream>"))
                    .collect();
                let tail = last.len().saturating_sub(2);
                last[tail..].join(", ")
            }
        }
    }

    pub(super) fn all_ended(&self) -> bool {
        self.connections
            .iter()
            .flatten()
            .all(|end| end.machine.state() == State::Ended)
    }

    pub(super) fn saw(&self, wanted: &str) -> bool {
        self.connections
            .iter()
            .flatten()
            .flat_map(|end| &end.seen)
            .any(|what| brief(what) == wanted)
    }
}
