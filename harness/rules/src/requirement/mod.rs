//! The requirements for a target: the only place where clauses are written down.
//!
//! They are data in `scenarios/requirements/*.toml`, one file per area. Nothing here knows how a
//! requirement is tested. The harness computes the coverage. Start at [`Registry::builtin`].

mod entry;
mod file;
mod id;
mod registry;

pub use entry::{Area, Bug, Entry, Level, NoEntry, Requirement, Role};
pub use id::{NotARequirementId, RequirementId};
pub use registry::Registry;

#[cfg(test)]
mod tests;
