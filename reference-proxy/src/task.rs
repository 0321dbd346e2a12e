//! The proxy's tasks: asked to stop, waited for, and ended together.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::clock::Clock;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The steps of a graceful stop, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No new connection or stream, in either direction. Streams that partners opened are closed, and
    /// what they have sent goes on to the gateways.
    Partners,
    /// Streams with gateways are closed. What they have sent goes on to the partners.
    Gateways,
    /// Streams to partners are closed.
    Streams,
}

impl Stage {
    const ALL: [Self; 3] = [Self::Partners, Self::Gateways, Self::Streams];

    /// The share of the whole patience that the stage may take.
    fn share(self) -> f64 {
        match self {
            Self::Partners => 0.5,
            Self::Gateways => 0.2,
            Self::Streams => 0.3,
        }
    }
}

/// Starts tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    jobs: mpsc::UnboundedSender<(Stage, Job)>,
    clock: Clock,
    /// How many there are of each stage.
    left: Arc<watch::Sender<[usize; 3]>>,
    stop: watch::Receiver<Option<Stage>>,
}

/// The running tasks. Dropping it ends each task at its next wait.
#[derive(Debug)]
pub struct Supervisor {
    stop: watch::Sender<Option<Stage>>,
    end: Arc<Notify>,
    left: watch::Receiver<[usize; 3]>,
    running: JoinHandle<()>,
}

/// The signal to stop, at one of the stages.
#[derive(Clone, Debug)]
pub struct Stop {
    stage: Stage,
    reached: watch::Receiver<Option<Stage>>,
}

impl Stop {
    /// Waits until the proxy is asked to stop, and has come to the stage.
    pub async fn asked(&mut self) {
        let stage = Some(self.stage);
        // A supervisor that is gone takes its tasks along, so this also means to stop.
        let _ = self.reached.wait_for(|reached| *reached >= stage).await;
    }

    /// Whether the proxy has been asked to stop, and has come to the stage.
    pub fn is_asked(&self) -> bool {
        *self.reached.borrow() >= Some(self.stage) || self.reached.has_changed().is_err()
    }
}

impl Tasks {
    /// Starts a task that may last until the end, unless the proxy has ended.
    pub fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.spawn_in(Stage::Streams, job);
    }

    /// Starts a task that the stage waits for.
    pub fn spawn_in(&self, stage: Stage, job: impl Future<Output = ()> + Send + 'static) {
        self.left.send_modify(|left| left[stage as usize] += 1);
        let _ = self.jobs.send((stage, self.clock.count(job)));
    }

    /// The signal to begin nothing more.
    pub fn stop(&self) -> Stop {
        self.stop_at(Stage::Partners)
    }

    /// The signal that a stage has come.
    pub fn stop_at(&self, stage: Stage) -> Stop {
        Stop {
            stage,
            reached: self.stop.clone(),
        }
    }
}

impl Supervisor {
    /// Starts with no task.
    pub fn start(runtime: &Handle, clock: &Clock) -> (Self, Tasks) {
        let (stop, stopped) = watch::channel(None);
        let (jobs, queue) = mpsc::unbounded_channel();
        let tell = Arc::new(watch::Sender::new([0; 3]));
        let left = tell.subscribe();
        let last = Stop {
            stage: Stage::Streams,
            reached: stopped.clone(),
        };
        let end = Arc::new(Notify::new());
        let running = runtime.spawn(supervise(queue, last, Arc::clone(&end), Arc::clone(&tell)));
        let tasks = Tasks {
            jobs,
            clock: clock.clone(),
            left: tell,
            stop: stopped,
        };
        (
            Self {
                stop,
                end,
                left,
                running,
            },
            tasks,
        )
    }

