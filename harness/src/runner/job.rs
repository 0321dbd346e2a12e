//! Runs a case to its result.

use std::borrow::Cow;

use simulated_partners::driver::Partner;

use super::case_run::CaseRun;
use super::error::CaseError;
use super::plan::{Deadlines, Job};
use crate::case::{Case, Need, Script};
use crate::lab::Lab;
use crate::oracle::Profile;
use crate::record::{CaseResult, Run};
use crate::subject::{Inside, Running};

/// The environment of a case.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) lab: &'a Lab,
    pub(super) target: &'a Running,
    pub(super) profile: Profile,
    pub(super) deadlines: Deadlines,
    /// Whether to prove that expectations can fail.
    pub(super) prove: bool,
}

/// Runs a case on a running target. Returns the partners, which still have to be stopped.
pub(super) async fn run(job: &Job, bench: Bench<'_>) -> (CaseResult, Vec<Partner>) {
    let target = bench.target;
    let script = match visible(&job.case, target) {
        Ok(script) => script,
        Err(need) => {
            let why = need.lacking().to_owned();
            return (job.result(Run::Unsupported(why)), Vec::new());
        }
    };
    let mut case = CaseRun::new(job, &script, bench);
    let done = tokio::select! {
        done = case.drive() => done,
        reason = target.inner.lost() => Err(CaseError::TargetLost(reason)),
    };
    (case.result(done), case.into_partners())
}

/// The part of a script that is observable on this target, or what the target lacks for it.
fn visible<'a>(case: &'a Case, target: &Running) -> Result<Cow<'a, Script>, Need> {
    let script = &*case.script;
    let visible = match (&target.inner, case.scenario()) {
        (Inside::Hidden(_), Some(_)) => Cow::Owned(script.from_outside().ok_or(Need::InnerSide)?),
        (Inside::Linked(_), _) | (Inside::Hidden(_), None) => Cow::Borrowed(script),
    };
    match target.lacks(&visible.needs) {
        Some(need) => Err(need),
        None => Ok(visible),
    }
}
