//! Many partners and one local side, looked at together.

use std::future::{Future, poll_fn};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use simulated_partners::event::Event;
use simulated_partners::wire::Element;

use super::Started;
use crate::subject::inner_side::Stanzas;

/// An address of the loopback net for a listener at the default port, which neither another case nor
/// another process uses now.
pub(super) fn own_address() -> Ipv4Addr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    let mark = std::process::id()
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add(number);
    let [_, first, second, third] = mark.to_be_bytes();
    // Neither 127.0.*.* nor an address that ends in 0 or 255.
    Ipv4Addr::new(127, first.max(1), second, third.clamp(1, 254))
}

/// The next event of any partner; cancelled without loss.
pub(super) async fn next_event(partners: &mut [Started<'_>]) -> (usize, Event) {
    poll_fn(|context| {
        for (at, one) in partners.iter_mut().enumerate() {
            if let Poll::Ready(Some(event)) = pin!(one.partner.next_event()).poll(context) {
                return Poll::Ready((at, event));
            }
        }
        Poll::Pending
    })
    .await
}

/// The next stanza on the local side, where that can be seen.
pub(super) async fn next_stanza(stanzas: &mut Option<Stanzas>) -> Option<Element> {
    match stanzas {
        Some(stanzas) => stanzas.next().await,
        None => std::future::pending().await,
    }
}

/// What is there without waiting.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
