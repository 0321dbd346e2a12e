//! Limits the number of concurrently active cases.
//!
//! A case mostly waits, but the target measures in real time how long its partner is silent.
//! With more concurrent handshakes than cores, each takes so long that the target's timeouts
//! end what is merely slow, and the run does not get faster.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::lateness::{Lateness, Wait};

/// Slots per thread.
pub const SLOTS: usize = 4;

/// A case that is inactive for this long waits for a timeout, the target's or its own.
pub(super) const STILL: Duration = Duration::from_millis(200);
/// The same with a target with which many cases wait in vain.
pub(super) const HOPELESS: Duration = Duration::from_millis(15);
/// The same on a machine that is late.
const LONGEST: Duration = Duration::from_secs(5);

/// Runs a case, which holds its slot, and what goes with that, until it ends or only waits. While the machine is late, even a case
/// that goes on seems to wait; if others began then, everything would only get slower.
pub(super) async fn hold<Slot, T>(
    slot: Slot,
    length: Duration,
    lateness: &Lateness,
    case: impl Future<Output = T>,
) -> T {
    let mut slot = Some(slot);
    let mut active = Instant::now();
    let mut still = pin!(sleep_until(active + length));
    let mut case = pin!(case);
    poll_fn(|context| {
        if let Poll::Ready(done) = case.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if slot.is_none() {
            return Poll::Pending;
        }
        let now = Instant::now();
        if !still.is_elapsed() {
            // The case was woken, so something has happened.
            active = now;
        } else if now >= active + LONGEST
            || !lateness.is_late(Wait {
                since: now - length,
                length,
            })
        {
            slot = None;
            return Poll::Pending;
        }
        still.as_mut().reset(now + length);
        let _ = still.as_mut().poll(context);
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_case_holds_its_slot_until_it_is_through() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
        let case = async {
            for _ in 0..10 {
                assert_eq!(slots.available_permits(), 0);
                yield_now().await;
            }
        };
        hold(slot, STILL, &Lateness::start(), case).await;
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_case_that_only_waits_gives_its_slot_away() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
        let case = async { slots.acquire().await.is_ok() };
        assert!(hold(slot, STILL, &Lateness::start(), case).await);
    }
}
