//! Stream management on a stream that this side opened (XEP-0198): acknowledgements both ways, and the
//! resumption of a stream whose connection is lost.

use std::time::Duration;

use tokio::time::Instant;

use super::accepting::Accepting;
use super::connect::connect;
use super::open_stream::{End, OpenStream, register};
use crate::ledger::By;
use crate::management::{Management, TOO_LATE, TooMany};
use crate::negotiation::Method;
use crate::open_streams::{Call, Left, Passenger};
use crate::router::pause;
use crate::stream::{CLOSING, Condition};
use crate::xml::Frame;

/// The time limit for a partner to answer a closing tag.
const FAREWELL: Duration = Duration::from_secs(2);

/// How far stream management is.
pub(super) enum Managing {
    Off,
    /// It was asked for.
    Asked,
    On {
        /// By which the stream can be resumed, if it can.
        id: Option<String>,
    },
    /// To be resumed by that name; the partner has to answer until then.
    Resuming {
        id: String,
        until: Instant,
    },
}

/// Resumptions in a row after which the partner has neither handled nor sent anything.
#[derive(Default)]
pub(super) struct Fruitless {
    count: u32,
    /// When the stream was lost before the first one.
    since: Option<Instant>,
}

impl OpenStream {
    /// Asks for stream management, if the partner offers it to a stream that is authenticated. What is
    /// sent from now on is kept.
    pub(super) fn begin_managing(&mut self) {
        let partner = self.context.config.partner(&self.pair.to);
        let wanted = partner.is_some_and(|partner| partner.stream_management);
        let external = self.opened.method == Method::SaslTls;
        if wanted && external && self.opened.stream.offers_management {
            let enable = Management::Enable { resume: true };
            self.connection.queue(enable.text().as_bytes());
            self.sending.manage();
            self.managing = Managing::Asked;
            self.handled = 0;
        }
    }

    /// When the partner has to have acknowledged something.
    pub(super) fn acknowledgement_due(&self) -> Option<Instant> {
        match &self.managing {
            Managing::Resuming { until, .. } => Some(*until),
            Managing::Off | Managing::Asked | Managing::On { .. } => self.sending.due(),
        }
    }

    /// An element of the partner's. Those that fit nothing have no effect.
    pub(super) async fn manages(&mut self, management: Management) -> Option<End> {
        let managing = std::mem::replace(&mut self.managing, Managing::Off);
        self.managing = match (managing, management) {
            (Managing::Off, _) => Managing::Off,
            (Managing::Asked, Management::Enabled { id }) => Managing::On { id },
            (Managing::Asked, Management::Failed { .. }) => {
                self.sending.unmanage(&self.connection);
                Managing::Off
            }
            (Managing::Resuming { id, .. }, Management::Resumed { handled, .. }) => {
                // Without a number nothing has been handled since the last acknowledgement.
                match handled.map(|count| self.sending.handled(count)) {
                    Some(Ok(true)) => self.fruitless = Fruitless::default(),
                    Some(Ok(false)) | None => {}
                    Some(Err(too_many)) => return Some(self.too_high(too_many)),
                }
                self.sending.repeat();
                tracing::info!(pair = %self.pair, "stream resumed");
                Managing::On { id: Some(id) }
            }
            (Managing::Resuming { .. }, Management::Failed { handled }) => {
                tracing::info!(pair = %self.pair, "stream not resumed");
                match handled.map(|count| self.sending.handled(count)) {
                    Some(Ok(_)) => self.sending.repeat(),
                    // Nobody knows what has arrived.
                    Some(Err(_)) | None => self.sending.lost().await,
                }
                self.managing = Managing::Off;
                self.begin_managing();
                return None;
            }
            (on, Management::Request) => {
                // However often it asks, the newest count is what it wants.
                self.is_asked = true;
                on
            }
            (_, Management::Acknowledgement(None)) => {
                return Some(self.refusal(Condition::BadFormat, "an acknowledgement has a number"));
            }
            (on, Management::Acknowledgement(Some(handled))) => {
                match self.sending.handled(handled) {
                    Ok(true) => self.fruitless = Fruitless::default(),
                    Ok(false) => {}
                    Err(too_many) => return Some(self.too_high(too_many)),
                }
                on
            }
            (managing, _) => managing,
        };
        None
    }

