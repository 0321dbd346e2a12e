//! What becomes of a case that has ended: its result counts, or it is run again.

use super::error::CaseError;
use super::group::{Company, UnderWay};
use super::job::{HeldUp, Ran};
use super::lateness::Wait;
use super::loss::Instance;
use super::schedule::{CutShort, Schedule};
use super::stall::Silent;
use crate::record::{CaseResult, Run};

/// Where a case was run.
pub(super) struct Ground<'a> {
    pub(super) group: String,
    pub(super) at: usize,
    pub(super) company: Company,
    pub(super) server: &'a Instance,
}

impl Schedule {
    /// Tells the result of a case, unless it has to be run again. Returns it if its target was lost.
    pub(super) async fn ended(&self, ran: Ran, ground: Ground<'_>) -> Option<UnderWay> {
        let Ran {
            result,
            held_up,
            active,
            lost,
            waited,
            in_vain,
            cut_short,
            came,
            looked_up,
            ..
        } = ran;
        let Ground {
            group,
            at,
            company,
            server,
        } = ground;
        let is_late = waited.is_some_and(|wait| self.lateness.is_late(wait))
            || held_up.was_busy
            || held_up.was_slow && self.is_held_against(&result);
        let doubted = waited.filter(|_| self.plan.doubts);
        self.learn(in_vain && !is_late);
        self.ways.learn(came);
        let waits = doubted.is_some() || cut_short.is_some();
        let is_silent = waits && !is_late && !lost;
        if company != Company::Others {
            self.learn_of_silence(&result, is_silent, company);
        }
        if lost {
            return Some(UnderWay { at, result, active });
        }
        if self.plan.doubts && is_late && company != Company::None {
            self.doubt(&group, at, looked_up);
        } else if let Some(way) = cut_short {
            self.cut_short(CutShort {
                group,
                at,
                way,
                looked_up,
                result,
            });
        } else if let Some(why) = doubted.and_then(|wait| self.too_slow(wait, held_up, &result)) {
            let job = &self.plan.jobs[at];
            self.tell(job.result(Run::Failed(why.to_string()))).await;
        } else if is_silent && self.is_held(&result, server, company) {
            if company == Company::Others {
                self.stalls.hold(Silent {
                    group,
                    at,
                    looked_up,
                    result,
                });
            } else {
                self.doubt(&group, at, looked_up);
            }
        } else {
            self.tell(result).await;
        }
        None
    }

    /// Why a case says nothing that a deadline has ended although it ran alone, if that is so.
    fn too_slow(&self, wait: Wait, held_up: HeldUp, result: &CaseResult) -> Option<CaseError> {
        if let Some(late) = self.lateness.too_late(wait) {
            return Some(CaseError::TooSlow { late });
        }
        let starved = held_up.starved && self.is_held_against(result);
        starved.then_some(CaseError::Starved)
    }
}
