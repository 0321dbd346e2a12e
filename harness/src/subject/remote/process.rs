//! Commands of a target file: run without a shell, in a process group of their own, with a deadline,
//! and with the end of their output kept for messages.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes of output that are kept.
const KEPT: usize = 4096;
/// How long output may come after its process has ended.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The exit status by which a command says that the server cannot be set so.
pub const UNSUPPORTED: i32 = 89;

/// Groups that are alive.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Kills every process that was started for a target file and has not ended. For the end of the
/// program, when nobody waits for the tasks that would do so in order.
pub fn end_all() {
    let groups = std::mem::take(&mut *locked(&GROUPS));
    for group in groups {
        kill(group, Signal::KILL);
    }
}

/// A command with its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is for, such as `switch`.
    pub purpose: &'static str,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// What it finds in its environment beside that of s2spec.
    pub environment: Vec<(String, String)>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It did not start.
    #[error("the {purpose} command {command} could not be started: {source}")]
    Start {
        /// What it was for.
        purpose: &'static str,
        /// The command as one would type it.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It ended in failure.
    #[error("the {purpose} command {command} failed with {status}{words}")]
    Failed {
        /// What it was for.
        purpose: &'static str,
        /// The command as one would type it.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        words: Words,
    },
    /// It did not end.
    #[error("the {purpose} command {command} did not end within {} s and was killed{words}", after.as_secs_f64())]
    Hung {
        /// What it was for.
        purpose: &'static str,
        /// The command as one would type it.
        command: String,
        /// The time that it had.
        after: Duration,
        /// What it said last.
        words: Words,
    },
}

impl CallError {
    /// Whether the command says that this cannot be had from the server.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Failed { status, .. } if status.code() == Some(UNSUPPORTED))
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

impl Call {
    /// The command with `{name}` replaced in its arguments.
    pub fn filled(&self, values: &[(&str, &str)]) -> Self {
        let fill = |argument: &String| fill(argument, values);
        Self {
            command: self.command.iter().map(fill).collect(),
            ..self.clone()
        }
    }

    /// The command with one variable more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it does not start, fails, or takes too long; it is killed then with all that it started.
    pub async fn run(&self) -> Result<(), CallError> {
        let mut process = Process::start(self, None)?;
        match timeout(self.timeout, process.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                process.finish_reading().await;
                Err(CallError::Failed {
                    purpose: self.purpose,
                    command: self.to_string(),
                    status,
                    words: process.words(),
                })
            }
            Ok(Err(source)) => Err(self.not_started(source)),
            Err(_) => Err(CallError::Hung {
                purpose: self.purpose,
                command: self.to_string(),
                after: self.timeout,
                words: process.words(),
            }),
        }
    }

    fn not_started(&self, source: io::Error) -> CallError {
        CallError::Start {
            purpose: self.purpose,
            command: self.to_string(),
            source,
        }
    }
}

/// Replaces `{name}` in one pass, so that a value that looks like a placeholder stays as it is.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = values.iter().find_map(|(name, value)| {
            let after = rest[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

impl fmt::Display for Call {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self
            .command
            .iter()
            .map(|word| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
                if !word.is_empty() && word.chars().all(plain) {
                    word.clone()
                } else {
                    format!("{word:?}")
                }
            })
            .collect();
        write!(to, "`{}`", words.join(" "))
    }
}

/// A process with its group and the end of its output. Dropping it kills the whole group.
pub struct Process {
    pub(super) child: Child,
    group: Group,
    output: Output,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts a command. `awaited` is looked for in its output.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(call: &Call, awaited: Option<&str>) -> Result<Self, CallError> {
        let (program, arguments) = call
            .command
            .split_first()
            .ok_or_else(|| call.not_started(io::ErrorKind::InvalidInput.into()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .envs(call.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&call.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| call.not_started(source))?;
        let group = Group::of(&child);
        let output = Output::new(awaited);
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(output.clone().read(stdout)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(output.clone().read(stderr)));
        }
        Ok(Self {
            child,
            group,
            output,
            readers,
        })
    }

    /// What it wrote last.
    pub fn words(&self) -> Words {
        self.output.words()
    }

    /// A handle to what it writes.
    pub(super) fn output(&self) -> Output {
        self.output.clone()
    }

    /// Asks the whole group to end.
    pub(super) fn terminate(&self) {
        self.group.signal(Signal::TERM);
    }

    /// Leaves the group alone: it has become a server of its own, which its stop command ends.
    pub(super) fn detach(mut self) {
        self.group.forget();
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
    awaited: Option<Vec<u8>>,
}

impl Output {
    fn new(awaited: Option<&str>) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Tail {
                kept: VecDeque::with_capacity(KEPT),
                awaited: awaited.map(|text| text.as_bytes().to_vec()),
            })),
            found: watch::Sender::new(awaited.is_none()),
        }
    }

    /// Returns when the awaited text was written.
    pub(super) async fn found(&self) {
        // The sender lives as long as this value.
        let _ = self.found.subscribe().wait_for(|found| *found).await;
    }

    async fn read(self, mut from: impl AsyncRead + Unpin) {
        let mut chunk = [0; 1024];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if self.take(&chunk[..length]) {
                self.found.send_replace(true);
            }
        }
    }

    /// Adds output; whether it completes the awaited text.
    fn take(&self, bytes: &[u8]) -> bool {
        let mut tail = locked(&self.shared);
        tail.kept.extend(bytes);
        let complete = match tail.awaited.clone() {
            Some(awaited) => {
                let kept = tail.kept.make_contiguous();
                awaited.is_empty() || kept.windows(awaited.len()).any(|part| part == awaited)
            }
            None => false,
        };
        if complete {
            tail.awaited = None;
        }
        let surplus = tail.kept.len().saturating_sub(KEPT);
        tail.kept.drain(..surplus);
        complete
    }

    pub(super) fn words(&self) -> Words {
        let mut tail = locked(&self.shared);
        Words(last_line(tail.kept.make_contiguous()))
    }
}

