//! What a run does: its jobs, each with its allowed ends and its control, and the conditions for all of
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::slot::STILL;
use crate::baseline::BaselineCheck;
use crate::case::{Case, Tag};
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
    /// What cases keep of what was there when they ran, if anything.
    pub keeps: Option<Keeps>,
    /// What is known of the target, for the verdict of each result.
    pub check: Arc<BaselineCheck>,
    /// Whether a case that a deadline has ended is run again if the machine was late, or the target busy.
    pub doubts: bool,
    /// Whether cases are run again to which a server was silent that may stall unseen, while there are
    /// others. Not where a failure is to be told at once, or compared with others.
    pub asks_again: bool,
    /// How long the whole run may take.
    pub budget: Option<Budget>,
    /// Whether to test each expectation of a scenario against mutated observations, to prove
    /// that it can fail.
    pub prove: bool,
}

/// What cases keep of what was there when they ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keeps {
    /// Whether those that end as expected keep the target's log, too.
    pub passes: bool,
    /// Whether they keep the bytes of their connections.
    pub traffic: bool,
}

/// A case that is ready to run.
#[derive(Clone)]
pub struct Job {
    pub case: Case,
    /// The id of its control, if it may be refused.
    pub control: Option<String>,
    /// Whether it runs only as a control.
    pub added_as_control: bool,
    /// What the oracle allows. `None` if the script decides.
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
        .filter(|case| case.script.by_oracle())
        .filter(|case| matches!(target.place(case), Placement::Group(_)))
        .cloned()
        .collect();
    let controls = Controls::new(&possible, profile);
    let job = |case: &Case, added_as_control| Job {
        allowed: allowed(case, profile),
        answer_due: case.script.by_oracle() && return_established(&Situation::of(case, profile)),
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

/// Puts jobs that show the most first: one of each scenario and each partner, then the next of each. A
/// control comes with the first that needs it.
pub fn most_telling_first(jobs: &mut [Job]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut ranks: BTreeMap<String, usize> = BTreeMap::new();
    for job in jobs.iter() {
        let case = &job.case;
        let family = match case.scenario() {
            Some(scenario) => scenario.file.clone(),
            None => format!("{} {} {}", case.set, case.partner.name, case.direction),
        };
        let count = counts.entry(family).or_default();
        ranks.insert(case.id.clone(), *count);
        *count += 1;
    }
    for job in jobs.iter() {
        let own = ranks.get(&job.case.id).copied().unwrap_or_default();
        if let Some(control) = job.control.as_ref().and_then(|id| ranks.get_mut(id)) {
            *control = own.min(*control);
        }
    }
    jobs.sort_by_cached_key(|job| {
        let is_hostile = job.case.has_tag(Tag::Hostile);
        (ranks.get(&job.case.id).copied(), !is_hostile)
    });
}

/// Puts jobs first that may wait for the target's timeouts, so that others fill the time: scenarios, before
/// the matrix.
pub fn waiting_first(jobs: &mut [Job]) {
    jobs.sort_by_key(|job| job.case.script.by_oracle());
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
    /// Of a case in which nothing happens: from then on others begin beside it.
    pub still: Duration,
}

impl Deadlines {
    /// Limits that fit into the time of a whole case.
    pub fn within(case: Duration) -> Self {
        Self {
            case,
            patience: case / 2,
            settle: Duration::from_secs(1).min(case / 4),
            still: STILL,
        }
    }

    /// The same for a target that is itself patient for so long: where a partner waits for the target to lose
    /// patience, one that begins to count a second late is not silent.
    pub(super) fn outlasting(self, own: Option<Duration>) -> Self {
        let longer = own.filter(|own| *own <= self.patience);
        Self {
            patience: longer.map_or(self.patience, |own| {
                self.patience.max(own * 3 / 2).min(self.case)
            }),
            ..self
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
            ..self
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::within(Duration::from_secs(20))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;
    use crate::scenario::Library;

    fn job(case: Case) -> Job {
        Job {
            case,
            control: None,
            added_as_control: false,
            allowed: None,
            answer_due: false,
        }
    }

    #[test]
    fn one_of_each_partner_comes_before_the_second_of_any() {
        let family = |job: &Job| {
            let case = &job.case;
            format!("{} {} {}", case.set, case.partner.name, case.direction)
        };
        let mut jobs: Vec<Job> = cases(&builtin()).into_iter().map(job).collect();
        let families: BTreeSet<String> = jobs.iter().map(family).collect();
        most_telling_first(&mut jobs);
        let first: BTreeSet<String> = jobs[..families.len()].iter().map(family).collect();
        assert_eq!(first, families);

        // A control comes along with the case that needs it.
        let control = jobs[jobs.len() - 1].case.id.clone();
        jobs[0].control = Some(control.clone());
        most_telling_first(&mut jobs);
        let place = jobs.iter().position(|job| job.case.id == control);
        assert!(place <= Some(families.len()), "{place:?}");
    }

    #[test]
    fn scenarios_come_before_the_matrix_and_stay_in_order() {
        let matrix = cases(&builtin()).into_iter().take(3);
        let library = Library::builtin_where(|name, _| name.starts_with("ping/"));
        let scenarios = library.cases().into_iter().take(3);
        let ids =
            |jobs: &[Job]| -> Vec<String> { jobs.iter().map(|job| job.case.id.clone()).collect() };
        let mut jobs: Vec<Job> = matrix.chain(scenarios).map(job).collect();
        let mut expected = ids(&jobs);
        expected.rotate_left(3);
        waiting_first(&mut jobs);
        assert_eq!(ids(&jobs), expected);
    }

    #[rstest]
    #[case(None, 5)]
    #[case(Some(2), 5)]
    #[case(Some(4), 6)]
    #[case(Some(6), 5)]
    fn a_partner_outlasts_a_target_whose_patience_it_can_wait_for(
        #[case] own: Option<u64>,
        #[case] patience: u64,
    ) {
        let deadlines = Deadlines::within(Duration::from_secs(10));
        let outlasting = deadlines.outlasting(own.map(Duration::from_secs));
        assert_eq!(outlasting.patience, Duration::from_secs(patience));
    }
}
