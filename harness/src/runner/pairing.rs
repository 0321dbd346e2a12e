//! A refusal counts only beside a control: the nearest neighbour that has to be accepted.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Job;
use super::record::{Record, Verdict};
use crate::judge::Fault;
use crate::outcome::Outcome;

/// Holds refusals back until their controls are known.
pub(super) struct Pairing {
    /// Ids that are somebody's control and have not ended yet.
    pending: BTreeSet<String>,
    /// How the others ended.
    accepted: BTreeMap<String, Control>,
    /// Refusals by the control that they wait for.
    waiting: BTreeMap<String, Vec<Record>>,
}

impl Pairing {
    /// The book for these jobs.
    pub(super) fn of(jobs: &[Job]) -> Self {
        let ids: BTreeSet<&str> = jobs.iter().map(|job| job.case.id.as_str()).collect();
        let pending = jobs
            .iter()
            .filter_map(|job| job.control.clone())
            .filter(|control| ids.contains(control.as_str()))
            .collect();
        Self {
            pending,
            accepted: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Takes a result and gives back all that can be told now.
    pub(super) fn take(&mut self, record: Record) -> Vec<Record> {
        let mut ready = Vec::new();
        let id = record.case.id.clone();
        if self.pending.remove(&id) {
            let good = accepted(&record);
            ready.extend(
                self.waiting
                    .remove(&id)
                    .into_iter()
                    .flatten()
                    .map(|held| proven(held, good)),
            );
            self.accepted.insert(id, good);
        }
        match record.control.as_ref().filter(|_| needs_control(&record)) {
            Some(control) if self.pending.contains(control) => {
                self.waiting
                    .entry(control.clone())
                    .or_default()
                    .push(record);
            }
            Some(control) => {
                let good = self
                    .accepted
                    .get(control)
                    .copied()
                    .unwrap_or(Control::Refused);
                ready.push(proven(record, good));
            }
            None => ready.push(record),
        }
        ready
    }

    /// Refusals whose controls never ended, because the run was broken off.
    pub(super) fn rest(&mut self) -> Vec<Record> {
        let mut records: Vec<Record> = std::mem::take(&mut self.waiting)
            .into_values()
            .flatten()
            .collect();
        for record in &mut records {
            record.why.push_str("; its control was not run any more");
        }
        records
    }
}

/// What a control is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// It was established, as it has to be.
    Accepted,
    /// It was not.
    Refused,
    /// The harness or its environment failed.
    NotRun,
    /// The target turned out not to be able to do it: there is no control, as where none exists.
    Unsupported,
}

/// What a control has come to.
fn accepted(record: &Record) -> Control {
    match (&record.outcome, record.verdict) {
        (_, Verdict::Error) => Control::NotRun,
        (_, Verdict::Unsupported) => Control::Unsupported,
        (Some(Outcome::Established(_)), Verdict::Pass | Verdict::Warn) => Control::Accepted,
        _ => Control::Refused,
    }
}

/// Whether a result is a refusal that proves nothing without its control.
fn needs_control(record: &Record) -> bool {
    matches!(record.outcome, Some(Outcome::Refused(_)))
        && matches!(record.verdict, Verdict::Pass | Verdict::Warn)
}

/// A refusal in the light of its control.
fn proven(mut record: Record, worth: Control) -> Record {
    let (control, verdict) = match worth {
        Control::Accepted => return record,
        Control::Unsupported => {
            record.control = None;
            return record;
        }
        Control::Refused => ("was not accepted", Verdict::Warn),
        Control::NotRun => ("could not be run", Verdict::Error),
    };
    record.why = format!(
        "refused as it has to be, but its control {} {control}: this refusal proves nothing",
        record.control.as_deref().unwrap_or("none")
    );
    record.fault = Some(Fault::Unproven);
    record.verdict = verdict;
    record
}
