//! What more a target file could show.

use super::error::CliError;
use super::policy::Policies;
use super::select::{Sources, Wanted};
use crate::case::Case;
use crate::policy::PolicyNumber;
use crate::report::paragraph;
use crate::subject::remote::{Gains, OPEN, TargetFile};

/// What would let more of a selection run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Worth(Gains);

impl Worth {
    /// Counts what the target of a file could show of these cases, which are the selection in its policies.
    ///
    /// # Errors
    /// As [`Sources::all`].
    pub(super) fn of(
        file: &TargetFile,
        wanted: &Wanted,
        sources: &Sources,
        cases: &[Case],
    ) -> Result<Self, CliError> {
        let open = Sources {
            policies: PolicyNumber::new(OPEN).map(|row| Policies(vec![row])),
            ..sources.clone()
        };
        let open = wanted.parts(&open)?;
        // In that policy the selection may be empty.
        let open: Vec<Case> = match wanted.among(&open) {
            Ok(selected) => selected.into_iter().cloned().collect(),
            Err(_) => Vec::new(),
        };
        Ok(Self(Gains::of(file, cases, &open)))
    }

    /// A line for the end of a report; empty where there is nothing to say.
    pub(super) fn more(&self, width: usize) -> String {
        match self.0.is_empty() {
            true => String::new(),
            false => paragraph("", 0, &format!("More would show: {}.", self.0), width),
        }
    }
}
