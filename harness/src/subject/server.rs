//! A server under test as a process: started, waited for, watched, stopped.
//!
//! What the server is and how it is configured, the targets know.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::StartError;
use super::call::{Call, CallError};
use super::process::{Process, Words, last_line};

/// Time between two looks whether a port answers.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of a log file that are looked at.
const LOG_TAIL: u64 = 4096;
/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// What is to be started, and how it shows that it runs.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) start: Option<Call>,
    /// Parts of lines of its output, all of which have to come.
    pub(super) ready: Vec<String>,
    /// Ports that have to answer.
    pub(super) ports: Vec<SocketAddr>,
    pub(super) stop: Option<Call>,
    pub(super) stop_timeout: Duration,
    pub(super) logs: Vec<PathBuf>,
    /// How long a server may take that was not started from here.
    pub(super) timeout: Duration,
    /// Where it is a built-in one.
    pub(super) ours: Option<Ours>,
}

/// What is special about a built-in server: it never leaves its process.
#[derive(Debug)]
pub(super) struct Ours {
    /// Everything that it writes. Goes with the process.
    pub(super) folder: TempDir,
    /// Whether it ends with its input, which is then how it is asked to.
    pub(super) ends_with_input: bool,
}

/// A server that runs. Dropping it starts its stop command, for which nobody waits then.
pub(super) struct Server {
    /// Tells when a process that was started here has ended, and how.
    pub(super) ended: Option<watch::Receiver<Option<String>>>,
    /// None once it has run.
    stop: Option<Call>,
    stop_timeout: Duration,
    /// Ends the process on request, or when dropped.
    keeper: Option<Keeper>,
}

struct Keeper {
    farewell: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The process is a part of the task and is killed with it.
        self.task.abort();
    }
}

impl Launch {
    /// Starts the server, if it is to be started, and waits until it is ready.
    pub(super) async fn run(self) -> Result<Server, LaunchError> {
        let patience = self
            .start
            .as_ref()
            .map_or(self.timeout, |start| start.timeout);
        let deadline = Instant::now() + patience;
        let started = match &self.start {
            Some(call) => Some(self.started(call, deadline).await?),
            None => None,
        };
        // Whatever happens from here on, the stop command runs.
        let mut server = Server {
            ended: None,
            stop: self.stop.clone(),
            stop_timeout: self.stop_timeout,
            keeper: None,
        };
        let words = match started {
            Some(Started::Process(process)) => {
                let process = process.keeping(self.ours.map(|ours| ours.folder));
                let (ended, keeper) = keep(process, self.logs, self.stop_timeout);
                server.ended = Some(ended);
                server.keeper = Some(keeper);
                return Ok(server);
            }
            Some(Started::Daemon(mut process)) => {
                process.finish_reading().await;
                Some(process.detach())
            }
            None => None,
        };
        if timeout_at(deadline, self.ports_answer()).await.is_err() {
            let error = self.not_ready(patience, words, None).await;
            server.stop().await;
            return Err(error);
        }
        Ok(server)
    }

    /// What the start command has led to: a process that is ready, or a daemon that may not be yet.
    async fn started(&self, call: &Call, deadline: Instant) -> Result<Started, LaunchError> {
        // Another server on the same port would be tested in place of this one.
        self.refuse_taken_ports().await?;
        let input = match &self.ours {
            Some(ours) if ours.ends_with_input => Stdio::piped(),
            _ => Stdio::null(),
        };
        let mut process = call.start(&self.ready, input)?;
        let output = process.output();
        tokio::select! {
            biased;
            status = process.wait() => match status {
                Ok(status) if status.success() && self.ours.is_none() => {
                    Ok(Started::Daemon(process))
                }
                Ok(status) => {
                    process.finish_reading().await;
                    Err(call.failed(status, process.words()).into())
                }
                Err(source) => Err(call.not_started(source).into()),
            },
            ready = timeout_at(deadline, async {
                output.found().await;
                self.ports_answer().await;
            }) => match ready {
                Ok(()) => Ok(Started::Process(process)),
                Err(_) => {
                    let words = Some(process.words());
                    let error = self.not_ready(call.timeout, words, output.missing()).await;
                    process.end(Duration::ZERO).await;
                    Err(error)
                }
            }
        }
    }

