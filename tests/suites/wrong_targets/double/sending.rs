//! Sending stanzas on a stream of a double.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::negotiate::dialback::{Answer, read_answer};
use simulated_partners::wire::{Element, Kind, NS_STREAMS, Node, Unit};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::Server;
use super::defect::Defect;
use super::link::Link;
use super::managed::Kept;
use super::outgoing::{Failed, Opened, Purpose, TIMEOUT, open};
use super::scrub::without_attribute;
use super::stanza::stream_error;
use super::verification::{Question, Verdict};

/// How long a partner may leave unread what is sent.
const WRITE: Duration = Duration::from_secs(3);
/// How often a stream is opened for what a partner may not have got.
const ANEW: usize = 3;
/// How often a stream is opened where nothing ends that.
const ENDLESSLY: usize = 20;

/// A stream of the double's own, over which it sends.
pub(super) struct Sending {
    pub(super) server: Arc<Server>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) link: Link,
    /// Whether the partner may send, too.
    pub(super) bidi: bool,
    /// Whether its header declares dialback.
    knows_dialback: bool,
    /// The id of the stream.
    pub(super) id: String,
    /// Further pairs that may send back, ours first.
    pub(super) accepted: BTreeSet<(String, String)>,
    pub(super) answer: mpsc::UnboundedSender<(Question, Verdict)>,
    answers: mpsc::UnboundedReceiver<(Question, Verdict)>,
    /// What is kept of it, if it is managed.
    kept: Option<Kept>,
}

/// How a stream has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// It has ended in order, or has been given up.
    Ended,
    /// The connection was lost.
    Lost,
}

/// Opens a stream for a pair of domains, ours first, and sends what waits.
pub(super) async fn run(
    server: Arc<Server>,
    (from, to): (String, String),
    mut waiting: mpsc::Receiver<Element>,
) {
    let mut kept = None;
    for _ in 0..ANEW {
        let opened = match opened(&server, &from, &to, kept.take()).await {
            Ok(opened) => opened,
            Err(unopened) => {
                fail(&server, to, waiting, unopened).await;
                return;
            }
        };
        let (answer, answers) = mpsc::unbounded_channel();
        let mut sending = Sending {
            server: Arc::clone(&server),
            from: from.clone(),
            to: to.clone(),
            link: opened.link,
            bidi: opened.bidi,
            knows_dialback: opened.knows_dialback,
            id: opened.id,
            accepted: BTreeSet::new(),
            answer,
            answers,
            kept: opened.kept,
        };
        let over = sending.send(&mut waiting).await;
        kept = sending.kept.take();
        if over == Over::Ended || kept.is_none() || server.has(Defect::DropsUnacknowledged) {
            break;
        }
    }
    waiting.close();
    let rest = kept.map(|mut kept| kept.rest()).unwrap_or_default();
    let dropped = server.has(Defect::DropsUnacknowledged);
    for stanza in rest.iter().filter(|_| !dropped) {
        server.bounce(stanza, TIMEOUT);
    }
    let lost = server.has(Defect::LosesWhatComesLater);
    while let Ok(stanza) = waiting.try_recv() {
        if !lost {
            server.bounce(&stanza, TIMEOUT);
        }
    }
}

async fn opened(
    server: &Arc<Server>,
    from: &str,
    to: &str,
    kept: Option<Kept>,
) -> Result<Opened, Unopened> {
    let endless = [
        Defect::CrashesWithoutAnId,
        Defect::EndlessPatience,
        Defect::IgnoresStreamErrors,
        Defect::WaitsAfterARefusal,
    ];
    let patience = match endless.into_iter().any(|defect| server.has(defect)) {
        true => Duration::from_secs(3600),
        false => server.patience,
    };
    let opened = timeout(patience, open(server, from, to, Purpose::Send, kept)).await;
    let mut result = match opened {
        Ok(result) => result,
        Err(_) => Err(Unopened::from(TIMEOUT)),
    };
    for _ in 0..ENDLESSLY {
        if result.is_ok() || !server.has(Defect::RetriesEndlessly) {
            break;
        }
        result = open(server, from, to, Purpose::Send, None).await;
    }
    result
}