    /// Asks the tasks to stop, stage by stage, and waits for them. Those that take longer are ended.
    pub async fn stop(mut self, patience: Duration) {
        for stage in Stage::ALL {
            self.stop.send_replace(Some(stage));
            let over = async {
                match stage {
                    Stage::Streams => {
                        let _ = (&mut self.running).await;
                    }
                    Stage::Partners | Stage::Gateways => {
                        let none = |left: &[usize; 3]| {
                            left[..=stage as usize].iter().all(|left| *left == 0)
                        };
                        let _ = self.left.wait_for(none).await;
                    }
                }
            };
            if timeout(patience.mul_f64(stage.share()), over)
                .await
                .is_err()
            {
                let [partners, gateways, streams] = *self.left.borrow();
                tracing::warn!(
                    ?stage,
                    partners,
                    gateways,
                    streams,
                    "the stop goes on without some"
                );
            }
        }
        if !self.running.is_finished() {
            self.end().await;
        }
    }

    /// Ends all tasks at their next wait. Nothing is left of them when this returns.
    pub async fn end(mut self) {
        self.end.notify_one();
        let _ = (&mut self.running).await;
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Runs tasks, and counts down those that have ended, until the last stage has come and none is, or they have to end.
async fn supervise(
    mut queue: mpsc::UnboundedReceiver<(Stage, Job)>,
    mut last: Stop,
    end: Arc<Notify>,
    left: Arc<watch::Sender<[usize; 3]>>,
) {
    let mut tasks = JoinSet::new();
    let mut stages = BTreeMap::new();
    let mut stopping = false;
    loop {
        tokio::select! {
            Some((stage, job)) = queue.recv() => {
                stages.insert(tasks.spawn(job).id(), stage);
            }
            Some(ended) = tasks.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        if error.is_panic() {
                            tracing::error!("a task panicked");
                        }
                        error.id()
                    }
                };
                if let Some(stage) = stages.remove(&id) {
                    left.send_modify(|left| left[stage as usize] -= 1);
                }
            }
            () = last.asked(), if !stopping => stopping = true,
            () = end.notified() => return tasks.shutdown().await,
        }
        if stopping && tasks.is_empty() && queue.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Mutex;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn start() -> (Supervisor, Tasks) {
        Supervisor::start(&Handle::current(), &Clock::default())
    }

    #[tokio::test]
    async fn each_stage_waits_for_the_tasks_of_those_before() {
        let (supervisor, tasks) = start();
        let ended = Arc::new(Mutex::new(Vec::new()));
        // In another order than that in which they end.
        for stage in [Stage::Streams, Stage::Partners, Stage::Gateways] {
            let (mut stop, ended) = (tasks.stop_at(stage), Arc::clone(&ended));
            tasks.spawn_in(stage, async move {
                stop.asked().await;
                tokio::task::yield_now().await;
                ended.lock().expect("no panic").push(stage);
            });
        }
        supervisor.stop(PATIENCE).await;
        assert_eq!(*ended.lock().expect("no panic"), Stage::ALL);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_left_of_tasks_that_were_ended() {
        let (supervisor, tasks) = start();
        let held = Arc::new(());
        let (tell, mut told) = mpsc::channel(10);
        for _ in 0..10 {
            let (held, tell) = (Arc::clone(&held), tell.clone());
            tasks.spawn(async move {
                let _held = held;
                tell.send(()).await.expect("it is waited for");
                pending().await
            });
        }
        for _ in 0..10 {
            told.recv().await.expect("a task");
        }
        supervisor.end().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_holds_up_no_later_stage_for_ever() {
        let (supervisor, tasks) = start();
        tasks.spawn_in(Stage::Partners, pending());
        let (mut stop, (tell, told)) = (
            tasks.stop_at(Stage::Streams),
            tokio::sync::oneshot::channel(),
        );
        tasks.spawn(async move {
            stop.asked().await;
            tell.send(()).expect("it is waited for");
        });
        let stopping = supervisor.stop(Duration::from_millis(50));
        timeout(PATIENCE, stopping).await.expect("it ends");
        told.await.expect("the last stage came");
    }
}