    async fn refuse_taken_ports(&self) -> Result<(), LaunchError> {
        for port in &self.ports {
            if let Ok(Ok(_)) = timeout(LOOK, TcpStream::connect(port)).await {
                return Err(LaunchError::Taken(*port));
            }
        }
        Ok(())
    }

    async fn ports_answer(&self) {
        for port in &self.ports {
            while TcpStream::connect(port).await.is_err() {
                sleep_until(Instant::now() + LOOK).await;
            }
        }
    }

    async fn not_ready(
        &self,
        after: Duration,
        words: Option<Words>,
        missing: Option<String>,
    ) -> LaunchError {
        let mut waiting_for = None;
        for port in &self.ports {
            if !matches!(timeout(LOOK, TcpStream::connect(port)).await, Ok(Ok(_))) {
                waiting_for = Some(format!("nothing answers at {port}"));
                break;
            }
        }
        let unsaid = || match missing {
            Some(mark) => format!("its output has no line with {mark:?}"),
            None => "it answered too late".to_owned(),
        };
        let words = words.map_or_else(String::new, |words| words.to_string());
        LaunchError::NotReady {
            after,
            waiting_for: waiting_for.unwrap_or_else(unsaid),
            words: format!("{words}{}", log_words(&self.logs).await),
        }
    }
}

/// What a start command has led to.
enum Started {
    /// It has ended and left a server in the background.
    Daemon(Process),
    /// It is the server, and ready.
    Process(Process),
}

/// Why there is no server to run cases on.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(
        "something listens at {0} already; it would be tested in place of the server that the \
         start command starts"
    )]
    Taken(SocketAddr),
    #[error("the server was not ready within {} s: {waiting_for}{words}", after.as_secs_f64())]
    NotReady {
        after: Duration,
        waiting_for: String,
        words: String,
    },
}

impl From<LaunchError> for StartError {
    fn from(error: LaunchError) -> Self {
        Self::Environment(error.to_string())
    }
}

impl Server {
    /// Stops a server that could not be used, and says why: that it is gone, if it is.
    pub(super) async fn give_up(self, why: String) -> StartError {
        let ended = self.ended.as_ref().and_then(|ended| ended.borrow().clone());
        self.stop().await;
        StartError::Environment(match ended {
            Some(how) => format!("the server ended right after its start: {how}"),
            None => why,
        })
    }

    /// Stops what was started here, by its own command where it has one.
    pub(super) async fn stop(mut self) {
        if let Some(stop) = &self.stop
            && let Err(error) = stop.run().await
        {
            tracing::warn!("{error}");
        }
        self.stop = None;
        if let Some(mut keeper) = self.keeper.take() {
            keeper.farewell.send_replace(true);
            // The task has a deadline of its own; this one is for a task that was lost.
            let _ = timeout(self.stop_timeout + GONE, &mut keeper.task).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.leave();
        }
    }
}

