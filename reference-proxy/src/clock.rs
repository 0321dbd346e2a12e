//! The proxy's clock. Its timeouts, pauses and idle limits are reckoned on it.
//!
//! It is the system's, or one that stands still until whoever embeds the proxy moves it. Such a clock
//! also tells when the proxy rests, so that nothing but time is missing for something to happen.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A clock. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<ByHand>>);

/// The time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Clock {
    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn by_hand() -> Self {
        let now = Instant::now();
        Self(Some(Arc::new(ByHand {
            began: (now, UnixTime::now()),
            state: Mutex::new(State {
                now,
                sleepers: BTreeMap::new(),
                tickets: 0,
                turns: 0,
                awake: 0,
                lookups: 0,
            }),
            rests: watch::Sender::new(()),
        })))
    }

    /// Moves a clock to the next moment that something waits for, but at most so far. Returns by how
    /// much, or `None` if nothing waits, or this is the system's clock.
    #[must_use = "nothing happens without a sleeper"]
    pub fn advance(&self, most: Duration) -> Option<Duration> {
        let mut state = self.0.as_ref()?.state();
        let mut sleepers = state.sleepers.iter();
        let ((next, _), _) = sleepers.find(|(_, sleeper)| sleeper.matters)?;
        let next = *next;
        let step = next.saturating_duration_since(state.now).min(most);
        state.now += step;
        let now = state.now;
        let later = state.sleepers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(|sleeper| sleeper.waker.wake());
        Some(step)
    }

    /// Changes when the proxy has come to rest: each task waits for a peer, for another task or for
    /// time. Those of the DNS client do not count.
    #[must_use]
    pub fn rests(&self) -> Option<watch::Receiver<()>> {
        Some(self.0.as_ref()?.rests.subscribe())
    }

    /// How often a task has had its turn so far, if none has it now, or is about to. `lookups` tells
    /// whether the proxy may wait for DNS.
    #[must_use]
    pub fn at_rest(&self, lookups: bool) -> Option<u64> {
        let state = self.0.as_ref()?.state();
        (state.awake == 0 && (lookups || state.lookups == 0)).then_some(state.turns)
    }

    /// The time of the day, which certificates are judged by.
    pub(crate) fn unix(&self) -> UnixTime {
        match &self.0 {
            None => UnixTime::now(),
            Some(clock) => {
                let passed = clock.state().now.saturating_duration_since(clock.began.0);
                let began = Duration::from_secs(clock.began.1.as_secs());
                UnixTime::since_unix_epoch(began + passed)
            }
        }
    }

    /// The time on this clock.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(clock) => clock.state().now,
        }
    }

    /// Waits for a future, but not for longer than this.
    ///
    /// # Errors
    /// `Elapsed` if the time is up first.
    pub fn timeout<T, F: Future<Output = T>>(
        &self,
        patience: Duration,
        future: F,
    ) -> impl Future<Output = Result<T, Elapsed>> {
        self.timeout_at(self.now() + patience, future)
    }

    /// Waits for a future until then.
    ///
    /// # Errors
    /// `Elapsed` if the time is up first.
    pub fn timeout_at<T, F: Future<Output = T>>(
        &self,
        deadline: Instant,
        future: F,
    ) -> impl Future<Output = Result<T, Elapsed>> {
        self.wait(deadline, true, future)
    }

    /// The same for something that nobody waits for: a clock is not moved by hand for it.
    pub(crate) async fn aside<T>(
        &self,
        patience: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        self.wait(self.now() + patience, false, future).await
    }

    async fn wait<T>(
        &self,
        deadline: Instant,
        matters: bool,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let Some(clock) = &self.0 else {
            return timeout_at(deadline, future).await.map_err(|_| Elapsed);
        };
        let mut future = pin!(future);
        let mut sleep = Sleep {
            clock,
            deadline,
            matters,
            ticket: None,
        };
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => sleep.poll(context).map(Err),
        })
        .await
    }

    /// Counts a DNS lookup until the value is dropped.
    pub(crate) fn looking_up(&self) -> Lookup {
        if let Some(clock) = &self.0 {
            clock.state().lookups += 1;
        }
        Lookup(self.clone())
    }

    /// Counts a task while it is awake.
    pub(crate) fn count<F: Future<Output = ()> + Send + 'static>(
        &self,
        job: F,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match &self.0 {
            None => Box::pin(job),
            Some(clock) => Box::pin(Counted::new(Arc::clone(clock), Box::pin(job))),
        }
    }
}

