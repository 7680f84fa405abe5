//! Whether a service is what a spec says, although the manager answers with more than it was sent.
//!
//! Pure, on JSON: a field that this agent does not know counts too. The rules are what managers were
//! seen to do with the bodies of the recorded deploys (20.10.24), and with swarmkit's defaults
//! (`api/defaults/service.go`). Presence of an empty object is a difference, because for swarmkit it is
//! one, except where named here.

use super::change::Change;
use super::marks;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Maps of which an empty one and none are the same to the manager.
const EMPTY_IS_ABSENT: &[&str] = &["Labels", "Sysctls", "DriverOpts", "Options", "BindOptions", "ClusterOptions"];

/// The list of a container's variables, `NAME=value` each.
const ENVIRONMENT: &str = "TaskTemplate.ContainerSpec.Env";

/// Whether the manager holds what would be sent. `networks` are ids by name.
#[must_use]
pub fn same(wanted: &Value, held: &Value, networks: &BTreeMap<String, String>) -> bool {
    changes(wanted, held, networks).is_empty()
}

/// The fields in which `held`, as the manager answers, differs from `wanted`, as it would be sent.
#[must_use]
pub fn changes(wanted: &Value, held: &Value, networks: &BTreeMap<String, String>) -> Vec<Change> {
    let mut found = Vec::new();
    walk(&normal(wanted, networks), &normal(held, networks), "", &mut found);
    found
}

fn walk(wanted: &Value, held: &Value, path: &str, found: &mut Vec<Change>) {
    match (wanted, held) {
        // First of all, so that nothing is told of what is the same.
        (wanted, held) if wanted == held => {}
        (Value::Object(wanted), Value::Object(held)) => {
            let keys: BTreeSet<&String> = wanted.keys().chain(held.keys()).collect();
            for key in keys {
                walk(wanted.get(key).unwrap_or(&Value::Null), held.get(key).unwrap_or(&Value::Null), &below(path, key), found);
            }
        }
        (wanted, held) if wanted.as_f64().is_some() && wanted.as_f64() == held.as_f64() => {}
        (wanted, held) if path == ENVIRONMENT => environments(wanted, held, found),
        _ => found.push(Change::new(path.to_owned(), held, wanted)),
    }
}

/// The names of the variables that differ; where none does, their order.
fn environments(wanted: &Value, held: &Value, found: &mut Vec<Change>) {
    let (ours, theirs) = (variables(wanted), variables(held));
    let names: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    let before = found.len();
    let differing = names.into_iter().filter(|name| ours.get(name) != theirs.get(name));
    found.extend(differing.map(|name| Change::new(below(ENVIRONMENT, name), &Value::Null, &Value::Null)));
    if found.len() == before {
        found.push(Change::new(ENVIRONMENT.to_owned(), held, wanted));
    }
}

fn variables(list: &Value) -> BTreeMap<&str, &str> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| (text.split('=').next().unwrap_or(text), text)).collect()
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A spec without what the manager fills in and without our marks.
fn normal(spec: &Value, networks: &BTreeMap<String, String>) -> Value {
    let mut spec = spec.clone();
    marks::strip(&mut spec);
    normal_service(&mut spec);
    if let Some(attached) = spec.pointer_mut("/TaskTemplate/Networks").and_then(Value::as_array_mut) {
        for one in attached.iter_mut() {
            if let Some(id) = one["Target"].as_str().and_then(|name| networks.get(name)) {
                one["Target"] = json!(id);
            }
        }
        // The CLI sorts by name, the manager keeps that order with ids in the names' place.
        attached.iter_mut().for_each(prune);
    }
    prune(&mut spec);
    spec
}

fn normal_service(spec: &mut Value) {
    drop_default(spec, &["Mode", "Replicated"], "Replicas", 1);
    drop_default(spec, &["Mode", "ReplicatedJob"], "MaxConcurrent", 1);
    drop_default(spec, &["Mode", "ReplicatedJob"], "TotalCompletions", 1);
    drop_default(spec, &["EndpointSpec"], "Mode", "vip");
    for rules in ["UpdateConfig", "RollbackConfig"] {
        for (field, value) in [("FailureAction", "pause"), ("Order", "stop-first"), ("Order", "")] {
            drop_default(spec, &[rules], field, value);
        }
    }
    for port in list(spec, &["EndpointSpec", "Ports"]) {
        // Whatever else it does not know, the manager takes for these.
        let known = |port: &Value, field: &str, values: &[&str]| port[field].as_str().is_some_and(|value| values.contains(&value));
        if !known(port, "Protocol", &["udp", "sctp"]) {
            remove(port, "Protocol");
        }
        if !known(port, "PublishMode", &["host"]) {
            remove(port, "PublishMode");
        }
    }
    let Some(task) = spec.get_mut("TaskTemplate") else { return };
    drop_default(task, &[], "Runtime", "container");
    // It is carried over from the service that runs.
    remove(task, "ForceUpdate");
    drop_default(task, &["RestartPolicy"], "Condition", "any");
    drop_default(task, &["RestartPolicy"], "MaxAttempts", 0);
    drop_default(task, &["ContainerSpec"], "Isolation", "default");
    drop_default(task, &["ContainerSpec", "Privileges"], "NoNewPrivileges", false);
    for mount in list(task, &["ContainerSpec", "Mounts"]) {
        remove(mount, "Consistency");
    }
}

fn at<'a>(spec: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(spec, |value, key| value.get_mut(key))
}

fn list<'a>(spec: &'a mut Value, path: &[&str]) -> impl Iterator<Item = &'a mut Value> {
    at(spec, path).and_then(Value::as_array_mut).into_iter().flatten()
}

