//! Properties of what a plan is made of, over every service that was recorded of the Docker CLI and a
//! manager that fills in what managers fill in: what was written is as wanted, whatever differs is found
//! and named, and the hash of a spec changes exactly when the spec does.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its records has failed")]

use axion_agent::domain::{AgentId, CommandId};
use axion_agent::stack::change::Effect;
use axion_agent::stack::{compare, marks};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Each service is compared with so many others.
const NEIGHBOURS: usize = 8;

fn recorded() -> Vec<Value> {
    let lines = include_str!("data/stack-golden.jsonl").lines();
    let records = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let services = records.flat_map(|record| record["requests"].as_array().cloned().unwrap_or_default());
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

/// What a manager answers about a service that it was sent (20.10.24; swarmkit, `api/defaults/service.go`).
fn held(sent: &Value, networks: &BTreeMap<String, String>) -> Value {
    let mut spec = without_nothing(sent);
    fill(&mut spec, "/TaskTemplate", &[("Runtime", json!("container"))]);
    fill(&mut spec, "/TaskTemplate/ContainerSpec", &[("Isolation", json!("default"))]);
    fill(&mut spec, "/TaskTemplate/RestartPolicy", &[("Condition", json!("any")), ("MaxAttempts", json!(0))]);
    fill(&mut spec, "/Mode/Replicated", &[("Replicas", json!(1))]);
    fill(&mut spec, "/Mode/ReplicatedJob", &[("MaxConcurrent", json!(1)), ("TotalCompletions", json!(1))]);
    fill(&mut spec, "/EndpointSpec", &[("Mode", json!("vip"))]);
    for rules in ["/UpdateConfig", "/RollbackConfig"] {
        fill(&mut spec, rules, &[("FailureAction", json!("pause")), ("Order", json!("stop-first"))]);
    }
    for port in list(&mut spec, "/EndpointSpec/Ports") {
        let known = |value: &Value, values: &[&str]| value.as_str().is_some_and(|value| values.contains(&value));
        if !known(&port["Protocol"], &["udp", "sctp"]) {
            port["Protocol"] = json!("tcp");
        }
        if !known(&port["PublishMode"], &["host"]) {
            port["PublishMode"] = json!("ingress");
        }
    }
    for mount in list(&mut spec, "/TaskTemplate/ContainerSpec/Mounts") {
        mount.as_object_mut().unwrap().remove("Consistency");
    }
    for network in list(&mut spec, "/TaskTemplate/Networks") {
        network["Target"] = json!(networks[network["Target"].as_str().unwrap()]);
    }
    spec
}

/// Where a field is absent or empty, its default.
fn fill(spec: &mut Value, path: &str, defaults: &[(&str, Value)]) {
    let Some(object) = spec.pointer_mut(path) else { return };
    for (field, value) in defaults {
        if object[*field].is_null() || object[*field] == "" {
            object[*field] = value.clone();
        }
    }
}

fn list<'a>(spec: &'a mut Value, path: &str) -> impl Iterator<Item = &'a mut Value> {
    spec.pointer_mut(path).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Go leaves out what is empty, but for the objects that swarmkit tells from absent ones.
fn without_nothing(value: &Value) -> Value {
    const MAPS: &[&str] = &["Labels", "Sysctls", "DriverOpts", "Options", "BindOptions", "ClusterOptions"];
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(key, value)| match value {
                Value::Null => false,
                Value::Bool(false) => key.as_str() != "NoNewPrivileges",
                Value::Array(items) => !items.is_empty(),
                Value::Object(inner) => !inner.is_empty() || !MAPS.contains(&key.as_str()),
                _ => true,
            });
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nothing(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nothing).collect(),
        value => value.clone(),
    }
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
        let mut marked = wanted.clone();
        marks::stamp(&mut marked, command, &agent);
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