/// A clock that is moved by hand.
struct ByHand {
    began: (Instant, UnixTime),
    state: Mutex<State>,
    rests: watch::Sender<()>,
}

struct State {
    now: Instant,
    /// Who waits, by the time and a ticket.
    sleepers: BTreeMap<(Instant, u64), Sleeper>,
    tickets: u64,
    turns: u64,
    /// Tasks that run, or are going to without being woken.
    awake: usize,
    lookups: usize,
}

/// Who waits for a moment.
struct Sleeper {
    waker: Waker,
    /// Whether the clock is moved for it. It is not for what comes every day.
    matters: bool,
}

impl ByHand {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn falls_asleep(&self) {
        let mut state = self.state();
        state.awake -= 1;
        if state.awake == 0 {
            drop(state);
            self.rests.send_replace(());
        }
    }
}

impl fmt::Debug for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByHand")
            .field("now", &self.state().now)
            .finish_non_exhaustive()
    }
}

struct Sleep<'a> {
    clock: &'a ByHand,
    deadline: Instant,
    matters: bool,
    ticket: Option<u64>,
}

impl Sleep<'_> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Elapsed> {
        let mut state = self.clock.state();
        if self.deadline <= state.now {
            return Poll::Ready(Elapsed);
        }
        let ticket = *self.ticket.get_or_insert_with(|| {
            state.tickets += 1;
            state.tickets
        });
        let sleeper = Sleeper {
            waker: context.waker().clone(),
            matters: self.matters,
        };
        state.sleepers.insert((self.deadline, ticket), sleeper);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.clock.state().sleepers.remove(&(self.deadline, ticket));
        }
    }
}

/// A DNS lookup that is under way.
#[derive(Debug)]
pub(crate) struct Lookup(Clock);

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(clock) = &self.0.0 {
            clock.state().lookups -= 1;
        }
    }
}

/// A task that is counted while it is awake.
struct Counted<F> {
    job: F,
    alarm: Arc<Alarm>,
}

/// What wakes such a task.
struct Alarm {
    clock: Arc<ByHand>,
    watched: Mutex<Watched>,
}

struct Watched {
    /// Of the runtime's task.
    waker: Waker,
    asleep: bool,
    /// Whether it was woken while it ran.
    woken: bool,
    /// Whether it is over. What it waited for may still hold its waker.
    ended: bool,
}

impl<F> Counted<F> {
    fn new(clock: Arc<ByHand>, job: F) -> Self {
        // It will run, though nothing wakes it for that.
        clock.state().awake += 1;
        let watched = Mutex::new(Watched {
            waker: Waker::noop().clone(),
            asleep: false,
            woken: false,
            ended: false,
        });
        Self {
            job,
            alarm: Arc::new(Alarm { clock, watched }),
        }
    }
}

impl<F: Future<Output = ()> + Unpin> Future for Counted<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let alarm = Arc::clone(&self.alarm);
        alarm.begin(context.waker());
        let waker = Waker::from(Arc::clone(&alarm));
        let polled = Pin::new(&mut self.job).poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            alarm.pause();
        }
        polled
    }
}

impl<F> Drop for Counted<F> {
    fn drop(&mut self) {
        self.alarm.end();
    }
}

impl Alarm {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task runs. The runtime may run it without its having been woken.
    fn begin(&self, waker: &Waker) {
        self.rouse();
        self.clock.state().turns += 1;
        let mut watched = self.watched();
        watched.waker.clone_from(waker);
        watched.woken = false;
    }

    /// The task waits, unless it was woken meanwhile.
    fn pause(&self) {
        let mut watched = self.watched();
        if !watched.woken {
            watched.asleep = true;
            drop(watched);
            self.clock.falls_asleep();
        }
    }

    fn end(&self) {
        let was_asleep = {
            let mut watched = self.watched();
            watched.ended = true;
            watched.asleep
        };
        if !was_asleep {
            self.clock.falls_asleep();
        }
    }

