//! Services that want more nodes than there are: each node takes one task that publishes a port of it, and no more of a service
//! than `max_replicas_per_node` allows.
//!
//! Pure. The rules are those of swarmkit's scheduler (`HostPortFilter`, `MaxReplicasFilter`), which asks them only of tasks that it
//! places. It is told and not refused: a node may come while tasks wait. Constraints and resources may leave still fewer nodes: that
//! shows when they do.

use super::ports::{Place, Port, ports};
use super::{Action, Plan, ServicePlan};
use crate::stack::change::Effect;
use crate::stack::held::Mode;
use serde_json::Value;
use std::fmt;

/// What keeps tasks of a service from one node.
#[derive(Debug)]
enum Bound {
    /// So many may run on a node.
    PerNode(u64),
    /// Each takes this port of its node.
    Port(Port),
}

/// Whether a plan writes a service of which a node takes only so many tasks.
#[must_use]
pub fn limits_replicas(plan: &Plan) -> bool {
    plan.services.iter().any(|one| one.action.is_sent() && per_node(&one.spec).is_some())
}

/// What whoever reads the plan should know of services that want more than these nodes, which take tasks now.
pub fn too_few_nodes(plan: &Plan, ready: u64) -> impl Iterator<Item = String> {
    plan.services.iter().filter(|one| one.action.is_sent()).filter_map(move |one| {
        let bounds = bounds(&one.spec);
        wants_more(one, &bounds, ready).or_else(|| has_no_room_beside(one, &bounds, ready))
    })
}

/// All of the tasks want more nodes.
fn wants_more(one: &ServicePlan, bounds: &[Bound], ready: u64) -> Option<String> {
    // Jobs end, and others follow in their places; of a global service each node has one task.
    let Mode::Replicated(tasks) = Mode::of(&one.spec) else { return None };
    let bound = bounds.iter().max_by_key(|bound| tasks.div_ceil(bound.per_node()))?;
    let nodes = tasks.div_ceil(bound.per_node());
    let remedy = match bound {
        Bound::PerNode(_) => "run fewer, or allow more on a node",
        Bound::Port(_) => "run fewer, or publish the port in mode ingress",
    };
    let is_told = places_tasks(one, tasks) && nodes > ready;
    let count = |nodes: u64| format!("{nodes} node{}", if nodes == 1 { "" } else { "s" });
    is_told.then(|| format!("service {} wants {}, and {ready} can take tasks now ({bound}): {remedy}", one.name, count(nodes)))
}

/// The old tasks are in the way of the new one that an update starts beside them.
fn has_no_room_beside(one: &ServicePlan, bounds: &[Bound], ready: u64) -> Option<String> {
    let starts_first = one.spec["UpdateConfig"]["Order"].as_str().is_some_and(|order| order.eq_ignore_ascii_case("start-first"));
    if !starts_first || one.action != Action::Update || one.effect() != Some(Effect::Replaced) {
        return None;
    }
    let is_full = |bound: &&Bound| match Mode::of(&one.spec) {
        Mode::Replicated(tasks) => tasks >= ready.saturating_mul(bound.per_node()),
        _ => true,
    };
    let bound = bounds.iter().filter(|bound| bound.was_so(one)).find(is_full)?;
    Some(format!(
        "service {} starts new tasks beside the old ones (order: start-first), and finds no place for them ({bound}): say order: stop-first",
        one.name
    ))
}

/// Whether so many tasks may have to find a node: those that go on are left where they are.
fn places_tasks(one: &ServicePlan, tasks: u64) -> bool {
    let grows = one.held.as_ref().is_some_and(|held| matches!(held.mode(), Mode::Replicated(had) if had < tasks));
    grows || one.effect().is_none_or(|effect| effect == Effect::Replaced)
}

impl Bound {
    fn per_node(&self) -> u64 {
        match self {
            Self::PerNode(limit) => *limit,
            Self::Port(_) => 1,
        }
    }

    /// Whether it held for the tasks that there are.
    fn was_so(&self, one: &ServicePlan) -> bool {
        match self {
            Self::PerNode(_) => true,
            Self::Port(port) => one.held.as_ref().is_some_and(|held| host_ports(&held.spec).any(|had| had.is_of(port))),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerNode(limit) => write!(f, "max_replicas_per_node is {limit}"),
            Self::Port(port) => write!(f, "each task publishes port {port} of its node"),
        }
    }
}

/// Ports stand last: where both want as many nodes, it is the port that keeps them apart.
fn bounds(spec: &Value) -> Vec<Bound> {
    per_node(spec).map(Bound::PerNode).into_iter().chain(host_ports(spec).map(Bound::Port)).collect()
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
        let two = |limit: u64| told(&spec("a:1", &replicas(2), limit, "host", "start-first"), None, 1);
        let words = "service st_web wants 2 nodes, and 1 can take tasks now (each task publishes port 8080/tcp of its node): \
                     run fewer, or publish the port in mode ingress";
        assert_eq!((two(0), two(1)), (vec![words.to_owned()], vec![words.to_owned()]));
        assert_eq!(told(&spec("a:1", &replicas(u64::MAX), 3, "host", ""), None, 1).len(), 1);
    }

    #[test]
    fn tasks_that_go_on_where_they_are_want_no_place() {
        let (four, limited) = (spec("a:1", &replicas(4), 0, "ingress", ""), spec("a:1", &replicas(4), 2, "ingress", ""));
        assert_eq!(told(&limited, Some(&four), 1), [""; 0], "only their placement changes");
        let five = spec("a:1", &replicas(5), 2, "ingress", "");
        assert_eq!(told(&five, Some(&four), 2).len(), 1);
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
        let mut both = of("a:2", &one, "start-first");
        both["EndpointSpec"]["Ports"]
            .as_array_mut()
            .unwrap()
            .insert(0, json!({"TargetPort": 1, "PublishedPort": 90, "PublishMode": "host"}));
        let words = "service st_web starts new tasks beside the old ones (order: start-first), and finds no place for them \
                     (each task publishes port 8080/tcp of its node): say order: stop-first";
        assert_eq!(told(&both, Some(&of("a:1", &one, "")), 1), [words], "the port that it had is in its way");
        let two = |image| spec(image, &replicas(2), 0, "host", "start-first");
        assert!(told(&two("a:2"), Some(&two("a:1")), 1)[0].contains("run fewer"), "stop-first would not help");
        let limited = |image| spec(image, &one, 1, "ingress", "start-first");
        assert_eq!(told(&limited("a:2"), Some(&limited("a:1")), 1).len(), 1);
        assert_eq!(told(&of("a:2", &one, "start-first"), Some(&of("a:1", &one, "")), 2), [""; 0]);
    }
}
