//! A stream that a partner opens.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use simulated_partners::wire::{Element, Frame, Kind, NS_DIALBACK, NS_SERVER, NS_STREAM, Unit};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::defect::Defect;
use super::link::{Broken, Link};
use super::receiving::pair;
use super::stanza::stream_error;
use super::verification::{Question, Verdict};
use super::{DOMAIN, Server};

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
    pub(super) local: String,
    /// Whom the partner says it is.
    pub(super) peer: Option<String>,
    /// Whom it said it was in its first header.
    pub(super) first_peer: Option<String>,
    pub(super) version: bool,
    pub(super) is_open: bool,
    pub(super) external: bool,
    /// Whether a new header has to follow.
    pub(super) restarts: bool,
    /// The pairs of domains that may send, the partner's first.
    pub(super) verified: BTreeSet<(String, String)>,
    pub(super) pending: BTreeSet<(String, String)>,
    pub(super) attempts: u32,
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
