//! The rules of s2spec: which cases exist, how each may end, and how the observations are judged.
//!
//! Nothing here opens a socket or knows a server. From the bottom up:
//!
//! - [`outcome`], [`verdict`], [`evidence`]: words. [`glob`]: patterns for ids. [`embedded`]: files of
//!   the build. [`kind`]: what the files of a user are.
//! - [`policy`], [`expectation`], [`finding`]: words made of them. [`requirement`]: the registry of what
//!   the standards require.
//! - [`case`]: one policy, one partner, one direction, and its script.
//! - [`oracle`]: the ends allowed for a case. [`observe`]: what was seen in it, in the words of
//!   scenarios. [`record`]: its result. [`scenario`]: cases from files. [`settings`]: cases from what an
//!   administrator can set.
//! - [`matrix`]: cases from policies and partners. [`judge`]: from observations to findings and
//!   verdicts.
//!
//! The documentation covers only what the crate `s2spec` re-exports. `cargo doc --document-private-items`
//! covers everything.

pub mod case;
#[doc(hidden)]
pub mod embedded;
#[doc(hidden)]
pub mod evidence;
#[doc(hidden)]
pub mod expectation;
pub mod finding;
#[doc(hidden)]
pub mod glob;
#[doc(hidden)]
pub mod judge;
#[doc(hidden)]
pub mod kind;
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
#[doc(hidden)]
pub mod settings;
pub mod verdict;
