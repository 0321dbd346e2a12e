//! How late the runner itself is. On a machine that has too much to do, that a deadline has passed says
//! nothing of the target.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Time between two measurements.
const BEAT: Duration = Duration::from_millis(50);
/// The machine is late if a measurement takes so much longer than it should: some deadlines are a
/// second.
const LATE: Duration = Duration::from_millis(50);
/// So late that even a case that has the runner to itself, and more time, says nothing.
const TOO_LATE: Duration = Duration::from_millis(500);
/// The part of a long wait by which the runner may be late before the wait says nothing. What was due a
/// moment before its end is rare.
const LATE_PART: u32 = 20;
/// The same in a case that has the runner to itself.
const TOO_LATE_PART: u32 = 4;

/// Measures, until it is dropped, how late timers fire and how long a trivial exchange takes.
pub(super) struct Lateness {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    began: Instant,
    measured: Mutex<Measured>,
}

struct Measured {
    /// The worst of each second.
    worst: Vec<Duration>,
    /// When the measurement under way should end.
    due: Instant,
}

/// How the machine was while a case ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worst(pub(super) Duration);

impl Worst {
    /// Whether a deadline may have passed only for that, after nothing had happened for so long.
    pub(super) fn is_late(self, waited: Duration) -> bool {
        self.0 >= LATE.max(waited / LATE_PART)
    }

    /// Whether that may be so even in a case that runs alone.
    pub(super) fn is_too_late(self, waited: Duration) -> bool {
        self.0 >= TOO_LATE.max(waited / TOO_LATE_PART)
    }
}

impl Lateness {
    /// Begins to measure.
    pub(super) fn start() -> Self {
        let began = Instant::now();
        let shared = Arc::new(Shared {
            began,
            measured: Mutex::new(Measured {
                worst: Vec::new(),
                due: began + BEAT,
            }),
        });
        let task = tokio::spawn(measure(Arc::clone(&shared)));
        Self { shared, task }
    }

    /// The worst since a moment.
    pub(super) fn since(&self, moment: Instant) -> Worst {
        let measured = self.shared.measured();
        let now = measured.due.elapsed();
        let first = self.shared.second(moment);
        let before = measured.worst.iter().skip(first).max();
        Worst(now.max(before.copied().unwrap_or_default()))
    }
}

impl Drop for Lateness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn second(&self, moment: Instant) -> usize {
        let seconds = moment.saturating_duration_since(self.began).as_secs();
        usize::try_from(seconds).unwrap_or(usize::MAX)
    }

    /// Notes that a measurement has ended, and begins the next.
    fn note(&self) -> Instant {
        let now = Instant::now();
        let mut measured = self.measured();
        let late = now.saturating_duration_since(measured.due);
        // It was late all the time in between.
        let (first, last) = (self.second(measured.due), self.second(now));
        measured.worst.resize(last + 1, Duration::ZERO);
        for worst in &mut measured.worst[first..=last] {
            *worst = late.max(*worst);
        }
        measured.due = now + BEAT;
        measured.due
    }
}

async fn measure(shared: Arc<Shared>) {
    let mut ends = UnixStream::pair();
    let mut due = shared.measured().due;
    loop {
        sleep_until(due).await;
        // Without a socket, only the timers are looked at.
        if let Ok(ends) = &mut ends {
            let _ = exchange(ends).await;
        }
        due = shared.note();
    }
}

/// There and back again.
async fn exchange((near, far): &mut (UnixStream, UnixStream)) -> io::Result<()> {
    near.write_all(b"!").await?;
    far.read_u8().await?;
    far.write_all(b"!").await?;
    near.read_u8().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_keeps_the_runner_from_its_work_is_measured() {
        let lateness = Lateness::start();
        let began = Instant::now();
        tokio::task::yield_now().await;
        // A task that does not let others have their turn.
        while began.elapsed() < TOO_LATE + 2 * BEAT {
            std::hint::spin_loop();
        }
        assert!(
            lateness.since(began).is_too_late(Duration::ZERO),
            "it is under way"
        );
        let noted = async {
            while lateness.shared.measured().worst.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), noted)
            .await
            .expect("it is measured");
        assert!(
            lateness.since(began).is_too_late(Duration::ZERO),
            "it is over"
        );
    }

    #[test]
    fn a_long_wait_bears_more_than_a_short_one() {
        let blink = Worst(Duration::from_millis(60));
        assert!(blink.is_late(Duration::from_secs(1)));
        assert!(!blink.is_late(Duration::from_secs(3)));
        let stall = Worst(Duration::from_secs(1));
        assert!(stall.is_late(Duration::from_secs(10)));
        assert!(stall.is_too_late(Duration::from_secs(3)));
        assert!(!stall.is_too_late(Duration::from_secs(20)));
    }

    #[test]
    fn each_second_that_was_late_is() {
        let began = Instant::now();
        let shared = Shared {
            began,
            measured: Mutex::new(Measured {
                worst: vec![Duration::ZERO],
                due: began,
            }),
        };
        assert!(shared.note() >= began + BEAT);
        assert_eq!(shared.second(began + Duration::from_millis(2500)), 2);
        assert_eq!(shared.second(began), 0);
        assert!(!Worst(Duration::from_millis(10)).is_late(Duration::ZERO));
    }
}
