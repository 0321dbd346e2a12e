//! The proxy's tasks: all that run can be told to stop, waited for, and ended.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts tasks. Clones start into the same set.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    jobs: mpsc::UnboundedSender<Job>,
    stop: watch::Receiver<bool>,
}

/// The set itself; dropping it ends each task at its next wait.
#[derive(Debug)]
pub(crate) struct Supervisor {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// Says when the proxy is to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the proxy is to stop.
    pub(crate) async fn asked(&mut self) {
        // A supervisor that is gone takes the tasks with it, so that also means to stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the proxy is to stop.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Tasks {
    /// Starts a task. When the proxy has ended already it is dropped.
    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        let _ = self.jobs.send(Box::pin(job));
    }

    /// The signal that tasks watch.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.stop.clone())
    }
}

impl Supervisor {
    /// An empty set on the runtime that the caller runs in.
    pub(crate) fn start(runtime: &tokio::runtime::Handle) -> (Self, Tasks) {
        let (stop, stopped) = watch::channel(false);
        let (jobs, queue) = mpsc::unbounded_channel();
        let running = runtime.spawn(supervise(queue, Stop(stopped.clone())));
        (
            Self { stop, running },
            Tasks {
                jobs,
                stop: stopped,
            },
        )
    }

    /// Asks all tasks to stop and waits for them; those that take longer are ended.
    pub(crate) async fn stop(mut self, patience: std::time::Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(patience, &mut self.running)
            .await
            .is_err()
        {
            self.running.abort();
            let _ = (&mut self.running).await;
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn supervise(mut queue: mpsc::UnboundedReceiver<Job>, mut stop: Stop) {
    let mut tasks = JoinSet::new();
    let mut stopping = false;
    loop {
        tokio::select! {
            Some(job) = queue.recv() => {
                tasks.spawn(job);
            }
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!("a task panicked");
                }
            }
            () = stop.asked(), if !stopping => stopping = true,
            else => return,
        }
        if stopping && tasks.is_empty() && queue.is_empty() {
            return;
        }
    }
}
