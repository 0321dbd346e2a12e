//! Silence of a server of which nobody sees whether it has work to do, as where it runs on another machine. If that is
//! busy, it may get no processor for seconds, and nothing of that shows in how late our own timers are.
//!
//! So a result that is held against the server for its silence is kept until all cases are through, and a few of them
//! are run again. If these are met with the same silence, the server is as it is, and the others count. If not, all are
//! run again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::group::Company;
use super::job::is_clean;
use super::loss::Instance;
use super::schedule::Schedule;
use crate::record::CaseResult;
use crate::verdict::Verdict;

/// How many are run again at first, all at the same time.
pub(super) const SAMPLE: usize = 8;

/// A result that a deadline has decided against the server.
pub(super) struct Silent {
    pub(super) group: String,
    pub(super) at: usize,
    pub(super) looked_up: bool,
    pub(super) result: CaseResult,
}

/// What is known of a server's silence.
#[derive(Default)]
pub(super) struct Stalls {
    held: Mutex<Vec<Silent>>,
    /// The first results of cases that are run again, which count if there is no other.
    first: Mutex<Vec<CaseResult>>,
    /// Whether a case that was run again was not met with the same silence.
    seen: AtomicBool,
    /// How many ended otherwise.
    otherwise: AtomicUsize,
}

impl Stalls {
    pub(super) fn hold(&self, silent: Silent) {
        locked(&self.held).push(silent);
    }

    /// Takes some out of all parts of the run.
    fn sample(&self) -> Vec<Silent> {
        let mut held = locked(&self.held);
        let all = held.len();
        let some = SAMPLE.min(all);
        let places = (0..some).rev().map(|number| number * all / some);
        places.map(|place| held.remove(place)).collect()
    }
}

impl Schedule {
    /// Whether a result that a deadline has decided is to be seen a second time.
    pub(super) fn is_held(&self, result: &CaseResult, server: &Instance, company: Company) -> bool {
        let may = match company {
            Company::Others => {
                self.plan.asks_again && self.plan.jobs.len() > 1 && server.may_stall()
            }
            Company::Few => self.stalls.seen.load(Ordering::Relaxed) && server.may_stall(),
            Company::Again | Company::None => false,
        };
        may && self.is_held_against(result)
    }

    /// Whether a result is unexpected. A warning is, in a strict run, and has failed there.
    pub(super) fn is_held_against(&self, result: &CaseResult) -> bool {
        !is_clean(&result.run) && {
            let verdict = self.plan.check.judge(result.clone()).verdict;
            matches!(verdict, Verdict::Fail | Verdict::Undecided | Verdict::Error)
        }
    }

    /// Learns from the end of a case that was run again, and whether the server was silent once more.
    pub(super) fn learn_of_silence(&self, result: &CaseResult, is_silent: bool, company: Company) {
        let held_against = self.is_held_against(result);
        if company == Company::Again && !(is_silent && held_against) {
            self.stalls.seen.store(true, Ordering::Relaxed);
        }
        let id = &result.case.id;
        let first = locked(&self.stalls.first);
        if !held_against && first.iter().any(|one| one.case.id == *id) {
            self.stalls.otherwise.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The cases to run again at first, by group; none once the run is over.
    pub(super) fn sample_of_silent(&self) -> BTreeMap<String, Vec<usize>> {
        let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        if self.is_over() {
            return places;
        }
        for silent in self.stalls.sample() {
            self.note_lookup(silent.at, silent.looked_up);
            places.entry(silent.group).or_default().push(silent.at);
            locked(&self.stalls.first).push(silent.result);
        }
        places
    }

    /// Decides about the others, now that some have been run again.
    pub(super) async fn settle_silent(&self) {
        let rest = std::mem::take(&mut *locked(&self.stalls.held));
        let again = self.stalls.seen.load(Ordering::Relaxed) && !self.is_over();
        for silent in rest {
            if again {
                self.doubt(&silent.group, silent.at, silent.looked_up);
                locked(&self.stalls.first).push(silent.result);
            } else {
                self.tell(silent.result).await;
            }
        }
    }

    /// Tells the first results of cases that were not run again after all. Says how many of the others ended
    /// otherwise.
    pub(super) async fn tell_what_was_silent(&self) {
        let first = std::mem::take(&mut *locked(&self.stalls.first));
        for result in first {
            if !self.is_told(&result.case.id) {
                self.tell(result).await;
            }
        }
        let otherwise = self.stalls.otherwise.load(Ordering::Relaxed);
        if otherwise > 0 {
            tracing::warn!(
                "the server was silent to {otherwise} cases for as long as they wait, and not when they were run again: \
                 it gets too little of its machine, or stalls"
            );
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
