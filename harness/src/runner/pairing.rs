//! A refusal counts only beside a control: the nearest neighbour that has to be accepted.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Job;
use super::record::{Record, Verdict};
use crate::outcome::Outcome;

/// Holds refusals back until their controls are known.
pub(super) struct Pairing {
    /// Ids that are somebody's control and have not ended yet.
    pending: BTreeSet<String>,
    /// How the others ended: whether they were established as they had to be.
    accepted: BTreeMap<String, bool>,
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
            let good = matches!(record.outcome, Some(Outcome::Established(_)))
                && matches!(record.verdict, Verdict::Pass | Verdict::Warn);
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
                let good = self.accepted.get(control).copied().unwrap_or(false);
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

fn needs_control(record: &Record) -> bool {
    matches!(record.outcome, Some(Outcome::Refused(_)))
        && matches!(record.verdict, Verdict::Pass | Verdict::Warn)
}

fn proven(mut record: Record, control_accepted: bool) -> Record {
    if !control_accepted {
        let control = record.control.as_deref().unwrap_or("none");
        record.why = format!(
            "refused as it has to be, but its control {control} was not accepted: \
             this refusal proves nothing"
        );
        record.verdict = Verdict::Warn;
    }
    record
}
