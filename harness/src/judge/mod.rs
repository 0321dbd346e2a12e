//! From observations to a verdict.

mod fault;
mod reading;
mod verdict;

pub use fault::Fault;
pub use reading::{Arrival, Bounce, Evidence, deciding_leg, element_from, read};
pub use verdict::{Facts, Judgement, judge};
