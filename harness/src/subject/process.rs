//! A server as a process of ours: started in a folder of its own, known to be ready by what it says,
//! ended within a bounded time.
//!
//! What the server is and how it is configured, the targets know.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::StartError;

/// Lines of a log that are kept to explain an end.
const KEPT_LINES: usize = 20;
/// Octets of a line that are kept.
const LINE: usize = 400;
/// Octets that are read at once.
const CHUNK: usize = 4096;
/// Lines that may wait to be looked at during a start.
const WAITING_LINES: usize = 64;
/// How long a server may take to end by itself once its standard input is closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// What to start, and how to see that it runs.
pub(super) struct Launch {
    /// The server's name, for messages.
    pub(super) name: &'static str,
    /// The program with its arguments and environment.
    pub(super) command: Command,
    /// Everything that the server writes. Goes with the process.
    pub(super) folder: TempDir,
    /// Whether closing its standard input is a request to end.
    pub(super) ends_with_stdin: bool,
    /// How long the start may take.
    pub(super) within: Duration,
}

/// A server that runs. Dropping it ends it at once.
pub(super) struct Process {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    logs: Vec<JoinHandle<()>>,
    tail: Tail,
    _folder: TempDir,
}

impl Process {
    /// Starts a server and waits until every mark stands in a line of its own output.
    ///
    /// # Errors
    /// When the program cannot be started, ends, or is not ready in time. Nothing is left then.
    pub(super) async fn start(launch: Launch, marks: &[String]) -> Result<Self, StartError> {
        let Launch {
            name,
            mut command,
            folder,
            ends_with_stdin,
            within,
        } = launch;
        let program = command.as_std().get_program().to_owned();
        let mut child = command
            .current_dir(folder.path())
            .stdin(if ends_with_stdin {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for s2spec, which ends its servers in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                environment(format!(
                    "{name} cannot be started: {}: {error}",
                    Path::new(&program).display()
                ))
            })?;
        let (told, lines) = mpsc::channel(WAITING_LINES);
        let tail = Tail::default();
        let mut logs = Vec::new();
        if let Some(out) = child.stdout.take() {
            logs.push(tokio::spawn(drain(out, tail.clone(), told.clone())));
        }
        if let Some(err) = child.stderr.take() {
            logs.push(tokio::spawn(drain(err, tail.clone(), told)));
        }
        let mut process = Self {
            name,
            stdin: child.stdin.take(),
            child,
            logs,
            tail,
            _folder: folder,
        };
        let why = match timeout(within, ready(lines, marks)).await {
            Ok(true) => return Ok(process),
            Ok(false) => format!("{name} ended at its start ({})", process.ended().await),
            Err(_) => format!("{name} was not ready within {} s", within.as_secs()),
        };
        let last = process.tail.last();
        process.end().await;
        Err(environment(format!("{why}: {last}")))
    }

    /// How it ended, if it did.
    async fn ended(&mut self) -> String {
        match timeout(FAREWELL, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its output is closed".to_owned(),
        }
    }

    /// Ends a server that could not be used, and says why: that it is gone, if it is.
    pub(super) async fn give_up(mut self, why: String) -> StartError {
        let why = match self.child.try_wait() {
            Ok(Some(status)) => format!(
                "{} ended right after its start ({status}): {}",
                self.name,
                self.tail.last()
            ),
            Ok(None) | Err(_) => why,
        };
        self.end().await;
        environment(why)
    }

    /// Ends the server, by asking where that is possible, and forgets its folder.
    pub(super) async fn end(mut self) {
        if let Some(stdin) = self.stdin.take() {
            drop(stdin);
            // One that does not listen is killed below.
            let _ = timeout(FAREWELL, self.child.wait()).await;
        }
        // Nothing of an instance is kept, so there is nothing that a gentle end would save. One that
        // has ended already needs no signal.
        let _ = self.child.kill().await;
        for log in &self.logs {
            log.abort();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for log in &self.logs {
            log.abort();
        }
    }
}

pub(super) fn environment(why: String) -> StartError {
    StartError::Environment(why)
}

/// Whether every mark was seen before the output ended.
async fn ready(mut lines: mpsc::Receiver<String>, marks: &[String]) -> bool {
    let mut missing: Vec<&String> = marks.iter().collect();
    while !missing.is_empty() {
        let Some(line) = lines.recv().await else {
            return false;
        };
        missing.retain(|mark| !line.contains(mark.as_str()));
    }
    true
}

/// Reads an output to its end, so that the server never waits for a reader. The last lines are
/// kept; all are sent as long as there is a receiver.
async fn drain(mut output: impl AsyncRead + Unpin, tail: Tail, told: mpsc::Sender<String>) {
    let mut chunk = [0; CHUNK];
    let mut line = Vec::new();
    while let Ok(length) = output.read(&mut chunk).await {
        if length == 0 {
            break;
        }
        for &byte in &chunk[..length] {
            if byte != b'\n' {
                if line.len() < LINE {
                    line.push(byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            if !text.is_empty() {
                tail.push(&text);
                // Nobody listens once the start is over.
                let _ = told.send(text).await;
            }
        }
    }
    let rest = String::from_utf8_lossy(&line).trim().to_owned();
    if !rest.is_empty() {
        tail.push(&rest);
    }
}

/// The last lines of a log.
#[derive(Clone, Debug, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: &str) {
        let mut lines = self.lines();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The most telling line: the last that speaks of an error, otherwise the last.
    fn last(&self) -> String {
        let lines = self.lines();
        let telling = |line: &&String| {
            let line = line.to_ascii_lowercase();
            ["error", "critical", "failed", "invalid"]
                .iter()
                .any(|word| line.contains(word))
        };
        lines
            .iter()
            .rev()
            .find(telling)
            .or_else(|| lines.back())
            .cloned()
            .unwrap_or_else(|| "nothing was logged".to_owned())
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts values in the place of `{name}`.
pub(super) fn fill(template: &str, values: &[(&str, String)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), value)
        })
}

/// The first of the ports that are asked for.
const FIRST_PORT: u16 = 10_000;
/// The end of them, where the system does not tell where those begin that it gives out itself.
const END_OF_PORTS: u16 = 32_768;

/// A loopback port that is free now, and that this process gives out once.
///
/// A server takes it a while later, when many connections have begun. So it is none of those that
/// the system gives to them.
pub(super) fn free_port() -> io::Result<u16> {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let end = system_ports().unwrap_or(END_OF_PORTS).max(FIRST_PORT + 1);
    let count = u32::from(end - FIRST_PORT);
    // Runs side by side begin in different places.
    let begin = std::process::id().wrapping_mul(61);
    let mut refused = None;
    for _ in 0..count {
        let step = u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let offset = begin.wrapping_add(step) % count;
        let port = FIRST_PORT + u16::try_from(offset).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::other("no loopback port is free")))
}

/// The first port that the system gives out itself.
fn system_ports() -> Option<u16> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shell(script: &str, ends_with_stdin: bool) -> Launch {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Launch {
            name: "the shell",
            command,
            folder: tempfile::tempdir().unwrap(),
            ends_with_stdin,
            within: Duration::from_secs(5),
        }
    }

