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
mod gather;
mod github;
mod grid;
mod html;
mod json;
mod junit;
mod markdown;
pub mod merge;
mod progress;
mod repetition;
mod requirements;
mod saved;
mod schema;
mod terminal;

pub use areas::COLUMNS as TABLE_HEADS;
pub use compare::{Compared, to_comparison};
pub use events::EventLines;
pub use gather::{Blamed, Repeating, Report, Tally};
pub use github::to_annotations;
pub use html::to_html;
pub use json::{SCHEMA, bundle_path, case_to_json, to_json};
pub use junit::to_junit;
pub use markdown::to_markdown;
pub use progress::Progress;
pub use requirements::Standing;
pub use saved::{Case as SavedCase, Saved, Unreadable};
pub use schema::{schema_of, schema_of_events, schema_of_report};
pub use terminal::{View, render};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
