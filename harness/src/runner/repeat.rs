//! Repeats cases, to distinguish a target that fails from one that fails occasionally.
//!
//! Each round is a whole run with its own test network and targets, so nothing is left over
//! from the previous one. Rounds are compared case by case:
//!
//! - A different verdict or outcome makes a case [`Verdict::Unstable`].
//! - So does a different canonical transcript of the deciding connection: the standards fix what is
//!   sent there, and in which order.
//! - The standards leave open how many further connections a server opens, whether it reuses one (XEP-0220
//!   §2.1), and when it closes them. If only these differ, the verdict stands and the difference is
//!   reported.

mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::plan::Plan;
use super::schedule::run;
use crate::baseline::BaselineCheck;
use crate::record::{NotRun, Record, Run, RunEvent};
use crate::verdict::Verdict;
use history::History;

#[cfg(test)]
#[cfg(feature = "program")]
mod tests;

/// How often cases are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repetition {
    #[default]
    Once,
    /// Repeat unexpected failures up to this many times.
    Retries(NonZeroU32),
    /// Repeat all cases.
    Rounds(Rounds),
}

/// The number of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// At most this many; `None` for no limit.
    pub at_most: Option<NonZeroU32>,
    /// Stop after a round with an unexpected result.
    pub until_unexpected: bool,
}

/// Runs a plan as often as requested, and reports each case once, when it is decided. The events end
/// with [`RunEvent::Ended`].
pub async fn repeat(
    plan: Plan,
    repetition: Repetition,
    events: mpsc::Sender<RunEvent>,
    interrupt: watch::Receiver<bool>,
) {
    let mut repeater = Repeater {
        check: Arc::clone(&plan.check),
        events,
        interrupt,
        keep_events: plan.keep_events,
        histories: BTreeMap::new(),
        trouble: BTreeSet::new(),
        unexpected: false,
    };
    let began = Instant::now();
    let (rounds, interrupted) = match repetition {
        Repetition::Once => (1, repeater.once(plan).await),
        Repetition::Retries(times) => repeater.retry(plan, times).await,
        Repetition::Rounds(rounds) => repeater.rounds(plan, rounds).await,
    };
    let ended = RunEvent::Ended {
        elapsed: began.elapsed(),
        rounds,
        interrupted,
    };
    repeater.send(ended).await;
}

/// Whether the budget, which is that of all rounds together, is spent.
fn is_spent(plan: &Plan) -> bool {
    plan.budget.is_some_and(|budget| budget.is_spent())
}

struct Repeater {
    check: Arc<BaselineCheck>,
    events: mpsc::Sender<RunEvent>,
    interrupt: watch::Receiver<bool>,
    keep_events: bool,
    histories: BTreeMap<String, History>,
    /// Each problem is reported once, even if it recurs.
    trouble: BTreeSet<String>,
    unexpected: bool,
}

/// What to do with the results of a round.
#[derive(Clone, Copy)]
enum Taking {
    /// Report them at once.
    Telling,
    /// Keep unexpected failures for another try, and report the rest at once.
    KeepingFailures,
    /// Keep and compare them. With the number of rounds.
    Comparing(u32, Option<u32>),
}

impl Repeater {
    async fn once(&mut self, plan: Plan) -> bool {
        self.round(plan, Taking::Telling).await
    }

    async fn retry(&mut self, plan: Plan, times: NonZeroU32) -> (u32, bool) {
        let again = Plan {
            keep_events: true,
            ..plan.clone()
        };
        let mut interrupted = self.round(plan, Taking::KeepingFailures).await;
        let failed: BTreeSet<String> = self.histories.keys().cloned().collect();
        let controls: BTreeSet<String> = again
            .jobs
            .iter()
            .filter(|job| failed.contains(&job.case.id))
            .filter_map(|job| job.control.clone())
            .collect();
        let mut again = again;
        again
            .jobs
            .retain(|job| failed.contains(&job.case.id) || controls.contains(&job.case.id));
        let mut rounds = 1;
        let last = times.get().saturating_add(1);
        while !failed.is_empty() && !interrupted && !is_spent(&again) && rounds < last {
            rounds += 1;
            interrupted = self
                .round(again.clone(), Taking::Comparing(rounds, Some(last)))
                .await;
        }
        self.tell_histories().await;
        (rounds, interrupted)
    }

