//! A stream that carries a pair's stanzas to the partner.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::negotiate::hang_up;
use super::plan::Opened;
use super::undelivered::return_to_sender;
use crate::certificate::{Fault, Judged, Stapled};
use crate::connections::Place;
use crate::context::{Changes, Context};
use crate::domain::Pair;
use crate::ledger::{By, Direction, Kind, Phase, Refusal};
use crate::negotiation::Method;
use crate::register::{Opener, Stream};
use crate::stanza::StanzaError;
use crate::stream::{CLOSING, Condition, Connection, Lost, StreamError, error, is_error};
use crate::task::Stop;
use crate::xml::Frame;

/// The maximum number of bytes combined into one write.
const BATCH: usize = 16_384;
/// Why a partner's stanza is dropped here.
pub(super) const WRONG_WAY: &str = "it came on a stream that this side opened";
/// The time limit for a partner to answer a closing tag.
const FAREWELL: Duration = Duration::from_secs(2);

/// A stream's slots, in the total and for the partner.
pub(super) type Places = (Place, Place);

pub(super) struct OpenStream {
    pub(super) connection: Connection,
    opened: Opened,
    places: Places,
    keep_alive: bool,
    last_stanza: Instant,
    last_sent: Instant,
}

enum Turn {
    Changed,
    Frame(Result<Frame, Lost>),
    KeepAlive,
    Idle,
    Stop,
    Wake,
}

impl OpenStream {
    pub(super) fn new(
        connection: Connection,
        opened: Opened,
        places: Places,
        keep_alive: bool,
        now: Instant,
    ) -> Self {
        Self {
            connection,
            opened,
            places,
            keep_alive,
            last_stanza: now,
            last_sent: now,
        }
    }

    /// How this side has authenticated.
    pub(super) fn method(&self) -> Method {
        self.opened.method
    }

    /// Repeatedly empties the queue until the stream ends. Returns whether the stream
    /// carried anything.
    pub(super) async fn carry(
        mut self,
        context: &Arc<Context>,
        pair: &Pair,
        stop: &mut Stop,
    ) -> bool {
        let mut context = Arc::clone(context);
        let mut changes = context.changes();
        let wake = context.router.wake(pair);
        let _entry = context.register.enter(Stream {
            opener: Opener::Proxy,
            pairs: vec![(pair.clone(), self.opened.method)],
            tls: self.connection.tls_version(),
            peer: self.connection.peer(),
            since: context.clock.now(),
        });
        let mut carried = false;
        let (how, last_words) = loop {
            match self.flush(&context, pair).await {
                Ok(0) => {}
                Ok(_) => {
                    carried = true;
                    self.last_stanza = context.clock.now();
                    self.last_sent = self.last_stanza;
                }
                Err(_) => {
                    self.log_end(pair, "broken");
                    return true;
                }
            }
            match self.turn(&context, &wake, &mut changes, stop).await {
                Turn::Wake => {}
                Turn::Changed => {
                    let newer = context.newest();
                    let certificates = self.connection.certificates();
                    let revoked =
                        newer
                            .tls
                            .judge_server(certificates, &Stapled::default(), &pair.to)
                            == Judged::Bad(Fault::Revoked);
                    if revoked || !newer.config.upholds(&context.config, &pair.from, &pair.to) {
                        self.close(&context, pair).await;
                        return carried;
                    }
                    context = newer;
                    let partner = context.config.partner(&pair.to);
                    self.keep_alive = partner.is_some_and(|partner| partner.keep_alive);
                }
                Turn::KeepAlive => {
                    self.last_sent = context.clock.now();
                    if self.connection.send(" ").await.is_err() {
                        self.log_end(pair, "broken");
                        return carried;
                    }
                }
                Turn::Idle => {
                    self.close(&context, pair).await;
                    return carried;
                }
                Turn::Stop => {
                    // What is already queued is still sent.
                    let _ = self.flush(&context, pair).await;
                    self.close(&context, pair).await;
                    return carried;
                }
                Turn::Frame(Ok(Frame::Closed)) => {
                    break ("closed by the partner", CLOSING.to_owned());
                }
                Turn::Frame(Ok(Frame::Element(element))) if is_error(&element) => {
                    let StreamError { condition, said } = StreamError::received(&element);
                    context.ledger.enter(ended(pair, By::Peer, condition, said));
                    break ("closed by the partner", CLOSING.to_owned());
                }
                Turn::Frame(Ok(Frame::Stanza(stanza))) => stanza.dropped(WRONG_WAY),
                // Only answers may arrive here, and all requests have been answered.
                Turn::Frame(Ok(_)) => {}
                Turn::Frame(Err(Lost::Unreadable(fault))) => {
                    let condition = fault.into();
                    let text = fault.to_string();
                    context
                        .ledger
                        .enter(ended(pair, By::Proxy, condition, text));
                    break ("unreadable", error(condition, ""));
                }
                Turn::Frame(Err(_)) => {
                    self.log_end(pair, "broken");
                    return carried;
                }
            }
        };
        let _ = self.connection.send(last_words).await;
        self.log_end(pair, how);
        hang_up(&context, self.connection);
        carried
    }

