//! Services that want more nodes than there are: each node takes one task that publishes a port of it, and no more of a service
//! than `max_replicas_per_node` allows.
//!
//! Pure. The rules are those of swarmkit's scheduler (`HostPortFilter`, `MaxReplicasFilter`). What the whole swarm has no nodes for
//! never comes to run; what only the nodes want that are not ready now is for whoever reads the plan. Constraints and
//! resources may leave still fewer: that shows when tasks wait.

use super::ports::{Place, Port, ports};
use super::{Action, Plan, ServicePlan, Unplannable};
use crate::stack::change::Effect;
use crate::stack::held::Mode;
use serde_json::Value;

/// Nodes of the swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeCount {
    /// All that it knows.
    pub all: u64,
    /// Those that take tasks now.
    pub ready: u64,
}

/// Whether a plan writes a service whose tasks may want more nodes than there are: then [`check_capacity`] has something to look for.
#[must_use]
pub fn wants_nodes(plan: &Plan) -> bool {
    plan.services.iter().any(|one| one.action.is_sent() && (host_ports(&one.spec).next().is_some() || per_node(&one.spec).is_some()))
}

/// Refuses a service that wants more nodes than the swarm has, and warns of one that wants more than are ready.
///
/// # Errors
/// With the service, what it wants and what there is.
pub fn check_capacity(plan: &Plan, nodes: NodeCount) -> Result<Vec<String>, Unplannable> {
    let mut warnings = Vec::new();
    for one in plan.services.iter().filter(|one| one.action.is_sent()) {
        let Some(want) = Want::most(one, nodes) else { continue };
        if want.nodes > nodes.all {
            return Err(want.refusal(&one.name, nodes));
        }
        if want.nodes > nodes.ready {
            warnings.push(format!("service {}: {}, and {} of {} are ready now: tasks will wait", one.name, want.words(), nodes.ready, nodes.all));
        }
    }
    Ok(warnings)
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
    fn most(one: &ServicePlan, nodes: NodeCount) -> Option<Self> {
        let tasks = match Mode::of(&one.spec) {
            Mode::Replicated(count) => count,
            // On each node that there is: all that it may lack is one more for an update.
            Mode::Global => nodes.all,
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

    fn refusal(self, service: &str, nodes: NodeCount) -> Unplannable {
        let (service, want, there) = (service.to_owned(), self.words(), counted(nodes.all, "node"));
        let remedy = match self.why {
            _ if self.beside => "let it stop the old task first (order: stop-first)",
            Why::Port(_) => "run fewer, or publish the port in mode ingress",
            Why::PerNode(_) => "run fewer, or allow more on a node",
        };
        match self.why {
            Why::Port(_) => Unplannable::PortOfItsOwn { service, want, there, remedy },
            Why::PerNode(_) => Unplannable::TooFewNodes { service, want, there, remedy },
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
    use crate::domain::{AgentId, Code, CommandId};
    use crate::stack::held::Service;
    use crate::stack::plan::{Who, service};
    use serde_json::json;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    const ONE: NodeCount = NodeCount { all: 1, ready: 1 };

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

    fn check(wanted: &Value, held: Option<&Value>, nodes: NodeCount) -> Result<Vec<String>, (Code, String)> {
        let agent = AgentId::new("me").unwrap();
        let held: Option<Service> =
            held.map(|spec| serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "Spec": spec})).unwrap());
        let one = service(wanted.clone(), held.as_ref(), &BTreeMap::new(), Who { agent: &agent, command: CommandId(Uuid::from_u128(1)) });
        check_capacity(&Plan { services: vec![one], ..Plan::default() }, nodes).map_err(|error| (error.code(), error.to_string()))
    }

    #[test]
    fn more_tasks_than_the_swarm_has_places_for_are_refused_and_more_than_are_ready_are_told() {
        let three = NodeCount { all: 3, ready: 2 };
        for (mode, limit, publish, nodes, refused, warned) in [
            (replicas(1), 0, "host", ONE, None, false),
            (replicas(2), 0, "host", ONE, Some(Code::PORT_CLASH), false),
            (replicas(2), 0, "ingress", ONE, None, false),
            (replicas(2), 0, "host", three, None, false),
            (replicas(3), 0, "host", three, None, true),
            (replicas(4), 0, "host", three, Some(Code::PORT_CLASH), false),
            (replicas(2), 1, "ingress", ONE, Some(Code::NO_SUITABLE_NODE), false),
            (replicas(4), 2, "ingress", three, None, false),
            (replicas(5), 2, "ingress", three, None, true),
            (replicas(0), 1, "host", ONE, None, false),
            (json!({"Global": {}}), 0, "host", ONE, None, false),
            (json!({"ReplicatedJob": {"TotalCompletions": 5}}), 0, "host", ONE, None, false),
        ] {
            let told = check(&spec("a:1", &mode, limit, publish, ""), None, nodes);
            let code = told.as_ref().err().map(|(code, _)| *code);
            assert_eq!((code, told.as_ref().is_ok_and(|told| !told.is_empty())), (refused, warned), "{mode} {limit} {publish} {told:?}");
        }
        let (_, words) = check(&spec("a:1", &replicas(2), 0, "host", ""), None, ONE).unwrap_err();
        assert_eq!(
            words,
            "service st_web: 2 tasks that publish port 8080/tcp of their node need 2 nodes, and the swarm has 1 node: \
             run fewer, or publish the port in mode ingress"
        );
    }

    #[test]
    fn a_task_that_starts_beside_the_one_that_has_its_port_finds_no_place() {
        let (one, global) = (replicas(1), json!({"Global": {}}));
        let of = |image, mode, order| spec(image, mode, 0, "host", order);
        for mode in [&one, &global] {
            let held = of("a:1", mode, "stop-first");
            assert_eq!(check(&of("a:2", mode, "start-first"), Some(&held), ONE).unwrap_err().0, Code::PORT_CLASH, "{mode}");
            assert_eq!(check(&of("a:2", mode, "stop-first"), Some(&held), ONE), Ok(vec![]));
            assert_eq!(check(&of("a:1", mode, "start-first"), Some(&held), ONE), Ok(vec![]), "no task is replaced");
            assert_eq!(check(&of("a:2", mode, "start-first"), None, ONE), Ok(vec![]), "nothing has it yet");
        }
        let limited = |image| spec(image, &one, 1, "ingress", "start-first");
        assert_eq!(check(&limited("a:2"), Some(&limited("a:1")), ONE).unwrap_err().0, Code::NO_SUITABLE_NODE);
        let held = of("a:1", &one, "");
        assert_eq!(check(&of("a:2", &one, "start-first"), Some(&held), NodeCount { all: 2, ready: 2 }), Ok(vec![]));
        assert_eq!(check(&of("a:2", &one, "start-first"), Some(&held), NodeCount { all: 2, ready: 1 }).unwrap().len(), 1);
    }
}
