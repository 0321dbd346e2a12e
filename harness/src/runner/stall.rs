//! Silence of a server that has a process of its own. On a busy machine it may get no processor for seconds, or one
//! case may keep it from all others, and nothing of that shows in how late our own timers are.
//!
//! So a result that is held against the server for its silence is kept until all cases are through, and a few of them
//! are run again. If none of these ends otherwise, the server is as it is, and the others count. If one does, all are
//! run again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::group::Company;
use super::job::is_clean;
use super::schedule::Schedule;
use crate::record::CaseResult;
use crate::subject::Running;
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
    /// Whether a case that was run again ended otherwise.
    seen: AtomicBool,
}

impl Stalls {
    fn held(&self) -> MutexGuard<'_, Vec<Silent>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self, silent: Silent) {
        self.held().push(silent);
    }

    /// Takes some out of all parts of the run, by group.
    fn sample(&self) -> BTreeMap<String, Vec<Silent>> {
        let mut held = self.held();
        let all = held.len();
        let some = SAMPLE.min(all);
        let mut sample: BTreeMap<String, Vec<Silent>> = BTreeMap::new();
        for place in (0..some).rev().map(|number| number * all / some) {
            let one = held.remove(place);
            sample.entry(one.group.clone()).or_default().push(one);
        }
        sample
    }
}

impl Schedule {
    /// Whether a result that a deadline has decided is to be seen a second time.
    pub(super) fn is_held(&self, result: &CaseResult, server: &Running, company: Company) -> bool {
        server.process.is_some()
            && match company {
                Company::Others => true,
                Company::Again | Company::None => false,
                Company::Few => self.stalls.seen.load(Ordering::Relaxed),
            }
            && self.is_held_against(result)
    }

    /// Whether the baseline does not know a result that is not as it should be.
    fn is_held_against(&self, result: &CaseResult) -> bool {
        !is_clean(&result.run) && {
            let verdict = self.plan.check.judge(result.clone()).verdict;
            matches!(verdict, Verdict::Fail | Verdict::Warn)
        }
    }

    /// Learns from a case that was run again because of a deadline.
    pub(super) fn learn_of_stalls(&self, result: &CaseResult, company: Company) {
        if company == Company::Again && !self.is_held_against(result) {
            self.stalls.seen.store(true, Ordering::Relaxed);
        }
    }

    /// The cases to run again at first, by group.
    pub(super) fn sample_of_silent(&self) -> BTreeMap<String, Vec<usize>> {
        let mut places = BTreeMap::new();
        for (group, sample) in self.stalls.sample() {
            let of_group = sample.into_iter().map(|silent| {
                self.note_lookup(silent.at, silent.looked_up);
                silent.at
            });
            places.insert(group, of_group.collect());
        }
        places
    }

    /// Decides about the others, now that some have been run again.
    pub(super) async fn settle_silent(&self) {
        let rest = std::mem::take(&mut *self.stalls.held());
        let stalls = self.stalls.seen.load(Ordering::Relaxed);
        for silent in rest {
            match stalls {
                true => self.doubt(&silent.group, silent.at, silent.looked_up),
                false => self.tell(silent.result).await,
            }
        }
    }
}
