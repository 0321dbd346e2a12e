//! Known deviations of a target, listed in a file: which cases show them, how they end, and why.
//!
//! [`Baseline`] reads the file and reports its mistakes, [`BaselineCheck`] compares results with it, and
//! [`write()`] creates one from the failures of a run. An entry is bound to the outcome *and* its reason:
//! a case that fails differently is as unexpected as one that passes.

mod check;
mod cover;
mod entry;
mod file;
mod shown;
mod write;

pub use check::BaselineCheck;
pub use entry::{Baseline, Covers, Entry};
pub use shown::shown;
pub use write::{Written, write};

#[cfg(test)]
mod tests;
