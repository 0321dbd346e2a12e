//! Scenarios as data: cases from files.
//!
//! A file below `scenarios/` says what partners do and what must follow. It may name what is in a
//! [`Catalogue`]. [`Library`] reads the files, and [`cases`] turns each into cases.

mod catalogue;
mod check;
mod doubles;
mod file;
mod fit;
mod library;
mod merge;
mod read;
#[cfg(feature = "schema")]
mod schema;
mod script;

#[cfg(test)]
mod tests;

pub use catalogue::Catalogue;
pub use doubles::{DOUBLES, Doubled, doubled};
pub use file::{File, PartnerSpec, Variant};
pub use library::Library;
#[cfg(feature = "schema")]
pub use schema::schema;
pub use script::cases;
