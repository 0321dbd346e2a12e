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

    use boon::{Compiler, Schemas};
    use clap::ValueEnum as _;
    use serde_json::Value;

    use super::*;
    use crate::bundle::fixture::bundle;
    use crate::report::{fixture, to_event_line, to_json};
    use crate::subject::reference::Reference;

    /// What is wrong with a text by the schema of its document.
    fn mistakes(of: Document, text: &str) -> Option<String> {
        let schema: Value = serde_json::from_str(&schema(of)).expect("a schema");
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("schema.json", schema)
            .expect("it is JSON");
        let index = compiler.compile("schema.json", &mut schemas);
        let value: Value = serde_json::from_str(text).expect("a document");
        let index = index.expect("a schema");
        let checked = schemas.validate(&value, index);
        checked.err().map(|wrong| format!("{wrong:#}"))
    }

    #[test]
    fn what_a_run_leaves_keeps_to_its_schema() {
        for events in [fixture::run(false), fixture::generated()] {
            for event in &events {
                let line = to_event_line(event).expect("it has a JSON form");
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
