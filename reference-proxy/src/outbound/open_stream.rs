//! A stream to a partner, open for the stanzas of one pair or of several.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::accepting::Accepting;
use super::connect::Reached;
use super::managing::{Fruitless, Managing};
use super::negotiate::hang_up;
use super::plan::Opened;
use super::sending::Sending;
use crate::certificate::{Judged, Stapled};
use crate::connections::Place;
use crate::context::{Changes, Context};
use crate::dialback::{self, DialbackError, KeyStatus, Step};
use crate::domain::Pair;
use crate::ledger::{By, Direction, Kind, Phase, Refusal};
use crate::negotiation::Method;
use crate::open_streams::{Call, Left, Offer, Passenger, Registration};
use crate::partner::Partner;
use crate::register::Entry;
use crate::stanza::StanzaError;
use crate::stream::{Condition, Connection, Lost, error};
use crate::task::{Stage, Stop};
use crate::xml::Frame;

/// Why a partner's stanza is dropped here.
pub(super) const WRONG_WAY: &str = "it came on a stream that this side opened";

/// How many frames are taken before anything else comes first.
const AT_ONCE: usize = 32;

/// A stream's slots, in the total and for the partner.
pub(super) type Places = (Place, Place);

pub(super) struct OpenStream {
    pub(super) context: Arc<Context>,
    /// Where it leads.
    pub(super) address: SocketAddr,
    /// The pair that it was opened for.
    pub(super) pair: Pair,
    pub(super) connection: Connection,
    pub(super) opened: Opened,
    /// None while a lost stream is being resumed.
    pub(super) places: Option<Places>,
    pub(super) keep_alive: bool,
    pub(super) registration: Registration,
    /// In the register, while it is open for a pair.
    pub(super) entry: Option<Entry>,
    pub(super) stop: Stop,
    changes: Changes,
    pub(super) sending: Sending,
    pub(super) accepting: Accepting,
    pub(super) managing: Managing,
    pub(super) fruitless: Fruitless,
    /// How many stanzas of the partner's have been handled since it agreed to stream management.
    pub(super) handled: u32,
    /// Whether the partner wants to know that.
    pub(super) is_asked: bool,
    /// Answers to the partner's keys that wait until the last bytes have gone out.
    pub(super) answers: String,
    /// The pairs whose keys the partner is to judge, and until when.
    pub(super) asked: BTreeMap<Pair, (oneshot::Sender<Left>, Instant)>,
    /// When a pair was accepted, if one was.
    authenticated: bool,
    pub(super) last_stanza: Instant,
    last_sent: Instant,
    resting: bool,
    /// How many frames were taken since anything else came first.
    at_once: usize,
}

enum Turn {
    /// A frame, or all was sent.
    Exchanged(Result<Option<Frame>, Lost>),
    Called(Call),
    /// The verdict on a key of the partner's.
    Judged(Pair, KeyStatus),
    /// The configuration is another.
    Changed,
    Overdue,
    Stop,
    Wake,
}

/// Why a stream is not used any longer.
pub(super) enum End {
    Broken,
    /// This side closes.
    Closed,
    /// The partner closed, or has to be told what is wrong.
    Answered {
        last_words: String,
        how: &'static str,
    },
}

impl OpenStream {
    /// A stream that was opened for the pair. Whoever carries the pair is told later how that ended.
    pub(super) fn new(
        context: &Arc<Context>,
        partner: &Partner,
        pair: &Pair,
        reached: Reached,
    ) -> Self {
        let now = context.clock.now();
        Self {
            registration: register(context, partner, pair, &reached),
            sending: Sending::new(context, reached.opened.stream.largest_stanza),
            accepting: Accepting::new(context, &partner.domain),
            managing: Managing::Off,
            fruitless: Fruitless::default(),
            handled: 0,
            is_asked: false,
            answers: String::new(),
            entry: None,
            stop: context.tasks.stop_at(Stage::Streams),
            changes: context.changes(),
            address: reached.address,
            context: Arc::clone(context),
            pair: pair.clone(),
            connection: reached.connection,
            opened: reached.opened,
            places: Some(reached.places),
            keep_alive: partner.keep_alive,
            asked: BTreeMap::new(),
            authenticated: false,
            last_stanza: now,
            last_sent: now,
            resting: false,
            at_once: 0,
        }
    }

    /// Carries a pair that is accepted.
    pub(super) fn carry(&mut self, passenger: Passenger) {
        self.authenticated = true;
        self.last_stanza = self.context.clock.now();
        let bytes = self.context.config.settings.limits.stanza_bytes;
        self.connection.incoming().trust(bytes);
        self.enter(passenger.pair.clone(), self.opened.method);
        self.sending.carry(passenger);
    }

