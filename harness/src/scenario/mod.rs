//! The conformance suite: scenarios as data.
//!
//! A file below `scenarios/` says what partners do and what has to come of it. [`Library`] reads
//! them, [`cases`] makes cases of one, [`grade`] holds what was seen against what was expected.

mod check;
mod expect;
mod file;
mod guess;
mod judge;
mod library;
pub mod names;
pub mod records;
mod script;
mod sequence;
pub mod sight;
mod verdict;
mod vocabulary;
mod wrong;

#[cfg(test)]
mod tests;

pub use check::check;
pub use expect::{Expect, Mark, Sees, Weight};
pub use file::{Dials, Dns, File, Local, Need, OutcomeWord, Part, Patch, Setting, Srv};
pub use judge::{Grade, grade};
pub use library::{Library, LibraryError, schema};
pub use script::{CONTROL, MAIN, NoPersona, Role, Script, cases};
pub use sight::{Eye, Sight};
pub use verdict::{Breach, Line, Verdicts, judged};
pub use wrong::unnoticed;
