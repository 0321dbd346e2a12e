//! Runs the cases that share an instance of the target, and starts it again where it was lost.
//!
//! If the target is lost, each of the cases under way may be the reason. They are run again one by one,
//! on a new instance, until it is lost again: that case fails, and no other. Cases that cannot be run
//! any more are told as such.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::again::Ground;
use super::ending::refused_by_configuration;
use super::handover;
use super::job::{self, Bench};
use super::loss::{Instance, Loss};
use super::plan::Job;
use super::schedule::Schedule;
use super::slot;
use super::stall;
use crate::case::{Case, fingerprint};
use crate::lab::Lease;
use crate::record::{CaseResult, NotRun, Run, RunEvent};
use crate::subject::{Inside, StartError, Stop};

/// A case in which nothing has happened for so long was not what took the target down.
const RECENT: Duration = Duration::from_secs(2);
/// How long to wait for a target that has held back from a domain for too long before.
const GIVEN_UP: Duration = Duration::from_millis(500);
/// How often it is waited for where the target has much to do.
const SETTLES: u32 = 3;
/// How many cases may take a target down before it is left alone.
const CULPRITS: usize = 20;
/// How often it may go down without one.
const UNEXPLAINED: usize = 2;
/// How many of the cases under way are named.
const NAMED: usize = 3;

/// How many times longer cases may take that a late machine has spoilt.
const STRETCH: u32 = 2;
/// How many of those are active at the same time, before one that is spoilt again has no other beside it that
/// does more than wait.
const FEW: usize = 2;

/// What else runs beside a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// All others.
    Others,
    /// Some others to which the target was silent, too.
    Again,
    /// A few that were spoilt by a late machine.
    Few,
    /// Nothing but cases that wait.
    None,
}

/// The cases of an instance. Jobs are places in the plan.
pub(super) struct Group<'a> {
    run: &'a Arc<Schedule>,
    name: &'a str,
    company: Company,
    /// The leave to have an instance.
    place: Option<OwnedSemaphorePermit>,
    cases: Vec<Case>,
    waiting: Vec<usize>,
    /// Cases that may have taken the target down, the likeliest first.
    suspects: VecDeque<usize>,
    /// How it was lost, while it is not known by which case.
    unexplained: Option<String>,
    /// How often it was lost with and without a known reason.
    culprits: usize,
    mysteries: usize,
}

/// A target that was lost, and what was not finished.
struct Lost {
    loss: Loss,
    under_way: Vec<UnderWay>,
    rest: Vec<usize>,
}

/// A case that was not finished.
pub(super) struct UnderWay {
    pub(super) at: usize,
    /// What it is if it is the reason.
    pub(super) result: CaseResult,
    /// When something happened in it last.
    pub(super) active: Instant,
}

impl<'a> Group<'a> {
    pub(super) fn new(
        run: &'a Arc<Schedule>,
        name: &'a str,
        waiting: Vec<usize>,
        company: Company,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let case = |at: &usize| run.plan.jobs[*at].case.clone();
        Self {
            run,
            name,
            company,
            place,
            cases: waiting.iter().map(case).collect(),
            waiting,
            suspects: VecDeque::new(),
            unexplained: None,
            culprits: 0,
            mysteries: 0,
        }
    }