    fn marks(marks: &[&str]) -> Vec<String> {
        marks.iter().map(|&mark| mark.to_owned()).collect()
    }

    async fn refusal(launch: Launch, wanted: &[&str]) -> String {
        match Process::start(launch, &marks(wanted)).await {
            Err(StartError::Environment(why)) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it started"),
        }
    }

    fn runs(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    #[tokio::test]
    async fn a_server_is_ready_once_it_has_said_everything() {
        let script = "echo on port 1; echo on port 2 >&2; cat";
        let process = Process::start(shell(script, true), &marks(&["port 1", "port 2"]))
            .await
            .expect("it starts");
        let pid = process.child.id().expect("it runs");
        assert!(runs(pid));
        process.end().await;
        assert!(!runs(pid));
    }

    #[tokio::test]
    async fn a_server_that_does_not_listen_to_its_input_is_killed() {
        let process = Process::start(
            shell("echo ready; exec tail -f /dev/null", true),
            &marks(&["ready"]),
        )
        .await
        .expect("it starts");
        let pid = process.child.id().expect("it runs");
        process.end().await;
        assert!(!runs(pid));
    }

    #[tokio::test]
    async fn a_server_that_ends_at_its_start_is_told_with_its_last_error() {
        let script = "echo error: the port is taken; echo bye; exit 3";
        let why = refusal(shell(script, false), &["ready"]).await;
        assert_eq!(
            why,
            "the shell ended at its start (exit status: 3): error: the port is taken"
        );
    }

    #[tokio::test]
    async fn a_server_that_never_gets_ready_is_ended() {
        let mut launch = shell("echo $$; exec tail -f /dev/null", false);
        launch.within = Duration::from_millis(300);
        let why = refusal(launch, &["ready"]).await;
        let (text, pid) = why.rsplit_once(": ").expect("the pid was logged");
        assert_eq!(text, "the shell was not ready within 0 s");
        assert!(!runs(pid.parse().expect("a pid")));
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_used_is_ended_with_the_reason() {
        let kept = Process::start(
            shell("echo ready; exec tail -f /dev/null", false),
            &marks(&["ready"]),
        )
        .await
        .expect("it starts");
        let pid = kept.child.id().expect("it runs");
        let why = kept.give_up("its port is closed".to_owned()).await;
        assert_eq!(why.to_string(), "its port is closed");
        assert!(!runs(pid));

        let script = "echo ready; echo fatal error; exit 2";
        let mut gone = Process::start(shell(script, false), &marks(&["ready"]))
            .await
            .expect("it starts");
        gone.ended().await;
        for log in &mut gone.logs {
            log.await.expect("it ends with the output");
        }
        assert_eq!(
            gone.give_up("its port is closed".to_owned())
                .await
                .to_string(),
            "the shell ended right after its start (exit status: 2): fatal error"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named() {
        let mut launch = shell("", false);
        launch.command = Command::new("/nonexistent/server");
        let why = refusal(launch, &[]).await;
        assert!(
            why.starts_with("the shell cannot be started: /nonexistent/server: "),
            "{why}"
        );
    }

    #[tokio::test]
    async fn a_line_without_end_takes_bounded_memory() {
        let (told, mut lines) = mpsc::channel(1);
        let tail = Tail::default();
        let endless = vec![b'x'; 1 << 20];
        drain(endless.as_slice(), tail.clone(), told).await;
        assert_eq!(tail.last().len(), LINE);
        assert!(lines.recv().await.is_none());
    }

    #[test]
    fn ports_are_given_once_and_are_none_of_the_systems() {
        let ports: BTreeSet<u16> = (0..20).map(|_| free_port().expect("a port")).collect();
        assert_eq!(ports.len(), 20);
        let end = system_ports().unwrap_or(END_OF_PORTS);
        assert!(ports.iter().all(|&port| port < end));
    }

    #[test]
    fn values_take_the_place_of_their_names() {
        let values = [("a", "1".to_owned()), ("b-c", "{}".to_owned())];
        assert_eq!(fill("{a}{b-c}{ d }{a}", &values), "1{}{ d }1");
    }
}
