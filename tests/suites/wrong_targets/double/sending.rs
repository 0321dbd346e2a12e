//! Sending stanzas on a stream of a double.

use std::sync::Arc;
use std::time::Duration;

use simulated_partners::negotiate::dialback::{Answer, read_answer};
use simulated_partners::wire::{Element, Kind, Unit};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Server;
use super::defect::Defect;
use super::link::Link;
use super::outgoing::{Failed, Purpose, TIMEOUT, open};

/// Opens a stream for a pair of domains, ours first, and sends what waits.
pub(super) async fn run(
    server: Arc<Server>,
    (from, to): (String, String),
    mut waiting: mpsc::UnboundedReceiver<Element>,
) {
    let opened = timeout(server.patience, open(&server, &from, &to, Purpose::Send)).await;
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
                if link.send(&stanza).await.is_err() {
                    server.bounce(&stanza, TIMEOUT);
                    break;
                }
            }
            frame = link.frame() => match frame {
                Ok(frame) => match frame.kind {
                    Kind::Element(element) if ends(&element) => break,
                    Kind::End => break,
                    Kind::Element(stanza) if server.has(Defect::TakesStanzasTheWrongWay) => {
                        server.deliver(stanza);
                    }
                    _ => {}
                },
                Err(_) => break,
            }
        }
    }
    link.close().await;
    waiting.close();
    while let Ok(stanza) = waiting.try_recv() {
        server.bounce(&stanza, TIMEOUT);
    }
}

/// What makes a stream useless.
fn ends(element: &Element) -> bool {
    Unit::StreamError.is(element)
        || Unit::DbResult.is(element)
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
