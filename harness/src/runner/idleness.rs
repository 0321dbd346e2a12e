//! Whether a server has something to do, as the kernel shows it. On a busy machine it may get no processor for
//! seconds, or have more work than it gets through, and nothing of that shows in how late our own timers are. Then its
//! silence says nothing. One that sleeps has done all that it was asked, unless it waits for another process.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::lateness::Wait;
use crate::listening::Process;

/// Time between two looks.
const BEAT: Duration = Duration::from_millis(50);
/// For so long a look holds for whoever asks, at least.
const FRESH: Duration = Duration::from_millis(10);
/// The part of the time that looking may take. A server with many threads takes long to look at.
const COST: u32 = 25;
/// So many looks are kept: those of more than any case takes.
const KEPT: usize = 1 << 16;
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
    last: Option<Look>,
}

#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    took: Duration,
    at_rest: bool,
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
        during.len() >= RESTS && 2 * at_rest(during) < during.len()
    }

    /// For how long its threads have waited for a processor so far, all together.
    pub(super) fn starved(&self) -> Duration {
        let threads = self.shared.processes.iter().flat_map(|one| threads(*one));
        let nanoseconds = threads.filter_map(|thread| {
            let schedule = fs::read_to_string(thread.join("schedstat")).ok()?;
            schedule.split_whitespace().nth(1)?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
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
        let at = Instant::now();
        let last = self.looks().last;
        if let Some(last) = last.filter(|last| last.at + FRESH.max(last.took * COST) > at) {
            return last.at_rest;
        }
        let at_rest = !self.processes.iter().any(|process| works(*process));
        let took = at.elapsed();
        self.looks().last = Some(Look { at, took, at_rest });
        at_rest
    }

    /// Keeps a look. Returns when the next is due.
    fn keep(&self) -> Instant {
        let at_rest = self.is_at_rest();
        let now = Instant::now();
        let mut looks = self.looks();
        if looks.all.len() >= KEPT {
            looks.all.drain(..KEPT / 2);
        }
        looks.all.push((now, at_rest));
        let took = looks.last.map_or(Duration::ZERO, |last| last.took);
        now + BEAT.max(took * COST)
    }
}

async fn look(shared: Arc<Shared>) {
    loop {
        sleep_until(shared.keep()).await;
    }
}

/// Whether a thread of a process runs, waits for a processor, or for a disk.
fn works(process: Process) -> bool {
    let mut threads = threads(process);
    threads.any(|thread| {
        let stat = fs::read_to_string(thread.join("stat"));
        stat.is_ok_and(|stat| is_at_work(&stat))
    })
}

/// The folders of a process's threads; none once it has ended.
fn threads(process: Process) -> impl Iterator<Item = PathBuf> {
    let threads = fs::read_dir(process.folder().join("task"));
    let threads = threads.into_iter().flatten().flatten();
    threads.map(|thread| thread.path())
}

/// Whether a line of `/proc/PID/task/TID/stat` is that of a thread that has something to do.
fn is_at_work(stat: &str) -> bool {
    // The name before it can hold anything.
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(['R', 'D']))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::process::{Child, Command};

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

    /// A child that runs this in a shell, and listens at an address.
    fn watched(script: &str, address: SocketAddr) -> (Child, Idleness) {
        // It has a copy of the socket, which is how it is found.
        let listener = TcpListener::bind(address).expect("a free port");
        rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).expect("it is open");
        let address = listener.local_addr().expect("it is bound");
        let mut shell = Command::new("sh");
        let child = shell.args(["-c", script]).spawn().expect("a shell");
        let own = format!("/proc/{}", child.id());
        let mut processes = Process::listening_at(address);
        // What other tests start at this moment may have a copy, too.
        processes.retain(|process| process.folder().as_os_str() == own.as_str());
        (child, Idleness::start(processes).expect("it is found"))
    }

    /// Waits until a server is seen as it is meant to be.
    async fn seen(idleness: &Idleness, as_meant: impl Fn(&Idleness) -> bool) {
        let wait = async {
            while !as_meant(idleness) {
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(60), wait).await;
        seen.expect("it is seen");
    }

    #[tokio::test]
    async fn a_server_that_works_is_told_from_one_that_sleeps() {
        let since = Instant::now();
        let [asleep, at_work] = [3, 4].map(|host| SocketAddr::from(([127, 45, 3, host], 0)));
        let (mut sleeper, asleep) = watched("exec sleep 300", asleep);
        let (mut worker, at_work) = watched("while :; do :; done", at_work);
        // Each has still to become what it is.
        seen(&asleep, Idleness::is_at_rest).await;
        seen(&at_work, |one| !one.is_at_rest()).await;
        let now = Wait {
            since: Instant::now(),
            length: 4 * BEAT,
        };
        seen(&at_work, |one| one.is_busy(now)).await;
        seen(&at_work, |one| one.is_slow(now.since)).await;
        assert!(!asleep.is_busy(now) && !asleep.is_slow(now.since));
        assert!(asleep.starved() <= since.elapsed());
        for child in [&mut sleeper, &mut worker] {
            child.kill().expect("it runs");
            child.wait().expect("it has ended");
        }
        // One that has ended does nothing.
        seen(&at_work, Idleness::is_at_rest).await;
        assert!(Idleness::start(Vec::new()).is_none());
    }
}
