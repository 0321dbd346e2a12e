//! From a selection to jobs: each with its allowed ends and its control.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Job;
use crate::case::Case;
use crate::matrix::Controls;
use crate::oracle::{Profile, Situation, allowed, return_established};
use crate::subject::{Placement, Target};

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
            Some(scenario) => scenario.control_of(&case.id),
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
