//! The proxy's tasks: asked to stop, waited for, and ended together.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::clock::Clock;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Starts tasks.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    jobs: mpsc::UnboundedSender<Job>,
    clock: Clock,
    stop: watch::Receiver<bool>,
}

/// The running tasks. Dropping it ends each task at its next wait.
#[derive(Debug)]
pub(crate) struct Supervisor {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// The signal to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until the proxy is asked to stop.
    pub(crate) async fn asked(&mut self) {
        // A supervisor that is gone takes its tasks along, so this also means to stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    pub(crate) fn is_asked(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Tasks {
    /// Starts a task, unless the proxy has ended.
    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        let _ = self.jobs.send(self.clock.count(job));
    }

    pub(crate) fn stop(&self) -> Stop {
        Stop(self.stop.clone())
    }
}

impl Supervisor {
    pub(crate) fn start(runtime: &Handle, clock: &Clock) -> (Self, Tasks) {
        let (stop, stopped) = watch::channel(false);
        let (jobs, queue) = mpsc::unbounded_channel();
        let running = runtime.spawn(supervise(queue, Stop(stopped.clone())));
        let tasks = Tasks {
            jobs,
            clock: clock.clone(),
            stop: stopped,
        };
        (Self { stop, running }, tasks)
    }

    /// Asks all tasks to stop and waits for them. Those that take longer are ended.
    pub(crate) async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        if timeout(patience, &mut self.running).await.is_err() {
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
