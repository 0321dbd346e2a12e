//! Runs cases concurrently, from partners to results, as often as requested.
//!
//! `jobs` creates jobs from cases and `repeat` runs them. A `job` runs as a
//! `CaseRun` against a `Backend`: a link to the target's local
//! side, or only the wires.

mod backend;
mod case_run;
mod collect;
mod ending;
mod error;
mod job;
mod observed;
mod pairing;
mod partners;
mod plan;
mod records;
mod repeat;
mod schedule;
mod slot;
mod timing;
mod wire_only;

pub use collect::{Collected, collect};
pub use job::Job;
pub use plan::{Deadlines, Plan, jobs};
pub use repeat::{Repetition, Rounds, repeat};
pub use schedule::run;
pub use slot::SLOTS;
