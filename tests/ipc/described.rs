//! docs/ipc.openapi.json beside the server: every path that is described is there, none is there that is not, and what is
//! answered has the shape that is described.

use super::client::Alone;
use super::support::{IMAGE, Stage};
use axion_agent::ipc::ROUTES;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const COMMAND: &str = "00000000-0000-4000-8000-000000000001";

fn description() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ipc.openapi.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

pub fn paths(stage: &Stage) {
    let description = description();
    let described: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())))
        .collect();
    let served = ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(described, served);

    let alone = Alone::start(stage, Some(stage.engine()));
    let body = json!({"docker_stack_yml": format!("services: {{web: {{image: {IMAGE}, command: [sleep, '600'], stop_grace_period: 0s, deploy: {{endpoint_mode: dnsrr}}}}}}"), "resolve_image": "never"});
    for (method, path) in ROUTES {
        let said = match path.rsplit('/').next() {
            Some("deploy" | "plan") => body.clone(),
            Some("scale") => json!({"services": {"web": 1}}),
            _ => json!({}),
        };
        let said = match *method {
            "POST" => said.to_string(),
            "PUT" => json!({"level": "info,axion_agent::ipc=trace", "seconds": 60}).to_string(),
            _ => String::new(),
        };
        let headers = if path.ends_with("deploy") { format!("x-command-id: {COMMAND}\r\n") } else { String::new() };
        // The stack is needed by those that come later in the table.
        if *method == "DELETE" && path.contains("{name}") {
            continue;
        }
        if path.starts_with("/v1/events") {
            continue;
        }
        if path.ends_with("{name}") {
            alone.ask("POST", &format!("/v1/stacks/{}/deploy", alone.name), &format!("x-command-id: {COMMAND}\r\n"), &body.to_string());
        }
        let target = path.replace("{name}", &alone.name).replace("{id}", COMMAND);
        check(&description, method, path, &alone.ask(method, &target, &headers, &said));
    }
    let removed = alone.ask("DELETE", &format!("/v1/stacks/{}", alone.name), "", "");
    check(&description, "DELETE", "/v1/stacks/{name}", &removed);
    let missing = alone.get("/v1/stacks/none-of-that-name");
    check(&description, "GET", "/v1/stacks/{name}", &missing);
    assert_eq!(missing.status, 404);
    assert_eq!(alone.get(&format!("/v1/commands/{}", COMMAND.replace('1', "2"))).code(), "command.not_found");
}

/// The answer is one of those that the description has, and its documents have the shape.
fn check(description: &Value, method: &str, path: &str, answer: &super::client::Answer) {
    let responses = &description["paths"][path][method.to_lowercase()]["responses"];
    let response = responses.get(answer.status.to_string()).or_else(|| responses.get("default"));
    let response = response.unwrap_or_else(|| panic!("{method} {path}: {} is not described: {answer:?}", answer.status));
    let response = resolved(description, response);
    let (kind, content) = response["content"].as_object().and_then(|content| content.iter().next()).expect("a described body");
    assert!(answer.head.to_ascii_lowercase().contains(&format!("content-type: {kind}")), "{method} {path}: {answer:?}");
    let documents = if kind.ends_with("ndjson") { answer.lines() } else { vec![answer.json()] };
    for document in documents {
        if let Err(problem) = fits(description, &content["schema"], &document) {
            panic!("{method} {path}: {problem} in {document}");
        }
    }
}

fn resolved<'a>(description: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        None => schema,
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference into this document");
            resolved(description, description.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere")))
        }
    }
}

/// The part of JSON Schema that the description uses.
fn fits(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(description, schema);
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let problems: Vec<String> = choices.iter().filter_map(|choice| fits(description, choice, value).err()).collect();
        return if problems.len() < choices.len() { Ok(()) } else { Err(problems.join("; or ")) };
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type of JSON Schema"),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        return Err(format!("{value} is not {kinds:?}"));
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        return Err(format!("{value} is none of {allowed:?}"));
    }
    for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(key).is_none() {
            return Err(format!("{key} is missing"));
        }
    }
    if let (Some(fields), Some(object)) = (schema.get("properties").and_then(Value::as_object), value.as_object()) {
        for (key, value) in object {
            match fields.get(key) {
                Some(field) => fits(description, field, value).map_err(|problem| format!("{key}: {problem}"))?,
                None if schema["additionalProperties"] == false => return Err(format!("{key} is not described")),
                None => {}
            }
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (index, value) in values.iter().enumerate() {
            fits(description, items, value).map_err(|problem| format!("[{index}]: {problem}"))?;
        }
    }
    Ok(())
}
