//! What gateways send.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::ReadHalf;
use tokio::sync::Notify;

use super::admission::enter;
use super::sessions::{Resumable, Sessions};
use crate::certificate::Judged;
use crate::context::Context;
use crate::domain::Domain;
use crate::ledger::Phase;
use crate::management::{Managed, Management, TooMany, failed, settle};
use crate::outbound;
use crate::router::{GatewayId, Origin, Queued, Serves};
use crate::stanza::{self, StanzaError, bounce};
use crate::stream::{Condition, Incoming, Lost, StreamError, Transport, is_error};
use crate::task::Stop;
use crate::xml::{Element, Frame, Kind, ReadError, Skipped, Stanza};

/// How long a gateway that does not pause is read on before the proxy's closing tag, and how long any
/// is after it.
const FAREWELL: Duration = Duration::from_millis(500);
/// How many frames are taken before anything else gets its turn.
const AT_ONCE: usize = 32;
/// What counts as a pause. It is waited for because nothing that comes later can be answered.
const PAUSE: Duration = Duration::from_millis(50);

/// The time limit for a former stream to give its session up.
pub(super) const SURRENDER: Duration = Duration::from_secs(2);

/// How a gateway's stream ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ending {
    #[error("closed by the gateway")]
    Gateway,
    #[error("closed by the gateway with {0}")]
    Error(StreamError),
    #[error("the proxy stops")]
    Proxy,
    #[error("closed with {0}: {1}")]
    Fault(Condition, String),
    #[error("lost: {0}")]
    Lost(String),
}

/// A gateway's stream, as far as it is read.
pub(super) struct Gateway {
    pub(super) context: Arc<Context>,
    pub(super) id: GatewayId,
    pub(super) peer: SocketAddr,
    pub(super) welcome: Welcome,
    pub(super) managed: Arc<Managed>,
    pub(super) sessions: Arc<Sessions>,
}

/// Why a gateway was let in, and as what.
pub(super) struct Welcome {
    presented: Option<Vec<CertificateDer<'static>>>,
    pub(super) serves: Serves,
    /// The domains that it is for, if it is not for all.
    allowed: Option<BTreeSet<Domain>>,
}

impl Welcome {
    pub(super) fn new(
        context: &Context,
        presented: Option<&[CertificateDer<'static>]>,
        serves: Serves,
    ) -> Self {
        Self {
            allowed: context.gateway_tls.domains(presented),
            presented: presented.map(<[_]>::to_vec),
            serves,
        }
    }

    /// Goes on by another configuration. Returns whether it would be let in by that one, too.
    fn adapt(&mut self, context: &Context) -> bool {
        let presented = self.presented.as_deref();
        self.allowed = context.gateway_tls.domains(presented);
        let served = match &self.serves {
            Serves::All => self.allowed.is_none(),
            Serves::Domain(domain) => self.may_send_as(domain, context),
            Serves::Domains(domains) => self.allowed.as_ref() == Some(domains),
        };
        served && context.gateway_tls.judge(presented) == Judged::Good
    }

    fn may_send_as(&self, domain: &Domain, context: &Context) -> bool {
        let allowed = self.allowed.as_ref();
        context.config.serves(domain) && allowed.is_none_or(|allowed| allowed.contains(domain))
    }
}

impl Gateway {
    /// Reads until the stream ends or is broken, or until the gateway pauses while the proxy stops.
    pub(super) async fn read(
        &mut self,
        incoming: &mut Incoming<ReadHalf<Transport>>,
        stop: &mut Stop,
        broken: &Notify,
    ) -> Ending {
        let mut changes = self.context.changes();
        let mut at_once = 0;
        loop {
            // What has arrived needs no waiting, but all else gets its turn, too.
            if at_once < AT_ONCE
                && let Some(frame) = incoming.buffered().transpose()
            {
                at_once += 1;
                if let Err(ending) = self.take(frame).await {
                    return ending;
                }
                continue;
            }
            at_once = 0;
            let frame = tokio::select! {
                frame = incoming.next() => frame,
                () = changes.next() => {
                    self.context = self.context.newest();
                    match self.welcome.adapt(&self.context) {
                        true => continue,
                        false => break,
                    }
                }
                () = stop.asked() => break,
                () = broken.notified() => return Ending::Lost("it cannot be written to".to_owned()),
            };
            if let Err(ending) = self.take(frame).await {
                return ending;
            }
        }
        self.read_on(incoming, PAUSE).await.unwrap_or(Ending::Proxy)
    }

