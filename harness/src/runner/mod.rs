//! One case from start to verdict, and all of them side by side.

mod record;

pub use record::{Record, RunEvent, Timings, Verdict};
