//! Services that want more nodes than there are: each node takes one task that publishes a port of it, and no more of a service
//! than `max_replicas_per_node` allows.
//!
//! Pure. The rules are those of swarmkit's scheduler (`HostPortFilter`, `MaxReplicasFilter`). It is told and not refused: a node
//! may come while tasks wait. Constraints and resources may leave still fewer nodes: that shows when they do.

use super::ports::{Place, Port, ports};
use super::{Action, Plan, ServicePlan};
use crate::stack::change::Effect;
use crate::stack::held::Mode;
use serde_json::Value;

/// Whether a plan writes a service whose tasks may want more nodes than there are: then [`too_few_nodes`] has something to tell.
#[must_use]
pub fn wants_nodes(plan: &Plan) -> bool {
    plan.services.iter().any(|one| one.action.is_sent() && (host_ports(&one.spec).next().is_some() || per_node(&one.spec).is_some()))
}

/// What whoever reads the plan should know of services that want more than these nodes, which take tasks now.
pub fn too_few_nodes(plan: &Plan, ready: u64) -> impl Iterator<Item = String> {
    plan.services.iter().filter(|one| one.action.is_sent()).filter_map(move |one| {
        let want = Want::most(one, ready).filter(|want| want.nodes > ready)?;
        Some(format!("service {}: {}; {ready} can take tasks now, so some will wait: {}", one.name, want.words(), want.remedy()))
    })
}

/// So many nodes, and why.
#[derive(Debug)]
struct Want {
    nodes: u64,
    tasks: u64,
    /// Whether an update starts a task beside them.
    beside: bool,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// Each task takes this port of its node.
    Port(Port),
    /// So many of the service may run on a node.
    PerNode(u64),
}

impl Want {
    /// What wants the most nodes.
    fn most(one: &ServicePlan, ready: u64) -> Option<Self> {
        let tasks = match Mode::of(&one.spec) {
            Mode::Replicated(count) => count,
            // On each node that there is: all that it may lack is one more for an update.
            Mode::Global => ready,
            // They end, and others follow in their places.
            Mode::ReplicatedJob(_) | Mode::GlobalJob => return None,
        };
        let starts_first = starts_first(one);
        let want = |beside: bool, limit: u64, why: Why| Self { nodes: (tasks + u64::from(beside)).div_ceil(limit), tasks, beside, why };
        let of_port = host_ports(&one.spec).next().map(|port| want(starts_first && had(one, &port), 1, Why::Port(port)));
        let of_limit = per_node(&one.spec).map(|limit| want(starts_first, limit, Why::PerNode(limit)));
        [of_port, of_limit].into_iter().flatten().max_by_key(|want| want.nodes)
    }

    fn words(&self) -> String {
        let (tasks, nodes) = (counted(self.tasks, "task"), counted(self.nodes, "node"));
        let why = match &self.why {
            Why::Port(port) => format!("that publish port {port} of their node"),
            Why::PerNode(limit) => format!("of which a node takes {limit} (max_replicas_per_node)"),
        };
        let beside = if self.beside { ", and one that starts beside them (order: start-first)," } else { "" };
        format!("{tasks} {why}{beside} need {nodes}")
    }

