//! Views of one run: a table with the failures below it, a JSON document, a progress bar.
//!
//! All of them read [`RunEvent`](crate::record::RunEvent)s collected in a [`Report`], and none
//! judges anything.

mod areas;
mod causes;
mod compare;
pub mod diff;
mod events;
mod explanation;
mod failure;
mod gather;
mod github;
mod grid;
mod html;
mod json;
mod junit;
mod mark;
mod markdown;
pub mod merge;
mod paragraph;
mod progress;
mod repetition;
mod requirements;
mod saved;
mod shown;
mod terminal;
mod words;

pub use compare::to_comparison;
pub use events::to_event_line;
pub(crate) use failure::block as failure;
pub(crate) use failure::wrapped as field;
pub use failure::{Rerun, Transcript};
pub use gather::{Blamed, Repeating, Report, Tally};
pub use github::to_annotations;
pub use html::to_html;
pub use json::{SCHEMA, bundle_path, case_to_json, to_json};
pub use junit::to_junit;
pub use mark::Charset;
pub use markdown::to_markdown;
pub(crate) use paragraph::paragraph;
pub use progress::Progress;
pub use saved::{Saved, Unreadable};
pub use terminal::{View, render};
pub use words::{allowed_text, describe_direction, describe_offer, describe_policy, shown_text};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
