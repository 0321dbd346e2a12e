//! JSON schemas, made from the types that write the documents.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::{events, json};

/// The schema of a report.
pub fn schema_of_report() -> String {
    schema_of::<json::Document<'_>>()
}

/// The schema of an event.
pub fn schema_of_events() -> String {
    schema_of::<events::Line<'_>>()
}

/// The schema of what a type writes, as indented JSON with a trailing newline.
pub fn schema_of<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.to_value())
}
