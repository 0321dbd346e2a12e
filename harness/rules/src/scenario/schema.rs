//! The JSON schema of a scenario file.

use schemars::schema_for;
use serde_json::{Map, Value, json};
use simulated_partners::document::FORMAT;

use super::file::Variant;
use super::read::OF_FILE;

/// The keys that every scenario file must have.
const REQUIRED: [&str; 4] = ["format", "title", "direction", "expect"];

/// The JSON schema of a scenario file, for editors: the schema of a scenario, with a control and variants
/// that contain only differences, and offers that contain only differences from their personas.
pub fn schema() -> String {
    let mut schema = schema_for!(Variant).to_value();
    let properties = schema["properties"].clone();
    for whole in ["PartnerSpec", "Offer"] {
        let table = schema["$defs"][whole].as_object_mut();
        table.map(|table| table.remove("required"));
    }
    schema["$defs"]["Difference"] = json!({
        "description": "The differences of a variant or a control.",
        "type": "object",
        "properties": differences(&properties),
        "additionalProperties": false,
    });
    let difference = json!({ "$ref": "#/$defs/Difference" });
    let properties = &mut schema["properties"];
    properties["format"] = json!({ "description": "The format of this file.", "const": FORMAT });
    properties["control"] = difference.clone();
    properties["variants"] = json!({
        "description": "The same with these differences; each is a separate case.",
        "type": "object",
        "additionalProperties": difference,
    });
    schema["required"] = json!(REQUIRED);
    format!("{schema:#}\n")
}

/// Removes defaults in variants, where a missing key means no difference.
fn differences(properties: &Value) -> Map<String, Value> {
    let all = properties.as_object().into_iter().flatten();
    all.filter(|(key, _)| !OF_FILE.contains(&key.as_str()))
        .map(|(key, property)| {
            let mut property = property.clone();
            if let Some(property) = property.as_object_mut() {
                property.remove("default");
            }
            (key.clone(), property)
        })
        .collect()
}
