//! Whether a server has something to do, as the kernel shows it. On a busy machine it may get no processor for
//! seconds, or have more work than it gets through, and nothing of that shows in how late our own timers are. Then its
//! silence says nothing. One that sleeps has done all that it was asked.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::lateness::Wait;
use crate::listening::Process;

/// Time between two looks.
const BEAT: Duration = Duration::from_millis(50);
/// For so long a look holds for whoever asks.
const FRESH: Duration = Duration::from_millis(10);
/// In so many looks during a wait the server has to be at rest, or the wait says nothing. One would do, if what was
/// sent to it were there at once.
const RESTS: usize = 2;

/// Looks at the processes of a server until it is dropped.
pub(super) struct Idleness {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    processes: Vec<Process>,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    /// The looks of each beat, and whether the server was at rest.
    all: Vec<(Instant, bool)>,
    last: Option<(Instant, bool)>,
}

impl Idleness {
    /// Begins to look. None without a process to look at.
    pub(super) fn start(processes: Vec<Process>) -> Option<Self> {
        let mut processes = processes.into_iter().peekable();
        processes.peek()?;
        let shared = Arc::new(Shared {
            processes: processes.collect(),
            looks: Mutex::default(),
        });
        let task = tokio::spawn(look(Arc::clone(&shared)));
        Some(Self { shared, task })
    }

    /// Whether the server has nothing to do now.
    pub(super) fn is_at_rest(&self) -> bool {
        self.shared.is_at_rest()
    }

    /// Whether the server worked most of the time since a moment, so that what it did may have come late.
    pub(super) fn is_slow(&self, since: Instant) -> bool {
        let looks = self.shared.looks();
        let during = looks.since(since);
        2 * at_rest(during) < during.len()
    }

    /// Whether the server may have been silent only because it did not come to it.
    pub(super) fn is_busy(&self, wait: Wait) -> bool {
        let looks = self.shared.looks();
        let during = looks.since(wait.since);
        // What was not waited for is no silence.
        if during.len() < RESTS || wait.since.elapsed() < wait.length {
            return false;
        }
        at_rest(during) < RESTS
    }
}

impl Looks {
    fn since(&self, moment: Instant) -> &[(Instant, bool)] {
        let first = self.all.partition_point(|(at, _)| *at < moment);
        &self.all[first..]
    }
}

/// In how many looks the server was at rest.
fn at_rest(looks: &[(Instant, bool)]) -> usize {
    looks.iter().filter(|(_, at_rest)| *at_rest).count()
}

impl Drop for Idleness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_at_rest(&self) -> bool {
        let now = Instant::now();
        if let Some((at, at_rest)) = self.looks().last
            && at + FRESH > now
        {
            return at_rest;
        }
        let at_rest = !self.processes.iter().any(|process| works(*process));
        self.looks().last = Some((now, at_rest));
        at_rest
    }
}

async fn look(shared: Arc<Shared>) {
    loop {
        let at_rest = shared.is_at_rest();
        let now = Instant::now();
        shared.looks().all.push((now, at_rest));
        sleep_until(now + BEAT).await;
    }
}

/// Whether a thread of a process runs, waits for a processor, or for a disk.
fn works(process: Process) -> bool {
    let Ok(threads) = fs::read_dir(process.folder().join("task")) else {
        // It has ended.
        return false;
    };
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat"));
        stat.is_ok_and(|stat| is_at_work(&stat))
    })
}

/// Whether a line of `/proc/PID/task/TID/stat` is that of a thread that has something to do.
fn is_at_work(stat: &str) -> bool {
    // The name before it can hold anything.
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(['R', 'D']))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn looks(at_rest: impl IntoIterator<Item = bool>) -> (Idleness, Instant) {
        let since = Instant::now();
        let all = at_rest.into_iter().map(|at_rest| (since, at_rest));
        let looks = Looks {
            all: all.collect(),
            last: None,
        };
        let shared = Arc::new(Shared {
            processes: Vec::new(),
            looks: Mutex::new(looks),
        });
        let task = tokio::spawn(std::future::pending());
        (Idleness { shared, task }, since)
    }

    #[tokio::test]
    async fn a_wait_says_nothing_without_rest() {
        let wait = |since| Wait {
            since,
            length: Duration::ZERO,
        };
        let (always, since) = looks([true; 20]);
        assert!(!always.is_busy(wait(since)));
        let (never, since) = looks([false; 20]);
        assert!(never.is_busy(wait(since)));
        let (twice, since) = looks((0..200).map(|number| number % 100 == 3));
        assert!(!twice.is_busy(wait(since)));
        let (once, since) = looks((0..200).map(|number| number == 3));
        assert!(once.is_busy(wait(since)));
        assert!(!once.is_slow(since + BEAT) && once.is_slow(since));
        let (half, since) = looks((0..20).map(|number| number % 2 == 0));
        assert!(!half.is_slow(since));
        let (before, at) = looks([false; 20]);
        assert!(!before.is_busy(wait(at + BEAT)));
    }

    #[test]
    fn the_state_is_behind_the_name() {
        assert!(is_at_work("7 (lua (5.4) S x) R 1 7 7"));
        assert!(is_at_work("7 (beam.smp) D 1 7 7"));
        assert!(!is_at_work("7 (R) S 1 7 7"));
        assert!(!is_at_work(""));
    }

    #[tokio::test]
    async fn a_thread_that_works_is_seen() {
        let listener = TcpListener::bind("127.45.3.3:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let own = Process::listening_at(address);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let idleness = Idleness::start(own).expect("it has a process");
        assert!(!idleness.is_at_rest());
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("it ends");
        assert!(Idleness::start(Vec::new()).is_none());
    }
}
