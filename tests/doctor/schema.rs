//! Whether an answer is what `docs/schema/doctor.json` says: of JSON Schema, the words that the schema uses.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../docs/schema/doctor.json");

/// Panics where it is not.
pub fn check(value: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    walk(&schema, &schema, value, "$");
}

fn walk(root: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("no {reference}"));
        return walk(root, target, value, place);
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64(),
        _ => true,
    };
    assert!(fits, "{place} is no {}: {value}", schema["type"]);
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{place}: {value} is none of {words:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{place} has no {name}");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let known = &schema["properties"][name];
        assert!(known.is_object() || schema["additionalProperties"] != false, "{place}.{name} is not in the schema");
        walk(root, known, field, &format!("{place}.{name}"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        walk(root, &schema["items"], item, &format!("{place}[{number}]"));
    }
}
