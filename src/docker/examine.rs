//! A look at the engine for the doctor: what it is, its swarm, what it publishes. On the caller's thread; it only reads.

use super::client::{ApiVersion, Client, PING, Request};
use super::error::EngineError;
use super::types::Node;
use super::{SwarmRole, events};
use crate::threads::Deadline;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// What an engine shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// How long a sign of life took.
    pub took: Duration,
    /// Its version, such as `28.1.1`.
    pub version: String,
    /// The API version in use.
    pub api: String,
    /// The oldest and the newest that the engine speaks.
    pub api_offered: (String, String),
    /// The oldest and the newest that this agent knows.
    pub api_known: (String, String),
    /// `1` or `2`; empty where an old engine does not say.
    pub cgroup_version: String,
    /// `systemd`, `cgroupfs`.
    pub cgroup_driver: String,
    /// What it says it lacks.
    pub warnings: Vec<String>,
    /// Where it keeps images and containers.
    pub root: String,
    /// Its place in a swarm.
    pub swarm: Swarm,
    /// What is published here by services and containers; none where it does not say.
    pub ports: Option<Vec<PublishedPort>>,
}

/// An engine's place in a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// `inactive`, `pending`, `active`, `error`, `locked`.
    pub state: String,
    /// What is wrong with it.
    pub error: String,
    /// What it may do.
    pub role: SwarmRole,
    /// Of a manager: whether the swarm can be managed, else the engine's reason.
    pub leader: Result<(), String>,
    /// Of a manager: the nodes.
    pub nodes: Option<Vec<SeenNode>>,
}

/// A node of the swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenNode {
    /// Its host name.
    pub name: String,
    /// Whether tasks may run there.
    pub readiness: Readiness,
    /// A manager's place among the managers.
    pub manager: Option<Reachability>,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// `ready`
    Ready,
    /// Anything else.
    Away,
}

/// Whether a manager takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    /// `reachable`
    Reachable,
    /// Anything else.
    Unreachable,
}

/// A port of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The port.
    pub port: u16,
    /// Who publishes it, in words.
    pub by: String,
}

/// Why there is nothing to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexamined {
    /// Engine and agent have no version in common.
    #[error("{0}")]
    Version(String),
    /// It does not answer as it should.
    #[error("{0}")]
    Away(String),
}

/// What the doctor reads of `/info`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Facts {
    #[serde(flatten)]
    info: super::types::Info,
    #[serde(default)]
    cgroup_version: String,
    #[serde(default)]
    cgroup_driver: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// Looks, until `limit`.
///
/// # Errors
/// When the engine does not answer, or speaks no version that the agent knows.
pub fn examine(socket: &Path, limit: Deadline) -> Result<Examined, Unexamined> {
    let client = Client::connect(socket).until(limit);
    let started = Instant::now();
    let offered = client.offered(PING).map_err(unexamined)?;
    let took = started.elapsed();
    let api = client.api().map_err(unexamined)?;
    let facts: Facts = client.fetch(Request::get("/info")).map_err(unexamined)?;
    let version: BTreeMap<String, Value> = client.fetch(Request::get("/version")).map_err(unexamined)?;
    let oldest = version.get("MinAPIVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Examined {
        took,
        version: facts.info.server_version.clone(),
        api: api.to_string(),
        api_offered: (oldest, offered.to_string()),
        api_known: (ApiVersion::OLDEST.to_string(), ApiVersion::NEWEST.to_string()),
        cgroup_version: facts.cgroup_version,
        cgroup_driver: facts.cgroup_driver,
        warnings: facts.warnings.unwrap_or_default(),
        root: facts.info.docker_root_dir.clone(),
        ports: ports(&client, events::role(&facts.info)).ok(),
        swarm: swarm(&client, &facts.info),
    })
}

fn unexamined(error: EngineError) -> Unexamined {
    match &error {
        EngineError::TooOld { .. } => Unexamined::Version(error.to_string()),
        // moby, api/server/middleware/version.go: "client version 1.50 is too old. Minimum supported API version is …".
        EngineError::Refused { status: 400, message, .. } if message.contains("client version") => Unexamined::Version(error.to_string()),
        _ => Unexamined::Away(error.to_string()),
    }
}