    async fn rounds(&mut self, mut plan: Plan, rounds: Rounds) -> (u32, bool) {
        plan.keep_events = true;
        let of = rounds.at_most.map(NonZeroU32::get);
        let mut round = 0;
        let mut interrupted = false;
        while of.is_none_or(|of| round < of) {
            round += 1;
            interrupted = self.round(plan.clone(), Taking::Comparing(round, of)).await;
            if interrupted || is_spent(&plan) || (rounds.until_unexpected && self.unexpected) {
                break;
            }
            // What the target does not support will not change in the next round.
            plan.jobs
                .retain(|job| self.histories.contains_key(&job.case.id));
            if plan.jobs.is_empty() {
                break;
            }
        }
        if interrupted && of.is_none() && round > 1 {
            // Without a last round, the interrupt is the expected end.
            round -= 1;
            interrupted = false;
        }
        self.tell_histories().await;
        (round, interrupted)
    }

    /// Runs a plan once. Returns whether it was interrupted.
    async fn round(&mut self, plan: Plan, taking: Taking) -> bool {
        let (sender, mut results) = mpsc::channel(64);
        let running = tokio::spawn(run(plan, sender, self.interrupt.clone()));
        let mut interrupted = false;
        let mut done = 0;
        while let Some(event) = results.recv().await {
            match event {
                RunEvent::Started { .. } => match taking {
                    Taking::Comparing(2.., _) => {}
                    _ => self.send(event).await,
                },
                RunEvent::Finished(record) => {
                    done += 1;
                    self.take(*record, taking).await;
                    if let Taking::Comparing(round, of) = taking {
                        self.send(RunEvent::Repeating { round, of, done }).await;
                    }
                }
                RunEvent::Breach(what) => {
                    self.unexpected = true;
                    if self.trouble.insert(what.clone()) {
                        self.send(RunEvent::Breach(what)).await;
                    }
                }
                RunEvent::Trouble(what) => {
                    self.unexpected = true;
                    if self.trouble.insert(what.clone()) {
                        self.send(RunEvent::Trouble(what)).await;
                    }
                }
                RunEvent::Ended {
                    interrupted: broken_off,
                    ..
                } => interrupted = broken_off,
                RunEvent::Repeating { .. } => {}
            }
        }
        if let Err(error) = running.await {
            let trouble = format!("a bug in s2spec: {error}");
            self.unexpected = true;
            self.send(RunEvent::Trouble(trouble)).await;
        }
        interrupted
    }

    async fn take(&mut self, record: Record, taking: Taking) {
        match taking {
            Taking::Telling => self.tell(record).await,
            Taking::KeepingFailures => {
                if record.verdict == Verdict::Fail {
                    let id = record.result.case.id.clone();
                    self.histories
                        .insert(id, History::new(record, 1, self.keep_events));
                } else {
                    self.tell(record).await;
                }
            }
            // Earlier rounds have results.
            Taking::Comparing(2.., _)
                if matches!(record.result.run, Run::NotRun(NotRun::Budget(_))) => {}
            Taking::Comparing(round, _) => {
                let id = record.result.case.id.clone();
                match self.histories.get_mut(&id) {
                    Some(history) => history.add(record, round, self.keep_events),
                    // The control of a case that is tried again, which was told in its first round.
                    None if round > 1 => return,
                    None if record.verdict == Verdict::Unsupported => {
                        self.tell(record).await;
                        return;
                    }
                    None => {
                        self.histories
                            .insert(id.clone(), History::new(record, round, self.keep_events));
                    }
                }
                if let Some(history) = self.histories.get(&id) {
                    let verdict = self.check.judge(history.result()).verdict;
                    self.unexpected |= verdict.is_unexpected() || verdict == Verdict::Error;
                }
            }
        }
    }

    async fn tell_histories(&mut self) {
        for history in std::mem::take(&mut self.histories).into_values() {
            self.tell(self.check.judge(history.result())).await;
        }
    }

    async fn tell(&self, record: Record) {
        self.send(RunEvent::Finished(Box::new(record))).await;
    }

    /// A reader that went away needs nothing more.
    async fn send(&self, event: RunEvent) {
        let _ = self.events.send(event).await;
    }
}
