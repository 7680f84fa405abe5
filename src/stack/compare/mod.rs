//! Whether a service is what a spec says, although the manager answers with more than it was sent.
//!
//! Pure, on JSON: a field that this agent does not know counts too. The rules are what managers were
//! seen to do with the bodies of the recorded deploys (20.10.24), and with swarmkit's defaults
//! (`api/defaults/service.go`). Presence of an empty object is a difference, because for swarmkit it is
//! one, except where named here.

mod reading;

pub use reading::{Compared, Expected, SpecOf};

use super::change::Change;
use super::marks;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Maps of which an empty one and none are the same to the manager.
const EMPTY_IS_ABSENT: &[&str] = &["Labels", "Sysctls", "DriverOpts", "Options", "BindOptions", "ClusterOptions"];

/// Words that the manager takes in any case, and answers in small letters (moby, `daemon/cluster/convert`).
const IN_ANY_CASE: &[&[&str]] = &[
    &["EndpointSpec", "Mode"],
    &["EndpointSpec", "Ports", ITEM, "Protocol"],
    &["EndpointSpec", "Ports", ITEM, "PublishMode"],
    &["TaskTemplate", "ContainerSpec", "Isolation"],
    &["TaskTemplate", "ContainerSpec", "Mounts", ITEM, "Type"],
    &["TaskTemplate", "ContainerSpec", "Mounts", ITEM, "BindOptions", "Propagation"],
    &["TaskTemplate", "RestartPolicy", "Condition"],
];

/// The list of a container's variables, `NAME=value` each.
const ENVIRONMENT: &str = "TaskTemplate.ContainerSpec.Env";

/// How the path of an item of a list goes on.
const ITEM: &str = "[]";

/// What is not there.
static NOTHING: Value = Value::Null;

/// Whether the manager holds what would be sent. `networks` are ids by name.
#[must_use]
pub fn same(wanted: &Value, held: &Value, networks: &BTreeMap<String, String>) -> bool {
    Comparison { networks, path: Vec::new() }.is_equal(wanted, held)
}

/// The fields in which `held`, as the manager answers, differs from `wanted`, as it would be sent.
#[must_use]
pub fn changes(wanted: &Value, held: &Value, networks: &BTreeMap<String, String>) -> Vec<Change> {
    let mut found = Vec::new();
    Comparison { networks, path: Vec::new() }.walk(wanted, held, &mut found);
    found
}

/// A look at two specs side by side, past what the manager fills in and past our marks. Most specs are as wanted: nothing
/// is copied but what differs.
struct Comparison<'a> {
    networks: &'a BTreeMap<String, String>,
    /// Where it looks.
    path: Vec<&'a str>,
}

impl<'a> Comparison<'a> {
    fn walk(&mut self, wanted: &'a Value, held: &'a Value, found: &mut Vec<Change>) {
        // First of all, so that nothing is told of what is the same.
        if self.is_equal(wanted, held) {
            return;
        }
        let path = self.path.join(".");
        match (wanted, held) {
            (Value::Object(wanted), Value::Object(held)) => {
                let keys: BTreeSet<&String> = wanted.keys().chain(held.keys()).collect();
                for key in keys {
                    let (wanted, held) = (self.field(wanted, key), self.field(held, key));
                    self.below(key, |this| this.walk(wanted, held, found));
                }
            }
            (wanted, held) if path == ENVIRONMENT => environments(wanted, held, found),
            _ => found.push(Change::new(path, &self.shown(held), &self.shown(wanted))),
        }
    }

    fn is_equal(&mut self, wanted: &'a Value, held: &'a Value) -> bool {
        match (wanted, held) {
            (Value::Object(wanted), Value::Object(held)) => {
                let are_held = wanted.iter().all(|(key, value)| {
                    let (wanted, held) = (self.seen(key, value), self.field(held, key));
                    self.below(key, |this| this.is_equal(wanted, held))
                });
                are_held && held.iter().all(|(key, value)| wanted.contains_key(key) || self.means_nothing(key, value))
            }
            (Value::Array(wanted), Value::Array(held)) => {
                let mut both = wanted.iter().zip(held);
                wanted.len() == held.len() && self.below(ITEM, |this| both.all(|(wanted, held)| this.is_equal(wanted, held)))
            }
            (Value::String(wanted), Value::String(held)) => self.is_same_text(wanted, held),
            (wanted, held) => wanted == held || wanted.as_f64().is_some() && wanted.as_f64() == held.as_f64(),
        }
    }

