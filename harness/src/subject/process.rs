//! A process of ours: in a group of its own, with the end of its output kept, ended within a bounded time
//! and together with all that it started.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes of output that are kept.
const KEPT: usize = 4096;
/// How long output may come after its process has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Groups that are alive.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Kills every process that was started for a target and has not ended. For the end of the
/// program, when nobody waits for the tasks that would do so in order.
pub fn end_all() {
    let groups = std::mem::take(&mut *locked(&GROUPS));
    for group in groups {
        kill(group, Signal::KILL);
    }
}

/// The last line that a process wrote, to be put behind a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(String);

impl fmt::Display for Words {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => to.write_str(" (it wrote nothing)"),
            line => write!(to, ": {line}"),
        }
    }
}

/// A process with its group and the end of its output. Dropping it kills the whole group.
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    group: Group,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    /// Removed last, when nobody writes to it any more.
    folder: Option<TempDir>,
}

impl Process {
    /// Starts a command whose output is searched for all of the marks. With `Stdio::piped()` as its
    /// input, the end of that asks it to end.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(mut command: Command, marks: &[String], input: Stdio) -> io::Result<Self> {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for s2spec, which ends its processes in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group::of(&child);
        let output = Output::new(marks);
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(output.clone().read(stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(output.clone().read(stderr)));
        }
        Ok(Self {
            // Waiting for a child closes the input that it has.
            input: child.stdin.take(),
            child,
            group,
            output,
            readers,
            folder: None,
        })
    }

    /// Holds a folder as long as the process.
    pub(super) fn keeping(mut self, folder: Option<TempDir>) -> Self {
        self.folder = folder;
        self
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// What it wrote last.
    pub(super) fn words(&self) -> Words {
        self.output.words()
    }

    /// A handle to what it writes.
    pub(super) fn output(&self) -> Output {
        self.output.clone()
    }

    /// Asks it to end, and kills what is left of its group after a time.
    pub(super) async fn end(mut self, within: Duration) {
        match self.input.take() {
            Some(input) => drop(input),
            None => self.group.signal(Signal::TERM),
        }
        if timeout(within, self.child.wait()).await.is_err() {
            self.group.signal(Signal::KILL);
            // Nothing outlives that for long.
            let _ = self.child.wait().await;
        }
    }

    /// Leaves the group alone: it has become a server of its own, which its stop command ends. What
    /// the process wrote last.
    pub(super) fn detach(mut self) -> Words {
        self.group.forget();
        self.words()
    }

    /// Reads what was written and not read yet. Other processes may hold the pipe open.
    pub(super) async fn finish_reading(&mut self) {
        let reading = async {
            for reader in &mut self.readers {
                // A reader ends with its pipe and does not fail.
                let _ = reader.await;
            }
        };
        if timeout(LAST_WORDS, reading).await.is_ok() {
            self.readers.clear();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

/// A process group that ends with this value.
struct Group(Option<i32>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            locked(&GROUPS).insert(id);
        }
        Self(id)
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.0 {
            kill(id, signal);
        }
    }

    fn forget(&mut self) {
        if let Some(id) = self.0.take() {
            locked(&GROUPS).remove(&id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.forget();
    }
}

fn kill(group: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group) {
        // A group that has ended needs no signal.
        let _ = kill_process_group(group, signal);
    }
}

/// The end of what a process wrote, filled while it runs.
#[derive(Clone)]
pub(super) struct Output {
    shared: Arc<Mutex<Tail>>,
    found: watch::Sender<bool>,
}

struct Tail {
    kept: VecDeque<u8>,
    /// What has still to come.
    marks: Vec<String>,
}

impl Output {
    fn new(marks: &[String]) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Tail {
                kept: VecDeque::with_capacity(KEPT),
                marks: marks.to_vec(),
            })),
            found: watch::Sender::new(marks.is_empty()),
        }
    }

    /// Returns when all marks were written.
    pub(super) async fn found(&self) {
        // The sender lives as long as this value.
        let _ = self.found.subscribe().wait_for(|found| *found).await;
    }

    /// A mark that was not written yet.
    pub(super) fn missing(&self) -> Option<String> {
        locked(&self.shared).marks.first().cloned()
    }

    async fn read(self, mut from: impl AsyncRead + Unpin) {
        let mut chunk = [0; 1024];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if self.take(&chunk[..length]) {
                self.found.send_replace(true);
            }
        }
    }

    /// Adds output; whether it completes the marks.
    fn take(&self, bytes: &[u8]) -> bool {
        let mut tail = locked(&self.shared);
        let Tail { kept, marks } = &mut *tail;
        kept.extend(bytes);
        let waiting = !marks.is_empty();
        if waiting {
            let kept = kept.make_contiguous();
            let written = |mark: &str| kept.windows(mark.len()).any(|part| part == mark.as_bytes());
            marks.retain(|mark| !mark.is_empty() && !written(mark));
        }
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        waiting && marks.is_empty()
    }

    pub(super) fn words(&self) -> Words {
        let mut tail = locked(&self.shared);
        Words(last_line(tail.kept.make_contiguous()))
    }
}

/// The last line that speaks of an error, or else the last with something in it, made fit for a message.
pub(super) fn last_line(bytes: &[u8]) -> String {
    /// Characters of a line that are shown.
    const SHOWN: usize = 300;
    let text = String::from_utf8_lossy(bytes);
    let lines = || {
        let lines = text.lines().rev().map(str::trim);
        lines.filter(|line| !line.is_empty())
    };
    let is_telling = |line: &&str| {
        let line = line.to_ascii_lowercase();
        ["error", "critical", "failed", "invalid"]
            .iter()
            .any(|word| line.contains(word))
    };
    let line = lines().find(is_telling).or_else(|| lines().next());
    line.unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let output = Output::new(&["ready".to_owned(), "port 2".to_owned()]);
        assert!(!output.take(&vec![b'x'; 3 * KEPT]));
        assert!(!output.take(b"\nrea"));
        assert!(!output.take(b"dy now\n\n"));
        assert_eq!(output.missing().as_deref(), Some("port 2"));
        assert!(output.take(b"on port 2"));
        assert!(!output.take(b"\nready"));
        assert_eq!(locked(&output.shared).kept.len(), KEPT);
        assert_eq!(output.words(), Words("ready".to_owned()));
    }

    #[test]
    fn an_error_tells_more_than_what_follows_it() {
        assert_eq!(last_line(b"begin\nError: no port\nbye\n"), "Error: no port");
        assert_eq!(last_line(b"begin\nbye\n\n"), "bye");
    }
}
