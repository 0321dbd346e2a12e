//! What gateways get.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::reading::Ending;
use crate::clock::Clock;
use crate::context::Context;
use crate::management::Managed;
use crate::outbound;
use crate::router::GatewayId;
use crate::stanza;
use crate::stream::{CLOSING, Outgoing, error};
use crate::xml::Stanza;

/// The maximum number of stanzas combined into one write.
const BATCH: usize = 64;

/// The stanzas that wait for a gateway. Those that still wait when it is dropped are logged.
pub(super) struct Waiting(pub(super) mpsc::Receiver<Stanza>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.close();
        while let Ok(stanza) = self.0.try_recv() {
            stanza.dropped("its gateway's connection was given up");
        }
    }
}

/// The stanzas that a gateway did not get, in order.
pub(super) type Left = Vec<Stanza>;

/// What a gateway's stream is written by.
pub(super) struct Terms {
    pub(super) clock: Clock,
    pub(super) managed: Arc<Managed>,
    /// How many stanzas may wait for their acknowledgement.
    pub(super) room: usize,
    /// How long they may.
    pub(super) patience: Duration,
    pub(super) keep_alive: Duration,
}

/// What wakes the writer.
enum Wake {
    Changed,
    Ended(Ending),
    Stanzas(usize),
}

/// Writes queued stanzas until the reader says how the stream ends, or the connection breaks. With stream
/// management, what has been written stays with that.
pub(super) async fn write(
    terms: Terms,
    mut outgoing: Outgoing,
    mut stanzas: Waiting,
    mut ended: oneshot::Receiver<Ending>,
) -> Left {
    let Terms {
        clock,
        managed,
        room,
        patience,
        keep_alive,
    } = terms;
    let unknown = |_| Ending::Lost(String::new());
    let ending = loop {
        let mut batch = Vec::new();
        let held = managed.held().filter(|until| *until > clock.now());
        let has_room = held.is_none() && managed.has_room(room, usize::MAX);
        let next = async {
            tokio::select! {
                biased;
                count = stanzas.0.recv_many(&mut batch, BATCH), if has_room => Wake::Stanzas(count),
                () = managed.changed() => Wake::Changed,
                ending = &mut ended => Wake::Ended(ending.unwrap_or_else(unknown)),
            }
        };
        let blank = clock.now() + keep_alive;
        let due = managed.progress_due(patience);
        let others = [due, held, managed.next_question(patience)];
        let first = others.into_iter().flatten().fold(blank, Instant::min);
        let woken = clock.timeout_at(first, next);
        let woken = woken.await;
        match woken {
            // The router has dropped the gateway, and the reader knows why.
            Ok(Wake::Stanzas(0)) => break ended.await.unwrap_or_else(unknown),
            Ok(Wake::Ended(ending)) => break ending,
            // It acknowledges nothing.
            Err(_) if due.is_some_and(|due| due <= clock.now()) => {
                return left(batch, stanzas).await;
            }
            Ok(Wake::Stanzas(_) | Wake::Changed) | Err(_) => {}
        }
        // A stanza that came back as an error counts as handled behind that.
        let waiting = || stanzas.0.len();
        let Some(mut bytes) = managed.compose(&mut batch, waiting, clock.now(), patience) else {
            return left(batch, stanzas).await;
        };
        if bytes.is_empty() && blank <= clock.now() {
            // Writing detects a gateway that vanished silently.
            bytes.push(b' ');
        }
        if bytes.is_empty() {
            continue;
        }
        let is_sent = tokio::select! {
            sent = outgoing.send(&bytes) => sent.is_ok(),
            // It may be stuck.
            () = managed.given_up() => false,
        };
        if !is_sent {
            return left(batch, stanzas).await;
        }
    };
    let mut batch = left(Vec::new(), stanzas).await;
    // One that has closed acknowledges nothing any more.
    let kept = managed.is_on() && !matches!(ending, Ending::Proxy);
    let mut text = match kept {
        true => Vec::new(),
        false => {
            let last = managed.compose(&mut batch, || 0, clock.now(), patience);
            last.unwrap_or_default()
        }
    };
    if !matches!(ending, Ending::Lost(_)) {
        text.extend_from_slice(managed.last_word().as_bytes());
    }
    match ending {
        Ending::Lost(_) => return batch,
        Ending::Error(_) | Ending::Gateway | Ending::Proxy => {
            text.extend_from_slice(CLOSING.as_bytes());
        }
        Ending::Fault(condition, _) => text.extend_from_slice(error(condition, "").as_bytes()),
    }
    let sent = outgoing.send(&text).await;
    outgoing.close().await;
    match sent {
        Ok(()) if !kept => Vec::new(),
        Ok(()) | Err(_) => batch,
    }
}

pub(super) async fn left(mut batch: Left, mut stanzas: Waiting) -> Left {
    stanzas.0.close();
    // Up to the last one that is being put in.
    while let Some(stanza) = stanzas.0.recv().await {
        batch.push(stanza);
    }
    batch
}

/// Passes stanzas that a gateway did not get to another one. Without one they wait for the stream that goes
/// on, if there may be one, or are answered.
pub(super) async fn redirect(context: &Arc<Context>, gateway: GatewayId, left: Left) {
    for stanza in left {
        let Ok(pair) = stanza::pair(&stanza) else {
            stanza.dropped("its gateway has gone");
            continue;
        };
        if let Err(stanza) = context.router.deliver(&pair.to, stanza).await
            && let Some(stanza) = context.router.park(&pair.to, gateway, stanza)
        {
            outbound::unclaimed(context, &pair, &stanza, "no gateway is there for it");
        }
    }
}

/// Answers stanzas that may not have reached a gateway.
pub(super) async fn give_up(context: &Arc<Context>, stanzas: impl Iterator<Item = Stanza>) {
    let why = "its gateway has not acknowledged it";
    for stanza in stanzas {
        match stanza::pair(&stanza) {
            Ok(pair) => outbound::unclaimed(context, &pair, &stanza, why),
            Err(_) => stanza.dropped(why),
        }
    }
}
