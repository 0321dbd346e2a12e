//! Runs a case to its result.

use std::borrow::Cow;
use std::time::Duration;

use simulated_partners::driver::Partner;
use tokio::time::Instant;

use super::case_run::{CaseRun, End};
use super::error::CaseError;
use super::group::Company;
use super::lateness::Wait;
use super::loss::Instance;
use super::plan::{Deadlines, Job, Keeps};
use super::ways::{Way, Ways};
use crate::case::{Case, Need, Script, Sees};
use crate::judge::heaviest;
use crate::lab::{Lab, Lease};
use crate::observe::Observation;
use crate::oracle::Profile;
use crate::record::{CaseResult, Run};
use crate::subject::{Inside, Running};
use crate::verdict::Weight;

/// The environment of a case.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) lab: &'a Lab,
    pub(super) instance: &'a Instance,
    pub(super) target: &'a Running,
    pub(super) profile: Profile,
    pub(super) deadlines: Deadlines,
    /// How many times longer than usual everything may take.
    pub(super) stretch: u32,
    /// The seed of stream ids and dialback secrets: that of the run, or of this case where cases share
    /// domains.
    pub(super) seed: u64,
    /// Whether the target has looked for the domain when the case was run before. It may keep what it was told.
    pub(super) looked_up: bool,
    /// Whether to prove that expectations can fail.
    pub(super) prove: bool,
    /// What runs beside it.
    pub(super) company: Company,
    /// What is kept of the scene, if anything.
    pub(super) keeps: Option<Keeps>,
    /// What other cases have shown of the target.
    pub(super) ways: &'a Ways,
}

/// A case that was run.
pub(super) struct Ran {
    pub(super) result: CaseResult,
    /// They still have to be stopped.
    pub(super) partners: Vec<Partner>,
    /// What its end may owe to a target that did not come to it.
    pub(super) held_up: HeldUp,
    /// When something happened in it last.
    pub(super) active: Instant,
    /// Whether the target was lost meanwhile. The result counts then only if the case is the reason.
    pub(super) lost: bool,
    /// If the result could be another with more time: what was waited for in vain.
    pub(super) waited: Option<Wait>,
    /// Whether it waited until it gave up.
    pub(super) in_vain: bool,
    /// The way for which it was not given all its time.
    pub(super) cut_short: Option<Way>,
    /// Which ways something came.
    pub(super) came: [bool; 2],
    /// Whether the target has looked for the domain.
    pub(super) looked_up: bool,
}

/// The part of its time for which a target may wait for a processor before its lateness says nothing.
const TOO_LONG: u32 = 4;

/// How a target fared in a case.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeldUp {
    /// Whether it did not come to rest while it was waited for.
    pub(super) was_busy: bool,
    /// Whether it worked most of the time.
    pub(super) was_slow: bool,
    /// Whether it waited for a processor for a good part of the time.
    pub(super) starved: bool,
}

/// Runs a case on a running target.
pub(super) async fn run(job: &Job, bench: Bench<'_>, lease: &Lease) -> Ran {
    let target = bench.target;
    let script = match visible(&job.case, target) {
        Ok(script) => script,
        Err(need) => {
            return Ran {
                result: job.result(Run::Unsupported(need.lacking().to_owned())),
                partners: Vec::new(),
                held_up: HeldUp::default(),
                active: Instant::now(),
                lost: false,
                waited: None,
                in_vain: false,
                cut_short: None,
                came: [false; 2],
                looked_up: false,
            };
        }
    };
    // Who is run again is not asked.
    let starved = || match bench.company {
        Company::None => bench.instance.starved(),
        Company::Others | Company::Again | Company::Few => Duration::ZERO,
    };
    let before = starved();
    let mut case = CaseRun::new(job, &script, bench, lease);
    let done = if script.breaks_link() {
        case.drive().await
    } else {
        tokio::select! {
            done = case.drive() => done,
            loss = bench.instance.lost() => Err(CaseError::TargetLost(loss)),
        }
    };
    let mut lost = matches!(done, Err(CaseError::TargetLost(_)));
    let mut result = case.result(done);
    // What a target that is gone did not do any more says nothing of the case.
    if !lost && !is_clean(&result.run) && !bench.instance.still_answers().await {
        let loss = bench.instance.lost().await;
        result = case.result(Err(CaseError::TargetLost(loss)));
        lost = true;
    }
    if !is_clean(&result.run) {
        for within in script.expect.iter().filter_map(|expect| expect.within) {
            case.waited(Wait {
                since: case.began,
                length: Duration::from_millis(within.into()),
            });
        }
        // A partner or a name server that was too slow for the target is ours.
        let observations = case.observed.observations.iter();
        let slow = observations.filter(|one| is_timeout(one)).map(|one| Wait {
            since: case.began,
            length: one.time,
        });
        for wait in slow.collect::<Vec<_>>() {
            case.waited(wait);
        }
    }
    if let Some(keeps) = bench.keeps {
        let mut scene = case.scene();
        if keeps.passes || !is_clean(&result.run) {
            let domain = case.names.domain().to_owned();
            scene.log = target.traces.log_of(&domain).await;
        }
        result.scene = Some(Box::new(scene));
    }
    let mut ran = Ran {
        result,
        held_up: HeldUp {
            was_busy: case.observed.was_busy,
            was_slow: case.observed.was_slow || bench.instance.is_slow(case.began),
            starved: starved().saturating_sub(before) * TOO_LONG > case.began.elapsed(),
        },
        active: case.last,
        waited: case.observed.waited,
        in_vain: case.end == End::Deadline || case.gave_up.is_some() || case.cut_short.is_some(),
        cut_short: case.cut_short,
        came: case.came(),
        looked_up: case.observed.looked_up,
        partners: case.into_partners(),
        lost,
    };
    if bench.keeps.is_some_and(|keeps| keeps.traffic) {
        // How connections end is a part of their traffic.
        for partner in ran.partners.drain(..) {
            partner.stop().await;
        }
    }
    ran
}

/// Whether the target returned a stanza because nobody answered it in time.
fn is_timeout(observation: &Observation) -> bool {
    observation.sees == Sees::Returned && observation.condition() == Some("remote-server-timeout")
}

/// Whether a case ended as it does with a target that is there.
pub(super) fn is_clean(run: &Run) -> bool {
    match run {
        Run::Ended { findings, .. } => heaviest(findings) < Some(Weight::Should),
        Run::Failed(_) => false,
        Run::Unsupported(_) | Run::NotRun(_) => true,
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
