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
    /// The worst of each beat.
    worst: Vec<Duration>,
    /// When the measurement under way should end.
    due: Instant,
}

/// What a deadline ended, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// When the time began that was measured.
    pub(super) since: Instant,
    /// How long nothing had happened, at least.
    pub(super) length: Duration,
}

impl Wait {
    /// This one and another.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            since: self.since.min(other.since),
            length: self.length.min(other.length),
        }
    }

    /// Whether a deadline may have passed only because the machine was so late.
    fn is_spoilt_by(self, late: Duration) -> bool {
        late >= LATE.max(self.length / LATE_PART)
    }

    /// Whether that may be so even in a case that runs alone.
    fn is_ruined_by(self, late: Duration) -> bool {
        late >= TOO_LATE.max(self.length / TOO_LATE_PART)
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

    /// Whether a deadline may have passed only because the machine was late.
    pub(super) fn is_late(&self, wait: Wait) -> bool {
        wait.is_spoilt_by(self.since(wait.since))
    }

    /// How late the machine was, if a deadline may have passed for that even in a case that runs alone.
    pub(super) fn too_late(&self, wait: Wait) -> Option<Duration> {
        Some(self.since(wait.since)).filter(|late| wait.is_ruined_by(*late))
    }

    /// The worst since a moment.
    fn since(&self, moment: Instant) -> Duration {
        let measured = self.shared.measured();
        let now = measured.due.elapsed();
        let first = self.shared.beat(moment);
        let before = measured.worst.iter().skip(first).max();
        now.max(before.copied().unwrap_or_default())
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

    fn beat(&self, moment: Instant) -> usize {
        let passed = moment.saturating_duration_since(self.began);
        usize::try_from(passed.as_millis() / BEAT.as_millis()).unwrap_or(usize::MAX)
    }

    /// Notes that a measurement has ended, and begins the next.
    fn note(&self) -> Instant {
        let now = Instant::now();
        let mut measured = self.measured();
        let late = now.saturating_duration_since(measured.due);
        // It was late all the time in between.
        let (first, last) = (self.beat(measured.due), self.beat(now));
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
        let wait = Wait {
            since: began,
            length: Duration::ZERO,
        };
        assert!(lateness.too_late(wait).is_some(), "it is under way");
        let noted = async {
            while lateness.shared.measured().worst.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), noted)
            .await
            .expect("it is measured");
        assert!(lateness.too_late(wait).is_some(), "it is over");
        let since = Instant::now() + BEAT;
        let later = Wait { since, ..wait };
        assert!(lateness.too_late(later).is_none());
    }

    #[test]
    fn a_long_wait_bears_more_than_a_short_one() {
        let wait = |seconds| Wait {
            since: Instant::now(),
            length: Duration::from_secs(seconds),
        };
        let blink = Duration::from_millis(60);
        assert!(wait(1).is_spoilt_by(blink));
        assert!(!wait(3).is_spoilt_by(blink));
        let stall = Duration::from_secs(1);
        assert!(wait(10).is_spoilt_by(stall));
        assert!(wait(3).is_ruined_by(stall));
        assert!(!wait(20).is_ruined_by(stall));
    }

    #[test]
    fn each_beat_that_was_late_is() {
        let began = Instant::now();
        let shared = Shared {
            began,
            measured: Mutex::new(Measured {
                worst: vec![Duration::ZERO],
                due: began,
            }),
        };
        assert!(shared.note() >= began + BEAT);
        assert_eq!(shared.beat(began + BEAT * 5 / 2), 2);
        assert_eq!(shared.beat(began), 0);
    }
}
