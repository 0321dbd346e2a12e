//! Scenarios as data: cases from files.
//!
//! A file below `scenarios/` says what partners do and what has to come of it. [`Library`] reads
//! them, [`cases`] makes cases of one.

mod check;
mod file;
mod library;
mod script;

#[cfg(test)]
mod tests;

pub use check::check;
pub use file::{File, Part, Patch};
pub use library::{Library, LibraryError, schema};
pub use script::{NoPersona, cases};
