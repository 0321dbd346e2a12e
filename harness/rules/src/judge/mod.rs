//! From observations to a verdict.

mod fault;
mod grade;
mod guess;
mod matrix;
mod reading;
mod scenario;
mod sequence;
mod wrong;

#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use grade::{Grade, grade};
pub use matrix::{Facts, Judgement, judge};
pub use reading::{Arrival, Bounce, Evidence, deciding_leg, element_from, read};
pub use scenario::{Breach, Line, Verdicts, judged};
pub use wrong::unnoticed;
