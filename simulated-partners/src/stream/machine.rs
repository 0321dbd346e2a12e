//! The machine: inputs and actions. `taking` cuts bytes into units and names the point of each; `points`
//! runs the persona's reaction there (`reacting`), or does what a correct server does (`listening`,
//! `dialling`); `sending` sends it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::action::{Action, Input, KeyAnswer, TlsRole};
use super::config::{PartnerConfig, Purpose};
use super::features::Standing;
use super::header;
use super::opaque::Opaque;
use super::reacting::Lists;
use super::script::Script;
use super::state::{State, Step};
use super::taking::Kept;
use crate::board::Snapshot;
use crate::event::{CertificateSeen, Close, ConnectionKind, EventKind, Method, Party};
use crate::persona::Tls;
use crate::reaction::{Do, When};
use crate::wire::{Framer, Limits};

/// How many bytes of illegal input are shown.
pub(super) const SHOWN: usize = 1024;

/// Limit on bytes that a target may send before it is authenticated: some hundred times the size of a
/// negotiation (RFC 6120 §13.12 leaves the number open).
pub(super) const STRANGERS_BYTES: usize = 262_144;

/// State of the current stream, discarded at each restart (RFC 6120 §4.3.3).
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Our header was sent.
    pub(super) opened: bool,
    /// The id that the listening side gave: ours when listening, the target's when dialling.
    pub(super) id: Option<String>,
    /// The `from` of the target's header.
    pub(super) from: Option<String>,
    /// The target's header had no version, so there are no features.
    pub(super) without_features: bool,
    /// The number of bytes sent on this stream.
    pub(super) sent: u64,
}

/// A question waiting for its answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) ticket: u32,
    pub(super) sender: String,
}

/// One connection of a simulated server.
///
/// Feed it with [`Machine::handle`], starting with [`Input::Opened`], and carry out the returned
/// actions. After [`Action::Close`] or [`Action::Reset`] it accepts no more inputs.
#[derive(Debug)]
pub struct Machine {
    pub(super) config: Arc<PartnerConfig>,
    pub(super) purpose: Purpose,
    /// Its number among the partner's connections.
    pub(super) number: u16,
    /// Its number among the partner's connections of its kind, from 1.
    pub(super) nth: u16,
    pub(super) state: State,
    /// A step was taken while handling the current input.
    pub(super) moved: bool,
    pub(super) framer: Framer,
    /// The target violated XML: nothing more can be read.
    pub(super) unreadable: bool,
    pub(super) encrypted: bool,
    /// The domains of the target for which its certificate is good.
    pub(super) certified_for: Vec<String>,
    pub(super) stream: Stream,
    pub(super) streams: u32,
    pub(super) sasl_done: bool,
    /// The domain that the target authenticated as with SASL.
    pub(super) authenticated: Option<String>,
    pub(super) established: Option<Method>,
    pub(super) pending: Vec<Asked>,
    pub(super) tickets: u32,
    /// Failed attempts of the target, or challenges.
    pub(super) tries: u8,
    /// A key was verified for somebody: such a connection may stay idle.
    pub(super) served: bool,
    /// Bytes on all streams of the connection.
    pub(super) received: usize,
    /// The refused stanza was sent anyway.
    pub(super) insisted: bool,
    pub(super) opaque: Opaque,
    /// How often each point was reached.
    pub(super) reached: BTreeMap<When, u32>,
    pub(super) script: Script,
    /// Whom a header of its script was for.
    pub(super) named: Option<String>,
    pub(super) lists: Lists,
    /// Points that were reached while handling something else.
    pub(super) due: VecDeque<When>,
    /// What was received while a list was paused.
    pub(super) kept: Kept,
    pub(super) board: Snapshot,
    /// `<proceed/>` was sent, and a handshake comes next.
    pub(super) proceeds: bool,
    /// Nothing more is read.
    pub(super) deaf: bool,
    /// Nothing more can be sent.
    pub(super) shut: bool,
    /// Our `</stream:stream>` was sent.
    pub(super) end_sent: bool,
    /// The target's was received.
    pub(super) peer_end: bool,
    pub(super) ended_by: Option<Party>,
    pub(super) stream_ended: bool,
    /// Its owner has ended it, and waits no longer.
    pub(super) stopped: bool,
    decided: bool,
    pub(super) actions: Vec<Action>,
}

