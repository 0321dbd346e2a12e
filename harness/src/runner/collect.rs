//! Collects a whole run, for tests and benchmarks.

use tokio::sync::{mpsc, watch};

use super::plan::Plan;
use super::schedule::run;
use crate::record::{Record, RunEvent};

/// Everything that a run reported.
#[derive(Debug, Default)]
pub struct Collected {
    /// The results, in order of arrival.
    pub records: Vec<Record>,
    /// What the target does wrong, whatever the case.
    pub breaches: Vec<String>,
    /// Problems outside of cases.
    pub trouble: Vec<String>,
}

/// Runs a plan to its end.
pub async fn collect(plan: Plan) -> Collected {
    let (sender, mut events) = mpsc::channel(64);
    let (_never, interrupt) = watch::channel(false);
    let mut collected = Collected::default();
    let reading = async {
        while let Some(event) = events.recv().await {
            match event {
                RunEvent::Finished(record) => collected.records.push(*record),
                RunEvent::Breach(breach) => collected.breaches.push(breach),
                RunEvent::Trouble(trouble) => collected.trouble.push(trouble),
                RunEvent::Started { .. } | RunEvent::Repeating { .. } | RunEvent::Ended { .. } => {}
            }
        }
    };
    tokio::join!(run(plan, sender, interrupt), reading);
    collected
}
