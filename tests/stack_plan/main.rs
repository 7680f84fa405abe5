//! Properties of what a plan is made of, over every service that was recorded of the Docker CLI and a
//! manager that fills in what managers fill in: what was written is as wanted, whatever differs is found
//! and named, and the hash of a spec changes exactly when the spec does.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its records has failed")]

mod manager;
mod whole;

use axion_agent::domain::{AgentId, CommandId};
use axion_agent::stack::change::Effect;
use axion_agent::stack::compare::{Expected, SpecOf};
use axion_agent::stack::{compare, marks};
use manager::held;
use serde::de::DeserializeSeed as _;
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
        let marked: Value = serde_json::from_slice(&marks::Stamp::new(command, &agent).on(wanted)).unwrap();
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

/// The answer of an engine, which writes the name first.
fn answered(spec: &Value) -> String {
    let mut rest = spec.as_object().unwrap().clone();
    let name = rest.remove("Name").unwrap();
    let rest = Value::Object(rest).to_string();
    format!("{{\"Name\":{name}{}{}", if rest == "{}" { "" } else { "," }, &rest[1..])
}

fn reads_as(wanted: &Value, text: &str, networks: &BTreeMap<String, String>) -> bool {
    let specs = BTreeMap::from([(wanted["Name"].as_str().unwrap(), wanted)]);
    SpecOf(&Expected { specs, networks }).deserialize(&mut serde_json::Deserializer::from_str(text)).unwrap().is_same
}

/// All places in a spec, the inner ones too.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        found.push(format!("{at}/{key}"));
        places(value, &format!("{at}/{key}"), found);
    }
}

#[test]
fn a_spec_that_is_compared_while_it_is_read_is_compared_in_the_same_way() {
    let bodies = recorded();
    let networks = networks(&bodies);
    let (mut same, mut different) = (0, 0);
    // Some of them: each is changed in some hundred ways.
    for sent in bodies.iter().step_by(5) {
        let kept = held(sent, &networks);
        let mut check = |wanted: &Value, held: &Value| {
            let expected = compare::same(wanted, held, &networks);
            assert_eq!(reads_as(wanted, &answered(held), &networks), expected, "{wanted}\n{held}");
            assert_eq!(reads_as(wanted, &held.to_string(), &networks), expected, "whatever comes first: {wanted}\n{held}");
            *(if expected { &mut same } else { &mut different }) += 1;
        };
        check(sent, &kept);
        for (mine, theirs) in [(sent, &kept), (&kept, sent)] {
            let mut found = Vec::new();
            places(mine, "", &mut found);
            for path in found.iter().filter(|path| *path != "/Name") {
                for value in [json!(null), json!({}), json!([]), json!(""), json!(0), json!(1), json!(false), json!("vip"), json!([[]])] {
                    let mut other = mine.clone();
                    *other.pointer_mut(path).unwrap() = value;
                    check(&other, theirs);
                    check(theirs, &other);
                }
                let mut other = mine.clone();
                let (parent, key) = path.rsplit_once('/').unwrap();
                if let Some(Value::Object(parent)) = other.pointer_mut(parent) {
                    parent.remove(&key.replace("~1", "/").replace("~0", "~"));
                    parent.insert("More".to_owned(), json!({"a": []}));
                    check(&other, theirs);
                    check(theirs, &other);
                }
            }
        }
    }
    assert!(same > 1000 && different > 10_000, "{same} are the same, {different} differ");
}