fn remove(object: &mut Value, field: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(field);
    }
}

fn drop_default<T>(spec: &mut Value, path: &[&str], field: &str, default: T)
where
    Value: PartialEq<T>,
{
    if let Some(object) = at(spec, path).and_then(Value::as_object_mut)
        && object.get(field).is_some_and(|value| *value == default)
    {
        object.remove(field);
    }
}

/// Takes out nulls, empty lists, and the empty maps that mean nothing.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|key, value| !means_nothing(key, value));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

fn means_nothing(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && EMPTY_IS_ABSENT.contains(&key),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `docker stack deploy` sends for a small service, and what a 20.10.24 manager answers.
    fn pair() -> (Value, Value, BTreeMap<String, String>) {
        let sent = json!({
            "Name": "st_web", "Labels": {"com.docker.stack.image": "box:2", "com.docker.stack.namespace": "st"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "box:2", "Labels": {"com.docker.stack.namespace": "st"}, "Args": ["sleep", "1000"],
                    "Privileges": {"CredentialSpec": null, "SELinuxContext": null, "NoNewPrivileges": false}, "Init": true,
                    "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "Consistency": "cached", "BindOptions": {}}]
                },
                "Resources": {}, "RestartPolicy": {"Delay": 1_000_000_000}, "Placement": {"Constraints": []},
                "Networks": [{"Target": "st_n", "Aliases": ["web"]}], "ForceUpdate": 0
            },
            "Mode": {"Replicated": {}}, "UpdateConfig": {"Parallelism": 1, "MaxFailureRatio": 0, "Order": ""},
            "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}]}
        });
        let held = json!({
            "Name": "st_web", "Labels": {"com.docker.stack.image": "box:2", "com.docker.stack.namespace": "st", "io.axion.command": "x"},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": "box:2", "Labels": {"com.docker.stack.namespace": "st"}, "Args": ["sleep", "1000"],
                    "Privileges": {"CredentialSpec": null, "SELinuxContext": null}, "Init": true, "Isolation": "default",
                    "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b"}]
                },
                "Resources": {}, "RestartPolicy": {"Condition": "any", "Delay": 1_000_000_000, "MaxAttempts": 0}, "Placement": {},
                "Networks": [{"Target": "qbv2", "Aliases": ["web"]}], "ForceUpdate": 3, "Runtime": "container"
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "MaxFailureRatio": 0.0, "Order": "stop-first"},
            "EndpointSpec": {"Mode": "vip", "Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}]}
        });
        (sent, held, BTreeMap::from([("st_n".to_owned(), "qbv2".to_owned())]))
    }

    fn differences(wanted: &Value, held: &Value, networks: &BTreeMap<String, String>) -> Vec<String> {
        changes(wanted, held, networks).into_iter().map(|change| change.field).collect()
    }

    #[test]
    fn what_the_manager_fills_in_is_no_difference() {
        let (sent, held, networks) = pair();
        assert_eq!(differences(&sent, &held, &networks), Vec::<String>::new());
    }

    #[test]
    fn what_replaces_tasks_is_named_by_its_path() {
        let (sent, _, networks) = pair();
        for (path, value, named) in [
            ("/TaskTemplate/ContainerSpec/Image", json!("box:3"), "TaskTemplate.ContainerSpec.Image"),
            ("/TaskTemplate/ContainerSpec/Init", json!(false), "TaskTemplate.ContainerSpec.Init"),
            ("/TaskTemplate/ContainerSpec/Privileges", Value::Null, "TaskTemplate.ContainerSpec.Privileges"),
            ("/TaskTemplate/Resources", Value::Null, "TaskTemplate.Resources"),
            ("/TaskTemplate/Networks/0/Target", json!("other"), "TaskTemplate.Networks"),
            ("/EndpointSpec/Ports/0/PublishMode", json!("host"), "EndpointSpec.Ports"),
            ("/Mode/Replicated", json!({"Replicas": 2}), "Mode.Replicated.Replicas"),
            ("/Labels/a", json!("b"), "Labels.a"),
        ] {
            let (_, mut held, _) = pair();
            if let Some(place) = held.pointer_mut(path) {
                *place = value;
            } else {
                held["Labels"]["a"] = value;
            }
            assert_eq!(differences(&sent, &held, &networks), [named], "{path}");
        }
    }

    #[test]
    fn variables_are_named_and_their_values_are_not_shown() {
        let (mut sent, mut held, networks) = pair();
        sent["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["A=hunter2", "B", "C=3"]);
        held["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["A=hunter1", "C=3", "D=4"]);
        let named = ["A", "B", "D"].map(|name| format!("{ENVIRONMENT}.{name}"));
        assert_eq!(differences(&sent, &held, &networks), named);
        let told: Vec<Value> = changes(&sent, &held, &networks).iter().map(Change::told).collect();
        assert!(!json!(told).to_string().contains("hunter"), "{told:?}");
        held["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["B", "A=hunter2", "C=3"]);
        assert_eq!(differences(&sent, &held, &networks), [ENVIRONMENT], "the order alone");
    }

    #[test]
    fn an_empty_object_is_a_difference_where_swarmkit_sees_one() {
        let (sent, held, networks) = pair();
        for field in ["DNSConfig", "Healthcheck"] {
            let mut sent = sent.clone();
            sent["TaskTemplate"]["ContainerSpec"][field] = json!({});
            assert_eq!(differences(&sent, &held, &networks), [format!("TaskTemplate.ContainerSpec.{field}")]);
        }
    }
}
