//! Which outcomes the tables allow for a case. Knows nothing of sockets, runner or proxy.
//!
//! A [`Situation`] goes in, an [`Expectation`](crate::expectation::Expectation) comes out: a rule of the tables in [`outbound`] or
//! [`inbound`], its clause and the set of allowed ends. [`fit`] says whether an outcome, a refusal with its reason, is one of
//! them, [`never::violations`] what the target did of what it may not do
//! whatever the end is, and [`second_opinions`] what other sources say of the same case.

pub mod classes;
mod fit;
pub mod inbound;
pub mod never;
mod opinion;
pub mod outbound;
mod refusal;
mod rule;
mod seen;
mod situation;
mod verification;
pub mod xep0238;

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod worked_cells;

pub use fit::fit;
pub use opinion::{Opinion, second_opinions};
pub use refusal::Fit;
pub use rule::{Rule, allowed, expectation, rule, rules};
pub use seen::{CertificateClass, Seen};
pub use situation::{Profile, Situation, return_established};
pub use verification::Verification;
