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
use super::process::{Output, Process, Words, last_line};

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
    /// What that process writes.
    pub(super) output: Option<Output>,
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
            Some(call) => match self.started(call, deadline).await {
                // It may have left a server behind that nobody knows of.
                Err(error @ LaunchError::NotReady { .. }) => {
                    return Err(self.after_all(error).await);
                }
                started => Some(started?),
            },
            None => None,
        };
        // Whatever happens from here on, the stop command runs.
        let mut server = Server {
            ended: None,
            output: None,
            stop: self.stop.clone(),
            stop_timeout: self.stop_timeout,
            keeper: None,
        };
        let words = match started {
            Some(Started::Process(process)) => {
                let process = process.keeping(self.ours.map(|ours| ours.folder));
                server.output = Some(process.output());
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
            return Err(match server.stop().await {
                Ok(()) => error,
                Err(stop) => LaunchError::NotStopped(Box::new(error), stop),
            });
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

    /// Runs the stop command after a start that came to nothing.
    async fn after_all(&self, error: LaunchError) -> LaunchError {
        let Some(stop) = &self.stop else { return error };
        match stop.run().await {
            Ok(()) => error,
            Err(stop) => LaunchError::NotStopped(Box::new(error), stop),
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
    #[error("{0}; {1}")]
    NotStopped(Box<Self>, CallError),
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
        let stopped = self.stop().await;
        let why = match ended {
            Some(how) => format!("the server ended right after its start: {how}"),
            None => why,
        };
        StartError::Environment(match stopped {
            Ok(()) => why,
            Err(error) => format!("{why}; {error}"),
        })
    }

    /// Stops what was started here, by its own command where it has one.
    pub(super) async fn stop(mut self) -> Result<(), CallError> {
        let stopped = match &self.stop {
            Some(stop) => stop.run().await,
            None => Ok(()),
        };
        self.stop = None;
        if let Some(mut keeper) = self.keeper.take() {
            keeper.farewell.send_replace(true);
            // The task has a deadline of its own; this one is for a task that was lost.
            let _ = timeout(self.stop_timeout + GONE, &mut keeper.task).await;
        }
        stopped
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
            () = farewell_said(&mut told) => {}
        }
        process.end(stop_timeout).await;
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
        let line = match tail(log.clone(), LOG_TAIL).await {
            Ok(bytes) => last_line(&bytes),
            Err(error) => format!("cannot be read: {error}"),
        };
        text.push_str(&format!("; {}: {line}", log.display()));
    }
    text
}

/// The last bytes of a file, at most so many.
pub(super) async fn tail(log: PathBuf, most: u64) -> std::io::Result<Vec<u8>> {
    let read = move || {
        use std::io::{Read as _, Seek as _, SeekFrom};
        if !std::fs::metadata(&log)?.is_file() {
            return Err(std::io::Error::other("it is no ordinary file"));
        }
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read,
        Err(error) => Err(std::io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests;
