//! What a terminal is shown of a case: the block of its failure, marks, and descriptions in the same words
//! everywhere. Tests of other projects print the same as the command line.

pub mod failure;
pub mod mark;
pub mod paragraph;
pub mod shown;
pub mod terminal;
pub mod words;

pub use failure::{Rerun, Transcript, wrapped as field};
pub use mark::Charset;
pub use paragraph::paragraph;
pub use words::{allowed_text, describe_direction, describe_offer, describe_policy, shown_text};