    /// Serves the stream until it ends.
    pub(super) async fn run(mut self) {
        let end = loop {
            match self.serve().await {
                End::Broken if Box::pin(self.resumes()).await => {}
                end => break end,
            }
        };
        self.registration.closes();
        for (_, (left, _)) in std::mem::take(&mut self.asked) {
            let _ = left.send(Left::Unanswered);
        }
        let how = match end {
            End::Broken => "broken",
            End::Closed => "closed",
            End::Answered { how, .. } => how,
        };
        tracing::info!(pair = %self.pair, method = %self.opened.method, how, "stream over");
        match end {
            End::Broken => self.over().await,
            End::Closed => {
                if self.sending.rests() {
                    // Until it closes, too, the partner may send for them.
                    self.accepting.keep(self.sending.pairs());
                    self.sending.over();
                }
                let closed = self.farewell().await;
                self.over().await;
                if closed {
                    Box::pin(self.connection.close()).await;
                }
            }
            End::Answered { last_words, .. } => {
                let last_words = self.last_acknowledgement() + &last_words;
                if self.connection.send(last_words).await.is_ok() {
                    self.sending.sent();
                }
                self.over().await;
                drop(self.places);
                hang_up(&self.context, self.connection);
            }
        }
    }

    /// The end because of a fault of the partner's.
    pub(super) fn refusal(&self, condition: Condition, text: &str) -> End {
        self.ended(By::Proxy, condition, text.to_owned());
        End::Answered {
            last_words: error(condition, text),
            how: "refused",
        }
    }

    /// Tells the administrator that the stream ends with an error.
    pub(super) fn ended(&self, by: By, condition: Condition, text: String) {
        self.context.ledger.enter(Refusal {
            kind: Kind {
                direction: Direction::Outbound,
                phase: Phase::Open,
                by,
                condition: condition.word(),
            },
            domain: Some(self.pair.to.to_string()),
            peer: Some(self.address),
            text,
        });
    }

    /// Returns what has not arrived, as far as that is known, and lets go of the pairs.
    async fn over(&mut self) {
        self.sending.lost().await;
        self.sending.over();
    }

