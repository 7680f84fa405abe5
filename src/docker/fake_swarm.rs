//! A swarm for the fake engine: networks and services of stacks, with versions that move and tasks that run at
//! once, unless they are held up. It keeps what was changed, in order, and makes one call go wrong on demand.
//!
//! Only for tests: of the Docker room, and of the whole agent in `tests/torture`.

use super::fake_engine::{Asked, Reply, info};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The swarm's own object for the network of every node; no list has it.
const HOST_ID: &str = "host-id";
/// What the scheduler says of a task that has to wait for a port (swarmkit, manager/scheduler).
pub(super) const NO_PORT: &str = "no suitable node (host-mode port already in use on 1 node)";
/// So many looks at tasks find them waiting for the port.
const WAITING_LOOKS: u64 = 4;
/// In front of the stack's name in a filter, as a query has it.
const NAMESPACE: &str = "com.docker.stack.namespace%3D";

/// What goes wrong with a call, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is carried out, and the answer is lost.
    LostAnswer,
    /// The manager itself wrote to the service just before.
    VersionMoved,
    /// Somebody else changed the spec just before.
    ForeignEdit,
    /// The engine will not do it.
    Refusal,
    /// The manager does not see a network that is there, as one does that has just become the leader.
    MissesNetwork,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// `create`, `update`, `remove`.
    pub(super) operation: &'static str,
    /// The service's or network's name.
    pub(super) object: String,
    /// What it was to be; null for a removal.
    pub(super) spec: Value,
}

/// A manager that holds networks and services; each service has as many tasks as it wants.
#[derive(Default)]
pub(super) struct Swarm {
    pub(super) networks: BTreeMap<String, Value>,
    /// A service of another stack, which no list of this one has.
    pub(super) foreign: Option<Value>,
    /// What the registry says of every image.
    pub(super) digest: Option<&'static str>,
    pub(super) services: BTreeMap<String, Value>,
    /// Where the engine says that it keeps images.
    pub(super) root: Option<&'static str>,
    /// Services whose names begin so have tasks that are still being prepared.
    pub(super) preparing: Option<&'static str>,
    /// Services with this variable have a task that waits at the first looks for the port of the old one, and then starts for ever.
    pub(super) yielding: Option<&'static str>,
    /// How often their tasks were looked at.
    looks: u64,
    /// The next call that begins so goes wrong.
    pub(super) fault: Option<(&'static str, Fault)>,
    pub(super) changes: Vec<Change>,
    counter: u64,
}

impl Swarm {
    pub(super) fn answer(&mut self, asked: &Asked) -> Option<Reply> {
        let fault = self.fault.filter(|(line, _)| asked.line.starts_with(line)).map(|(_, fault)| fault);
        if fault.is_some() {
            self.fault = None;
        }
        match fault {
            Some(Fault::VersionMoved) => self.write(|_| {}),
            Some(Fault::ForeignEdit) => self.write(|spec| spec["TaskTemplate"]["ContainerSpec"]["Env"] = json!(["A=b"])),
            _ => {}
        }
        if fault == Some(Fault::Refusal) {
            return Some(Reply::Json(400, json!({"message": "could not find an available, non-overlapping address pool"})));
        }
        if fault == Some(Fault::MissesNetwork) {
            return Some(Reply::Json(500, json!({"message": "network st_default not found"})));
        }
        let reply = self.carry_out(asked);
        if fault == Some(Fault::LostAnswer) { Some(Reply::Hangup) } else { reply }
    }

    pub(super) fn write(&mut self, change: impl Fn(&mut Value)) {
        for service in self.services.values_mut() {
            self.counter += 1;
            service["Version"]["Index"] = json!(self.counter);
            change(&mut service["Spec"]);
        }
    }

