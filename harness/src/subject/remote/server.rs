//! The server of a target file: set to a policy, started, waited for, stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::process::{Call, CallError, Process, last_line};

/// Time between two looks whether a port answers.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes of a log file that are looked at.
const LOG_TAIL: u64 = 4096;

/// What is to be started, and how it shows that it runs.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) start: Option<Call>,
    /// A part of a line of its output.
    pub(super) ready: Option<String>,
    /// Ports that have to answer.
    pub(super) ports: Vec<SocketAddr>,
    pub(super) stop: Option<Call>,
    pub(super) stop_timeout: Duration,
    pub(super) logs: Vec<PathBuf>,
    /// How long a server may take that was not started from here.
    pub(super) timeout: Duration,
}

/// A server that runs.
pub(super) struct Server {
    /// Tells when a process that was started here has ended, and how.
    pub(super) ended: Option<watch::Receiver<Option<String>>>,
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
        let deadline = Instant::now()
            + self
                .start
                .as_ref()
                .map_or(self.timeout, |start| start.timeout);
        let mut process = match &self.start {
            Some(call) => {
                // Another server on the same port would be tested in place of this one.
                self.refuse_taken_ports().await?;
                Some(Process::start(call, self.ready.as_deref())?)
            }
            None => None,
        };
        if let (Some(call), Some(running)) = (&self.start, &mut process) {
            let output = running.output();
            let detached = tokio::select! {
                biased;
                status = running.child.wait() => {
                    running.finish_reading().await;
                    match status {
                        Ok(status) if status.success() => true,
                        Ok(status) => return Err(CallError::Failed {
                            purpose: call.purpose,
                            command: call.to_string(),
                            status,
                            words: running.words(),
                        }.into()),
                        Err(source) => return Err(CallError::Start {
                            purpose: call.purpose,
                            command: call.to_string(),
                            source,
                        }.into()),
                    }
                }
                ready = timeout_at(deadline, async {
                    output.found().await;
                    self.ports_answer().await;
                }) => {
                    if ready.is_err() {
                        return Err(self.not_ready(call.timeout, &running.words().to_string()).await);
                    }
                    false
                }
            };
            if detached && let Some(process) = process.take() {
                process.detach();
            }
        }
        if timeout_at(deadline, self.ports_answer()).await.is_err() {
            let after = match &self.start {
                Some(start) => start.timeout,
                None => self.timeout,
            };
            return Err(self.not_ready(after, "").await);
        }
        let (ended, keeper) = match process {
            Some(process) => {
                let (ended, keeper) = keep(process, self.logs.clone(), self.stop_timeout);
                (Some(ended), Some(keeper))
            }
            None => (None, None),
        };
        Ok(Server {
            ended,
            stop: self.stop,
            stop_timeout: self.stop_timeout,
            keeper,
        })
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

    async fn not_ready(&self, after: Duration, words: &str) -> LaunchError {
        let mut waiting_for = None;
        for port in &self.ports {
            if !matches!(timeout(LOOK, TcpStream::connect(port)).await, Ok(Ok(_))) {
                waiting_for = Some(format!("nothing answers at {port}"));
                break;
            }
        }
        let waiting_for = waiting_for.unwrap_or_else(|| match &self.ready {
            Some(ready) => format!("its output has no line with {ready:?}"),
            None => "it answered too late".to_owned(),
        });
        LaunchError::NotReady {
            after,
            waiting_for,
            words: format!("{words}{}", log_words(&self.logs).await),
        }
    }
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

impl Server {
    /// Stops what was started here, by its own command where it has one.
    pub(super) async fn stop(self) {
        if let Some(stop) = &self.stop
            && let Err(error) = stop.run().await
        {
            tracing::warn!("{error}");
        }
        if let Some(mut keeper) = self.keeper {
            keeper.farewell.send_replace(true);
            // The task has deadlines of its own; this one is for a task that was lost.
            let _ = timeout(self.stop_timeout * 2, &mut keeper.task).await;
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
            status = process.child.wait() => {
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
            () = farewell_said(&mut told) => {
                process.terminate();
                // What does not end by itself is killed with its group on drop.
                let _ = timeout(stop_timeout, process.child.wait()).await;
            }
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