/// Returns what waits for a stream that cannot be had.
async fn fail(
    server: &Arc<Server>,
    to: String,
    mut waiting: mpsc::Receiver<Element>,
    unopened: Unopened,
) {
    let waits_on = unopened.stays && server.has(Defect::WaitsOnTheFailedStream);
    if !waits_on {
        waiting.close();
    }
    while let Ok(stanza) = waiting.try_recv() {
        server.bounce(&stanza, unopened.condition);
        if server.has(Defect::BouncesOnlyTheFirst) {
            break;
        }
    }
    if server.has(Defect::GivesUpOnTheWholePartner) {
        server
            .given_up
            .lock()
            .expect("no panic under it")
            .insert(to);
    }
    unopened.leave(server.patience).await;
}

impl Sending {
    /// Sends what waits, until the stream is over.
    async fn send(&mut self, waiting: &mut mpsc::Receiver<Element>) -> Over {
        let rest = self.kept.as_mut().map(Kept::rest).unwrap_or_default();
        for stanza in rest {
            if !self.write(&stanza).await {
                return Over::Lost;
            }
        }
        let mut idle = self.idle();
        let over = loop {
            tokio::select! {
                biased;
                stanza = waiting.recv() => {
                    let Some(stanza) = stanza else {
                        break Over::Ended;
                    };
                    idle = self.idle();
                    if !self.write(&stanza).await {
                        break Over::Lost;
                    }
                }
                frame = self.link.frame() => {
                    idle = self.idle();
                    match frame {
                        Ok(frame) => if !self.takes(frame.kind).await {
                            break Over::Ended;
                        },
                        Err(broken) => {
                            self.link.blame(&broken).await;
                            break Over::Lost;
                        }
                    }
                }
                Some((question, verdict)) = self.answers.recv() => {
                    self.decided(&question, &verdict).await;
                }
                () = sleep_until(idle), if self.server.idle.is_some() => break Over::Ended,
            }
        };
        self.link.close().await;
        over
    }

    fn idle(&self) -> Instant {
        Instant::now() + self.server.idle.unwrap_or_default()
    }

    /// Sends a stanza, or returns it: whether the connection is there.
    async fn write(&mut self, stanza: &Element) -> bool {
        let _turn = self.server.turn().await;
        let keeps_all = self.server.has(Defect::KeepsAllUnacknowledged);
        if self
            .kept
            .as_ref()
            .is_some_and(|kept| kept.is_full() && !keeps_all)
        {
            self.server.bounce(stanza, "resource-constraint");
            return true;
        }
        if let Some(kept) = &mut self.kept {
            kept.sent(stanza);
        }
        let text = self.server.written(stanza);
        let blocks =
            self.server.has(Defect::BlocksOnWrites) || self.server.has(Defect::EndlessQueues);
        let sent = match blocks {
            true => self.link.write(&text).await.is_ok(),
            false => matches!(timeout(WRITE, self.link.write(&text)).await, Ok(Ok(()))),
        };
        let lost = self.server.has(Defect::LosesWhatComesLater);
        if !sent && self.kept.is_none() && !lost {
            self.server.bounce(stanza, TIMEOUT);
        }
        sent
    }

    /// Takes what the partner sends: whether the stream goes on.
    async fn takes(&mut self, kind: Kind) -> bool {
        let element = match kind {
            Kind::Element(element) => element,
            Kind::End if self.server.has(Defect::LeavesTheEndUnanswered) => {
                std::future::pending::<()>().await;
                return false;
            }
            Kind::End => return false,
            Kind::Header(_) | Kind::Declaration | Kind::Whitespace(_) => return true,
        };
        if let Some(kept) = &mut self.kept
            && let Some(answer) = kept.takes(&element)
            && !self.server.has(Defect::LeavesRequestsUnanswered)
        {
            let _ = self.link.send(&answer).await;
        }
        match Unit::of(&element) {
            Some(Unit::StreamError) if self.server.has(Defect::IgnoresStreamErrors) => true,
            Some(Unit::StreamError)
                if !self.knows_dialback && self.server.has(Defect::KnowsErrorsBesideDialback) =>
            {
                true
            }
            Some(Unit::StreamError) => {
                self.server.survives(&element).await;
                self.server.redirected(&self.to, &element);
                if self.server.has(Defect::AnswersStreamErrors) {
                    let _ = self.link.send(&stream_error("undefined-condition")).await;
                }
                false
            }
            Some(Unit::Features) => !self.server.has(Defect::NeedsKnownFeatures),
            Some(Unit::DbResult) if element.attribute("type").is_none() => {
                self.key_comes_back(&element);
                true
            }
            Some(Unit::DbResult) if ends(&element) => false,
            Some(Unit::DbResult) => {
                self.server.hears(&element, &self.from);
                true
            }
            Some(unit) if unit.is_stanza() => self.comes_back(element).await,
            _ => true,
        }
    }
}