/// The last line with something in it, made fit for a message.
pub(super) fn last_line(bytes: &[u8]) -> String {
    /// Characters of a line that are shown.
    const SHOWN: usize = 300;
    let text = String::from_utf8_lossy(bytes);
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
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

    fn call(command: &[&str], seconds: f64) -> Call {
        Call {
            purpose: "switch",
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            folder: std::env::temp_dir(),
            environment: Vec::new(),
            timeout: Duration::from_secs_f64(seconds),
        }
    }

    #[tokio::test]
    async fn a_command_that_succeeds_is_no_error_and_sees_its_variables() {
        let call = call(&["sh", "-c", "test \"$S2SPEC_ROW\" = 7"], 10.0);
        assert!(call.run().await.is_err());
        assert!(call.with("S2SPEC_ROW", "7").run().await.is_ok());
    }

    #[tokio::test]
    async fn a_command_that_fails_tells_its_last_words() {
        let error = call(&["sh", "-c", "echo first; echo last >&2; exit 3"], 10.0)
            .run()
            .await
            .expect_err("it exits with 3");
        let text = error.to_string();
        assert!(text.starts_with("the switch command `sh -c "), "{text}");
        assert!(text.ends_with("failed with exit status: 3: last"), "{text}");
        assert!(!error.is_unsupported());
    }

    #[tokio::test]
    async fn a_command_can_say_that_something_is_not_to_be_had() {
        let error = call(&["sh", "-c", "exit 89"], 10.0).run().await;
        assert!(error.is_err_and(|error| error.is_unsupported()));
    }

    #[tokio::test]
    async fn a_command_that_is_not_there_is_named() {
        let error = call(&["s2spec-no-such-program"], 10.0).run().await;
        let text = error.expect_err("there is none").to_string();
        assert!(
            text.starts_with(
                "the switch command `s2spec-no-such-program` could not be started: No such file"
            ),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("child");
        let script = format!(
            "sleep 60 & echo $! > {}; echo waiting; wait",
            file.display()
        );
        let error = call(&["sh", "-c", &script], 1.0).run().await;
        let text = error.expect_err("it hangs").to_string();
        assert!(
            text.ends_with("did not end within 1 s and was killed: waiting"),
            "{text}"
        );
        let child = std::fs::read_to_string(&file).expect("the script wrote it");
        let stat = format!("/proc/{}/stat", child.trim());
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        loop {
            // A killed process without a parent may stay a zombie until init looks.
            let gone = std::fs::read_to_string(&stat)
                .map_or(true, |stat| stat.contains(") Z ") || stat.contains(") X "));
            if gone {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "the child lives on");
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn placeholders_are_filled_once() {
        let filled = call(&["send", "{body}", "{id}{id}", "{other}", "{"], 1.0)
            .filled(&[("body", "{id}"), ("id", "7")]);
        assert_eq!(filled.command, ["send", "{id}", "77", "{other}", "{"]);
    }

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let output = Output::new(Some("ready"));
        assert!(!output.take(&vec![b'x'; 3 * KEPT]));
        assert!(!output.take(b"\nrea"));
        assert!(output.take(b"dy now\n\n"));
        assert!(!output.take(b"ready"));
        assert_eq!(locked(&output.shared).kept.len(), KEPT);
        assert_eq!(output.words(), Words("ready".to_owned()));
    }
}
