//! From observations to a verdict.

mod breach;
mod reading;
mod verdict;

pub use breach::{Breach, breaches};
pub use reading::{Evidence, deciding_leg, element_from, read};
pub use verdict::{Facts, Judgement, judge};