    fn below<T>(&mut self, key: &'a str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key);
        let found = look(self);
        self.path.pop();
        found
    }

    fn field(&mut self, object: &'a Map<String, Value>, key: &'a str) -> &'a Value {
        object.get(key).map_or(&NOTHING, |value| self.seen(key, value))
    }

    fn seen(&mut self, key: &'a str, value: &'a Value) -> &'a Value {
        if self.means_nothing(key, value) { &NOTHING } else { value }
    }

    /// Whether a field is the same as none: nulls, empty lists, the empty maps that mean nothing, and what the manager puts there.
    fn means_nothing(&mut self, key: &'a str, value: &'a Value) -> bool {
        let is_empty = match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => {
                EMPTY_IS_ABSENT.contains(&key) && self.below(key, |this| map.iter().all(|(key, value)| this.means_nothing(key, value)))
            }
            _ => false,
        };
        is_empty || self.is_filled_in(key, value)
    }

    /// Whether the manager puts this there where nothing is sent, or takes nothing else for it.
    fn is_filled_in(&self, key: &str, value: &Value) -> bool {
        let is_one_of = |known: &[&str]| value.as_str().is_some_and(|value| known.contains(&value));
        let is_word = |known: &[&str]| value.as_str().is_some_and(|value| known.iter().any(|known| known.eq_ignore_ascii_case(value)));
        match (self.path.as_slice(), key) {
            (["Labels"], key) => marks::is_mark(key),
            (["Mode", "Replicated"], "Replicas") | (["Mode", "ReplicatedJob"], "MaxConcurrent" | "TotalCompletions") => *value == 1,
            (["EndpointSpec"], "Mode") => is_word(&["vip"]),
            (["UpdateConfig" | "RollbackConfig"], "FailureAction") => *value == "pause",
            (["UpdateConfig" | "RollbackConfig"], "Order") => is_one_of(&["stop-first", ""]),
            // Whatever else it does not know, the manager takes for these.
            (["EndpointSpec", "Ports", ITEM], "Protocol") => !is_word(&["udp", "sctp"]),
            (["EndpointSpec", "Ports", ITEM], "PublishMode") => !is_word(&["host"]),
            (["TaskTemplate"], "Runtime") => *value == "container",
            // It is carried over from the service that runs.
            (["TaskTemplate"], "ForceUpdate") | (["TaskTemplate", "ContainerSpec", "Mounts", ITEM], "Consistency") => true,
            (["TaskTemplate", "RestartPolicy"], "Condition") => is_word(&["any"]),
            (["TaskTemplate", "RestartPolicy"], "MaxAttempts") => *value == 0,
            (["TaskTemplate", "ContainerSpec"], "Isolation") => is_word(&["default"]),
            (["TaskTemplate", "ContainerSpec", "Privileges"], "NoNewPrivileges") => *value == false,
            _ => false,
        }
    }

    fn is_same_text(&self, wanted: &str, held: &str) -> bool {
        wanted == held
            || self.in_full(wanted) == self.in_full(held)
            || wanted.eq_ignore_ascii_case(held) && IN_ANY_CASE.iter().any(|path| self.path == *path)
    }

    /// A network by its id. The CLI sorts networks by name, and the manager keeps that order with ids in the names' place.
    fn in_full<'b>(&'b self, text: &'b str) -> &'b str {
        self.networks.get(text).filter(|_| self.is_at_a_network()).map_or(text, String::as_str)
    }

    /// A network by its name.
    fn by_name<'b>(&'b self, text: &'b str) -> &'b str {
        let named = self.networks.iter().find(|(_, id)| *id == text).filter(|_| self.is_at_a_network());
        named.map_or(text, |(name, _)| name.as_str())
    }

    fn is_at_a_network(&self) -> bool {
        self.path == ["TaskTemplate", "Networks", ITEM, "Target"]
    }

    /// A value as people read it: without what means nothing.
    fn shown(&mut self, value: &'a Value) -> Value {
        match value {
            Value::Object(map) => {
                let fields = map.iter().filter_map(|(key, value)| match self.seen(key, value) {
                    Value::Null => None,
                    value => Some((key.clone(), self.below(key, |this| this.shown(value)))),
                });
                Value::Object(fields.collect())
            }
            Value::Array(items) => self.below(ITEM, |this| items.iter().map(|item| this.shown(item)).collect()),
            Value::String(text) => Value::String(self.by_name(text).to_owned()),
            other => other.clone(),
        }
    }
}

