//! Cases one at a time, in any order and from any thread: each instance of the target starts when
//! its first case comes, and all are stopped at the end.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, watch};
use tokio::task::JoinSet;

use super::case::{self, Deadlines, Job};
use super::pairing::{Control, accepted, needs_control, proven};
use super::record::{Record, Verdict};
use crate::lab::Lab;
use crate::matrix::Case;
use crate::oracle::Profile;
use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};
use crate::target::{Placement, Running, StartError, Stop, Target};

/// A bench that stays open while others ask for single cases.
pub struct OnDemand {
    lab: Lab,
    target: Arc<dyn Target>,
    profile: Profile,
    deadlines: Deadlines,
    jobs: BTreeMap<String, Task>,
    groups: BTreeMap<String, Group>,
    broken_off: watch::Sender<bool>,
}

/// The run was broken off before the case had its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run was broken off")]
pub struct BrokenOff;

struct Task {
    job: Job,
    /// Where it runs, or why nowhere.
    place: Placement,
    /// Whether others refer to it. Its result is then kept, so that it runs once.
    is_control: bool,
    result: OnceCell<Record>,
}

#[derive(Default)]
struct Group {
    cases: Vec<Case>,
    instance: OnceCell<Result<Instance, StartError>>,
}

struct Instance {
    running: Running,
    stop: Mutex<Option<Stop>>,
}

impl OnDemand {
    /// Opens a bench for these jobs, controls included. No instance is started yet. Called inside of
    /// a tokio runtime.
    ///
    /// # Errors
    /// When no test network can be had, or when the target cannot run all of them side by side.
    pub fn open(
        jobs: Vec<Job>,
        target: Arc<dyn Target>,
        profile: Profile,
        deadlines: Deadlines,
        seed: u64,
    ) -> io::Result<Self> {
        let controls: Vec<String> = jobs.iter().filter_map(|job| job.control.clone()).collect();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut tasks = BTreeMap::new();
        for job in jobs {
            let place = target.place(&job.case);
            if let Placement::Group(name) = &place {
                let group = groups.entry(name.clone()).or_default();
                group.cases.push(job.case.clone());
            }
            let task = Task {
                place,
                is_control: false,
                result: OnceCell::new(),
                job,
            };
            tasks.insert(task.job.case.id.clone(), task);
        }
        if groups.len() > 1 && !target.side_by_side() {
            return Err(io::Error::other(format!(
                "{} is one server, which cannot be set to {} policies at a time: take the cases of \
                 one policy",
                target.name(),
                groups.len()
            )));
        }
        for id in controls {
            if let Some(task) = tasks.get_mut(&id) {
                task.is_control = true;
            }
        }
        Ok(Self {
            lab: target.lab(seed)?.fit_for(target.as_ref()),
            target,
            profile,
            deadlines,
            jobs: tasks,
            groups,
            broken_off: watch::Sender::new(false),
        })
    }

    /// Runs a case and, if it was rightly refused, its control.
    ///
    /// # Errors
    /// When the run is broken off meanwhile.
    ///
    /// # Panics
    /// When the id is not one of those that the bench was opened for.
    pub async fn run(&self, id: &str) -> Result<Record, BrokenOff> {
        let task = self
            .jobs
            .get(id)
            .expect("only cases that the bench was opened for are asked for");
        let mut broken_off = self.broken_off.subscribe();
        tokio::select! {
            biased;
            _ = broken_off.wait_for(|broken_off| *broken_off) => Err(BrokenOff),
            record = self.paired(task) => Ok(record),
        }
    }

    /// Ends all cases under way with [`BrokenOff`] and lets no other begin.
    pub fn break_off(&self) {
        self.broken_off.send_replace(true);
    }

    /// Whether the run was broken off.
    pub fn is_broken_off(&self) -> bool {
        *self.broken_off.borrow()
    }

    /// Stops all instances, side by side. No case may be under way.
    pub async fn close(self) {
        let mut stops = JoinSet::new();
        for group in self.groups.into_values() {
            if let Some(Ok(Instance { running, stop })) = group.instance.into_inner() {
                drop(running);
                let stop = stop.into_inner().unwrap_or_else(PoisonError::into_inner);
                if let Some(stop) = stop {
                    stops.spawn(stop());
                }
            }
        }
        // One that panics has ended as well; the others still have to be waited for.
        while stops.join_next().await.is_some() {}
    }

    async fn paired(&self, task: &Task) -> Record {
        let record = self.once(task).await;
        if !needs_control(&record) {
            return record;
        }
        let control = record.control.as_ref().and_then(|id| self.jobs.get(id));
        let good = match control {
            Some(control) => accepted(&self.once(control).await),
            None => Control::Refused,
        };
        proven(record, good)
    }

    /// A control runs once, whoever asks for it: twice at a time it would meet itself under the same
    /// domain.
    async fn once(&self, task: &Task) -> Record {
        if task.is_control {
            let record = task.result.get_or_init(|| self.alone(task)).await;
            return record.clone();
        }
        self.alone(task).await
    }

    async fn alone(&self, task: &Task) -> Record {
        let job = &task.job;
        let name = match &task.place {
            Placement::Group(name) => name,
            Placement::Unsupported(why) => {
                return job.without_outcome(Verdict::Unsupported, why.clone());
            }
        };
        let group = self
            .groups
            .get(name)
            .expect("every placed job has its group since the bench was opened");
        let instance = group
            .instance
            .get_or_init(|| self.start(name, &group.cases))
            .await;
        match instance {
            Ok(instance) => {
                let (mut record, partner) = case::run(
                    job,
                    &self.lab,
                    &instance.running,
                    self.profile,
                    self.deadlines,
                )
                .await;
                if let Some(partner) = partner {
                    partner.stop().await;
                }
                if record.verdict == Verdict::Pass {
                    record.events = Vec::new();
                }
                record
            }
            Err(StartError::ConfigRefused(why)) => {
                let refusal = Refusal {
                    phase: Phase::Config,
                    closer: Closer::Target,
                    signal: Signal::ConfigRefused(why.clone()),
                };
                case::judged_without_wire(job, Outcome::Refused(refusal))
            }
            Err(StartError::Unsupported(why)) => {
                job.without_outcome(Verdict::Unsupported, why.clone())
            }
            Err(StartError::Environment(why)) => {
                let why = format!("{} ({name}) did not start: {why}", self.target.name());
                job.without_outcome(Verdict::Error, why)
            }
        }
    }

    async fn start(&self, name: &str, cases: &[Case]) -> Result<Instance, StartError> {
        let (running, stop) = self.target.start(&self.lab, name, cases).await?;
        Ok(Instance {
            running,
            stop: Mutex::new(Some(stop)),
        })
    }
}