    /// Opens another connection and asks there to go on with this stream. Returns whether the stream
    /// goes on. What the partner has not acknowledged waits for its answer.
    pub(super) async fn resumes(&mut self) -> bool {
        let managing = std::mem::replace(&mut self.managing, Managing::Off);
        let Managing::On { id: Some(id) } = managing else {
            return false;
        };
        if !self.renew() {
            return false;
        }
        let context = self.context.clone();
        let partner = context.config.partner(&self.pair.to);
        let Some(partner) = partner.filter(|_| !self.sending.rests() || self.opened.stream.bidi)
        else {
            return false;
        };
        self.registration.waits(context.clock.now());
        self.places = None;
        self.entry = None;
        if !self.pauses().await {
            return false;
        }
        let reached = match connect(&context, partner, &self.pair, &mut context.tasks.stop()).await
        {
            Ok(reached) if reached.undecided.is_none() => reached,
            Ok(_) | Err(_) => return false,
        };
        self.registration = register(&context, partner, &self.pair, &reached);
        self.address = reached.address;
        self.connection = reached.connection;
        self.opened = reached.opened;
        self.places = Some(reached.places);
        let bytes = context.config.settings.limits.stanza_bytes;
        self.connection.incoming().trust(bytes);
        // Keys are bound to the id of a stream, and their verdicts to its connection.
        self.accepting = Accepting::new(&context, &partner.domain);
        self.answers.clear();
        self.is_asked = false;
        self.last_stanza = context.clock.now();
        self.enter(self.pair.clone(), self.opened.method);
        if self.opened.method == Method::SaslTls && self.opened.stream.offers_management {
            let handled = Some(self.handled);
            let resume = Management::Resume {
                previous: id.clone(),
                handled,
            };
            self.connection.queue(resume.text().as_bytes());
            let until = self.last_stanza + context.config.settings.limits.acknowledgement_timeout;
            self.managing = Managing::Resuming { id, until };
        } else {
            self.sending.lost().await;
        }
        // The other pairs have no part in the session, and are authenticated anew.
        let asked = std::mem::take(&mut self.asked).into_iter();
        let asked = asked.map(|(pair, (left, _))| Passenger { pair, left });
        let passengers = self.sending.passengers(&self.pair);
        for passenger in passengers.into_iter().chain(asked) {
            self.take_on(passenger);
        }
        true
    }

    /// Waits before another resumption, if the last ones were of no use. Returns whether there is to be one.
    async fn pauses(&mut self) -> bool {
        let (clock, now) = (self.context.clock.clone(), self.context.clock.now());
        let patience = self.context.config.settings.limits.resumption_timeout;
        let end = *self.fruitless.since.get_or_insert(now) + patience;
        self.fruitless.count += 1;
        let Some(failures) = self.fruitless.count.checked_sub(2) else {
            return true;
        };
        let until = now + pause(failures);
        let called = async {
            loop {
                match self.registration.call().await {
                    Call::Close => return,
                    Call::Carry(Passenger { left, .. }) => drop(left.send(Left::Unanswered)),
                    Call::Resume(_) => {}
                }
            }
        };
        let disturbed = async {
            tokio::select! {
                () = called => {}
                () = self.stop.asked() => {}
            }
        };
        until < end && clock.timeout_at(until, disturbed).await.is_err()
    }

    /// Closes, and takes what the partner still has to say before it closes, too. Returns whether the
    /// connection is still there.
    pub(super) async fn farewell(&mut self) -> bool {
        let request = match self.sending.is_acknowledged() {
            true => String::new(),
            false => Management::Request.text(),
        };
        let last_words = request + &self.last_acknowledgement() + CLOSING;
        if self.connection.send(last_words).await.is_err() {
            return false;
        }
        self.sending.sent();
        let clock = self.context.clock.clone();
        let closed = async {
            loop {
                match self.connection.next().await {
                    Ok(Frame::Closed) | Err(_) => return,
                    Ok(Frame::Stanza(stanza)) if self.is_managed() => stanza.dropped(TOO_LATE),
                    Ok(frame @ (Frame::Element(_) | Frame::Stanza(_))) => {
                        if self.frame(frame).await.is_some() {
                            return;
                        }
                    }
                    Ok(Frame::Header(_) | Frame::Skipped(_)) => {}
                }
            }
        };
        let _ = clock.timeout(FAREWELL, closed).await;
        true
    }

    /// What the partner is told before this side closes. Nothing of the partner's is handled after it,
    /// because that could not be acknowledged any more: the partner has it still, and returns it or sends it again.
    pub(super) fn last_acknowledgement(&self) -> String {
        match self.is_managed() {
            true => Management::Acknowledgement(Some(self.handled)).text(),
            false => String::new(),
        }
    }

    /// Whether what the partner sends is counted.
    pub(super) fn is_managed(&self) -> bool {
        matches!(self.managing, Managing::On { .. })
    }

    fn too_high(&self, too_many: TooMany) -> End {
        let text = "more is acknowledged than was sent".to_owned();
        self.ended(By::Proxy, Condition::Undefined, text);
        End::Answered {
            last_words: too_many.error(),
            how: "refused",
        }
    }
}