fn swarm(client: &Client, info: &super::types::Info) -> Swarm {
    let role = events::role(info);
    let nodes = if role == SwarmRole::Manager { Some(client.nodes().map_err(|error| error.to_string())) } else { None };
    let leader = match &nodes {
        Some(Err(error)) => Err(error.clone()),
        Some(Ok(_)) | None => Ok(()),
    };
    let nodes = nodes.and_then(Result::ok).map(|nodes| nodes.iter().map(seen).collect());
    Swarm { state: info.swarm.local_node_state.clone(), error: info.swarm.error.clone(), role, leader, nodes }
}

fn seen(node: &Node) -> SeenNode {
    let name = node.description["Hostname"].as_str().unwrap_or(&node.id).to_owned();
    let reachable = |manager: &Value| match manager["Reachability"].as_str() {
        Some("reachable") => Reachability::Reachable,
        _ => Reachability::Unreachable,
    };
    let readiness = if node.status.state == "ready" { Readiness::Ready } else { Readiness::Away };
    SeenNode { name, readiness, manager: node.manager_status.as_ref().map(reachable) }
}

/// Of every service, where this engine may ask, and of this node's containers.
fn ports(client: &Client, role: SwarmRole) -> Result<Vec<PublishedPort>, EngineError> {
    let mut found = Vec::new();
    if role == SwarmRole::Manager {
        let services: Vec<Value> = client.fetch(Request::get("/services"))?;
        for service in &services {
            let name = service["Spec"]["Name"].as_str().unwrap_or_default();
            found.extend(published(&service["Endpoint"]["Ports"], "PublishedPort", &format!("service {name}")));
        }
    }
    let containers: Vec<Value> = client.fetch(Request::get("/containers/json"))?;
    for container in &containers {
        let name = container["Names"][0].as_str().unwrap_or_default().trim_start_matches('/');
        found.extend(published(&container["Ports"], "PublicPort", &format!("container {name}")));
    }
    Ok(found)
}

fn published(ports: &Value, key: &str, by: &str) -> Vec<PublishedPort> {
    let ports = ports.as_array().into_iter().flatten();
    let tcp = ports.filter(|port| port["Protocol"].as_str().or(port["Type"].as_str()) != Some("udp"));
    let port = |port: &Value| u16::try_from(port[key].as_u64()?).ok();
    tcp.filter_map(port).map(|port| PublishedPort { port, by: by.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_of_services_and_containers_are_read() {
        let service = json!([{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080, "PublishMode": "ingress"}, {"Protocol": "udp", "PublishedPort": 53}]);
        assert_eq!(published(&service, "PublishedPort", "s"), [PublishedPort { port: 8080, by: "s".into() }]);
        let container =
            json!([{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 9469, "Type": "tcp"}, {"PrivatePort": 81, "Type": "tcp"}]);
        assert_eq!(published(&container, "PublicPort", "c"), [PublishedPort { port: 9469, by: "c".into() }]);
        assert_eq!(published(&Value::Null, "PublicPort", "c"), []);
    }

    #[test]
    fn a_version_that_is_not_taken_is_told_apart_from_an_engine_that_is_away() {
        let too_old = EngineError::Refused {
            call: "GET /info".into(),
            status: 400,
            message: "client version 1.50 is too old. Minimum supported API version is 1.60".into(),
        };
        assert!(matches!(unexamined(too_old), Unexamined::Version(_)));
        let away = EngineError::Away { socket: "/s".into(), reason: "refused".into() };
        assert!(matches!(unexamined(away), Unexamined::Away(_)));
    }

    #[test]
    fn a_node_says_what_it_is() {
        let node: Node = serde_json::from_value(json!({
            "ID": "n", "Description": {"Hostname": "h"}, "Status": {"State": "down"}, "ManagerStatus": {"Reachability": "unreachable"}
        }))
        .unwrap();
        let seen = seen(&node);
        assert_eq!((seen.name.as_str(), seen.readiness, seen.manager), ("h", Readiness::Away, Some(Reachability::Unreachable)));
    }
}
