//! Runs a case to its result.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use simulated_partners::driver::Partner;

use super::case_run::CaseRun;
use super::error::CaseError;
use super::plan::Deadlines;
use super::timing;
use crate::case::{Case, Need, Script};
use crate::evidence::{Bounce, Evidence};
use crate::expectation::Expectation;
use crate::judge::{OracleCase, ScriptCase, against_oracle, against_script};
use crate::lab::Lab;
use crate::oracle::Profile;
use crate::outcome::{Closer, Outcome, Phase, Refusal, Signal};
use crate::record::{CaseResult, Control, ControlState, Run};
use crate::subject::{Inside, Running};
use crate::transcript;

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

impl Job {
    /// The result of a case whose configuration the target rejects.
    pub(super) fn refused_by_configuration(&self, why: &str) -> CaseResult {
        let outcome = Outcome::Refused(Refusal {
            phase: Phase::Config,
            closer: Closer::Target,
            signal: Signal::ConfigRefused(why.to_owned()),
        });
        let findings = match &self.allowed {
            Some(allowed) => against_oracle(&OracleCase {
                direction: self.case.direction,
                allowed,
                opinions: &[],
                outcome: &outcome,
                violations: &BTreeSet::new(),
                evidence: Evidence {
                    bounced: Bounce::Seen,
                    ..Evidence::default()
                },
                answer_due: false,
            }),
            None => against_script(&ScriptCase {
                script: &self.case.script,
                requirements: self.case.requirements(),
                observations: &[],
                outcome: &outcome,
                health: None,
                fill: &str::to_owned,
            }),
        };
        self.result(Run::Ended { outcome, findings })
    }
}

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
    let began = Instant::now();
    let target = bench.target;
    let script = match visible(&job.case, target) {
        Ok(script) => script,
        Err(need) => {
            let why = need.lacking().to_owned();
            return (job.result(Run::Unsupported(why)), Vec::new());
        }
    };
    let mut case = CaseRun::new(job, &script, bench.lab, target, bench.deadlines);
    let done = tokio::select! {
        done = finished(&mut case) => done,
        reason = target.inner.lost() => Err(CaseError::TargetLost(reason)),
    };
    let result = match done {
        Err(error) => job.result(Run::Failed(error.to_string())),
        Ok(health) => concluded(job, &case, bench, health.as_deref(), began.elapsed()),
    };
    (result, case.into_partners())
}

async fn finished(case: &mut CaseRun<'_>) -> Result<Option<String>, CaseError> {
    case.drive().await?;
    case.finish().await
}

fn concluded(
    job: &Job,
    case: &CaseRun<'_>,
    bench: Bench<'_>,
    health: Option<&str>,
    total: Duration,
) -> CaseResult {
    let vacuous = if bench.prove {
        case.vacuous()
    } else {
        Vec::new()
    };
    let run = if vacuous.is_empty() {
        let (outcome, findings) = case.judge(bench.profile, health);
        Run::Ended { outcome, findings }
    } else {
        Run::Failed(format!("it proves nothing: {}", vacuous.join("; ")))
    };
    let events = case.observed.events.clone();
    CaseResult {
        timings: timing::timings(job.case.direction, &events, total),
        wire: transcript::wire_summary(&events),
        events,
        ..job.result(run)
    }
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