    /// Passes on what was under way when this side closed, up to the gateway's closing tag.
    pub(super) async fn finish(&self, incoming: &mut Incoming<ReadHalf<Transport>>) {
        let _ = self.read_on(incoming, FAREWELL).await;
    }

    /// Reads for a while, up to a pause. Returns how the stream ends, if it does.
    async fn read_on(
        &self,
        incoming: &mut Incoming<ReadHalf<Transport>>,
        pause: Duration,
    ) -> Option<Ending> {
        let clock = &self.context.clock;
        let end = clock.now() + FAREWELL;
        loop {
            // What has been read is never given up.
            let due = end.min(clock.now() + pause);
            let frame = clock.timeout_at(due, incoming.next()).await.ok()?;
            if let Err(ending) = self.take(frame).await {
                return Some(ending);
            }
            if clock.now() >= end {
                return None;
            }
        }
    }

    /// Handles what a gateway sends, unless its stream ends with it.
    async fn take(&self, frame: Result<Frame, Lost>) -> Result<(), Ending> {
        if let Ok(Frame::Element(element)) = &frame
            && let Some(management) = Management::read(element)
        {
            let managed = self.manage(management).await;
            // After a failed attempt to go on there may be another.
            if self.managed.is_on() {
                self.managed.release();
            }
            return managed;
        }
        self.managed.release();
        let turn = self.managed.turn().await;
        match frame {
            // It is never acknowledged, so its sender has it still.
            Ok(Frame::Stanza(_) | Frame::Skipped(_)) if turn.is_none() => {}
            Ok(Frame::Stanza(stanza)) => self.send(stanza).await,
            Ok(Frame::Skipped(Skipped { error, stanza })) => {
                self.refuse(error, stanza).await;
                self.managed.count();
            }
            Ok(Frame::Closed) => return Err(Ending::Gateway),
            Ok(Frame::Element(element)) if is_error(&element) => {
                return Err(Ending::Error(StreamError::received(&element)));
            }
            Ok(Frame::Element(element)) => match stranded(&element) {
                Some(stanza) => {
                    let text = "its namespace has to be jabber:server";
                    self.give_back(&stanza, StanzaError::BadRequest, text).await;
                    self.managed.count();
                }
                None => return Err(unsupported(&element.name)),
            },
            Ok(Frame::Header(_)) => return Err(unsupported("a second header")),
            Err(Lost::Unreadable(fault)) => {
                return Err(Ending::Fault(fault.into(), fault.to_string()));
            }
            Err(lost) => return Err(Ending::Lost(lost.to_string())),
        }
        Ok(())
    }

    /// Handles an element of stream management.
    async fn manage(&self, management: Management) -> Result<(), Ending> {
        let managed = &self.managed;
        match (management, managed.is_on()) {
            (Management::Enable { resume: true }, false) => {
                let id = self.sessions.enter(self.resumable());
                managed.begin(&Management::Enabled { id }.text());
            }
            (Management::Enable { resume: false }, false) => {
                managed.begin(&Management::Enabled { id: None }.text());
            }
            (Management::Resume { previous, handled }, false) => {
                return self.resume(previous, handled.unwrap_or_default()).await;
            }
            (Management::Enable { .. } | Management::Resume { .. }, true) => {
                managed.answer(&failed(StanzaError::UnexpectedRequest));
            }
            (Management::Request, true) => managed.acknowledge(),
            (Management::Acknowledgement(Some(handled)), true) => {
                let now = self.context.clock.now();
                managed.handled(handled, now).map_err(too_high)?;
            }
            (Management::Acknowledgement(None), true) => {
                let text = "an acknowledgement has a number";
                return Err(Ending::Fault(Condition::BadFormat, text.to_owned()));
            }
            (_, _) => return Err(unsupported("stream management out of place")),
        }
        Ok(())
    }