    /// Waits for the first event. The partner's bytes take precedence over stanzas, so
    /// none is written to a stream that is known to have ended.
    async fn turn(
        &mut self,
        context: &Context,
        wake: &Notify,
        changes: &mut Changes,
        stop: &mut Stop,
    ) -> Turn {
        let limits = &context.config.settings.limits;
        let idle = self.last_stanza + limits.stream_inactivity_timeout;
        let keep_alive = match self.keep_alive {
            // Well within the interval that the partner may allow this side.
            true => self.last_sent + limits.keep_alive_interval / 2,
            false => idle,
        };
        let waiting = async {
            tokio::select! {
                biased;
                frame = self.connection.next() => Turn::Frame(frame),
                () = changes.next() => Turn::Changed,
                () = wake.notified() => Turn::Wake,
                () = stop.asked() => Turn::Stop,
            }
        };
        let due = idle.min(keep_alive);
        match context.clock.timeout_at(due, waiting).await {
            Ok(turn) => turn,
            Err(_) if idle <= keep_alive => Turn::Idle,
            Err(_) => Turn::KeepAlive,
        }
    }

    /// Sends queued stanzas, several in one write. The stanzas of a failed write are returned, as
    /// are those that are too large for the partner (XEP-0478).
    async fn flush(&mut self, context: &Context, pair: &Pair) -> Result<usize, Lost> {
        let mut sent = 0;
        loop {
            let mut batch = Vec::new();
            let mut bytes = Vec::new();
            while bytes.len() < BATCH
                && let Some(queued) = context.router.take(pair)
            {
                let largest = self.opened.largest_stanza.unwrap_or(usize::MAX);
                if queued.stanza.bytes.len() > largest {
                    let (error, text) = (
                        StanzaError::PolicyViolation,
                        "larger than the partner takes",
                    );
                    return_to_sender(context, pair, queued, error, text).await;
                    continue;
                }
                bytes.extend_from_slice(&queued.stanza.bytes);
                batch.push(queued);
            }
            if batch.is_empty() {
                return Ok(sent);
            }
            if let Err(lost) = self.connection.send(&bytes).await {
                let error = StanzaError::RemoteServerTimeout;
                for queued in batch {
                    return_to_sender(context, pair, queued, error, "the stream broke").await;
                }
                return Err(lost);
            }
            sent += batch.len();
        }
    }

    /// Closes cleanly: closing tag, the partner's closing tag, then TLS and TCP.
    pub(super) async fn close(mut self, context: &Context, pair: &Pair) {
        self.log_end(pair, "closed");
        if self.connection.send(CLOSING).await.is_err() {
            return;
        }
        let Self {
            mut connection,
            places,
            ..
        } = self;
        context.tasks.spawn(async move {
            let incoming = connection.incoming();
            incoming.await_closing_tag(FAREWELL, WRONG_WAY).await;
            connection.close().await;
            drop(places);
        });
    }

    fn log_end(&self, pair: &Pair, how: &str) {
        tracing::info!(%pair, method = %self.opened.method, how, "stream over");
    }
}

/// That an open stream ends with an error.
fn ended(pair: &Pair, by: By, condition: Condition, text: String) -> Refusal {
    Refusal {
        kind: Kind {
            direction: Direction::Outbound,
            phase: Phase::Open,
            by,
            condition: condition.word(),
        },
        domain: Some(pair.to.to_string()),
        peer: None,
        text,
    }
}
