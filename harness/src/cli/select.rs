//! Ids on the command line to cases.

use simulated_partners::persona;

use super::error::CliError;
use crate::matrix::{self, Case, Selection, SelectionError};

/// Every case of the built-in personas and the two generated sets.
pub(super) fn all() -> Vec<Case> {
    matrix::cases(&persona::builtin())
}

/// Those of `all` that the ids, beginnings or globs select; all when there are none.
///
/// # Errors
/// When one of them is malformed or selects nothing.
pub(super) fn among<'a>(all: &'a [Case], ids: &[String]) -> Result<Vec<&'a Case>, CliError> {
    let selected = Selection::new(ids).and_then(|selection| selection.select(all));
    selected.map_err(|error| match &error {
        SelectionError::Syntax { .. } => CliError::Usage(with_cause(&error)),
        SelectionError::Unknown { .. } => {
            CliError::NothingSelected(format!("{error} (`s2spec list` shows all ids)"))
        }
    })
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
