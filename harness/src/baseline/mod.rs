//! Known deviations of a target, listed in a file: each cause, which cases may show it, and why.
//!
//! [`Baseline`] reads the file and reports its mistakes, [`BaselineCheck`] compares results with it, and
//! [`write()`] creates one from the failures of a run. An entry is bound to what is broken *and* how much it
//! weighs: a case that fails differently is as unexpected as a cause that no case shows any more.

mod check;
mod cover;
mod deviation;
mod entry;
mod file;
mod write;

pub use check::BaselineCheck;
pub use entry::{Baseline, Covers, Entry, Named, Pattern};
pub use write::{Written, write};

#[cfg(test)]
#[cfg(feature = "program")]
mod tests;
