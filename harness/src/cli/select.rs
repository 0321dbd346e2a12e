//! Ids on the command line to cases.

use simulated_partners::persona;

use super::error::CliError;
use crate::matrix::{self, Case, Selection};
use crate::runner::Verdict;

/// Every case of the built-in personas and the two generated sets.
pub(super) fn all() -> Vec<Case> {
    matrix::cases(persona::builtin())
}

/// The cases that the ids, beginnings or globs select; all when there are none.
///
/// # Errors
/// When one of them is malformed or selects nothing.
pub(super) fn cases(ids: &[String]) -> Result<Vec<Case>, CliError> {
    todo!()
}

/// Whether a verdict is one that a conforming target may get.
pub(super) const fn expected(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::Fail | Verdict::Unstable | Verdict::Error)
}
