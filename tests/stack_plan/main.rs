//! Properties of what a plan is made of, over every service that was recorded of the Docker CLI and a
//! manager that fills in what managers fill in: what was written is as wanted, whatever differs is found
//! and named, and the hash of a spec changes exactly when the spec does.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its records has failed")]

mod manager;
mod whole;

use axion_agent::domain::{AgentId, CommandId};
use axion_agent::stack::change::Effect;
use axion_agent::stack::{compare, marks};
use manager::held;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Each service is compared with so many others.
const NEIGHBOURS: usize = 8;

/// What was recorded of the Docker CLI.
fn records() -> impl Iterator<Item = Value> {
    include_str!("../data/stack-golden.jsonl").lines().map(|line| serde_json::from_str::<Value>(line).unwrap())
}

fn recorded() -> Vec<Value> {
    let services = records().flat_map(|record| record["requests"].as_array().cloned().unwrap_or_default());
    let created = services.filter(|request| request["m"] == "POST" && request["p"] == "/services/create");
    let mut bodies: Vec<Value> = created.map(|request| request["body"].clone()).collect();
    // All are the same service, so that one can become another.
    bodies.iter_mut().for_each(|body| body["Name"] = json!("st_a"));
    bodies.sort_by_key(Value::to_string);
    bodies.dedup();
    bodies
}

/// The ids of all networks that the records name.
fn networks(bodies: &[Value]) -> BTreeMap<String, String> {
    let attached = bodies.iter().flat_map(|body| body["TaskTemplate"]["Networks"].as_array().into_iter().flatten());
    attached.filter_map(|network| network["Target"].as_str()).map(|name| (name.to_owned(), format!("id-of-{name}"))).collect()
}

#[test]
fn what_was_written_is_as_wanted() {
    let bodies = recorded();
    let networks = networks(&bodies);
    for wanted in &bodies {
        let changes = compare::changes(wanted, &held(wanted, &networks), &networks);
        assert!(changes.is_empty(), "{changes:?}\n{wanted}");
    }
}

#[test]
fn whatever_differs_is_found_and_gone_once_it_is_written() {
    let bodies = recorded();
    let networks = networks(&bodies);
    let mut differing = 0;
    for (n, wanted) in bodies.iter().enumerate() {
        for other in bodies.iter().cycle().skip(n + 1).take(NEIGHBOURS) {
            let (now, then) = (held(other, &networks), held(wanted, &networks));
            let changes = compare::changes(wanted, &now, &networks);
            assert_eq!(changes.is_empty(), now == then, "{changes:?}\n{wanted}\n{now}");
            differing += usize::from(!changes.is_empty());
            assert_eq!(compare::changes(wanted, &then, &networks), []);
        }
    }
    assert!(differing > bodies.len(), "{differing}");
}

/// Each text, number and boolean of a spec, by its path.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{}", key.replace('/', "~1")), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, value)| leaves(value, &format!("{path}/{n}"), found)),
        Value::Null => {}
        _ => found.push(path.to_owned()),
    }
}

fn another(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_f64().unwrap() + 7.0),
        value => json!(format!("{}-other", value.as_str().unwrap())),
    }
}

/// What the manager does not keep, or takes for another word.
fn is_lost(path: &str) -> bool {
    path.ends_with("/ForceUpdate") || path.ends_with("/Consistency") || path.contains("/Ports/")
}

#[test]
fn a_field_that_differs_is_named_alone_and_the_hash_tells() {
    let bodies = recorded();
    let networks = networks(&bodies);
    let (agent, command) = (AgentId::new("edge-1").unwrap(), CommandId(Uuid::from_u128(1)));
    for wanted in &bodies {
        let marked: Value = serde_json::from_slice(&marks::stamped(wanted, command, &agent)).unwrap();
        assert!(compare::same(wanted, &marked, &networks), "marks are no difference: {marked}");
        assert_eq!(marked["Labels"][marks::SPEC], marks::hash(wanted), "nor are they in the hash");

        let mut paths = Vec::new();
        leaves(wanted, "", &mut paths);
        for path in paths.iter().filter(|path| !is_lost(path)) {
            let mut other = wanted.clone();
            let leaf = other.pointer_mut(path).unwrap();
            *leaf = another(leaf);
            assert_ne!(marks::hash(&other), marks::hash(wanted), "{path}");
            let changes = compare::changes(&other, &held(wanted, &networks), &networks);
            // A variable whose name changes is two: one goes and one comes.
            let expected = if path.contains("/Env/") { 1..=2 } else { 1..=1 };
            assert!(expected.contains(&changes.len()), "{path}: {changes:?}");
            let dotted = path.trim_start_matches('/').replace("~1", "\u{1}").replace('/', ".").replace('\u{1}', "/");
            let field = changes[0].field.as_str();
            let leads_there = dotted.starts_with(field) || path.contains("/Env/");
            assert!(leads_there, "{path} is named {field}");
            let replaces = Effect::of(&json!({}), &changes) == Effect::Replaced;
            let dirty = path.starts_with("/EndpointSpec") || path.starts_with("/TaskTemplate") && !path.contains("/Placement/");
            assert_eq!(replaces, dirty, "{path}");
        }
    }
}
