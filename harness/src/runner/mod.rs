//! One case from start to verdict, and all of them side by side.

mod case;
mod collect;
mod pairing;
mod plan;
mod records;
mod repeat;
mod schedule;
mod scripted;
mod timing;
mod wire_only;

pub use case::{Deadlines, Job};
pub use collect::{Collected, collect};
pub use plan::jobs;
pub use repeat::{Repetition, Rounds, repeat};
pub use schedule::{IN_FLIGHT, Plan, run};