/// The names of the variables that differ; where none does, their order.
fn environments(wanted: &Value, held: &Value, found: &mut Vec<Change>) {
    let (ours, theirs) = (variables(wanted), variables(held));
    let names: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    let before = found.len();
    let differing = names.into_iter().filter(|name| ours.get(name) != theirs.get(name));
    let text = |text: Option<&&str>| text.map_or(Value::Null, |text| Value::from(*text));
    found.extend(differing.map(|name| Change::new(format!("{ENVIRONMENT}.{name}"), &text(theirs.get(name)), &text(ours.get(name)))));
    if found.len() == before {
        found.push(Change::new(ENVIRONMENT.to_owned(), held, wanted));
    }
}

fn variables(list: &Value) -> BTreeMap<&str, &str> {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| (text.split('=').next().unwrap_or(text), text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
    fn words_that_the_manager_writes_small_are_no_difference_in_any_case() {
        let (mut sent, mut held, networks) = pair();
        let port = |protocol: &str, mode: &str| json!([{"TargetPort": 80, "PublishedPort": 80, "Protocol": protocol, "PublishMode": mode}]);
        let mount = |kind: &str, propagation: &str| json!([{"Type": kind, "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": propagation}}]);
        (sent["EndpointSpec"]["Ports"], held["EndpointSpec"]["Ports"]) = (port("UDP", "HOST"), port("udp", "host"));
        let ([ours, theirs], container) = ([&mut sent, &mut held].map(|spec| &mut spec["TaskTemplate"]), "ContainerSpec");
        (ours[container]["Mounts"], theirs[container]["Mounts"]) = (mount("Bind", "RSHARED"), mount("bind", "rshared"));
        (ours[container]["Isolation"], theirs[container]["Isolation"]) = (json!("Default"), json!("default"));
        (ours["RestartPolicy"]["Condition"], theirs["RestartPolicy"]["Condition"]) = (json!("None"), json!("none"));
        assert_eq!(differences(&sent, &held, &networks), Vec::<String>::new());
        held["EndpointSpec"]["Ports"] = port("tcp", "host");
        held["TaskTemplate"]["ContainerSpec"]["Mounts"] = mount("bind", "shared");
        held["TaskTemplate"]["ContainerSpec"]["Image"] = json!("BOX:2");
        let fields = ["EndpointSpec.Ports", "TaskTemplate.ContainerSpec.Image", "TaskTemplate.ContainerSpec.Mounts"];
        assert_eq!(differences(&sent, &held, &networks), fields);
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
    fn networks_are_shown_by_their_names() {
        let (mut sent, held, mut networks) = pair();
        networks.insert("st_other".to_owned(), "x77".to_owned());
        let told = |sent: &Value| changes(sent, &held, &networks)[0].told();
        let attached = |name: &str| json!([{"Target": name, "Aliases": ["web"]}]);
        for (target, shown) in [("st_other", "st_other"), ("x77", "st_other"), ("gone", "gone")] {
            sent["TaskTemplate"]["Networks"] = attached(target);
            assert_eq!(told(&sent), json!({"field": "TaskTemplate.Networks", "old": attached("st_n"), "new": attached(shown)}));
        }
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