impl Machine {
    /// A machine before TCP is connected. `number` is the connection's number in the
    /// partner; with the seed it makes ids unique.
    pub fn new(config: Arc<PartnerConfig>, number: u16, purpose: Purpose) -> Self {
        Self {
            config,
            purpose,
            number,
            nth: 1,
            state: State::Idle,
            moved: false,
            framer: Framer::new(Limits::default()),
            unreadable: false,
            encrypted: false,
            certified_for: Vec::new(),
            stream: Stream::default(),
            streams: 0,
            sasl_done: false,
            authenticated: None,
            established: None,
            pending: Vec::new(),
            tickets: 0,
            tries: 0,
            served: false,
            insisted: false,
            received: 0,
            opaque: Opaque::default(),
            reached: BTreeMap::new(),
            script: Script::default(),
            named: None,
            lists: Lists::default(),
            due: VecDeque::new(),
            kept: Kept::default(),
            board: Snapshot::default(),
            proceeds: false,
            deaf: false,
            shut: false,
            end_sent: false,
            peer_end: false,
            ended_by: None,
            stream_ended: false,
            stopped: false,
            decided: false,
            actions: Vec::new(),
        }
    }

    /// The same machine as the partner's nth connection of its kind, counted from 1.
    #[must_use]
    pub fn as_nth(self, nth: u16) -> Self {
        Self { nth, ..self }
    }

    /// Whether a connection that a partner dials begins with a TLS handshake, because of its persona or
    /// of a reaction. It needs a port for direct TLS then.
    pub fn dials_with_tls(config: &Arc<PartnerConfig>, purpose: &Purpose, nth: u16) -> bool {
        let machine = Self::new(Arc::clone(config), 0, purpose.clone()).as_nth(nth);
        let mut reactions = config.persona.reactions.iter();
        match reactions.find(|reaction| machine.fits(reaction, When::Connected, 1)) {
            Some(reaction) => reaction.actions.first() == Some(&Do::StartTls),
            None => machine.begins_with_tls(),
        }
    }

    /// Its current state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Takes out the bytes that were received and are no whole unit yet. From here on somebody else reads the
    /// stream, and passes whole units in.
    pub fn take_unread(&mut self) -> Vec<u8> {
        self.framer.take_pending()
    }

    /// What kind of connection it has.
    pub fn kind(&self) -> ConnectionKind {
        self.purpose.kind()
    }

    /// How the connection was authenticated, once it is.
    pub fn established(&self) -> Option<Method> {
        self.established
    }

    /// Handles an input and returns actions, in order.
    pub fn handle(&mut self, input: Input<'_>) -> Vec<Action> {
        if self.state != State::Ended {
            let (waiting, served) = (self.pending.len(), self.served);
            self.moved = false;
            match input {
                Input::Opened => self.opened(),
                Input::Bytes(bytes) => self.bytes(bytes),
                Input::TlsUp(mut facts) => {
                    if self.state == State::AwaitTls {
                        self.certified_for.clone_from(&facts.certified_for);
                        let unnamed = self.is_listening() && self.stream.from.is_none();
                        if unnamed && !self.certified_for.is_empty() {
                            facts.target_certificate = CertificateSeen::Good;
                        }
                        self.observe(EventKind::TlsUp(facts));
                        self.encrypted = true;
                        self.proceeds = false;
                        self.framer = Framer::new(Limits::default());
                        self.kept.clear();
                        self.restart(Step::SecureStream);
                        self.point(When::Secured, None);
                    }
                }
                Input::TlsFailed { by, signal } => {
                    self.observe(EventKind::TlsFailed { by, signal });
                    self.point(When::TlsFailed, None);
                    self.decide(KeyAnswer::Undecided("remote-connection-failed"));
                    self.ended_by.get_or_insert(by);
                    self.close(Close::Fin);
                }
                Input::PeerClosed => self.peer_gone(Close::Fin),
                Input::PeerReset => self.peer_gone(Close::Reset),
                Input::Deadline => self.out_of_time(),
                Input::Timer => self.timer(),
                Input::Board(board) => self.board_changed(board),
                Input::Verified { ticket, answer } => self.verified(ticket, answer),
                Input::Send(stanza) => self.send_later(stanza),
                Input::Stop => self.stop(),
            }
            self.settle();
            if self.moved || self.pending.len() != waiting || self.served != served {
                self.wait();
            }
        }
        std::mem::take(&mut self.actions)
    }

    /// Sets the deadline of the current wait.
    fn wait(&mut self) {
        let idle = self.state == State::Negotiating && (self.served || !self.pending.is_empty());
        let wait = self
            .state
            .waits_for()
            .filter(|_| !idle)
            .map(|_| self.config.patience.saturating_add(self.paused_for()));
        if self.state != State::Ended {
            self.actions.push(Action::Deadline(wait));
        }
    }

    fn opened(&mut self) {
        if self.state != State::Idle {
            return;
        }
        self.go(Step::Open);
        self.point(
            if self.is_listening() {
                When::Accepted
            } else {
                When::Connected
            },
            None,
        );
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.decide(KeyAnswer::Undecided("remote-server-timeout"));
        match self.state {
            State::Closing => {}
            State::Held => self.close(Close::Fin),
            _ if self.stream.opened && self.state.after(Step::EndStream).is_ok() => {
                self.end_stream();
            }
            _ => self.close(Close::Fin),
        }
    }

