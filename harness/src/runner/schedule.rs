//! Runs all cases of a run concurrently.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::group::{Company, Group};
use super::lateness::Lateness;
use super::pairing::Pairing;
use super::plan::{Budget, Plan};
use super::slot;
use super::stall::Stalls;
use super::ways::{Way, Ways};
use crate::case::Case;
use crate::lab::Lab;
use crate::record::{CaseResult, NotRun, Run, RunEvent};
use crate::subject::Placement;
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
        Ok(lab) => {
            let lab = Arc::new(lab);
            let interrupted = run_groups(plan, Arc::clone(&lab), &events, interrupt).await;
            // The next round needs its address.
            if let Some(lab) = Arc::into_inner(lab) {
                lab.close().await;
            }
            interrupted
        }
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
        controls: Mutex::new(Pairing::of(&plan.jobs)),
        told: Mutex::default(),
        lateness: Lateness::start(),
        doubtful: Mutex::default(),
        looked_up: Mutex::default(),
        given_up: AtomicBool::new(false),
        in_vain: AtomicUsize::new(0),
        ways: Ways::new(),
        cut_short: Mutex::default(),
        stalls: Stalls::default(),
        lab,
        plan,
        events: events.clone(),
        interrupt,
    });
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, job) in run.plan.jobs.iter().enumerate() {
        match run.plan.target.place(&job.case) {
            Placement::Group(name) => groups.entry(name).or_default().push(at),
            Placement::Unsupported(why) => {
                run.tell(job.result(Run::Unsupported(why))).await;
            }
        }
    }
    // If the target's timeouts are short, a busy machine looks like a slow partner, so those
    // groups wait until the others are finished.
    let is_alone = |case: &Case| case.waits() || case.administration().is_some();
    let (timed, others): (BTreeMap<_, _>, BTreeMap<_, _>) = groups
        .into_iter()
        .partition(|(_, jobs)| jobs.iter().all(|at| is_alone(&run.plan.jobs[*at].case)));
    // Each of those may have an instance of its own: as a rule no more are there than cases run at once.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let few = cores * slot::SLOTS;
    for (groups, instances) in [(others, Semaphore::MAX_PERMITS), (timed, few)] {
        run_side_by_side(&run, groups, Company::Others, instances).await;
    }
    let silent = run.sample_of_silent();
    run_side_by_side(&run, silent, Company::Again, Semaphore::MAX_PERMITS).await;
    run.settle_silent().await;
    // What a late machine has spoilt is run again when there is nothing else to do.
    for company in [Company::Few, Company::None] {
        run.settle_cut_short().await;
        let doubtful = std::mem::take(&mut *locked(&run.doubtful));
        for (name, jobs) in doubtful {
            Group::new(&run, &name, jobs, company, None).run().await;
        }
    }
    run.tell_what_was_silent().await;
    let interrupted = *run.interrupt.borrow();
    if !interrupted {
        run.tell_what_the_budget_left().await;
    }
    let held_back = locked(&run.controls).rest();
    run.send(held_back).await;
    interrupted
}

