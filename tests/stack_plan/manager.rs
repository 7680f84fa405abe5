//! What a swarm's manager makes of what it is sent, and a manager that carries plans out.

use axion_agent::domain::{AgentId, CommandId};
use axion_agent::stack::held::{Network, StoreKind};
use axion_agent::stack::marks;
use axion_agent::stack::plan::{self, Action, Observed, Plan};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A swarm that holds one stack.
#[derive(Default)]
pub struct Manager {
    pub observed: Observed,
    made: usize,
}

impl Manager {
    /// Carries a plan out as the lanes do.
    pub fn carry_out(&mut self, plan: &Plan, command: CommandId, agent: &AgentId) {
        let mut plan = plan.clone();
        for network in plan.networks.iter().filter_map(|plan| plan.replaced()) {
            self.observed
                .services
                .retain(|service| !plan.services.iter().any(|plan| plan.action == Action::Replace && plan.name == service.name()));
            let users: Vec<&str> = self
                .observed
                .services
                .iter()
                .filter(|service| plan::attached(&service.spec, &[network.id.as_str()].into()))
                .map(|service| service.name())
                .collect();
            let users: Vec<&&str> = users.iter().filter(|user| !plan.removals.iter().any(|gone| gone.name() == **user)).collect();
            assert!(users.is_empty(), "{} is removed while {users:?} use it", network.name);
            self.observed.networks.retain(|held| held.id != network.id);
        }
        for network in plan.networks.iter().filter(|plan| matches!(plan.action, Action::Create | Action::Replace)) {
            self.make_network(&network.spec);
        }
        for content in plan.contents.iter_mut().filter(|content| content.action == Action::Create) {
            content.id = Some(self.make_store(content.kind, &content.spec, &content.fingerprint));
        }
        self.observed.services.retain(|service| !plan.removals.iter().any(|gone| gone.id == service.id));
        self.observed.known_networks.extend(plan.networks.iter().map(|network| network.name.clone()));
        for service in &mut plan.services {
            plan::fill(&mut service.spec, &plan.contents, &self.observed.external);
            match service.action {
                Action::Create => self.make_service(&service.spec, command, agent),
                Action::Update | Action::Replace => {
                    self.observed.services.retain(|held| held.name() != service.name);
                    self.make_service(&service.spec, command, agent);
                }
                Action::Unchanged | Action::Remove => {}
            }
        }
        for network in &plan.leaving {
            let user = self.observed.services.iter().find(|service| plan::attached(&service.spec, &[network.id.as_str()].into()));
            assert!(user.is_none(), "{} is removed while {user:?} is on it", network.name);
            self.observed.networks.retain(|held| held.id != network.id);
            self.observed.network_ids.remove(&network.name);
        }
    }

    pub fn make_network(&mut self, spec: &Value) {
        let id = self.id();
        let mut network = spec.clone();
        network["Id"] = json!(id);
        network["Scope"] = json!("swarm");
        network["EnableIPv6"] = json!(spec["EnableIPv6"] == true);
        network["Options"]["com.docker.network.driver.overlay.vxlanid_list"] = json!("4097");
        if network["IPAM"]["Config"].as_array().is_none_or(Vec::is_empty) {
            network["IPAM"]["Config"] = json!([{"Subnet": "10.0.1.0/24", "Gateway": "10.0.1.1"}]);
        }
        let network: Network = serde_json::from_value(network).unwrap();
        self.observed.network_ids.insert(network.name.clone(), network.id.clone());
        self.observed.networks.push(network);
    }

    fn make_store(&mut self, kind: StoreKind, spec: &Value, fingerprint: &str) -> String {
        let id = self.id();
        let mut spec = spec.clone();
        if kind == StoreKind::Secret {
            spec.as_object_mut().unwrap().remove("Data");
        }
        let store = serde_json::from_value(json!({"ID": id, "Version": {"Index": 1}, "Spec": spec})).unwrap();
        if kind == StoreKind::Secret { &mut self.observed.secrets } else { &mut self.observed.configs }.push(store);
        self.observed.fingerprints.insert(id.clone(), fingerprint.to_owned());
        id
    }

    pub fn make_service(&mut self, spec: &Value, command: CommandId, agent: &AgentId) {
        let id = self.id();
        let sent = serde_json::from_slice(&marks::Stamp::new(command, agent).on(spec)).unwrap();
        let spec = held(&sent, &self.observed.network_ids);
        self.observed.services.push(serde_json::from_value(json!({"ID": id, "Version": {"Index": 1}, "Spec": spec})).unwrap());
    }

    fn id(&mut self) -> String {
        self.made += 1;
        format!("id{}", self.made)
    }
}

/// What a manager answers about a service that it was sent (20.10.24; swarmkit, `api/defaults/service.go`).
pub fn held(sent: &Value, networks: &BTreeMap<String, String>) -> Value {
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
