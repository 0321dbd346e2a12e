//! What gateways get.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::reading::Ending;
use crate::clock::Clock;
use crate::context::Context;
use crate::outbound;
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

/// Writes queued stanzas until the reader says how the stream ends, or the connection breaks.
pub(super) async fn write(
    clock: Clock,
    mut outgoing: Outgoing,
    mut stanzas: Waiting,
    mut ended: oneshot::Receiver<Ending>,
    keep_alive: Duration,
) -> Left {
    let unknown = |_| Ending::Lost(String::new());
    let ending = loop {
        let mut batch = Vec::new();
        let next = async {
            tokio::select! {
                biased;
                count = stanzas.0.recv_many(&mut batch, BATCH) => Ok(count),
                ending = &mut ended => Err(ending.unwrap_or_else(unknown)),
            }
        };
        let bytes = match clock.timeout(keep_alive, next).await {
            // The router has dropped the gateway, and the reader knows why.
            Ok(Ok(0)) => break ended.await.unwrap_or_else(unknown),
            Ok(Ok(_)) => joined(&batch),
            Ok(Err(ending)) => break ending,
            // Writing detects a gateway that vanished silently.
            Err(_) => b" ".to_vec(),
        };
        if outgoing.send(&bytes).await.is_err() {
            return left(batch, stanzas);
        }
    };
    let batch = left(Vec::new(), stanzas);
    let mut text = joined(&batch);
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
        Ok(()) => Vec::new(),
        Err(_) => batch,
    }
}

fn joined(batch: &[Stanza]) -> Vec<u8> {
    let stanzas: Vec<&[u8]> = batch.iter().map(|stanza| &*stanza.bytes).collect();
    stanzas.concat()
}

pub(super) fn left(mut batch: Left, mut stanzas: Waiting) -> Left {
    stanzas.0.close();
    while let Ok(stanza) = stanzas.0.try_recv() {
        batch.push(stanza);
    }
    batch
}

/// Passes stanzas that a gateway did not get to another one, or answers them.
pub(super) async fn redirect(context: &Arc<Context>, left: Left) {
    for stanza in left {
        let Ok(pair) = stanza::pair(&stanza) else {
            stanza.dropped("its gateway has gone");
            continue;
        };
        if let Err(stanza) = context.router.deliver(&pair.to, stanza).await {
            outbound::unclaimed(context, &pair, &stanza).await;
        }
    }
}