/// Watches a process until it ends or has to.
fn keep(
    mut process: Process,
    logs: Vec<PathBuf>,
    stop_timeout: Duration,
) -> (watch::Receiver<Option<String>>, Keeper) {
    let (farewell, mut told) = watch::channel(false);
    let (ended, watched) = watch::channel(None);
    let task = tokio::spawn(async move {
        tokio::select! {
            status = process.wait() => {
                process.finish_reading().await;
                let how = match status {
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                let logs = log_words(&logs).await;
                ended.send_replace(Some(format!("{how}{}{logs}", process.words())));
                // Cases that still run have to be able to hear it.
                farewell_said(&mut told).await;
            }
            () = farewell_said(&mut told) => process.end(stop_timeout).await,
        }
    });
    (watched, Keeper { farewell, task })
}

async fn farewell_said(told: &mut watch::Receiver<bool>) {
    // A keeper that is gone has said it, too.
    let _ = told.wait_for(|told| *told).await;
}

/// The last lines of log files, to be put behind a message.
async fn log_words(logs: &[PathBuf]) -> String {
    let mut text = String::new();
    for log in logs {
        let line = match tail(log.clone()).await {
            Ok(bytes) => last_line(&bytes),
            Err(error) => format!("cannot be read: {error}"),
        };
        text.push_str(&format!("; {}: {line}", log.display()));
    }
    text
}

async fn tail(log: PathBuf) -> std::io::Result<Vec<u8>> {
    let read = move || {
        use std::io::{Read as _, Seek as _, SeekFrom};
        if !std::fs::metadata(&log)?.is_file() {
            return Err(std::io::Error::other("it is no ordinary file"));
        }
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read,
        Err(error) => Err(std::io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::subject::port::free_address;

    /// A shell in place of a built-in server. It notes down what a test wants to know of it.
    struct Shell {
        launch: Launch,
        notes: TempDir,
    }

    fn shell(script: &str, ready: &[&str], ends_with_input: bool) -> Shell {
        let folder = tempfile::tempdir().expect("a folder");
        let notes = tempfile::tempdir().expect("another");
        let path = notes.path().display().to_string();
        let launch = Launch {
            start: Some(Call {
                purpose: "start",
                command: ["sh", "-c", script].map(str::to_owned).into(),
                folder: folder.path().to_owned(),
                environment: vec![("NOTES".to_owned(), path)],
                timeout: Duration::from_secs(5),
            }),
            ready: ready.iter().map(|&mark| mark.to_owned()).collect(),
            ports: Vec::new(),
            stop: None,
            stop_timeout: Duration::from_secs(2),
            logs: Vec::new(),
            timeout: Duration::ZERO,
            ours: Some(Ours {
                folder,
                ends_with_input,
            }),
        };
        Shell { launch, notes }
    }

    impl Shell {
        fn folder(&self) -> PathBuf {
            let ours = self.launch.ours.as_ref().expect("a shell is ours");
            ours.folder.path().to_owned()
        }

        async fn refusal(self) -> (String, TempDir) {
            let error = self.launch.run().await.err();
            (error.expect("it is not ready").to_string(), self.notes)
        }
    }

    /// A server that its start command leaves in the background and that never listens. Its stop
    /// command notes down that it ran.
    fn daemon(port: SocketAddr) -> Shell {
        let Shell { mut launch, notes } = shell("echo starting in the background", &[], false);
        let start = launch.start.as_mut().expect("a shell is started");
        start.timeout = Duration::from_millis(300);
        start.folder = notes.path().to_owned();
        let script = "echo stopped > $NOTES/new; mv $NOTES/new $NOTES/stopped";
        launch.stop = Some(Call {
            purpose: "stop",
            command: ["sh", "-c", script].map(str::to_owned).into(),
            timeout: Duration::from_secs(5),
            ..start.clone()
        });
        launch.ours = None;
        launch.ports = vec![port];
        Shell { launch, notes }
    }

    /// Whether the process that noted its number runs.
    fn runs(notes: &Path) -> bool {
        let pid = std::fs::read_to_string(notes.join("pid")).expect("the script wrote it");
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn a_server_is_ready_once_it_has_said_everything_and_ends_with_its_input() {
        let script = "echo $$ > $NOTES/pid; echo on port 1; echo on port 2 >&2; cat; \
                      echo bye > $NOTES/end";
        let shell = shell(script, &["port 1", "port 2"], true);
        let (folder, notes) = (shell.folder(), shell.notes.path());
        let server = shell.launch.run().await.expect("it starts");
        assert!(runs(notes));
        server.stop().await;
        assert!(!runs(notes));
        assert!(notes.join("end").exists(), "it ended by itself");
        assert!(!folder.exists(), "nothing is left behind");
    }

    #[tokio::test]
    async fn a_server_that_does_not_listen_is_killed() {
        let script = "trap '' TERM; echo $$ > $NOTES/pid; echo ready; while :; do sleep 60; done";
        for ends_with_input in [true, false] {
            let mut shell = shell(script, &["ready"], ends_with_input);
            shell.launch.stop_timeout = Duration::from_millis(100);
            let (folder, notes) = (shell.folder(), shell.notes.path());
            let server = shell.launch.run().await.expect("it starts");
            assert!(runs(notes));
            server.stop().await;
            assert!(!runs(notes));
            assert!(!folder.exists(), "nothing is left behind");
        }
    }

    #[tokio::test]
    async fn a_server_that_ends_at_its_start_is_told_with_its_last_error() {
        let script = "echo error: the port is taken; echo bye; exit 3";
        let (why, _) = shell(script, &["ready"], false).refusal().await;
        let end = "failed with exit status: 3: error: the port is taken";
        assert!(why.ends_with(end), "{why}");
        let (why, _) = shell("echo bye", &["ready"], false).refusal().await;
        assert!(why.ends_with("failed with exit status: 0: bye"), "{why}");
    }

    #[tokio::test]
    async fn a_server_that_never_gets_ready_is_ended() {
        let script = "echo $$ > $NOTES/pid; exec tail -f /dev/null";
        let mut shell = shell(script, &["ready"], false);
        let start = shell.launch.start.as_mut().expect("a shell is started");
        start.timeout = Duration::from_millis(300);
        let (why, notes) = shell.refusal().await;
        assert_eq!(
            why,
            "the server was not ready within 0.3 s: its output has no line with \"ready\" \
             (it wrote nothing)"
        );
        assert!(!runs(notes.path()));
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_answer_is_stopped() {
        let port = free_address().expect("a port");
        let (why, notes) = daemon(port).refusal().await;
        assert_eq!(
            why,
            format!(
                "the server was not ready within 0.3 s: nothing answers at {port}: starting in the \
                 background"
            )
        );
        assert!(notes.path().join("stopped").exists());
    }

    #[tokio::test]
    async fn a_daemon_that_is_dropped_is_stopped() {
        let mut shell = daemon(free_address().expect("a port"));
        shell.launch.ports.clear();
        drop(shell.launch.run().await.expect("it starts"));
        let stopped = shell.notes.path().join("stopped");
        let noted = async {
            while !stopped.exists() {
                sleep_until(Instant::now() + LOOK).await;
            }
        };
        let noted = timeout(Duration::from_secs(10), noted).await;
        assert!(noted.is_ok(), "the stop command ran");
    }

    #[tokio::test]
    async fn a_server_that_cannot_be_used_is_ended_with_the_reason() {
        let why = "its port is closed";
        let script = "echo $$ > $NOTES/pid; echo ready; exec tail -f /dev/null";
        let kept = shell(script, &["ready"], false);
        let server = kept.launch.run().await.expect("it starts");
        assert_eq!(server.give_up(why.to_owned()).await.to_string(), why);
        assert!(!runs(kept.notes.path()));

        let script = "echo ready; while ! test -e go; do :; done; echo fatal error; exit 2";
        let gone = shell(script, &["ready"], false);
        let go = gone.folder().join("go");
        let mut server = gone.launch.run().await.expect("it starts");
        std::fs::write(go, "").expect("the folder is there");
        let ended = server.ended.as_mut().expect("it has a process");
        ended
            .wait_for(Option::is_some)
            .await
            .expect("it is watched");
        assert_eq!(
            server.give_up(why.to_owned()).await.to_string(),
            "the server ended right after its start: exit status: 2: fatal error"
        );
    }
}
