//! Conformance tests for XMPP servers that federate, with simulated partners.
//!
//! This is the library behind the command `s2spec`. Other projects use it through [`embed`]: each case
//! becomes a test of their own `cargo test`. This is a whole test for a server that a target file
//! describes:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use s2spec::embed::{federation, target_file};
//!
//! fn main() -> ExitCode {
//!     federation(target_file("tests/server.toml")).cases("policies").run()
//! }
//! ```
//!
//! A server written in Rust can run in the same process instead: see [`embed::InProcess`].
//!
//! The words that a case, its outcome and its verdict are made of: [`case`], [`policy`], [`outcome`],
//! [`finding`], [`verdict`], [`record`]. [`subject`] is what a server under test looks like to the
//! runner, and [`lab`] the network that it is tested in.
//!
//! The feature `program`, on by default, is the command line and the embedded proxy. Tests do without.
//!
//! Everything else serves the command line. It may change with any version, and has no page here.

pub use s2spec_rules::{case, finding, outcome, policy, record, verdict};
#[doc(hidden)]
pub use s2spec_rules::{
    embedded, evidence, expectation, glob, judge, kind, matrix, observe, oracle, requirement,
    scenario, settings,
};

#[doc(hidden)]
pub mod baseline;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod bundle;
mod cause;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod console;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod coverage;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod doctor;
pub mod embed;
#[doc(hidden)]
pub mod error;
pub mod lab;
mod listening;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod load;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod resources;
#[doc(hidden)]
pub mod runner;
pub mod subject;
#[doc(hidden)]
pub mod suite;
#[doc(hidden)]
pub mod transcript;

/// The version, which in a release build names its commit.
#[cfg(not(test))]
const VERSION: &str = env!("S2SPEC_VERSION");
/// Tests compare it.
#[cfg(test)]
const VERSION: &str = env!("CARGO_PKG_VERSION");