impl Server {
    /// A stanza as it leaves.
    pub(super) fn written(&self, stanza: &Element) -> String {
        let text = match self.has(Defect::LosesTheSender) {
            true => without_attribute(stanza.clone(), "from").to_xml(),
            false => stanza.to_xml(),
        };
        let name = &stanza.name;
        match self.defect {
            Some(Defect::PrefixesStanzas) => text
                .replacen(
                    &format!("<{name} "),
                    &format!("<s:{name} xmlns:s='jabber:server' "),
                    1,
                )
                .replace(&format!("</{name}>"), &format!("</s:{name}>")),
            Some(Defect::EscapesNothing) => text
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
            _ => text,
        }
    }

    /// Takes an answer to a key that nobody waits for on this stream.
    fn hears(&self, answer: &Element, ours: &str) {
        let theirs = answer.attribute("from").unwrap_or_default().to_owned();
        if read_answer(answer) != Some(Answer::Valid) {
            return;
        }
        if self.has(Defect::OverhearsResults) {
            let mut overheard = self.overheard.lock().expect("no panic under it");
            overheard.insert((ours.to_owned(), theirs.clone()));
        }
        if self.has(Defect::TakesRoutesFromAnswers) {
            let mut out = self.out.lock().expect("no panic under it");
            let open = out.iter().find(|((from, _), _)| from == ours);
            if let Some(open) = open.map(|(_, open)| open.clone()) {
                out.insert((ours.to_owned(), theirs), open);
            }
        }
    }

    /// Comes through a stream error, if it can: otherwise nothing more follows.
    pub(super) async fn survives(&self, error: &Element) {
        let texts = || error.elements().filter(|one| one.name == "text").count();
        let is_too_much = match self.defect {
            Some(Defect::ChokesOnEmptyErrors) => error.children.is_empty(),
            Some(Defect::ChokesOnTextInErrors) => error
                .children
                .iter()
                .any(|node| matches!(node, Node::Text(_))),
            Some(Defect::ChokesOnTwoTexts) => texts() > 1,
            _ => false,
        };
        if is_too_much {
            std::future::pending::<()>().await;
        }
    }

    /// Keeps where a partner leads to.
    pub(super) fn redirected(&self, domain: &str, error: &Element) {
        let place = error.find(NS_STREAMS, "see-other-host");
        if let Some(Ok(address)) = place.map(|place| place.content().parse())
            && self.has(Defect::FollowsRedirects)
        {
            let mut redirects = self.redirects.lock().expect("no panic under it");
            redirects.insert(domain.to_owned(), address);
        }
    }
}

/// What makes a stream useless.
fn ends(element: &Element) -> bool {
    Unit::DbResult.is(element)
        && matches!(
            read_answer(element),
            Some(Answer::Invalid | Answer::Error(_))
        )
}

/// A stream that cannot be used: what its stanzas are returned with, and its connection.
pub(super) struct Unopened {
    pub(super) condition: Failed,
    pub(super) link: Option<Link>,
    /// Whether the stream itself is in order.
    pub(super) stays: bool,
}

impl From<Failed> for Unopened {
    fn from(condition: Failed) -> Self {
        Self {
            condition,
            link: None,
            stays: false,
        }
    }
}

impl Unopened {
    /// Waits for the partner to end the stream, which is good for nothing more.
    async fn leave(self, patience: Duration) {
        let Some(mut link) = self.link else {
            return;
        };
        if self.stays {
            let _ = timeout(patience, async { while link.frame().await.is_ok() {} }).await;
        }
        link.close().await;
    }

    pub(super) async fn close(self) {
        if let Some(mut link) = self.link {
            link.close().await;
        }
    }
}