    fn remedy(&self) -> &'static str {
        match self.why {
            _ if self.beside => "let it stop the old task first (order: stop-first)",
            Why::Port(_) => "run fewer, or publish the port in mode ingress",
            Why::PerNode(_) => "run fewer, or allow more on a node",
        }
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Whether the update starts each task before it stops the one that it replaces.
fn starts_first(one: &ServicePlan) -> bool {
    let starts_first = one.spec["UpdateConfig"]["Order"].as_str().is_some_and(|order| order.eq_ignore_ascii_case("start-first"));
    starts_first && one.action == Action::Update && one.effect() == Some(Effect::Replaced)
}

fn had(one: &ServicePlan, port: &Port) -> bool {
    one.held.as_ref().is_some_and(|held| host_ports(&held.spec).any(|had| had.is_of(port)))
}

fn host_ports(spec: &Value) -> impl Iterator<Item = Port> {
    ports(spec).filter(|port| port.place == Place::Host)
}

fn per_node(spec: &Value) -> Option<u64> {
    spec["TaskTemplate"]["Placement"]["MaxReplicas"].as_u64().filter(|&limit| limit > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, CommandId};
    use crate::stack::held::Service;
    use crate::stack::plan::{Who, service};
    use serde_json::json;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn spec(image: &str, mode: &Value, limit: u64, publish: &str, order: &str) -> Value {
        json!({
            "Name": "st_web",
            "TaskTemplate": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0, "Placement": {"MaxReplicas": limit}},
            "Mode": mode,
            "UpdateConfig": {"Order": order},
            "EndpointSpec": {"Ports": [{"TargetPort": 80, "PublishedPort": 8080, "PublishMode": publish}]},
        })
    }

    fn replicas(count: u64) -> Value {
        json!({"Replicated": {"Replicas": count}})
    }

    fn told(wanted: &Value, held: Option<&Value>, ready: u64) -> Vec<String> {
        let agent = AgentId::new("me").unwrap();
        let held: Option<Service> =
            held.map(|spec| serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "Spec": spec})).unwrap());
        let one = service(wanted.clone(), held.as_ref(), &BTreeMap::new(), Who { agent: &agent, command: CommandId(Uuid::from_u128(1)) });
        too_few_nodes(&Plan { services: vec![one], ..Plan::default() }, ready).collect()
    }

    #[test]
    fn more_tasks_than_there_are_places_for_are_told() {
        for (mode, limit, publish, ready, is_told) in [
            (replicas(1), 0, "host", 1, false),
            (replicas(2), 0, "host", 1, true),
            (replicas(2), 0, "ingress", 1, false),
            (replicas(2), 0, "host", 2, false),
            (replicas(2), 1, "ingress", 1, true),
            (replicas(4), 2, "ingress", 2, false),
            (replicas(5), 2, "ingress", 2, true),
            (replicas(0), 1, "host", 1, false),
            (json!({"Global": {}}), 0, "host", 1, false),
            (json!({"ReplicatedJob": {"TotalCompletions": 5}}), 0, "host", 1, false),
        ] {
            let told = told(&spec("a:1", &mode, limit, publish, ""), None, ready);
            assert_eq!(!told.is_empty(), is_told, "{mode} {limit} {publish} {told:?}");
        }
        assert_eq!(
            told(&spec("a:1", &replicas(2), 0, "host", ""), None, 1),
            ["service st_web: 2 tasks that publish port 8080/tcp of their node need 2 nodes; 1 can take tasks now, so some will wait: \
              run fewer, or publish the port in mode ingress"]
        );
    }

    #[test]
    fn a_task_that_starts_beside_the_one_that_has_its_place_finds_none() {
        let (one, global) = (replicas(1), json!({"Global": {}}));
        let of = |image, mode, order| spec(image, mode, 0, "host", order);
        for mode in [&one, &global] {
            let held = of("a:1", mode, "stop-first");
            assert_eq!(told(&of("a:2", mode, "start-first"), Some(&held), 1).len(), 1, "{mode}");
            assert_eq!(told(&of("a:2", mode, "stop-first"), Some(&held), 1), [""; 0]);
            assert_eq!(told(&of("a:1", mode, "start-first"), Some(&held), 1), [""; 0], "no task is replaced");
            assert_eq!(told(&of("a:2", mode, "start-first"), None, 1), [""; 0], "nothing has it yet");
        }
        let limited = |image| spec(image, &one, 1, "ingress", "start-first");
        assert_eq!(told(&limited("a:2"), Some(&limited("a:1")), 1).len(), 1);
        assert_eq!(told(&of("a:2", &one, "start-first"), Some(&of("a:1", &one, "")), 2), [""; 0]);
    }
}