    fn carry_out(&mut self, asked: &Asked) -> Option<Reply> {
        let (path, query) = asked.line.split_once('?').unwrap_or((&asked.line, ""));
        let words: Vec<&str> = path.split([' ', '/']).filter(|word| !word.is_empty()).collect();
        self.counter += 1;
        let made = json!({"ID": format!("id{}", self.counter)});
        match words.as_slice() {
            ["GET", "distribution", ..] => {
                self.digest.map(|digest| Reply::Json(200, json!({"Descriptor": {"digest": digest}, "Platforms": null})))
            }
            ["GET", "info"] => self.root.map(|root| {
                let mut info = info("active", true);
                info["DockerRootDir"] = json!(root);
                Reply::Json(200, info)
            }),
            ["GET", "networks"] => Some(listed(self.networks.values(), query, |network| &network["Labels"])),
            ["GET", "networks", "host"] if query == "scope=swarm" => {
                Some(Reply::Json(200, json!({"Id": HOST_ID, "Name": "host", "Scope": "swarm", "Labels": {}})))
            }
            ["GET", "networks", name] => {
                let network = self.networks.values().find(|network| network["Name"] == *name || network["Id"] == *name);
                network.map(|network| Reply::Json(200, network.clone()))
            }
            ["POST", "networks", "create"] => {
                let name = asked.body["Name"].as_str().unwrap().to_owned();
                let mut network = asked.body.clone();
                network["Id"] = made["ID"].clone();
                network["Scope"] = json!("swarm");
                network["EnableIPv6"] = json!(asked.body["EnableIPv6"] == true);
                self.note("create", &name, &asked.body);
                self.networks.insert(name, network);
                Some(Reply::Json(201, made))
            }
            ["DELETE", "networks", id] if self.services.values().any(|service| is_attached(service, id)) => {
                Some(Reply::Json(400, json!({"message": format!("network {id} is in use by a service")})))
            }
            ["DELETE", "networks", id] => {
                let gone: Vec<Value> = self.networks.values().filter(|network| network["Id"] == *id).cloned().collect();
                gone.iter().for_each(|network| self.note("remove", network["Name"].as_str().unwrap(), &Value::Null));
                self.networks.retain(|_, network| network["Id"] != *id);
                Some(Reply::Json(204, Value::Null))
            }
            // By the beginning of the name.
            ["GET", "services"] if query.contains("%22name%22") => {
                Some(Reply::Json(200, self.services.values().chain(&self.foreign).cloned().collect()))
            }
            ["GET", "services"] => {
                let reply = listed(self.services.values(), query, |service| &service["Spec"]["Labels"]);
                self.services.values_mut().for_each(|service| service["Endpoint"] = service["Spec"]["EndpointSpec"].clone());
                Some(reply)
            }
            ["GET", "services", name] => self.find(name).map(|service| Reply::Json(200, service.clone())),
            ["POST", "services", "create"] => {
                let name = asked.body["Name"].as_str().unwrap().to_owned();
                if self.services.contains_key(&name) {
                    return Some(Reply::Json(409, json!({"message": "name conflicts with an existing object"})));
                }
                if let Some(taken) = self.taken_port(&asked.body) {
                    return Some(taken);
                }
                let (spec, endpoint) = (self.stored(&asked.body), &asked.body["EndpointSpec"]);
                let service = json!({"ID": made["ID"], "Version": {"Index": self.counter}, "Spec": spec, "Endpoint": endpoint});
                self.note("create", &name, &asked.body);
                self.services.insert(name, service);
                Some(Reply::Json(201, made))
            }
            ["POST", "services", id, "update"] => self.update(id, query, &asked.body),
            ["DELETE", "services", id] => {
                let gone: Vec<Value> = self.services.values().filter(|service| service["ID"] == *id).cloned().collect();
                gone.iter().for_each(|service| self.note("remove", service["Spec"]["Name"].as_str().unwrap(), &Value::Null));
                self.services.retain(|_, service| service["ID"] != *id);
                Some(Reply::Json(200, Value::Null))
            }
            ["GET", "tasks"] => {
                self.looks += u64::from(self.services.values().any(|service| self.yields(service)));
                let is_current = query.contains("_up-to-date");
                let services = self.services.values().filter(|service| is_asked_for(query, &service["Spec"]["Labels"]));
                Some(Reply::Json(200, services.flat_map(|service| self.tasks(service, is_current)).collect()))
            }
            _ => None,
        }
    }

    /// As swarmkit's `checkPortConflicts`: what the allocator has not taken away yet counts too, which it does here
    /// once somebody has looked.
    fn taken_port(&self, spec: &Value) -> Option<Reply> {
        let ports = |endpoint: &Value| -> Vec<u64> {
            endpoint["Ports"].as_array().into_iter().flatten().filter_map(|port| port["PublishedPort"].as_u64()).collect()
        };
        let wanted = ports(&spec["EndpointSpec"]);
        let others = self.services.values().filter(|other| other["Spec"]["Name"] != spec["Name"]);
        let mut taken = others.flat_map(|other| [&other["Spec"]["EndpointSpec"], &other["Endpoint"]].map(ports)).flatten();
        let port = taken.find(|port| wanted.contains(port))?;
        let message =
            format!("rpc error: code = InvalidArgument desc = port '{port}' is already in use by service 'x' (id) as an ingress port");
        Some(Reply::Json(400, json!({"message": message})))
    }

