//! A stream that a partner opens.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use s2spec::policy::Level;
use simulated_partners::negotiate::sasl::{self, Claim};
use simulated_partners::stanza::domain_of;
use simulated_partners::wire::{
    Element, Frame, Kind, NS_DIALBACK, NS_DIALBACK_FEATURE, NS_SASL, NS_SERVER, NS_STREAM, NS_TLS,
    Unit,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::defect::{Defect, without_attribute};
use super::link::{Broken, Link};
use super::receiving::pair;
use super::stanza::{error, is_address, is_faulty, stream_error};
use super::verification::{Question, Verdict};
use super::{DOMAIN, Server};

/// Attempts at EXTERNAL that are answered.
const ATTEMPTS: u32 = 3;
/// How long the double reads on from a stream that it has ended.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(500);

/// Serves a connection until it ends.
pub(super) async fn serve(server: Arc<Server>, tcp: TcpStream) {
    let scrub = server.scrub();
    let (answer, answers) = mpsc::unbounded_channel();
    let mut incoming = Incoming {
        id: String::new(),
        link: Link::new(tcp, scrub),
        local: DOMAIN.to_owned(),
        peer: None,
        first_peer: None,
        version: true,
        is_open: false,
        external: false,
        restarts: false,
        verified: BTreeSet::new(),
        pending: BTreeSet::new(),
        attempts: 0,
        keys: 0,
        answer,
        server,
    };
    // Whatever ends it has been said on the wire.
    let _ = incoming.run(answers).await;
    incoming.server.forget(&incoming.id);
}

/// Whether the stream goes on.
pub(super) enum Next {
    On,
    Over,
}

pub(super) struct Incoming {
    pub(super) server: Arc<Server>,
    pub(super) link: Link,
    pub(super) id: String,
    /// The domain of ours that the stream is for.
    local: String,
    /// Whom the partner says it is.
    peer: Option<String>,
    /// Whom it said it was in its first header.
    first_peer: Option<String>,
    version: bool,
    is_open: bool,
    pub(super) external: bool,
    /// Whether a new header has to follow.
    restarts: bool,
    /// The pairs of domains that may send, the partner's first.
    pub(super) verified: BTreeSet<(String, String)>,
    pub(super) pending: BTreeSet<(String, String)>,
    attempts: u32,
    pub(super) keys: u32,
    pub(super) answer: mpsc::UnboundedSender<(Question, Verdict)>,
}

type Answers = mpsc::UnboundedReceiver<(Question, Verdict)>;

impl Incoming {
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.server.has(defect)
    }

    async fn run(&mut self, mut answers: Answers) -> io::Result<()> {
        let deadline = Instant::now() + self.server.patience;
        loop {
            let endless = [
                Defect::EndlessAttempts,
                Defect::EndlessKeys,
                Defect::WaitsForStrangers,
            ];
            let is_stranger =
                self.verified.is_empty() && !endless.into_iter().any(|defect| self.has(defect));
            let next = tokio::select! {
                frame = self.link.frame() => match frame {
                    Ok(frame) => self.frame(frame).await?,
                    Err(Broken::Ended) => Next::Over,
                    Err(Broken::Illegal(error)) => self.fail(error.condition).await?,
                },
                Some((question, verdict)) = answers.recv() => {
                    self.decided(&question, &verdict).await?
                }
                () = sleep_until(deadline), if is_stranger => {
                    self.fail("connection-timeout").await?
                }
            };
            if matches!(next, Next::Over) {
                self.link.close().await;
                return Ok(());
            }
        }
    }

    async fn frame(&mut self, frame: Frame) -> io::Result<Next> {
        match frame.kind {
            Kind::Header(header) => self.header(&header).await,
            Kind::Element(element) => self.element(element).await,
            Kind::Declaration | Kind::Whitespace(_) => Ok(Next::On),
            Kind::End if self.has(Defect::LeavesTheEndUnanswered) => {
                std::future::pending::<()>().await;
                Ok(Next::Over)
            }
            Kind::End => Ok(Next::Over),
        }
    }

    async fn header(&mut self, header: &Element) -> io::Result<Next> {
        let attribute = |name| header.attribute(name).map(str::to_owned);
        self.peer = attribute("from").map(|from| from.to_ascii_lowercase());
        if self.first_peer.is_none() {
            self.first_peer.clone_from(&self.peer);
        }
        if self.has(Defect::KeepsTheNameFromBeforeTls) {
            self.peer.clone_from(&self.first_peer);
        }
        self.version = header
            .attribute("version")
            .is_some_and(|version| version.starts_with("1."));
        let to = attribute("to").map(|to| to.to_ascii_lowercase());
        let known = to.as_deref().is_some_and(|to| self.server.is_ours(to));
        if let Some(to) = to.filter(|_| known) {
            self.local = to;
        }
        if self.has(Defect::ErrorBeforeTheHeader) && !known {
            self.link.send(&stream_error("host-unknown")).await?;
            return Ok(Next::Over);
        }
        self.open().await?;
        if header.attribute("to").is_some() && !known {
            return self.fail("host-unknown").await;
        }
        if header.namespace != NS_STREAM || !header.declares(None, NS_SERVER) {
            return self.fail("invalid-namespace").await;
        }
        self.restarts = false;
        if self.version {
            let features = self.features();
            self.link.send(&features).await?;
        }
        Ok(Next::On)
    }

    async fn open(&mut self) -> io::Result<()> {
        if self.is_open && !self.restarts {
            return Ok(());
        }
        if self.id.is_empty() || !self.has(Defect::KeepsItsStreamId) {
            self.id = self.server.stream_id();
        }
        self.is_open = true;
        let mut header = Element::prefixed("stream", NS_STREAM, "stream").declare(None, NS_SERVER);
        let peer = self.peer.as_deref().unwrap_or_default();
        if self.server.policy(peer).dialback {
            header = header.declare(Some("db"), NS_DIALBACK);
        }
        if !self.has(Defect::HeaderWithoutId) {
            header = header.attr("id", &self.id);
        }
        if !self.has(Defect::HeaderWithoutFrom) {
            header = header.attr("from", &self.local);
        }
        if let Some(peer) = &self.peer {
            header = header.attr("to", peer);
        }
        if self.version && !self.has(Defect::HeaderWithoutVersion) {
            header = header.attr("version", "1.0");
        }
        let text = format!("<?xml version='1.0'?>{}", header.lang("en").to_open_tag());
        self.link.write(&text).await
    }

    /// Whether EXTERNAL can succeed.
    fn is_trusted(&self) -> bool {
        let name = self.peer.as_deref();
        name.is_some_and(|name| self.server.proves(&self.link.chain, name))
    }

    fn features(&self) -> Element {
        let mut features = Unit::Features.element();
        let peer = self.peer.clone().unwrap_or_default();
        let policy = self.server.policy(&peer);
        let secured = self.link.is_secured();
        if self.external {
            return features;
        }
        let offers_tls = policy.tls != Level::NotSupported || self.has(Defect::OffersTlsAlways);
        if offers_tls && !secured || secured && self.has(Defect::OffersTlsInTls) {
            let mut starttls = Element::new(NS_TLS, "starttls");
            if self.server.requires_tls(&peer) && !self.has(Defect::LeavesRequiredOut) {
                starttls = starttls.child(Element::new(NS_TLS, "required"));
            }
            features = features.child(starttls);
        }
        let external = secured && self.is_trusted() && policy.sasl != Level::NotSupported;
        let wrongly = self.has(Defect::OffersExternalInClear) && !secured
            || self.has(Defect::OffersExternalToAnybody) && secured;
        if external && !self.has(Defect::OffersNoExternal) || wrongly {
            let mechanism = Element::new(NS_SASL, "mechanism").text("EXTERNAL");
            features = features.child(Element::new(NS_SASL, "mechanisms").child(mechanism));
        } else if secured && self.has(Defect::EmptyMechanisms) {
            features = features.child(Element::new(NS_SASL, "mechanisms"));
        }
        let comes_later = !secured && self.server.requires_tls(&peer);
        if policy.dialback && !comes_later && !self.has(Defect::AdvertisesNoDialback) {
            let errors = Element::new(NS_DIALBACK_FEATURE, "errors");
            let dialback = Element::new(NS_DIALBACK_FEATURE, "dialback").child(errors);
            features = features.child(dialback);
        }
        features
    }

    async fn element(&mut self, element: Element) -> io::Result<Next> {
        if self.restarts {
            return self.fail("not-authorized").await;
        }
        let typed = element.attribute("type").is_some();
        match Unit::of(&element) {
            Some(Unit::Starttls) => self.starttls().await,
            Some(Unit::Auth) => self.auth(&element).await,
            Some(Unit::Response | Unit::Abort) => self.refuse("aborted").await,
            Some(Unit::DbResult) if !typed => self.key(&element).await,
            Some(Unit::DbVerify) if !typed => self.asked(&element).await,
            Some(Unit::DbResult) => {
                if self.has(Defect::BelievesResultsUnasked) {
                    self.verified.insert(pair(&element));
                }
                Ok(Next::On)
            }
            Some(Unit::DbVerify) => {
                if self.has(Defect::BelievesAnswersOnTheWayIn) {
                    self.server.overhear(&element);
                }
                Ok(Next::On)
            }
            Some(unit) if unit.is_stanza() => self.stanza(element).await,
            Some(Unit::StreamError) if self.has(Defect::StaysAfterErrors) => Ok(Next::On),
            Some(Unit::StreamError) => Ok(Next::Over),
            _ if self.has(Defect::IgnoresUnknownElements) => Ok(Next::On),
            _ => self.fail("unsupported-stanza-type").await,
        }
    }

    async fn starttls(&mut self) -> io::Result<Next> {
        let peer = self.peer.clone().unwrap_or_default();
        if self.link.is_secured() || self.server.policy(&peer).tls == Level::NotSupported {
            self.link.send(&Unit::TlsFailure.element()).await?;
            return Ok(Next::Over);
        }
        let reads_on = self.has(Defect::ReadsOnBehindStarttls);
        if self.link.has_unread() && !reads_on {
            return self.fail("policy-violation").await;
        }
        self.link.send(&Unit::Proceed.element()).await?;
        let config = Arc::clone(&self.server.accepts);
        if self.link.accept_tls(config).await.is_err() {
            return Ok(Next::Over);
        }
        self.link.restart(reads_on);
        self.restarts = true;
        Ok(Next::On)
    }

    async fn auth(&mut self, auth: &Element) -> io::Result<Next> {
        if self.external && !self.has(Defect::AuthenticatesTwice) {
            return self.fail("not-authorized").await;
        }
        let peer = self.peer.clone();
        let policy = self.server.policy(peer.as_deref().unwrap_or_default());
        let trusted = self.is_trusted() || self.has(Defect::BelievesAnyCertificate);
        let from = match self.has(Defect::BelievesTheAuthorizationIdentity) {
            true => None,
            false => peer.as_deref(),
        };
        let mechanism = match self.has(Defect::TakesAnyMechanism) {
            true => without_attribute(auth.clone(), "mechanism").attr("mechanism", "EXTERNAL"),
            false => auth.clone(),
        };
        let clear = self.has(Defect::AcceptsExternalInClear);
        let claim = Claim {
            encrypted: self.link.is_secured() || clear,
            offered: policy.sasl != Level::NotSupported,
            trusted: trusted || clear,
            from: from.or(peer.as_deref()),
        };
        let judged = match self.has(Defect::BelievesTheAuthorizationIdentity) {
            true if claim.trusted => Ok(()),
            _ => sasl::judge(&mechanism, claim),
        };
        if let Err(condition) = judged {
            return self.refuse(condition).await;
        }
        self.link.send(&Unit::Success.element()).await?;
        self.external = true;
        let peer = peer.unwrap_or_default();
        self.verified.insert((peer, self.local.clone()));
        if !self.has(Defect::GoesOnWithoutRestart) {
            self.link.restart(true);
            self.restarts = true;
        }
        Ok(Next::On)
    }

    async fn refuse(&mut self, condition: &'static str) -> io::Result<Next> {
        self.attempts += 1;
        let failure = Unit::SaslFailure.with_condition(Unit::SaslFailure.element(), condition);
        if !self.has(Defect::RefusesWithoutAWord) {
            self.link.send(&failure).await?;
        }
        let endless = self.has(Defect::EndlessAttempts);
        let ends = self.attempts >= ATTEMPTS && !endless || self.has(Defect::EndsAtAFailure);
        match ends || self.has(Defect::RefusesWithoutAWord) {
            true if self.has(Defect::RefusesWithoutAWord) => Ok(Next::Over),
            true => self.fail("policy-violation").await,
            false => Ok(Next::On),
        }
    }

    async fn stanza(&mut self, stanza: Element) -> io::Result<Next> {
        let attribute = |name| stanza.attribute(name).unwrap_or_default().to_owned();
        let (sender, recipient) = (attribute("from"), attribute("to"));
        if self.verified.is_empty() && !self.has(Defect::RelaysStrangers) {
            return match self.has(Defect::DropsStrangersSilently) {
                true => Ok(Next::On),
                false => self.fail("not-authorized").await,
            };
        }
        let lacks_sender = sender.is_empty() && !self.has(Defect::NeedsNoSender);
        let lacks_recipient = recipient.is_empty() && !self.has(Defect::NeedsNoRecipient);
        if lacks_sender || lacks_recipient {
            return self.fail("improper-addressing").await;
        }
        let from = domain_of(&sender).to_ascii_lowercase();
        let to = domain_of(&recipient).to_ascii_lowercase();
        let is_verified = self.verified.iter().any(|(theirs, ours)| {
            let sends = *theirs == from
                || self.has(Defect::ComparesEndsOfSenders) && theirs.ends_with(&from)
                || self.has(Defect::ComparesEndsOfSenders) && from.ends_with(theirs.as_str())
                || self.has(Defect::ComparesBeginningsOfSenders)
                    && from.starts_with(theirs.as_str())
                || self.has(Defect::TakesAnySender)
                || self.has(Defect::NeedsNoSender) && from.is_empty();
            sends && (*ours == to || self.has(Defect::TakesAnyDomainOfOurs))
        });
        let well_formed = [&sender, &recipient]
            .into_iter()
            .all(|address| address.is_empty() || is_address(address));
        if !well_formed && !self.has(Defect::TakesAnyAddress) {
            return self.fail("improper-addressing").await;
        }
        let stranger = !self.verified.iter().any(|(theirs, _)| *theirs == from);
        if !is_verified && !self.has(Defect::RelaysStrangers) {
            if self.has(Defect::NeedsNoRecipient) && recipient.is_empty() {
                self.server.deliver(stanza);
                return Ok(Next::On);
            }
            if self.server.is_ours(&to) || stranger {
                let condition = match stranger {
                    true => "invalid-from",
                    false => "not-authorized",
                };
                return self.fail(condition).await;
            }
            if self.has(Defect::RelaysToAnybody) {
                self.server.relay(stanza);
                return Ok(Next::On);
            }
            return self.fail("host-unknown").await;
        }
        if is_faulty(&stanza) {
            if self.has(Defect::AnswersFaultyRequests) {
                let answer = simulated_partners::stanza::result(&stanza);
                self.link.send(&answer).await?;
                return Ok(Next::On);
            }
            self.server.route(error(&stanza, "bad-request"));
            return Ok(Next::On);
        }
        self.reply_here(&stanza).await?;
        self.server.deliver(stanza);
        Ok(Next::On)
    }

    /// What a server answers that takes the partner's stream for its own.
    async fn reply_here(&mut self, stanza: &Element) -> io::Result<()> {
        if self.has(Defect::AnswersOnTheWayIn) && Unit::Iq.is(stanza) {
            let answer = simulated_partners::stanza::result(stanza);
            self.link.send(&answer).await?;
        }
        Ok(())
    }

    /// Ends the stream with an error (RFC 6120 §4.9).
    pub(super) async fn fail(&mut self, condition: &str) -> io::Result<Next> {
        if self.has(Defect::EndsWithoutAnError) {
            return Ok(Next::Over);
        }
        self.open().await?;
        let condition = match self.has(Defect::ErrorsAreUndefined) {
            true => "undefined-condition",
            false => condition,
        };
        self.link.send(&stream_error(condition)).await?;
        if self.has(Defect::StaysAfterErrors) {
            std::future::pending::<()>().await;
        }
        self.link.close().await;
        // Unread bytes would turn the end into a reset, which overtakes the error.
        let deadline = Instant::now() + FAREWELL;
        while let Ok(Ok(_)) = tokio::time::timeout_at(deadline, self.link.frame()).await {}
        Ok(Next::Over)
    }
}