    /// Runs all of them.
    pub(super) async fn run(mut self) {
        let target = &self.run.plan.target;
        let start = target.start(&self.run.lab, self.name, &self.cases);
        let started = tokio::select! {
            started = start => started,
            () = self.run.over() => return,
        };
        let (mut instance, mut stop) = match started {
            Ok((running, stop)) => (Arc::new(Instance::new(running).await), stop),
            Err(error) => return self.not_started(error).await,
        };
        if let Inside::Linked(inner) = &instance.running.inner {
            tokio::select! {
                () = instance.barrier(inner) => {}
                _ = instance.lost() => {}
                () = self.run.over() => {}
            }
        }
        // Whether no case has run on this instance.
        let mut fresh = true;
        loop {
            let suspect = self.suspects.pop_front();
            let batch = match suspect {
                Some(suspect) => vec![suspect],
                None => std::mem::take(&mut self.waiting),
            };
            // A case proves something only on an instance that no other has worn down.
            let alone = suspect.is_some() && std::mem::take(&mut fresh);
            if batch.is_empty() {
                break;
            }
            let lost = self.together(batch, &instance).await;
            self.tell_muteness(&instance).await;
            if self.run.is_over() {
                if let Some(lost) = lost {
                    self.run.trouble(lost.loss.told("as the run ended")).await;
                }
                break;
            }
            let Some(lost) = lost else {
                self.explained().await;
                continue;
            };
            self.stop(instance, stop).await;
            let start = target.restart(&self.run.lab, self.name, &self.cases);
            let started = tokio::select! {
                started = start => started,
                () = self.run.over() => return,
            };
            let loss = lost.loss.clone();
            let words = self.take(lost, alone, started.is_err()).await;
            let given_up = self.culprits > CULPRITS || self.mysteries > UNEXPLAINED;
            match started {
                Ok((running, again)) => {
                    instance = Arc::new(Instance::new(running).await);
                    fresh = true;
                    stop = again;
                    if given_up {
                        let often = self.culprits + self.mysteries;
                        let words = loss.told(&format!("{often} times"));
                        self.leave_out(&words).await;
                    }
                }
                Err(error) => {
                    let words = format!("{words}; it cannot be started again: {error}");
                    return self.leave_out(&words).await;
                }
            }
        }
        self.stop(instance, stop).await;
    }

    /// A target that is mute inside is so in all cases: that is told once.
    async fn tell_muteness(&self, instance: &Instance) {
        if let Inside::Linked(inner) = &instance.running.inner
            && inner.is_mute()
        {
            self.run.breach(inner.muteness()).await;
        }
    }

