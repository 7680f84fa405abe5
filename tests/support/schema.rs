//! Checks documents against the published schemas (JSON Schema, draft 2020-12): the keywords that those use, and a
//! mistake for any other, so that none is passed over in silence. A field that a schema does not name is a mistake too,
//! unless it says that there are others: readers must bear new fields, but nobody is to add one that is not published.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Keywords that say something to people alone.
const SILENT: [&str; 7] = ["$schema", "$id", "$defs", "title", "description", "default", "examples"];

/// Those that were read: a test may check thousands of events.
static READ: Mutex<BTreeMap<String, &'static Value>> = Mutex::new(BTreeMap::new());

/// The published schema of this name.
pub fn published(name: &str) -> &'static Value {
    READ.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(name.to_owned()).or_insert_with(|| {
        let path = format!("{}/docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Box::leak(Box::new(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))))
    })
}

/// Fails the test where a document is not as the schema says.
pub fn check(name: &str, document: &Value) {
    let schema = published(name);
    let mut problems = Vec::new();
    validate(schema, schema, document, "$", &mut problems);
    assert!(problems.is_empty(), "{name}: {}\n{document:#}", problems.join("; "));
}

/// The same for each line of a stream; how many there were.
pub fn check_lines(name: &str, text: &str) -> usize {
    text.lines().map(|line| check(name, &serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))).count()
}

fn validate(root: &Value, schema: &Value, value: &Value, at: &str, problems: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else { return };
    for (keyword, wanted) in keywords {
        let problems_with = |schema: &Value| {
            let mut found = Vec::new();
            validate(root, schema, value, at, &mut found);
            found
        };
        let good = match keyword.as_str() {
            silent if SILENT.contains(&silent) => true,
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').expect("references stay in their file");
                validate(root, root.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}")), value, at, problems);
                true
            }
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|one| is(value, one.as_str().unwrap())),
                one => is(value, one.as_str().unwrap()),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            // What comes nearest says what is wrong.
            "anyOf" => {
                let nearest = wanted.as_array().unwrap().iter().map(problems_with).min_by_key(Vec::len);
                problems.extend(nearest.unwrap_or_default());
                true
            }
            "oneOf" => wanted.as_array().unwrap().iter().filter(|one| problems_with(one).is_empty()).count() == 1,
            "required" => wanted.as_array().unwrap().iter().all(|name| !value.is_object() || value.get(name.as_str().unwrap()).is_some()),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= wanted.as_u64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= wanted.as_u64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
            "minProperties" => value.as_object().is_none_or(|object| object.len() as u64 >= wanted.as_u64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| matches(wanted.as_str().unwrap(), text)),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(root, wanted, item, &format!("{at}[{index}]"), problems);
                }
                true
            }
            "properties" => {
                let known = wanted.as_object().unwrap();
                for (name, schema) in known {
                    if let Some(field) = value.get(name) {
                        validate(root, schema, field, &format!("{at}.{name}"), problems);
                    }
                }
                // Without a type it is a part of one.
                let is_closed = keywords.contains_key("type") && !keywords.contains_key("additionalProperties");
                for name in
                    value.as_object().into_iter().flatten().map(|(name, _)| name).filter(|name| is_closed && !known.contains_key(*name))
                {
                    problems.push(format!("{at}.{name} is not published"));
                }
                true
            }
            "additionalProperties" => {
                let known = keywords.get("properties");
                let others =
                    value.as_object().into_iter().flatten().filter(|(name, _)| known.is_none_or(|known| known.get(name).is_none()));
                let others: Vec<_> = others.collect();
                for (name, field) in &others {
                    validate(root, wanted, field, &format!("{at}.{name}"), problems);
                }
                *wanted != Value::Bool(false) || others.is_empty()
            }
            other => panic!("the checker does not know the keyword {other}"),
        };
        if !good {
            problems.push(format!("{at} is not as {keyword} {wanted} says: {value}"));
        }
    }
}

/// The patterns that the schemas have: UUIDs, ids of checks and ids of keys.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern {
        "^[a-z_]+\\.[a-z_]+$" => {
            text.split('.').count() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte))
        }
        uuid if uuid.contains("[0-9a-fA-F]{12}") => uuid::Uuid::try_parse(text).is_ok(),
        "^[A-Za-z0-9._-]+-[1-9][0-9]{0,5}$" => axion_agent::signing::KeyId::parse(text).is_ok(),
        other => panic!("the checker does not know the pattern {other}"),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no type {other}"),
    }
}
