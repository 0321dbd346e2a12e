//! Runs cases concurrently, from partners to results, as often as requested.
//!
//! A `plan` has a job for each case; `repeat` and `schedule` run them. A `job` runs as a `CaseRun` against
//! a `Backend`, a link to the target's inner side or only the wires, and its `ending` has it judged.

mod actions;
mod again;
mod backend;
mod case_run;
mod collect;
mod ending;
mod error;
#[cfg(test)]
mod flood_tests;
mod group;
mod handover;
mod idleness;
mod job;
mod lateness;
mod loss;
mod observed;
mod pairing;
mod partners;
mod passing;
mod plan;
mod published;
mod records;
mod repeat;
mod scene;
mod schedule;
mod silence;
mod slot;
mod stall;
mod standing;
mod timing;
mod ways;
mod wire_only;

pub use collect::{Collected, collect};
pub use plan::{Budget, Deadlines, Job, Keeps, Plan, jobs, most_telling_first, waiting_first};
pub use repeat::{Repetition, Rounds, repeat};
pub use schedule::run;
pub use slot::SLOTS;
