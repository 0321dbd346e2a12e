//! What more a target file could show.

use super::select::Wanted;
use crate::case::Case;
use crate::console::paragraph;
use crate::policy::PolicyNumber;
use crate::subject::remote::{Gains, OPEN, TargetFile};
use crate::suite::Suite;

/// What would let more of a selection run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Worth(Gains);

impl Worth {
    /// Counts what the target of a file could show of these cases, which are the selection in its policies.
    pub(super) fn of(file: &TargetFile, wanted: &Wanted, suite: &Suite, cases: &[Case]) -> Self {
        let policies = PolicyNumber::new(OPEN).map(|row| vec![row]);
        let suite = suite.clone().in_policies(policies);
        let open = wanted.parts(&suite);
        // In that policy the selection may be empty.
        let open: Vec<Case> = match wanted.among(&open, &suite.catalogue.registry) {
            Ok(selected) => selected.into_iter().cloned().collect(),
            Err(_) => Vec::new(),
        };
        Self(Gains::of(file, cases, &open))
    }

    /// A line for the end of a report; empty where there is nothing to say.
    pub(super) fn more(&self, width: usize) -> String {
        match self.0.is_empty() {
            true => String::new(),
            false => paragraph("", 0, &format!("More would show: {}.", self.0), width),
        }
    }
}