    /// Makes a transition. Handlers only make steps allowed in their states; a test with
    /// arbitrary inputs checks that.
    pub(super) fn go(&mut self, step: Step) {
        match self.state.after(step) {
            Ok(next) => {
                self.state = next;
                self.moved = true;
            }
            Err(illegal) => debug_assert!(false, "{illegal}"),
        }
    }

    pub(super) fn is_listening(&self) -> bool {
        self.purpose.kind() == ConnectionKind::Outbound
    }

    pub(super) fn observe(&mut self, what: EventKind) {
        self.actions.push(Action::Observe(what));
    }

    /// The stage of the stream for features and SASL.
    pub(super) fn standing(&self) -> Standing {
        let certified = |from: &str| {
            let mut domains = self.certified_for.iter();
            domains.any(|domain| header::same_domain(from, domain))
        };
        Standing {
            encrypted: self.encrypted,
            trusted: self.encrypted && self.stream.from.as_deref().is_some_and(certified),
            authenticated: self.sasl_done,
        }
    }

    /// The domain of the target that the partner addresses on this connection.
    pub(super) fn addressed(&self) -> &str {
        let config = &self.config;
        let named = match &self.purpose {
            Purpose::Verify(question) => Some(&question.sender),
            Purpose::Serve | Purpose::Deliver(_) | Purpose::Enter => self.named.as_ref(),
        };
        let known = named.and_then(|name| config.target_named(name));
        known.unwrap_or(&config.target_domain)
    }

    /// The domain of the target on the other side of this connection, as far as that is known yet.
    fn claimed(&self) -> Option<&str> {
        match self.is_listening() {
            true => {
                let from = self.stream.from.as_deref()?;
                self.config.target_named(from)
            }
            false => Some(self.addressed()),
        }
    }

    /// The domains that may be on the other side, the likeliest first.
    pub fn counterparts(&self) -> Vec<&str> {
        let first = self.claimed().unwrap_or(&self.config.target_domain);
        let others = self.config.target_domains().filter(|one| *one != first);
        std::iter::once(first).chain(others).collect()
    }

    /// Restarts the stream after TLS or SASL: nothing of the old one counts.
    pub(super) fn restart(&mut self, step: Step) {
        if step == Step::RestartStream {
            self.framer.restart();
        }
        self.stream = Stream::default();
        self.pending.clear();
        self.go(step);
    }

    pub(super) fn open_stream(&mut self) {
        self.send_header(&[]);
    }

    /// Starts the handshake. That no plaintext followed the word for it (RFC 6120 §5.4.3.3) was checked
    /// before.
    pub(super) fn begin_tls(&mut self, role: TlsRole) {
        self.go(Step::BeginTls);
        self.actions.push(Action::StartTls(role));
    }

    /// Bytes that were received and not read yet.
    pub(super) fn unread(&self) -> &[u8] {
        self.framer.pending()
    }

    /// Whether something was received but not handled yet.
    pub(super) fn has_more(&self) -> bool {
        !self.unread().is_empty() || !self.kept.is_empty()
    }

    /// Reports bytes that should not be there.
    pub(super) fn show_unread(&mut self, fault: &str) {
        let unread = self.framer.pending();
        let bytes = unread[..unread.len().min(SHOWN)].to_vec();
        self.observe(EventKind::Raw {
            from: Party::Target,
            bytes,
            fault: Some(fault.to_owned()),
        });
    }

    /// Returns the result of a verifying connection, once.
    pub(super) fn decide(&mut self, answer: KeyAnswer) {
        if matches!(self.purpose, Purpose::Verify(_)) && !self.decided {
            self.decided = true;
            self.actions.push(Action::Decide(answer));
        }
    }

    /// Marks the connection as authenticated, and reports it once.
    pub(super) fn establish(&mut self) {
        let method = match (self.sasl_done, self.encrypted) {
            (true, _) => Method::SaslTls,
            (false, true) => Method::TlsDialback,
            (false, false) => Method::TcpDialback,
        };
        if self.established.is_none() {
            self.established = Some(method);
            self.go(Step::Establish);
            self.observe(EventKind::Established(method));
            self.due.push_back(When::Established);
        } else if self.state.after(Step::Establish).is_ok() {
            self.go(Step::Establish);
        }
    }

    /// Whether TLS comes first (XEP-0368). Keys are verified over STARTTLS, because not every
    /// target that dials with direct TLS also accepts it.
    pub(super) fn begins_with_tls(&self) -> bool {
        let verifies = matches!(self.purpose, Purpose::Verify(_));
        !verifies && self.config.persona.offer.tls == Tls::Direct
    }

    /// Whether TLS is still required before anything else.
    pub(super) fn lacks_tls(&self) -> bool {
        !self.encrypted && self.config.persona.offer.tls.is_demanded()
    }
}
