//! A refusal counts only with a control: the nearest neighbour that must be accepted.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Job;
use crate::judge::{control_state, needs_control};
use crate::record::{CaseResult, ControlState};

/// Holds back refusals until their controls are known.
pub(super) struct Pairing {
    /// Ids of unfinished controls.
    pending: BTreeSet<String>,
    /// The results of the others. `None` for those that the target turned out not to support, so there is no
    /// control then.
    ended: BTreeMap<String, Option<ControlState>>,
    /// Refusals, by the control that they wait for.
    waiting: BTreeMap<String, Vec<CaseResult>>,
}

impl Pairing {
    /// Creates the pairing for these jobs.
    pub(super) fn of(jobs: &[Job]) -> Self {
        let ids: BTreeSet<&str> = jobs.iter().map(|job| job.case.id.as_str()).collect();
        let pending = jobs
            .iter()
            .filter_map(|job| job.control.clone())
            .filter(|control| ids.contains(control.as_str()))
            .collect();
        Self {
            pending,
            ended: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Adds a result and returns all that are now complete.
    pub(super) fn take(&mut self, result: CaseResult) -> Vec<CaseResult> {
        let mut complete = Vec::new();
        let id = result.case.id.clone();
        if self.pending.remove(&id) {
            let state = control_state(&result);
            let waiting = self.waiting.remove(&id).into_iter().flatten();
            complete.extend(waiting.map(|held| with_control(held, state)));
            self.ended.insert(id, state);
        }
        let control = result.control.as_ref().map(|control| control.id.clone());
        match control.filter(|_| needs_control(&result)) {
            Some(control) if self.pending.contains(&control) => {
                self.waiting.entry(control).or_default().push(result);
            }
            Some(control) => {
                let missed = Some(ControlState::Missed);
                let state = self.ended.get(&control).copied().unwrap_or(missed);
                complete.push(with_control(result, state));
            }
            None => complete.push(result),
        }
        complete
    }

    /// Refusals whose controls never ended, because the run was stopped.
    pub(super) fn rest(&mut self) -> Vec<CaseResult> {
        std::mem::take(&mut self.waiting)
            .into_values()
            .flatten()
            .collect()
    }
}

fn with_control(mut result: CaseResult, state: Option<ControlState>) -> CaseResult {
    match (state, &mut result.control) {
        (Some(state), Some(control)) => control.state = state,
        (None, control) => *control = None,
        (Some(_), None) => {}
    }
    result
}