    fn update(&mut self, id: &str, query: &str, body: &Value) -> Option<Reply> {
        if let Some(taken) = self.taken_port(body) {
            return Some(taken);
        }
        let spec = self.stored(body);
        let service = self.services.values_mut().find(|service| service["ID"] == *id)?;
        if !query.contains(&format!("version={}", service["Version"]["Index"])) {
            let message = "rpc error: code = Unknown desc = update out of sequence";
            return Some(Reply::Json(500, json!({"message": message})));
        }
        service["PreviousSpec"] = service["Spec"].take();
        service["Spec"] = spec;
        service["Version"]["Index"] = json!(self.counter);
        let name = body["Name"].as_str().unwrap().to_owned();
        self.note("update", &name, body);
        Some(Reply::Json(200, json!({"Warnings": null})))
    }

    fn note(&mut self, operation: &'static str, object: &str, spec: &Value) {
        self.changes.push(Change { operation, object: object.to_owned(), spec: spec.clone() });
    }

    /// As a manager keeps a spec: networks by id.
    fn stored(&self, spec: &Value) -> Value {
        let mut spec = spec.clone();
        for attached in spec["TaskTemplate"]["Networks"].as_array_mut().into_iter().flatten() {
            let name = attached["Target"].as_str().unwrap();
            let id = self.networks.get(name).map(|network| network["Id"].clone());
            attached["Target"] = id.unwrap_or_else(|| json!(if name == "host" { HOST_ID } else { name }));
        }
        spec
    }

    fn yields(&self, service: &Value) -> bool {
        let env = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"].as_array();
        self.yielding.is_some_and(|variable| env.into_iter().flatten().any(|one| one == variable))
    }

    fn tasks(&self, service: &Value, is_current: bool) -> Vec<Value> {
        let name = service["Spec"]["Name"].as_str().unwrap();
        if self.yields(service) {
            let task = |id: &str, desired: &str, state: &str, error: &str| {
                json!({
                    "ID": id, "Version": {"Index": 1}, "ServiceID": service["ID"], "Slot": 1, "NodeID": "n", "DesiredState": desired,
                    "Status": {"State": state, "Err": error},
                })
            };
            let waits = self.looks <= WAITING_LOOKS;
            let (old, new) = if waits {
                ("running", task("new", "running", "pending", NO_PORT))
            } else {
                ("shutdown", task("new", "running", "starting", ""))
            };
            let old = (!is_current).then(|| task("old", "shutdown", old, ""));
            return old.into_iter().chain([new]).collect();
        }
        let state = if self.preparing.is_some_and(|held| name.starts_with(held)) { "preparing" } else { "running" };
        let replicas = service["Spec"]["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(1);
        (1..=replicas)
            .map(|slot| {
                let id = format!("task-{}-{}-{slot}", service["ID"].as_str().unwrap(), service["Version"]["Index"]);
                json!({
                    "ID": id, "Version": {"Index": 1}, "ServiceID": service["ID"], "Slot": slot, "NodeID": "n",
                    "DesiredState": "running", "Status": {"State": state},
                })
            })
            .collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Value> {
        self.services.values().chain(&self.foreign).find(|service| service["ID"] == name || service["Spec"]["Name"] == name)
    }
}

fn is_attached(service: &Value, network: &str) -> bool {
    service["Spec"]["TaskTemplate"]["Networks"].as_array().into_iter().flatten().any(|one| one["Target"] == network)
}

/// Those that a list's filter asks for.
fn listed<'a>(objects: impl Iterator<Item = &'a Value>, query: &str, labels: impl Fn(&Value) -> &Value) -> Reply {
    Reply::Json(200, objects.filter(|object| is_asked_for(query, labels(object))).cloned().collect())
}

/// Whether an object with these labels is of the stack that the filter names, if it names one.
fn is_asked_for(query: &str, labels: &Value) -> bool {
    let stack = query.split_once(NAMESPACE).and_then(|(_, rest)| rest.split('%').next());
    stack.is_none_or(|stack| labels["com.docker.stack.namespace"] == stack)
}
