//! What a run does: its jobs, each with its allowed ends and its control, and the conditions for all of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::baseline::BaselineCheck;
use crate::case::Case;
use crate::expectation::Expectation;
use crate::matrix::Controls;
use crate::oracle::{Profile, Situation, allowed, return_established};
use crate::record::{CaseResult, Control, ControlState, Run};
use crate::subject::{Placement, Target};

/// The plan of a run.
#[derive(Clone)]
pub struct Plan {
    /// What to run, controls included.
    pub jobs: Vec<Job>,
    /// The target.
    pub target: Arc<dyn Target>,
    /// How to interpret policies.
    pub profile: Profile,
    /// Bounds in time.
    pub deadlines: Deadlines,
    /// The limit on concurrently active cases; concurrent runs can share it.
    pub slots: Arc<Semaphore>,
    /// The seed of stream ids, dialback secrets and certificate serials.
    pub seed: u64,
    /// Whether passed cases keep their events.
    pub keep_events: bool,
    /// What is known of the target, for the verdict of each result.
    pub check: Arc<BaselineCheck>,
    /// Whether a case that a deadline has ended is run again if the machine was late.
    pub doubts: bool,
    /// How long the whole run may take.
    pub budget: Option<Budget>,
    /// Whether to test each expectation of a scenario against mutated observations, to prove
    /// that it can fail.
    pub prove: bool,
}

/// A case that is ready to run.
#[derive(Clone)]
pub struct Job {
    pub case: Case,
    /// The id of its control, if it may be refused.
    pub control: Option<String>,
    /// Whether it runs only as a control.
    pub added_as_control: bool,
    /// What the oracle allows. `None` if a scenario decides.
    pub allowed: Option<Expectation>,
    /// Whether an answer to its stanza must come back.
    pub answer_due: bool,
}

impl Job {
    /// The result of a case without observations.
    pub(super) fn result(&self, run: Run) -> CaseResult {
        CaseResult {
            allowed: self.allowed.clone(),
            control: self.control.clone().map(|id| Control {
                id,
                state: ControlState::Pending,
            }),
            added_as_control: self.added_as_control,
            ..CaseResult::not_run(self.case.clone(), run)
        }
    }
}

/// Creates jobs from the selected cases and adds missing controls.
pub fn jobs(all: &[Case], selected: &[Case], target: &dyn Target, profile: Profile) -> Vec<Job> {
    let possible: Vec<Case> = all
        .iter()
        .filter(|case| case.scenario().is_none())
        .filter(|case| matches!(target.place(case), Placement::Group(_)))
        .cloned()
        .collect();
    let controls = Controls::new(&possible, profile);
    let job = |case: &Case, added_as_control| Job {
        allowed: allowed(case, profile),
        answer_due: case.scenario().is_none() && return_established(&Situation::of(case, profile)),
        control: match case.scenario() {
            Some(scenario) => scenario.control.clone(),
            None => controls.of(case).map(|control| control.id.clone()),
        },
        case: case.clone(),
        added_as_control,
    };
    let mut jobs: Vec<Job> = selected.iter().map(|case| job(case, false)).collect();
    let chosen: BTreeSet<&str> = selected.iter().map(|case| case.id.as_str()).collect();
    let missing: BTreeSet<String> = jobs
        .iter()
        .filter_map(|job| job.control.clone())
        .filter(|id| !chosen.contains(id.as_str()))
        .collect();
    let by_id: BTreeMap<&str, &Case> = all.iter().map(|case| (case.id.as_str(), case)).collect();
    jobs.extend(
        missing
            .iter()
            .filter_map(|id| by_id.get(id.as_str()))
            .map(|case| job(case, true)),
    );
    jobs
}

/// The time that a run has.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// As it was given.
    pub time: Duration,
    /// When it is spent.
    pub ends: Instant,
}

impl Budget {
    /// A budget that begins now.
    pub fn from_now(time: Duration) -> Self {
        Self {
            time,
            ends: Instant::now() + time,
        }
    }

    /// Whether nothing of it is left.
    pub fn is_spent(&self) -> bool {
        Instant::now() >= self.ends
    }
}

/// Time limits.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Of the whole case; reaching it means `stalled`.
    pub case: Duration,
    /// Of a partner waiting for one step of the target.
    pub patience: Duration,
    /// Of a refused stream to be closed after the stanza was returned.
    pub settle: Duration,
}

impl Deadlines {
    /// Limits that fit into the time of a whole case.
    pub fn within(case: Duration) -> Self {
        Self {
            case,
            patience: case / 2,
            settle: Duration::from_secs(1).min(case / 4),
        }
    }
}

impl std::ops::Mul<u32> for Deadlines {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self {
            case: self.case * times,
            patience: self.patience * times,
            settle: self.settle * times,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::within(Duration::from_secs(20))
    }
}