/// Runs groups, so many at a time.
async fn run_side_by_side(
    run: &Arc<Schedule>,
    groups: BTreeMap<String, Vec<usize>>,
    company: Company,
    instances: usize,
) {
    let mut tasks = JoinSet::new();
    let room = Arc::new(Semaphore::new(instances));
    for (name, jobs) in groups {
        let (run, room) = (Arc::clone(run), Arc::clone(&room));
        tasks.spawn(async move {
            let place = room.acquire_owned().await.ok();
            let group = Group::new(&run, &name, jobs, company, place);
            group.run().await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            run.trouble(format!("a bug in s2spec: {error}")).await;
        }
    }
}

/// State shared by all groups.
pub(super) struct Schedule {
    pub(super) lab: Arc<Lab>,
    pub(super) plan: Plan,
    events: mpsc::Sender<RunEvent>,
    interrupt: watch::Receiver<bool>,
    controls: Mutex<Pairing>,
    /// Cases that have a result.
    told: Mutex<BTreeSet<String>>,
    pub(super) lateness: Lateness,
    /// Cases that a deadline has ended while the machine was late, by group.
    doubtful: Mutex<BTreeMap<String, Vec<usize>>>,
    /// Those of them for whose domain the target has looked.
    looked_up: Mutex<BTreeSet<String>>,
    /// Whether the target holds back from a domain for longer than is waited for.
    pub(super) given_up: AtomicBool,
    /// How many cases have waited for their deadline in vain.
    in_vain: AtomicUsize,
    /// What they have shown of the ways through the target.
    pub(super) ways: Ways,
    /// Cases that were not given all their time, with their groups.
    cut_short: Mutex<Vec<CutShort>>,
    /// What is held against a server for its silence.
    pub(super) stalls: Stalls,
}

/// A case that was not given all its time, since nothing came by a way before.
pub(super) struct CutShort {
    pub(super) group: String,
    pub(super) at: usize,
    pub(super) way: Way,
    pub(super) looked_up: bool,
    pub(super) result: CaseResult,
}

/// After so many cases in vain, cases that only wait are taken for such sooner.
const LEARNED: usize = 16;

impl Schedule {
    /// Adds a result, and sends all that are now complete.
    pub(super) async fn tell(&self, result: CaseResult) {
        locked(&self.told).insert(result.case.id.clone());
        let complete = locked(&self.controls).take(result);
        self.send(complete).await;
    }

    /// Whether a case has a result.
    pub(super) fn is_told(&self, id: &str) -> bool {
        locked(&self.told).contains(id)
    }

    /// Has a case run again at the end.
    pub(super) fn doubt(&self, group: &str, at: usize, looked_up: bool) {
        self.note_lookup(at, looked_up);
        let mut doubtful = locked(&self.doubtful);
        doubtful.entry(group.to_owned()).or_default().push(at);
    }

    /// Notes that the target may know already what DNS says of a case that is to run again.
    pub(super) fn note_lookup(&self, at: usize, looked_up: bool) {
        if looked_up {
            locked(&self.looked_up).insert(self.plan.jobs[at].case.id.clone());
        }
    }

    /// Holds the result of a case back that was not given all its time.
    pub(super) fn cut_short(&self, case: CutShort) {
        locked(&self.cut_short).push(case);
    }

    /// What was cut short counts if nothing has come by that way since, and is else run again.
    async fn settle_cut_short(&self) {
        let cases = std::mem::take(&mut *locked(&self.cut_short));
        for case in cases {
            match self.ways.is_closed(case.way) {
                true => self.tell(case.result).await,
                false => self.doubt(&case.group, case.at, case.looked_up),
            }
        }
    }

    /// Whether the target has looked for the domain of a case that is run again.
    pub(super) fn has_looked_up(&self, id: &str) -> bool {
        locked(&self.looked_up).contains(id)
    }

    async fn send(&self, results: Vec<CaseResult>) {
        for result in results {
            let mut record = self.plan.check.judge(result);
            if !self.plan.keep_events && record.verdict == Verdict::Pass {
                record.result.forget_events();
            }
            self.event(RunEvent::Finished(Box::new(record))).await;
        }
    }

    /// A reader that went away needs nothing more.
    pub(super) async fn event(&self, event: RunEvent) {
        let _ = self.events.send(event).await;
    }

    /// Notes whether a case waited until its deadline.
    pub(super) fn learn(&self, in_vain: bool) {
        self.in_vain
            .fetch_add(usize::from(in_vain), Ordering::Relaxed);
    }

    /// How long a case holds its slot in which nothing happens.
    pub(super) fn still(&self) -> Duration {
        if self.in_vain.load(Ordering::Relaxed) < LEARNED {
            self.plan.deadlines.still
        } else {
            slot::HOPELESS
        }
    }

    /// Returns when no case may go on: the run was interrupted, or its budget is spent.
    pub(super) async fn over(&self) {
        let mut interrupt = self.interrupt.clone();
        let interrupted = async {
            if interrupt.wait_for(|broken_off| *broken_off).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let spent = async {
            match &self.plan.budget {
                Some(budget) => sleep_until(budget.ends).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = interrupted => {}
            () = spent => {}
        }
    }

    pub(super) fn is_over(&self) -> bool {
        *self.interrupt.borrow() || self.plan.budget.as_ref().is_some_and(Budget::is_spent)
    }

    /// Tells of the cases for which there was no time.
    async fn tell_what_the_budget_left(&self) {
        let Some(budget) = &self.plan.budget else {
            return;
        };
        for job in &self.plan.jobs {
            if !self.is_told(&job.case.id) {
                let why = NotRun::Budget(budget.time);
                self.tell(job.result(Run::NotRun(why))).await;
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under this lock")
}
