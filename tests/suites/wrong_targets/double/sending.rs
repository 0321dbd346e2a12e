//! Sending stanzas on a stream of a double.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::negotiate::dialback::{Answer, read_answer};
use simulated_partners::wire::{Element, Kind, NS_STREAMS, Unit};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Server;
use super::defect::Defect;
use super::link::Link;
use super::outgoing::{Failed, Purpose, TIMEOUT, open};
use super::scrub::without_attribute;
use super::stanza::stream_error;

/// Opens a stream for a pair of domains, ours first, and sends what waits.
pub(super) async fn run(
    server: Arc<Server>,
    (from, to): (String, String),
    mut waiting: mpsc::UnboundedReceiver<Element>,
) {
    let patience = match server.has(Defect::EndlessPatience) {
        true => Duration::from_secs(3600),
        false => server.patience,
    };
    let opened = timeout(patience, open(&server, &from, &to, Purpose::Send)).await;
    let opened = match opened {
        Ok(opened) => opened,
        Err(_) => Err(Unopened::from(TIMEOUT)),
    };
    let mut link = match opened {
        Ok(link) => link,
        Err(unopened) => {
            waiting.close();
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
            return;
        }
    };
    loop {
        tokio::select! {
            biased;
            stanza = waiting.recv() => {
                let Some(stanza) = stanza else {
                    link.close().await;
                    return;
                };
                let sent = link.write(&server.written(&stanza)).await;
                if sent.is_err() {
                    server.bounce(&stanza, TIMEOUT);
                    break;
                }
            }
            frame = link.frame() => match frame {
                Ok(frame) => match frame.kind {
                    Kind::Element(error) if Unit::StreamError.is(&error) => {
                        server.redirected(&to, &error);
                        if server.has(Defect::AnswersStreamErrors) {
                            let _ = link.send(&stream_error("undefined-condition")).await;
                        }
                        break;
                    }
                    Kind::Element(element) if ends(&element) => break,
                    Kind::Element(features) if Unit::Features.is(&features) && server.has(Defect::NeedsKnownFeatures) => break,
                    Kind::Element(features) if Unit::Features.is(&features) => {}
                    Kind::End if server.has(Defect::LeavesTheEndUnanswered) => {
                        std::future::pending::<()>().await;
                    }
                    Kind::End => break,
                    Kind::Element(answer) if Unit::DbResult.is(&answer) => {
                        server.hears(&answer, &from);
                    }
                    Kind::Element(stanza) if server.has(Defect::TakesStanzasTheWrongWay) => {
                        server.deliver(stanza);
                    }
                    _ => {}
                },
                Err(broken) => {
                    link.blame(&broken).await;
                    break;
                }
            }
        }
    }
    link.close().await;
    waiting.close();
    while let Ok(stanza) = waiting.try_recv() {
        server.bounce(&stanza, TIMEOUT);
    }
}

impl Server {
    /// A stanza as it leaves.
    fn written(&self, stanza: &Element) -> String {
        let text = match self.has(Defect::LosesTheSender) {
            true => without_attribute(stanza.clone(), "from").to_xml(),
            false => stanza.to_xml(),
        };
        match self.has(Defect::EscapesNothing) {
            true => text
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
            false => text,
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
