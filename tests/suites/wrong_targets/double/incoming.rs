//! A stream that a partner opens.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use simulated_partners::stanza::domain_of;
use simulated_partners::wire::{
    Element, Frame, Kind, NS_DIALBACK, NS_SERVER, NS_STANZAS, NS_STREAM, NS_STREAMS, Unit,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::defect::Defect;
use super::link::{Broken, Full, Link};
use super::managed::{self, Counted};
use super::names::a_labels;
use super::receiving::pair;
use super::scrub::by_local_name;
use super::stanza::stream_error;
use super::verification::{Question, Verdict};
use super::{DOMAIN, Queue, Server};

/// Stanzas that wait to go back.
const WAITING: usize = 500;
/// How long the double reads on from a stream that it has ended.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(500);

/// Serves a connection until it ends.
pub(super) async fn serve(server: Arc<Server>, tcp: TcpStream, direct: bool) {
    let scrub = server.scrub();
    let (answer, answers) = mpsc::unbounded_channel();
    let (back, waiting) = mpsc::channel(WAITING);
    let mut link = Link::new(tcp, scrub, server.limits());
    link.full = match server.defect {
        Some(Defect::LosesBytesOfFullReads) => Full::Loses,
        Some(Defect::StallsAtFullReads) => Full::Stalls,
        _ => Full::Harmless,
    };
    link.halves = server.has(Defect::TakesHalvesForWholes);
    let config = Arc::clone(&server.accepts);
    if direct && link.accept_tls(config, false).await.is_err() {
        return;
    }
    let mut incoming = Incoming {
        id: String::new(),
        link,
        local: DOMAIN.to_owned(),
        peer: None,
        first_peer: None,
        version: true,
        echo: Element::new(NS_STREAM, "stream"),
        is_open: false,
        external: false,
        restarts: false,
        verified: BTreeSet::new(),
        pending: BTreeSet::new(),
        attempts: 0,
        keys: 0,
        questions: 0,
        bytes: 0,
        held: None,
        bidi: false,
        back,
        stanzas: 0,
        counted: None,
        answer,
        server,
    };
    // Whatever ends it has been said on the wire.
    let _ = incoming.run(answers, waiting).await;
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
    pub(super) local: String,
    /// Whom the partner says it is.
    pub(super) peer: Option<String>,
    /// Whom it said it was in its first header.
    pub(super) first_peer: Option<Option<String>>,
    pub(super) version: bool,
    /// Its last header.
    pub(super) echo: Element,
    pub(super) is_open: bool,
    pub(super) external: bool,
    /// Whether a new header has to follow.
    pub(super) restarts: bool,
    /// The pairs of domains that may send, the partner's first.
    pub(super) verified: BTreeSet<(String, String)>,
    pub(super) pending: BTreeSet<(String, String)>,
    pub(super) attempts: u32,
    pub(super) keys: u32,
    /// Questions about keys of ours.
    pub(super) questions: u32,
    /// Bytes of stanzas.
    pub(super) bytes: usize,
    /// A stanza that waits for the next one.
    pub(super) held: Option<Element>,
    /// Whether stanzas may go back on it.
    pub(super) bidi: bool,
    /// The queue of what goes back.
    pub(super) back: Queue,
    /// All its stanzas so far.
    pub(super) stanzas: u32,
    /// What is counted, if it is managed.
    pub(super) counted: Option<Counted>,
    pub(super) answer: mpsc::UnboundedSender<(Question, Verdict)>,
}

type Answers = mpsc::UnboundedReceiver<(Question, Verdict)>;

impl Incoming {
    pub(super) fn has(&self, defect: Defect) -> bool {
        self.server.has(defect)
    }

    async fn run(
        &mut self,
        mut answers: Answers,
        mut waiting: mpsc::Receiver<Element>,
    ) -> io::Result<()> {
        let mut idle = self.idle();
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
                    Ok(frame) => {
                        idle = self.idle();
                        self.frame(frame).await?
                    }
                    Err(Broken::Ended) => Next::Over,
                    Err(Broken::Illegal(_)) if self.has(Defect::HangsOnWhatIsIllegal) => {
                        std::future::pending().await
                    }
                    Err(Broken::Illegal(_)) if self.has(Defect::CrashesOnWhatIsIllegal) => {
                        self.server.is_dead.store(true, Ordering::Relaxed);
                        return Ok(());
                    }
                    Err(Broken::Illegal(error)) => self.fail(error.condition).await?,
                },
                Some(stanza) = waiting.recv() => {
                    let text = self.server.written(&stanza);
                    self.link.write(&text).await?;
                    Next::On
                }
                Some((question, verdict)) = answers.recv() => {
                    self.decided(&question, &verdict).await?
                }
                () = sleep_until(deadline), if is_stranger => {
                    self.fail("connection-timeout").await?
                }
                () = sleep_until(idle), if !is_stranger && self.server.idle.is_some() => {
                    return self.end_in_order().await;
                }
            };
            if matches!(next, Next::Over) {
                self.link.close().await;
                return Ok(());
            }
        }
    }

    fn idle(&self) -> Instant {
        Instant::now() + self.server.idle.unwrap_or_default()
    }

    /// Ends the stream, and takes what is still on its way (RFC 6120 §4.4).
    async fn end_in_order(&mut self) -> io::Result<()> {
        self.link.write("</stream:stream>").await?;
        if self.has(Defect::ClosesWithItsEnd) {
            return Ok(());
        }
        let deadline = Instant::now() + self.server.patience;
        while let Ok(Ok(frame)) = tokio::time::timeout_at(deadline, self.link.frame()).await {
            match frame.kind {
                Kind::Element(element) => {
                    if matches!(self.element(element).await?, Next::Over) {
                        break;
                    }
                }
                Kind::End => break,
                Kind::Header(_) | Kind::Declaration | Kind::Whitespace(_) => {}
            }
        }
        self.link.close().await;
        Ok(())
    }

    async fn frame(&mut self, frame: Frame) -> io::Result<Next> {
        match frame.kind {
            Kind::Header(header) => self.header(&header).await,
            Kind::Element(element) => self.element(element).await,
            Kind::Whitespace(_) if self.has(Defect::RefusesWhitespace) && self.is_open => {
                self.fail("bad-format").await
            }
            Kind::Declaration | Kind::Whitespace(_) => Ok(Next::On),
            Kind::End if self.has(Defect::GoesOnAfterTheEnd) => {
                self.link.restart(true);
                Ok(Next::On)
            }
            Kind::End if self.has(Defect::LeavesTheEndUnanswered) => {
                std::future::pending::<()>().await;
                Ok(Next::Over)
            }
            Kind::End => Ok(Next::Over),
        }
    }

    async fn header(&mut self, header: &Element) -> io::Result<Next> {
        if header.prefix.as_deref() != Some("stream") && self.has(Defect::HangsUpOnOtherPrefixes) {
            return Ok(Next::Over);
        }
        let cuts = self.has(Defect::IgnoresTheRestOfNames);
        let cut = |name| if cuts { domain_of(name) } else { name };
        let attribute = |name| header.attribute(name).map(|name| cut(name).to_owned());
        self.peer = attribute("from").map(|from| self.server.read_name(&from));
        if self.first_peer.is_none() {
            self.first_peer = Some(self.peer.clone());
        }
        if self.has(Defect::KeepsTheNameFromBeforeTls) {
            self.peer = self.first_peer.clone().flatten();
        }
        if self.external && self.has(Defect::TakesAnotherNameAfterSasl) {
            let peer = self.peer.clone().unwrap_or_default();
            self.trust(peer, self.local.clone());
        }
        self.echo = header.clone();
        self.version = header.attribute("version").is_some_and(|version| {
            let major = version
                .split('.')
                .next()
                .and_then(|major| major.parse().ok());
            match self.has(Defect::ComparesVersionsAsText) {
                true => version == "1.0",
                false => major == Some(1_u32),
            }
        });
        let to = attribute("to").map(|to| self.server.read_name(&to));
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
        let is_for_servers = header.declares(None, NS_SERVER) || self.has(Defect::ServesClients);
        if header.namespace != NS_STREAM || !is_for_servers {
            return self.fail("invalid-namespace").await;
        }
        self.restarts = false;
        if self.server.strict && self.link.is_secured() && !self.is_trusted() {
            return self.fail("policy-violation").await;
        }
        let again = self.link.is_secured() && self.has(Defect::FeaturesOnlyOnce);
        if (self.version || self.has(Defect::FeaturesForOldPartners)) && !again {
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
        if self.has(Defect::TakesIdsOfPartners)
            && let Some(id) = self.echo.attribute("id")
        {
            id.clone_into(&mut self.id);
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
            let local = match self.has(Defect::EchoesTheName) {
                true => self.echo.attribute("to").unwrap_or_default(),
                false => &self.local,
            };
            header = header.attr("from", local);
        }
        if let Some(peer) = self
            .peer
            .as_ref()
            .filter(|_| !self.has(Defect::HeaderWithoutTo))
        {
            let peer = match self.has(Defect::WritesALabels) {
                true => &a_labels(peer),
                false => peer,
            };
            header = header.attr("to", peer);
        }
        if self.version && !self.has(Defect::HeaderWithoutVersion) {
            let version = match self.has(Defect::EchoesTheVersion) {
                true => self.echo.attribute("version").unwrap_or_default(),
                false => "1.0",
            };
            header = header.attr("version", version);
        }
        if !self.has(Defect::NoLanguage) {
            header = header.lang("en");
        }
        let mark = match self.has(Defect::SendsAByteOrderMark) {
            true => "\u{feff}",
            false => "",
        };
        let standalone = match self.has(Defect::DeclaresStandalone) {
            true => " standalone='yes'",
            false => "",
        };
        let header = header.to_open_tag();
        let text = format!("{mark}<?xml version='1.0'{standalone}?>{header}");
        self.link.write(&text).await
    }

    async fn element(&mut self, element: Element) -> io::Result<Next> {
        if self.restarts {
            return self.fail("not-authorized").await;
        }
        let element = match self.has(Defect::ComparesLocalNames) {
            true => by_local_name(element),
            false => element,
        };
        let is_foreign = element.prefix.as_deref().is_some_and(|prefix| {
            let is_declared = element.declares(Some(prefix), &element.namespace);
            self.has(Defect::ForgetsPrefixes) && !is_declared && prefix != "db"
                || self.has(Defect::ComparesPrefixes) && prefix != "db" && prefix != "stream"
        });
        if is_foreign {
            return self.fail("bad-namespace-prefix").await;
        }
        if element.name == "enable" && self.has(Defect::EnablesAnything) {
            let enabled = Element::new(&element.namespace, "enabled");
            self.link.send(&enabled).await?;
            return Ok(Next::On);
        }
        self.count(&element);
        let peer = self.peer.clone().unwrap_or_default();
        if element.namespace == managed::NS && self.server.terms(&peer).managed {
            return self.managing(&element).await;
        }
        if self.asks_for_both_ways(&element) {
            self.goes_both_ways();
            return Ok(Next::On);
        }
        let _turn = match Unit::of(&element).is_some_and(Unit::is_stanza) {
            true => self.server.turn().await,
            false => None,
        };
        let typed = element.attribute("type").is_some();
        match Unit::of(&element) {
            Some(Unit::Starttls) => self.starttls().await,
            Some(Unit::Auth) => self.auth(&element).await,
            Some(Unit::Abort) if self.has(Defect::IgnoresAborts) => Ok(Next::On),
            Some(Unit::Response) if self.has(Defect::BelievesResponses) => {
                self.believe(&element).await
            }
            Some(Unit::Response | Unit::Abort) => self.refuse("aborted").await,
            Some(Unit::DbResult) if !typed => self.key(&element).await,
            Some(Unit::DbVerify) if !typed => self.asked(&element).await,
            Some(Unit::DbResult) => {
                if self.has(Defect::BelievesResultsUnasked) {
                    let (theirs, ours) = pair(&element);
                    self.trust(theirs, ours);
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
            Some(Unit::StreamError) if self.has(Defect::AnswersStreamErrors) => {
                self.fail("undefined-condition").await
            }
            Some(Unit::StreamError) => Ok(Next::Over),
            _ => self.fail("unsupported-stanza-type").await,
        }
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
        let said = match self.server.defect {
            Some(Defect::TextOfStanzaErrors) => Some((NS_STANZAS, "why")),
            Some(Defect::TellsItsInternals) => Some((NS_STREAMS, "panicked at incoming.rs:401")),
            _ => None,
        };
        let error = stream_error(condition);
        let error = match said {
            Some((namespace, text)) => error.child(Element::new(namespace, "text").text(text)),
            None => error,
        };
        self.link.send(&error).await?;
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
