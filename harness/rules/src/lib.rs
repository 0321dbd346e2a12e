//! The rules of s2spec: which cases there are, what each may end in, and how what happened is judged.
//!
//! Nothing here opens a socket or knows a server. From the bottom up:
//!
//! - [`policy`], [`outcome`], [`verdict`]: the words.
//! - [`case`]: one policy, one partner, one direction, and what happens in between.
//! - [`requirement`]: the registry of what the standards demand.
//! - [`oracle`]: which ends the tables allow for a case.
//! - [`scenario`]: cases from files. [`matrix`]: cases from policies and partners.
//! - [`glob`]: patterns for ids.
//! - [`judge`]: from what was seen to what is wrong with it.
//! - [`record`]: what becomes of a case.
//!
//! Pages are made of what the crate `s2spec` shows of it. `cargo doc --document-private-items` makes all.

pub mod case;
#[doc(hidden)]
pub mod embedded;
#[doc(hidden)]
pub mod expectation;
pub mod finding;
#[doc(hidden)]
pub mod glob;
#[doc(hidden)]
pub mod judge;
#[doc(hidden)]
pub mod matrix;
#[doc(hidden)]
pub mod observe;
#[doc(hidden)]
pub mod oracle;
pub mod outcome;
pub mod policy;
pub mod record;
#[doc(hidden)]
pub mod requirement;
#[doc(hidden)]
pub mod scenario;
pub mod verdict;