    /// Goes on where a former stream of the gateway was, whether its connection is known to be lost or not.
    async fn resume(&self, previous: String, handled: u32) -> Result<(), Ending> {
        let Resumable { serves, .. } = self.resumable();
        let former = self.sessions.find(&previous, &serves);
        let surrendered = match &former {
            Some(former) => {
                let clock = &self.context.clock;
                let surrendered = clock.timeout(SURRENDER, former.managed.surrender());
                surrendered.await.ok().flatten()
            }
            None => None,
        };
        let (Some(former), Some((session, mut meanwhile))) = (former, surrendered) else {
            self.managed.answer(&failed(StanzaError::ItemNotFound));
            return Ok(());
        };
        self.sessions.hand_over(&previous, self.resumable());
        // Only then, as nothing more is parked for the former stream.
        meanwhile.extend(self.context.router.unpark(former.gateway));
        tracing::info!(peer = %self.peer, "gateway resumes its stream");
        let resumed = Management::Resumed {
            previous,
            handled: Some(session.handled),
        };
        let resumed = self
            .managed
            .resume(session, handled, meanwhile, &resumed.text());
        former.managed.follow();
        resumed.map_err(too_high)
    }

    fn resumable(&self) -> Resumable {
        Resumable {
            gateway: self.id,
            serves: self.welcome.serves.clone(),
            managed: Arc::clone(&self.managed),
        }
    }

    /// Sends a stanza to its partner, or back.
    async fn send(&self, stanza: Stanza) {
        let (error, text) = match stanza::pair(&stanza) {
            Ok(pair) if self.welcome.may_send_as(&pair.from, &self.context) => {
                let queued = Queued {
                    stanza,
                    origin: Origin::Gateway(self.id),
                    receipt: self.managed.receive(),
                };
                let returned = outbound::send(&self.context, &pair, queued);
                let Some((queued, error, text)) = returned else {
                    return;
                };
                self.answer(&pair.from, &queued.stanza, error, &text).await;
                return settle(queued.receipt);
            }
            Ok(pair) if self.context.config.serves(&pair.from) => (
                StanzaError::NotAllowed,
                "this gateway is not for this domain",
            ),
            Ok(_) => (StanzaError::NotAllowed, "this domain is not served here"),
            Err(_) => (
                StanzaError::JidMalformed,
                "'from' and 'to' have to be addresses",
            ),
        };
        self.give_back(&stanza, error, text).await;
        self.managed.count();
    }

    /// Answers a stanza that was passed over.
    async fn refuse(&self, fault: ReadError, stanza: Option<Stanza>) {
        let error = StanzaError::from(fault);
        let text = fault.to_string();
        match stanza {
            Some(stanza) => self.give_back(&stanza, error, &text).await,
            None => {
                let text = format!("dropped: {text}");
                enter(
                    &self.context,
                    self.peer,
                    None,
                    Phase::Stanza,
                    error.word(),
                    text,
                );
            }
        }
    }

    async fn give_back(&self, stanza: &Stanza, error: StanzaError, text: &str) {
        let context = &self.context;
        let from = stanza.from.as_deref().map(stanza::domain_of);
        let from = from.and_then(Result::ok);
        let (domain, word) = (from.as_ref(), error.word());
        enter(
            context,
            self.peer,
            domain,
            Phase::Stanza,
            word,
            text.to_owned(),
        );
        let own = context.config.own_domain();
        let domain = from.filter(|from| context.config.serves(from));
        self.answer(domain.as_ref().unwrap_or(own), stanza, error, text)
            .await;
    }

    /// Answers a stanza of the domain's with an error, if it may be answered.
    async fn answer(&self, domain: &Domain, stanza: &Stanza, error: StanzaError, text: &str) {
        let Some(error) = bounce(stanza, error, text) else {
            return stanza.dropped(text);
        };
        let Context { router, config, .. } = &*self.context;
        if router.has(self.id) {
            let most = config.settings.limits.gateway_queue_stanzas;
            self.managed.give_back(error, most).await;
        } else if router.give_back(domain, self.id, error).await.is_err() {
            stanza.dropped("no gateway is left for its error");
        }
    }
}

/// An element that would be a stanza in the right namespace, without its bytes.
fn stranded(element: &Element) -> Option<Stanza> {
    let kind: Kind = element.name.parse().ok()?;
    Some(Stanza::with_head(kind, element, Vec::new()))
}

fn too_high(too_many: TooMany) -> Ending {
    Ending::Fault(Condition::Undefined, too_many.to_string())
}

fn unsupported(what: &str) -> Ending {
    Ending::Fault(Condition::UnsupportedStanzaType, what.to_owned())
}
