//! A refusal counts only beside a control: the nearest neighbour that has to be accepted.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Job;
use crate::judge::Fault;
use crate::outcome::Outcome;
use crate::record::Record;
use crate::verdict::Verdict;

/// What became of a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// Established, as it had to be.
    Accepted,
    /// Not established, or broken off.
    Missed,
    /// The harness or its environment failed.
    NotRun,
    /// The target turned out not to be able to do it: there is no control, as where none exists.
    Unsupported,
}

impl Control {
    /// How a control ended.
    fn of(record: &Record) -> Self {
        match (record.verdict, &record.outcome) {
            (Verdict::Unsupported, _) => Self::Unsupported,
            (Verdict::Error, _) => Self::NotRun,
            (Verdict::Pass | Verdict::Warn, Some(Outcome::Established(_))) => Self::Accepted,
            // What its scenario says of it was seen.
            (Verdict::Pass | Verdict::Warn, _) if record.case.script.is_some() => Self::Accepted,
            _ => Self::Missed,
        }
    }
}

/// Holds refusals back until their controls are known.
pub(super) struct Pairing {
    /// Ids that are somebody's control and have not ended yet.
    pending: BTreeSet<String>,
    /// How the others ended.
    ended: BTreeMap<String, Control>,
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
            ended: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Takes a result and gives back all that can be told now.
    pub(super) fn take(&mut self, record: Record) -> Vec<Record> {
        let mut ready = Vec::new();
        let id = record.case.id.clone();
        if self.pending.remove(&id) {
            let ended = Control::of(&record);
            ready.extend(
                self.waiting
                    .remove(&id)
                    .into_iter()
                    .flatten()
                    .map(|held| proven(held, ended)),
            );
            self.ended.insert(id, ended);
        }
        match record.control.as_ref().filter(|_| needs_control(&record)) {
            Some(control) if self.pending.contains(control) => {
                self.waiting
                    .entry(control.clone())
                    .or_default()
                    .push(record);
            }
            Some(control) => {
                let ended = self.ended.get(control).copied();
                ready.push(proven(record, ended.unwrap_or(Control::Missed)));
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

/// Whether a result is a refusal that proves nothing without its control.
fn needs_control(record: &Record) -> bool {
    let is_refusal = matches!(record.outcome, Some(Outcome::Refused(_)));
    (is_refusal || record.case.script.is_some())
        && matches!(record.verdict, Verdict::Pass | Verdict::Warn)
}

/// A refusal in the light of its control.
fn proven(mut record: Record, control: Control) -> Record {
    let (what, verdict) = match control {
        Control::Accepted => return record,
        Control::Unsupported => {
            record.control = None;
            return record;
        }
        Control::Missed => ("was not accepted", Verdict::Warn),
        Control::NotRun => ("could not be run", Verdict::Error),
    };
    record.why = format!(
        "refused as it has to be, but its control {} {what}: this refusal proves nothing",
        record.control.as_deref().unwrap_or("none")
    );
    record.fault = Some(Fault::Unproven);
    record.verdict = verdict;
    record
}
