//! The JSON schemas of what a run leaves.

use crate::bundle::Bundle;
use crate::report::{schema_of, schema_of_events, schema_of_report};

/// A document that a run leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Document {
    /// `report.json`.
    Report,
    /// A line of `--events`.
    Events,
    /// The bundle of a case.
    Bundle,
}

/// The schema of a document.
pub(super) fn schema(of: Document) -> String {
    match of {
        Document::Report => schema_of_report(),
        Document::Events => schema_of_events(),
        Document::Bundle => schema_of::<Bundle>(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use clap::ValueEnum as _;
    use serde_json::Value;

    use super::*;
    use crate::bundle::fixture::bundle;
    use crate::report::{EventLines, fixture, to_json};
    use crate::subject::reference::Reference;

    /// What is wrong with a text by the schema of its document.
    fn mistakes(of: Document, text: &str) -> Option<String> {
        let schema: Value = serde_json::from_str(&schema(of)).expect("a schema");
        let value: Value = serde_json::from_str(text).expect("a document");
        fits(&schema, &schema, &value, "").err()
    }

    /// Whether a value fits a schema, by the keywords that are generated. Libraries for all of them would bring
    /// second versions of crates that are here.
    fn fits(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{at}: {what}: {value}"));
        if let Some(path) = schema["$ref"].as_str() {
            let there = root.pointer(path.trim_start_matches('#'));
            fits(root, there.expect("it is defined"), value, at)?;
        }
        if schema.get("const").is_some_and(|only| only != value) {
            return wrong("another value");
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return wrong("no word of these");
        }
        let types = match &schema["type"] {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => Vec::from_iter(one.as_str()),
        };
        if !types.is_empty() && !types.iter().any(|name| is_a(name, value)) {
            return wrong("another type");
        }
        for any in ["anyOf", "oneOf"]
            .iter()
            .filter_map(|key| schema[key].as_array())
        {
            if !any.iter().any(|one| fits(root, one, value, at).is_ok()) {
                return wrong("none of the kinds");
            }
        }
        for one in schema["allOf"].as_array().into_iter().flatten() {
            fits(root, one, value, at)?;
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            if value.is_object() && value.get(key.as_str().expect("a key")).is_none() {
                return wrong(&format!("{key} is missing"));
            }
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            let at = format!("{at}/{key}");
            match (&schema["properties"][key], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => return Err(format!("{at} is not known")),
                (Value::Null, Value::Object(_)) => {
                    fits(root, &schema["additionalProperties"], inner, &at)?;
                }
                (Value::Null, _) => {}
                (known, _) => fits(root, known, inner, &at)?,
            }
        }
        for (number, inner) in value.as_array().into_iter().flatten().enumerate() {
            let position = &schema["prefixItems"][number];
            let items = if position.is_null() {
                &schema["items"]
            } else {
                position
            };
            fits(root, items, inner, &format!("{at}/{number}"))?;
        }
        Ok(())
    }

    fn is_a(name: &str, value: &Value) -> bool {
        match name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("no type is called {other}"),
        }
    }

    #[test]
    fn what_a_run_leaves_keeps_to_its_schema() {
        for events in [fixture::run(false), fixture::generated()] {
            let mut lines = EventLines::default();
            for event in &events {
                let line = lines.next(event).expect("it has a JSON form");
                assert_eq!(mistakes(Document::Events, &line), None, "{line}");
            }
            let report = to_json(&fixture::report(events)).expect("it has a JSON form");
            assert_eq!(mistakes(Document::Report, &report), None);
        }
        let proxy = Arc::new(Reference {
            strict_certificates: false,
        });
        let (_, bundle) = bundle("personas/row07/google-talk/inbound", proxy);
        let bundle = serde_json::to_string(&bundle).expect("it has a JSON form");
        assert_eq!(mistakes(Document::Bundle, &bundle), None);
        assert!(mistakes(Document::Report, &bundle).is_some());
    }

    #[test]
    fn the_published_schemas_are_those_of_the_types() {
        for document in Document::value_variants() {
            let name = document.to_possible_value().expect("it has a name");
            let name = name.get_name();
            let path = format!("docs/schema/{name}.json");
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let published = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            assert!(
                published == schema(*document),
                "out of date: s2spec report --schema {name} > {path}"
            );
        }
    }
}
