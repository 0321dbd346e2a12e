//! Runs all cases of a run concurrently.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::ending::refused_by_configuration;
use super::job::{self, Bench};
use super::pairing::Pairing;
use super::plan::{Deadlines, Job, Plan};
use super::slot;
use crate::baseline::BaselineCheck;
use crate::case::Case;
use crate::lab::Lab;
use crate::oracle::Profile;
use crate::record::{CaseResult, Run, RunEvent};
use crate::subject::{CallError, Placement, Running, StartError, Stop, Target};
use crate::verdict::Verdict;

/// Runs a plan and reports on `events`. Stops early, with partial results, when `interrupt` turns true.
pub async fn run(plan: Plan, events: mpsc::Sender<RunEvent>, interrupt: watch::Receiver<bool>) {
    let began = Instant::now();
    let started = RunEvent::Started {
        target: plan.target.name(),
        cases: plan.jobs.len(),
        controls: plan.jobs.iter().filter(|job| job.added_as_control).count(),
        seed: plan.seed,
    };
    // A reader that went away needs nothing more; the run still ends in order.
    let _ = events.send(started).await;
    let interrupted = match plan.target.lab(plan.seed) {
        Ok(lab) => run_groups(plan, Arc::new(lab), &events, interrupt).await,
        Err(error) => {
            let _ = events
                .send(RunEvent::Trouble(format!("no test network: {error}")))
                .await;
            false
        }
    };
    let _ = events
        .send(RunEvent::Ended {
            elapsed: began.elapsed(),
            rounds: 1,
            interrupted,
        })
        .await;
}

async fn run_groups(
    plan: Plan,
    lab: Arc<Lab>,
    events: &mpsc::Sender<RunEvent>,
    interrupt: watch::Receiver<bool>,
) -> bool {
    let run = Arc::new(Schedule {
        lab,
        target: plan.target,
        profile: plan.profile,
        deadlines: plan.deadlines,
        slots: plan.slots,
        events: events.clone(),
        interrupt,
        keep_events: plan.keep_events,
        check: plan.check,
        prove: plan.prove,
        controls: Mutex::new(Pairing::of(&plan.jobs)),
    });
    let mut groups: BTreeMap<String, Vec<Job>> = BTreeMap::new();
    for job in plan.jobs {
        match run.target.place(&job.case) {
            Placement::Group(name) => groups.entry(name).or_default().push(job),
            Placement::Unsupported(why) => {
                run.tell(job.result(Run::Unsupported(why))).await;
            }
        }
    }
    // If the target's timeouts are short, a busy machine looks like a slow partner, so those
    // groups wait until the others are finished.
    let (timed, others): (BTreeMap<_, _>, BTreeMap<_, _>) = groups
        .into_iter()
        .partition(|(_, jobs)| jobs.iter().all(|job| job.case.waits()));
    for groups in [others, timed] {
        let mut tasks = JoinSet::new();
        for (name, jobs) in groups {
            let run = Arc::clone(&run);
            tasks.spawn(async move { run.group(&name, jobs).await });
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                let _ = run
                    .events
                    .send(RunEvent::Trouble(format!("a bug in s2spec: {error}")))
                    .await;
            }
        }
    }
    let held_back = run
        .controls
        .lock()
        .expect("no panic under this lock")
        .rest();
    run.send(held_back).await;
    *run.interrupt.borrow()
}

/// State shared by all groups.
struct Schedule {
    lab: Arc<Lab>,
    target: Arc<dyn Target>,
    profile: Profile,
    deadlines: Deadlines,
    slots: Arc<Semaphore>,
    events: mpsc::Sender<RunEvent>,
    interrupt: watch::Receiver<bool>,
    keep_events: bool,
    check: Arc<BaselineCheck>,
    prove: bool,
    controls: Mutex<Pairing>,
}

impl Schedule {
    /// Adds a result, and sends all that are now complete.
    async fn tell(&self, result: CaseResult) {
        let complete = self
            .controls
            .lock()
            .expect("no panic under this lock")
            .take(result);
        self.send(complete).await;
    }

    async fn send(&self, results: Vec<CaseResult>) {
        for result in results {
            let mut record = self.check.judge(result);
            if !self.keep_events && record.verdict == Verdict::Pass {
                record.result.events = Vec::new();
            }
            let _ = self.events.send(RunEvent::Finished(Box::new(record))).await;
        }
    }

    async fn interrupted(&self) {
        let mut interrupt = self.interrupt.clone();
        if interrupt.wait_for(|broken_off| *broken_off).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn group(self: &Arc<Self>, name: &str, jobs: Vec<Job>) {
        let cases: Vec<Case> = jobs.iter().map(|job| job.case.clone()).collect();
        let started = tokio::select! {
            started = self.target.start(&self.lab, name, &cases) => started,
            () = self.interrupted() => return,
        };
        match started {
            Ok((running, stop)) => {
                if let Err(error) = self.all(jobs, running, stop).await {
                    self.trouble(name, &error.to_string()).await;
                }
            }
            Err(StartError::ConfigRefused(why)) => {
                for job in jobs {
                    self.tell(refused_by_configuration(&job, &why)).await;
                }
            }
            Err(StartError::Unsupported(why)) => {
                for job in jobs {
                    self.tell(job.result(Run::Unsupported(why.clone()))).await;
                }
            }
            Err(StartError::Environment(why)) => {
                self.trouble(name, &why).await;
                for job in jobs {
                    self.tell(job.result(Run::Failed(why.clone()))).await;
                }
            }
        }
    }

    async fn trouble(&self, name: &str, why: &str) {
        let trouble = format!("{} ({name}): {why}", self.target.name());
        let _ = self.events.send(RunEvent::Trouble(trouble)).await;
    }

    /// Runs all cases of an instance, and stops it.
    async fn all(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        running: Running,
        stop: Stop,
    ) -> Result<(), CallError> {
        let running = Arc::new(running);
        let mut cases = JoinSet::new();
        for job in jobs {
            let slot = tokio::select! {
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
                () = self.interrupted() => break,
            };
            let slot = slot.expect("the slots are never closed");
            let (run, target) = (Arc::clone(self), Arc::clone(&running));
            cases.spawn(async move {
                tokio::select! {
                    (result, partners) = slot::hold(slot, job::run(&job, run.bench(&target))) => {
                        run.tell(result).await;
                        for partner in partners {
                            partner.stop().await;
                        }
                    }
                    () = run.interrupted() => {}
                }
            });
        }
        while let Some(ended) = cases.join_next().await {
            if let Err(error) = ended {
                let trouble = format!("a bug in s2spec: {error}");
                let _ = self.events.send(RunEvent::Trouble(trouble)).await;
            }
        }
        drop(running);
        stop().await
    }

    fn bench<'a>(&'a self, target: &'a Running) -> Bench<'a> {
        Bench {
            lab: &self.lab,
            target,
            profile: self.profile,
            deadlines: self.deadlines,
            prove: self.prove,
        }
    }
}