    async fn serve(&mut self) -> End {
        loop {
            self.give_answers();
            let held = matches!(self.managing, Managing::Resuming { .. });
            if !held && self.sending.fill(&mut self.connection).await {
                self.last_stanza = self.context.clock.now();
                self.last_sent = self.last_stanza;
            }
            let resting =
                self.sending.rests() && self.asked.is_empty() && !self.connection.has_unsent();
            if resting != self.resting {
                self.resting = resting;
                self.registration.rests(resting.then_some(self.last_stanza));
            }
            let end = match self.turn().await {
                Turn::Exchanged(Ok(Some(frame))) => self.frame(frame).await,
                Turn::Exchanged(Ok(None)) => {
                    self.sending.sent();
                    None
                }
                Turn::Exchanged(Err(Lost::Unreadable(fault))) => {
                    self.ended(By::Proxy, fault.into(), fault.to_string());
                    Some(End::Answered {
                        last_words: error(fault.into(), ""),
                        how: "unreadable",
                    })
                }
                Turn::Exchanged(Err(_)) => Some(End::Broken),
                Turn::Judged(pair, status) => {
                    let accepted = status == KeyStatus::Valid;
                    self.answers += &dialback::answer(Step::Result, &pair, None, status);
                    if accepted {
                        let secured = self.opened.method != Method::TcpDialback;
                        self.enter(pair, Method::dialback(secured));
                    }
                    None
                }
                Turn::Called(Call::Carry(passenger)) => {
                    self.take_on(passenger);
                    None
                }
                Turn::Called(Call::Close) => Some(End::Closed),
                // Only streams of partners' are resumed by others.
                Turn::Called(Call::Resume(_)) => None,
                Turn::Changed => (!self.renew()).then_some(End::Closed),
                Turn::Overdue => self.overdue(),
                Turn::Stop => Some(match self.sending.finish(&mut self.connection).await {
                    Ok(()) => End::Closed,
                    Err(_) => End::Broken,
                }),
                Turn::Wake => None,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Waits for the first event. The partner's bytes take precedence over stanzas, so none is
    /// written to a stream that is known to have ended. But however many they are, all else gets its turn.
    async fn turn(&mut self) -> Turn {
        let due = self.due();
        let clock = self.context.clock.clone();
        let others_first = self.at_once >= AT_ONCE;
        if others_first {
            self.at_once = 0;
            if due <= clock.now() {
                return Turn::Overdue;
            }
        }
        let wake = self.sending.wake();
        let exchange = async { Turn::Exchanged(self.connection.exchange().await) };
        // What has been read uses up the task's share, and is not to use up theirs.
        let others = unconstrained(async {
            tokio::select! {
                biased;
                () = self.changes.next() => Turn::Changed,
                call = self.registration.call() => Turn::Called(call),
                (pair, status) = self.accepting.next() => Turn::Judged(pair, status),
                () = wake.notified() => Turn::Wake,
                () = self.stop.asked() => Turn::Stop,
            }
        });
        let waiting = async {
            match others_first {
                true => tokio::select! { biased; turn = others => turn, turn = exchange => turn },
                false => tokio::select! { biased; turn = exchange => turn, turn = others => turn },
            }
        };
        let turn = clock.timeout_at(due, waiting).await;
        let turn = turn.unwrap_or(Turn::Overdue);
        self.at_once += usize::from(matches!(turn, Turn::Exchanged(Ok(Some(_)))));
        turn
    }

    /// When something is due without an event.
    fn due(&self) -> Instant {
        let idle = self.idle();
        let keep_alive = self.keep_alive().unwrap_or(idle);
        let answers = self.asked.values().map(|(_, until)| *until);
        let answers = answers.chain(self.acknowledgement_due());
        answers.fold(idle.min(keep_alive), Instant::min)
    }

    /// When it has been without a stanza, or an accepted pair, for too long.
    fn idle(&self) -> Instant {
        let limits = &self.context.config.settings.limits;
        self.last_stanza
            + match self.authenticated {
                true => limits.stream_inactivity_timeout,
                false => limits.stream_establishment_timeout,
            }
    }

    /// When the partner wants to hear something: well within the interval that it may allow this side.
    fn keep_alive(&self) -> Option<Instant> {
        let interval = self.context.config.settings.limits.keep_alive_interval;
        let wanted = self.keep_alive && self.authenticated;
        wanted.then(|| self.last_sent + interval / 2)
    }

    fn overdue(&mut self) -> Option<End> {
        let now = self.context.clock.now();
        if self.acknowledgement_due().is_some_and(|due| due <= now) {
            return Some(End::Broken);
        }
        if self.idle() <= now {
            return Some(End::Closed);
        }
        if self.keep_alive().is_some_and(|due| due <= now) {
            self.last_sent = now;
            self.connection.queue(b" ");
        }
        let due = self.asked.iter().filter(|(_, (_, until))| *until <= now);
        let due: Vec<Pair> = due.map(|(pair, _)| pair.clone()).collect();
        for pair in due {
            if let Some((left, _)) = self.asked.remove(&pair) {
                let late = DialbackError {
                    condition: Some(StanzaError::RemoteServerTimeout),
                    said: "no answer in time".to_owned(),
                };
                let _ = left.send(Left::Refused(late, self.address));
            }
        }
        None
    }

    /// Sends the key of a further pair (XEP-0220 §2.6), or of one that was refused before.
    pub(super) fn take_on(&mut self, passenger: Passenger) {
        let Passenger { pair, left } = passenger;
        if !self.is_as_safe_for(&pair) {
            let _ = left.send(Left::Unanswered);
            return;
        }
        let key = self
            .context
            .config
            .keys()
            .issue(&pair, &self.opened.stream.id);
        let request = dialback::request(Step::Result, &pair, None, &key);
        self.connection.queue(request.as_bytes());
        let now = self.context.clock.now();
        self.last_sent = now;
        self.last_stanza = now;
        self.registration.asked(&pair);
        let patience = self.context.config.settings.limits.dialback_timeout;
        self.asked.insert(pair, (left, now + patience));
    }

    /// Whether the certificate that a stream of the pair's own would need has been seen on this one.
    fn is_as_safe_for(&self, pair: &Pair) -> bool {
        let settings = &self.context.config.settings;
        let terms = self.context.config.terms(&pair.to);
        let external = terms.is_some_and(|terms| terms.allows(Method::SaslTls));
        let secured = self.opened.method != Method::TcpDialback;
        if pair.to == self.pair.to || !secured || !(external || settings.strict_certificates) {
            return true;
        }
        let certificates = self.connection.certificates();
        let tls = &self.context.tls;
        tls.judge_server(certificates, &Stapled::default(), &pair.to) == Judged::Good
    }
}

/// Makes the stream known to further pairs.
pub(super) fn register(
    context: &Context,
    partner: &Partner,
    pair: &Pair,
    reached: &Reached,
) -> Registration {
    let Opened { method, stream } = &reached.opened;
    let dialback = Method::dialback(*method != Method::TcpDialback);
    let offer = stream.dialback.then(|| Offer {
        address: reached.address,
        to: pair.to.clone(),
        errors: partner.multiplexing && partner.terms.allows(dialback) && stream.dialback_errors,
        asked: [pair.clone()].into(),
        most: context.config.settings.limits.stream_pairs,
    });
    context.open_streams.register(&partner.domain, offer)
}
