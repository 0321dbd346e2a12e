//! Events as text: for people, for snapshots, and in one line.
//!
//! `canonical` names values that vary between runs, `line` and `render` format events for people, and
//! [`wire_summary`] shows a negotiation in one line. Nothing here judges.

mod canonical;
mod course;
mod look;
mod placeholder;
mod render;
mod summary;
mod xml;

pub use canonical::{canonical, canonical_text};
pub use course::{Course, Parting};
pub use render::{Detail, Step, line, printable, printable_lines, render, shorten, steps, telling};
pub use summary::{wire_of_all, wire_summary};

#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;
