//! A process of ours: in a group of its own, with the end of its output kept, ended within a bounded time
//! and together with all that it started.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::warden;

/// Bytes of output that are kept.
const KEPT: usize = 256 * 1024;
/// How long output may come after its process has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a killed group may take to be gone.
const GONE: Duration = Duration::from_secs(2);
/// Time between two looks whether it is.
const LOOK: Duration = Duration::from_millis(5);

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

/// What a program that soon ends writes to its standard output.
///
/// # Errors
/// When it cannot be started.
pub(super) fn said(command: &mut std::process::Command) -> io::Result<Vec<u8>> {
    let command = command.stdin(Stdio::null()).stderr(Stdio::null());
    let child = command.stdout(Stdio::piped()).process_group(0).spawn()?;
    let _group = Group::of(Some(child.id()));
    Ok(child.wait_with_output()?.stdout)
}

/// A process with its group and the end of its output. Dropping it kills the whole group.
pub(super) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    group: Group,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    /// Removed last. After [`Process::end`] nobody writes to it any more.
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
        let group = Group::of(child.id());
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

    /// Asks it to end, and kills what is left of its group then or after a time.
    pub(super) async fn end(mut self, within: Duration) {
        match self.input.take() {
            Some(input) => drop(input),
            None => self.group.signal(Signal::TERM),
        }
        let _ = timeout(within, self.child.wait()).await;
        self.group.signal(Signal::KILL);
        // Nothing outlives that for long.
        let _ = self.child.wait().await;
        let _ = timeout(GONE, self.group.gone()).await;
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
    fn of(first: Option<u32>) -> Self {
        let id = first.and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            locked(&GROUPS).insert(id);
            warden::group(id);
        }
        Self(id)
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.0 {
            kill(id, signal);
        }
    }

    /// Returns when none of its processes runs.
    async fn gone(&self) {
        while self.0.is_some_and(runs) {
            sleep_until(Instant::now() + LOOK).await;
        }
    }

    fn forget(&mut self) {
        if let Some(id) = self.0.take() {
            locked(&GROUPS).remove(&id);
            warden::ended(id);
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

/// Whether a process of a group runs. One that has ended stays in the group until its parent has noticed,
/// which the first process of a container may never do.
fn runs(group: i32) -> bool {
    let is_there = |group| test_kill_process_group(group).is_ok();
    if !Pid::from_raw(group).is_some_and(is_there) {
        return false;
    }
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return true;
    };
    processes.flatten().any(|process| {
        let stat = std::fs::read_to_string(process.path().join("stat"));
        stat.is_ok_and(|stat| is_alive_in(group, &stat))
    })
}

/// Whether a line of `/proc/PID/stat` is that of a process that runs in a group.
fn is_alive_in(group: i32, stat: &str) -> bool {
    // The name before it can hold anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace();
    let state = fields.next();
    let in_group = fields.nth(1).and_then(|field| field.parse().ok()) == Some(group);
    in_group && !matches!(state, Some("Z" | "X"))
}

/// The end of what a process wrote, filled while it runs.
#[derive(Clone, Debug)]
pub(super) struct Output {
    shared: Arc<Mutex<Tail>>,
    found: watch::Sender<bool>,
}

#[derive(Debug)]
struct Tail {
    kept: VecDeque<u8>,
    /// What has still to come.
    marks: Vec<String>,
}

impl Output {
    fn new(marks: &[String]) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Tail {
                kept: VecDeque::new(),
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
        let mut searched = Vec::new();
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if self.take(&chunk[..length], &mut searched) {
                self.found.send_replace(true);
            }
        }
    }

    /// Adds output; whether it completes the marks. They are sought in the end of what the same pipe
    /// brought: that of another one may come in the middle of a mark.
    fn take(&self, bytes: &[u8], searched: &mut Vec<u8>) -> bool {
        let mut tail = locked(&self.shared);
        let Tail { kept, marks } = &mut *tail;
        kept.extend(bytes);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        if marks.is_empty() {
            return false;
        }
        searched.extend(bytes);
        let written = |mark: &str| {
            let mut parts = searched.windows(mark.len());
            parts.any(|part| part == mark.as_bytes())
        };
        marks.retain(|mark| !mark.is_empty() && !written(mark));
        let surplus = searched.len().saturating_sub(KEPT);
        searched.drain(..surplus);
        marks.is_empty()
    }

    /// The end of it as it is now.
    pub(super) fn bytes(&self) -> Vec<u8> {
        locked(&self.shared).kept.iter().copied().collect()
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
        let mut searched = Vec::new();
        let mut take = |bytes: &[u8]| output.take(bytes, &mut searched);
        assert!(!take(&vec![b'x'; 3 * KEPT]));
        assert!(!take(b"\nrea"));
        assert!(!take(b"dy now\n\n"));
        assert_eq!(output.missing().as_deref(), Some("port 2"));
        assert!(take(b"on port 2"));
        assert!(!take(b"\nready"));
        assert_eq!(locked(&output.shared).kept.len(), KEPT);
        assert_eq!(output.words(), Words("ready".to_owned()));
    }

    #[test]
    fn a_mark_is_found_whatever_the_other_pipe_brings_meanwhile() {
        let output = Output::new(&["ready".to_owned()]);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        assert!(!output.take(b"rea", &mut stdout));
        assert!(!output.take(b"dy or not\n", &mut stderr));
        assert!(output.take(b"dy\n", &mut stdout));
    }

    #[test]
    fn a_process_that_waits_to_be_noticed_does_not_run() {
        assert!(is_alive_in(7, "12 (sh (odd) name) S 1 7 7 0"));
        assert!(!is_alive_in(7, "12 (sh) Z 1 7 7 0"));
        assert!(!is_alive_in(7, "7 (sh) R 7 12 7 0"));
    }

    #[test]
    fn an_error_tells_more_than_what_follows_it() {
        assert_eq!(last_line(b"begin\nError: no port\nbye\n"), "Error: no port");
        assert_eq!(last_line(b"begin\nbye\n\n"), "bye");
    }
}
