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

use super::lateness::Wait;

/// Slots per thread.
pub const SLOTS: usize = 4;

/// A case that is inactive for this long waits for a timeout, the target's or its own.
pub(super) const STILL: Duration = Duration::from_millis(200);
/// The same with a target with which many cases wait in vain.
pub(super) const HOPELESS: Duration = Duration::from_millis(15);
/// The same while that says nothing.
const LONGEST: Duration = Duration::from_secs(5);

/// When a case only waits.
pub(super) struct Waiting<F> {
    /// After so long without anything.
    pub(super) length: Duration,
    /// Unless that says nothing: while the machine is late, or the target has work to do, even a case that goes on
    /// seems to wait. If others began then, everything would only get slower.
    pub(super) says_nothing: F,
}

/// Runs a case, which holds its slot, and what goes with that, until it ends or only waits.
pub(super) async fn hold<Slot, T>(
    slot: Slot,
    waiting: Waiting<impl Fn(Wait) -> bool>,
    case: impl Future<Output = T>,
) -> T {
    let length = waiting.length;
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
            || !(waiting.says_nothing)(Wait {
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::yield_now;

    use super::*;

    fn waiting(is_at_rest: impl Fn() -> bool) -> Waiting<impl Fn(Wait) -> bool> {
        Waiting {
            length: STILL,
            says_nothing: move |_| !is_at_rest(),
        }
    }

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
        hold(slot, waiting(|| true), case).await;
        assert_eq!(slots.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_case_that_only_waits_gives_its_slot_away() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
        let case = async { slots.acquire().await.is_ok() };
        assert!(hold(slot, waiting(|| true), case).await);
    }

    #[tokio::test]
    async fn silence_of_a_target_that_has_work_to_do_is_no_waiting() {
        let slots = Arc::new(Semaphore::new(1));
        let slot = Arc::clone(&slots).try_acquire_owned().unwrap();
        let asked = AtomicUsize::new(0);
        let is_at_rest = || asked.fetch_add(1, Ordering::Relaxed) == 3;
        let case = async { slots.acquire().await.is_ok() };
        assert!(hold(slot, waiting(is_at_rest), case).await);
        assert_eq!(asked.into_inner(), 4);
    }
}
