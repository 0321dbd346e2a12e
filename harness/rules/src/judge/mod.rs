//! From the observations of a case to its verdict.
//!
//! `read` says how a case ended. `against_oracle` and `against_script` produce
//! [`Finding`](crate::finding::Finding)s. `verdict` combines findings, control and repetitions.

mod against_oracle;
mod against_script;
mod always;
mod grade;
mod guess;
mod reading;
mod sequence;
mod verdict;
mod wrong;

#[cfg(test)]
mod tests;

pub use against_oracle::{OracleCase, against_oracle};
pub use against_script::{ScriptCase, against_script};
pub use grade::{Grade, grade};
pub use reading::{deciding_connection, read};
pub use verdict::{broken, control_state, heaviest, needs_control, verdict};
pub use wrong::unnoticed;