    fn rouse(&self) -> Waker {
        let mut watched = self.watched();
        watched.woken = true;
        if !watched.ended && std::mem::replace(&mut watched.asleep, false) {
            self.clock.state().awake += 1;
        }
        watched.waker.clone()
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rouse().wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn time_passes_by_hand_up_to_what_is_waited_for() {
        let clock = Clock::by_hand();
        let began = clock.now();
        assert_eq!(clock.advance(MINUTE), None, "nobody waits");
        let waits = |patience| {
            let clock = clock.clone();
            tokio::spawn(async move { clock.timeout(patience, pending::<()>()).await })
        };
        let (short, long) = (waits(MINUTE), waits(2 * MINUTE));
        tokio::task::yield_now().await;
        assert_eq!(clock.advance(MINUTE / 2), Some(MINUTE / 2));
        assert_eq!(clock.advance(5 * MINUTE), Some(MINUTE / 2));
        assert_eq!(short.await.expect("no panic"), Err(Elapsed));
        assert!(!long.is_finished());
        assert_eq!(clock.now(), began + MINUTE);
        assert_eq!(clock.advance(5 * MINUTE), Some(MINUTE));
        assert_eq!(long.await.expect("no panic"), Err(Elapsed));
        assert_eq!(clock.advance(MINUTE), None);
    }

    #[tokio::test]
    async fn what_comes_every_day_does_not_move_the_clock_and_still_comes() {
        let clock = Clock::by_hand();
        let (began, day) = (clock.unix().as_secs(), 24 * 60 * MINUTE);
        let waits = clock.clone();
        let daily = tokio::spawn(async move { waits.aside(day, pending::<()>()).await });
        tokio::task::yield_now().await;
        assert_eq!(clock.advance(day), None);
        let waits = clock.clone();
        let other = tokio::spawn(async move { waits.timeout(2 * day, pending::<()>()).await });
        tokio::task::yield_now().await;
        assert_eq!(clock.advance(3 * day), Some(2 * day));
        assert_eq!(daily.await.expect("no panic"), Err(Elapsed));
        assert_eq!(other.await.expect("no panic"), Err(Elapsed));
        assert_eq!(clock.unix().as_secs(), began + 2 * day.as_secs());
    }

    #[tokio::test]
    async fn what_was_in_time_waits_no_longer() {
        let clock = Clock::by_hand();
        assert_eq!(clock.timeout(MINUTE, async { 1 }).await, Ok(1));
        let (tell, told) = oneshot::channel();
        let waiting = clock.timeout(MINUTE, told);
        let telling = async { tell.send(2) };
        let (told, _) = tokio::join!(waiting, telling);
        assert_eq!(told, Ok(Ok(2)));
        assert_eq!(clock.advance(MINUTE), None);
    }

    #[tokio::test]
    async fn tasks_are_awake_until_they_wait_and_when_they_are_woken() {
        let clock = Clock::by_hand();
        let mut rests = clock.rests().expect("it is moved by hand");
        assert_eq!(clock.at_rest(false), Some(0));
        let (tell, told) = oneshot::channel::<()>();
        let task = tokio::spawn(clock.count(async move {
            let _ = told.await;
        }));
        assert_eq!(clock.at_rest(false), None, "it is about to begin");
        rests.changed().await.expect("the clock is there");
        assert_eq!(clock.at_rest(false), Some(1));
        tell.send(()).expect("it waits");
        assert_eq!(clock.at_rest(false), None, "it was woken");
        rests.changed().await.expect("the clock is there");
        assert_eq!(clock.at_rest(false), Some(2));
        task.await.expect("no panic");
        let gone = tokio::spawn(clock.count(pending()));
        rests.changed().await.expect("the clock is there");
        gone.abort();
        assert!(gone.await.is_err());
        assert_eq!(clock.at_rest(false), Some(3));
    }

    #[tokio::test]
    async fn a_lookup_is_no_rest_unless_it_may_last() {
        let clock = Clock::by_hand();
        let lookup = clock.looking_up();
        assert_eq!(clock.at_rest(false), None);
        assert_eq!(clock.at_rest(true), Some(0));
        drop(lookup);
        assert_eq!(clock.at_rest(false), Some(0));
    }

    #[tokio::test]
    async fn the_systems_clock_is_not_moved() {
        let clock = Clock::default();
        assert_eq!(clock.advance(MINUTE), None);
        assert!(clock.rests().is_none() && clock.at_rest(true).is_none());
        let passed = clock.timeout(Duration::ZERO, pending::<()>()).await;
        assert_eq!(passed, Err(Elapsed));
    }

    #[tokio::test]
    async fn a_waker_that_outlives_its_task_wakes_nobody() {
        let clock = Clock::by_hand();
        let (kept, waker) = oneshot::channel();
        let task = tokio::spawn(clock.count(async move {
            let own = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
            kept.send(own).expect("it is waited for");
        }));
        let waker = waker.await.expect("the task runs");
        task.await.expect("it ends");
        waker.wake();
        assert_eq!(clock.at_rest(false), Some(1));
    }
}
