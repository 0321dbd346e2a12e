//! From the observations of a case to its verdict.
//!
//! `read` says how a case ended. `against_oracle` and `against_script` produce
//! [`Finding`](crate::finding::Finding)s. `verdict` combines findings, control and repetitions. `cause` groups
//! the results of a run by what is behind them.

mod against_oracle;
mod against_script;
mod always;
mod cause;
mod clause;
mod grade;
mod guess;
mod reading;
mod sequence;
mod sign;
mod unasked;
mod verdict;
mod words;
mod wrong;

#[cfg(test)]
mod tests;

pub use against_oracle::{OracleCase, against_oracle};
pub use against_script::{ScriptCase, against_script, weight};
pub use cause::{Because, Cause, Consequence, causes};
pub use clause::{Clause, Strength, WANTED, clause, lead};
pub use grade::{Grade, grade};
pub use reading::{deciding_connection, ended_by_partner, read};
pub use unasked::{is_about_questions, takes_unasked};
pub use verdict::{broken, control_state, heaviest, needs_control, unproven, verdict};
pub use wrong::unnoticed;
