//! Views of one run: a table with the failures below it, a JSON document, a progress bar.
//!
//! All of them read [`RunEvent`](crate::record::RunEvent)s collected in a [`Report`], and none
//! judges anything.

mod areas;
mod causes;
mod failure;
mod gather;
mod grid;
mod json;
mod mark;
mod paragraph;
mod progress;
mod repetition;
mod requirements;
mod shown;
mod terminal;
mod words;

pub use failure::Rerun;
pub(crate) use failure::block as failure;
pub(crate) use failure::wrapped as field;
pub use gather::{Blamed, Repeating, Report, Tally};
pub use json::{SCHEMA, to_json};
pub use mark::Charset;
pub(crate) use paragraph::paragraph;
pub use progress::Progress;
pub use terminal::{View, render};
pub use words::{allowed_text, describe_direction, describe_offer, describe_policy, shown_text};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