    /// Runs cases at the same time, until all have ended or the target is lost.
    async fn together(&mut self, batch: Vec<usize>, instance: &Arc<Instance>) -> Option<Lost> {
        let mut cases = JoinSet::new();
        let mut batch = batch.into_iter();
        let mut loss = None;
        let mut under_way = Vec::new();
        let hidden = matches!(instance.running.inner, Inside::Hidden(_));
        let slots = match self.company {
            Company::Others => Arc::clone(&self.run.plan.slots),
            Company::Again => Arc::new(Semaphore::new(stall::SAMPLE)),
            Company::Few => Arc::new(Semaphore::new(FEW)),
            Company::None => Arc::new(Semaphore::new(1)),
        };
        for at in batch.by_ref() {
            let job = &self.run.plan.jobs[at];
            let lease = tokio::select! {
                biased;
                () = self.run.over() => break,
                lost = instance.lost() => {
                    loss = Some((at, lost));
                    break;
                }
                lease = self.run.lab.pool.lend(&job.case, hidden) => lease,
            };
            let mut lease = match lease {
                Ok(lease) => lease,
                Err(why) => {
                    self.run.tell(job.result(Run::Unsupported(why))).await;
                    continue;
                }
            };
            let slot = tokio::select! {
                biased;
                () = self.run.over() => break,
                lost = instance.lost() => {
                    loss = Some((at, lost));
                    break;
                }
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let slot = slot.expect("the slots are never closed");
            let (run, instance) = (Arc::clone(self.run), Arc::clone(instance));
            let (name, company) = (self.name.to_owned(), self.company);
            // What has ended keeps its memory until it is asked for.
            while let Some(ended) = cases.try_join_next() {
                under_way.extend(self.finished(ended).await);
            }
            // One in this process costs so little that others are started while its case only waits.
            let place = self.place.take_if(|_| instance.running.process.is_none());
            cases.spawn(async move {
                let job = &run.plan.jobs[at];
                let case = job::run(job, run.bench(job, &instance, company), &lease);
                let waiting = slot::Waiting {
                    length: run.still(),
                    says_nothing: |wait| run.lateness.is_late(wait) || instance.has_work(),
                };
                tokio::select! {
                    mut ran = slot::hold((slot, place), waiting, case) => {
                        let is_due = !ran.lost && handover::is_due(&ran.result, &lease);
                        let partners = std::mem::take(&mut ran.partners);
                        let server = &*instance;
                        let ground = Ground { group: name, at, company, server };
                        let under_way = run.ended(ran, ground).await;
                        for partner in partners {
                            partner.stop().await;
                        }
                        if is_due {
                            run.hand_over(job, &instance, &mut lease).await;
                        }
                        under_way
                    }
                    () = run.over() => None,
                }
            });
        }
        let (first, mut noticed) = loss.unzip();
        while let Some(ended) = cases.join_next().await {
            under_way.extend(self.finished(ended).await);
        }
        // It may have gone while nothing was under way but a hand-over.
        noticed = noticed.or_else(|| instance.known_loss());
        if noticed.is_none() && under_way.is_empty() {
            return None;
        }
        under_way.sort_by_key(|one| std::cmp::Reverse(one.active));
        Some(Lost {
            loss: match noticed {
                Some(loss) => loss,
                None => instance.lost().await,
            },
            under_way,
            rest: first.into_iter().chain(batch).collect(),
        })
    }

    /// The case that is to run again, if the one that ended is.
    async fn finished(&self, ended: Result<Option<UnderWay>, JoinError>) -> Option<UnderWay> {
        match ended {
            Ok(unfinished) => unfinished,
            Err(error) => {
                self.run.trouble(format!("a bug in s2spec: {error}")).await;
                None
            }
        }
    }

    /// Decides what becomes of the cases that were not finished. Returns what happened, in words.
    async fn take(&mut self, lost: Lost, alone: bool, is_final: bool) -> String {
        let Lost {
            loss,
            mut under_way,
            rest,
        } = lost;
        self.waiting.splice(0..0, rest);
        let culprit = match under_way.len() {
            1 if alone || is_final => under_way.pop(),
            _ => None,
        };
        if let Some(culprit) = culprit {
            let words = loss.told(&format!("after {}", self.id(culprit.at)));
            self.run.tell(culprit.result).await;
            self.culprits += 1;
            self.unexplained = None;
            // The others are no suspects any more.
            self.waiting.extend(self.suspects.drain(..));
            return words;
        }
        let words = loss.told(&self.during(&under_way));
        let mut again = Vec::new();
        let now = under_way.first().map(|first| first.active);
        for one in under_way {
            if now.is_some_and(|now| one.active + RECENT >= now) {
                again.push(one.at);
            } else {
                self.waiting.push(one.at);
            }
        }
        // Before others that have not been tried yet.
        self.suspects = again.into_iter().chain(self.suspects.drain(..)).collect();
        if is_final {
            self.run.trouble(words.clone()).await;
        } else {
            self.unexplained = Some(words.clone());
            self.explained().await;
        }
        words
    }

    /// Tells of a loss that none of the suspects repeats.
    async fn explained(&mut self) {
        if self.suspects.is_empty()
            && let Some(words) = self.unexplained.take()
        {
            self.mysteries += 1;
            let again = "run again one by one, none of these cases does that";
            self.run.trouble(format!("{words}; {again}")).await;
        }
    }

    /// The cases under way, in words.
    fn during(&self, under_way: &[UnderWay]) -> String {
        let named: Vec<&str> = under_way.iter().map(|one| self.id(one.at)).collect();
        match named.as_slice() {
            [] => "between two cases".to_owned(),
            [only] => format!("while {only} ran"),
            all if all.len() <= NAMED => format!("while {} ran", all.join(", ")),
            all => format!(
                "while {} and {} more ran",
                all[..NAMED].join(", "),
                all.len() - NAMED
            ),
        }
    }

    fn id(&self, at: usize) -> &str {
        &self.run.plan.jobs[at].case.id
    }

    /// Tells of all cases that are left that there is no target for them.
    async fn leave_out(&mut self, words: &str) {
        let left = self.suspects.drain(..).chain(self.waiting.drain(..));
        for at in left.collect::<Vec<_>>() {
            let why = NotRun::TargetGone(words.to_owned());
            let result = self.run.plan.jobs[at].result(Run::NotRun(why));
            self.run.tell(result).await;
        }
    }

    async fn not_started(self, error: StartError) {
        let failed = match &error {
            StartError::Environment(why) => Some(why.clone()),
            StartError::ConfigRefused(_) | StartError::Unsupported(_) => None,
        };
        if let Some(why) = failed {
            self.trouble(&why).await;
        }
        for at in self.waiting {
            let job = &self.run.plan.jobs[at];
            let result = match &error {
                StartError::ConfigRefused(why) => refused_by_configuration(job, why),
                StartError::Unsupported(why) => job.result(Run::Unsupported(why.clone())),
                StartError::Environment(why) => job.result(Run::Failed(why.clone())),
            };
            self.run.tell(result).await;
        }
    }

    async fn stop(&self, instance: Arc<Instance>, stop: Stop) {
        drop(instance);
        if let Err(error) = stop().await {
            self.trouble(&error.to_string()).await;
        }
    }

    async fn trouble(&self, why: &str) {
        let target = self.run.plan.target.name();
        self.run
            .trouble(format!("{target} ({}): {why}", self.name))
            .await;
    }
}

impl Schedule {
    /// Waits until the target takes the domains of a case up again, or tells that it does not.
    async fn hand_over(&self, job: &Job, instance: &Instance, lease: &mut Lease) {
        let given_up = self.given_up.load(Ordering::Relaxed);
        let limit = if given_up {
            GIVEN_UP
        } else {
            self.lab.back_off
        };
        let bench = self.bench(job, instance, Company::Others);
        let since = Instant::now();
        let settling = async {
            let mut held_back = None;
            for _ in 0..SETTLES {
                held_back = handover::settle(bench, lease, limit).await;
                if held_back.is_none() || !instance.is_slow(since) {
                    break;
                }
            }
            held_back
        };
        let settled = tokio::select! {
            held_back = settling => held_back,
            // It is told elsewhere.
            _ = instance.lost() => return,
            () = self.over() => return,
        };
        self.given_up.store(settled.is_some(), Ordering::Relaxed);
        if let Some(domain) = settled.filter(|_| !given_up) {
            self.trouble(format!(
                "{} s after {} no correct partner of {domain} has got an answer, so later cases of \
                 this domain may be refused for what happened in it; `partner-back-off` in the \
                 target file says how long to wait",
                limit.as_secs_f64(),
                job.case.id
            ))
            .await;
        }
    }

    fn bench<'a>(&'a self, job: &Job, instance: &'a Instance, company: Company) -> Bench<'a> {
        let seed = if self.lab.pool.is_shared() {
            self.lab.seed ^ fingerprint(&job.case.id)
        } else {
            self.lab.seed
        };
        let stretch = match company {
            Company::Others | Company::Again => 1,
            Company::Few | Company::None => STRETCH,
        };
        Bench {
            seed,
            lab: &self.lab,
            instance,
            target: &instance.running,
            profile: self.plan.profile,
            deadlines: self.plan.deadlines.outlasting(instance.running.patience) * stretch,
            stretch,
            company,
            looked_up: self.has_looked_up(&job.case.id),
            prove: self.plan.prove,
            keeps: self.plan.keeps,
            ways: &self.ways,
        }
    }

    pub(super) async fn trouble(&self, what: String) {
        self.event(RunEvent::Trouble(what)).await;
    }

    async fn breach(&self, what: String) {
        self.event(RunEvent::Breach(what)).await;
    }
}
