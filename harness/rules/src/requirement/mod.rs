//! The requirements that a target is held to: the one place where a clause is written down.
//!
//! They are data, `scenarios/requirements/*.toml`, one file an area. Nothing here knows how a requirement is
//! tested. The harness counts what is covered. Start at [`Registry::builtin`].

mod entry;
mod file;
mod id;
mod registry;

pub use entry::{Area, Bug, Entry, Level, NoEntry, Requirement, Role};
pub use id::{NotARequirementId, RequirementId};
pub use registry::Registry;

#[cfg(test)]
mod tests;
