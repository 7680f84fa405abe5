//! Published ports that are taken already: by a service of this plan, or by another one of the swarm.
//!
//! Pure. The rules are swarmkit's (`manager/controlapi`, `checkPortConflicts`): an ingress port belongs to one service of
//! the swarm, and no other may have its number on a node. Two services that publish a port of their nodes get along where
//! there are nodes enough: where there is one, the second one never finds a place.

use super::{Plan, Unplannable};
use crate::stack::held::{Mode, Service};
use serde_json::Value;
use std::fmt;

/// Where a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On every node of the swarm.
    Ingress,
    /// On the nodes of its tasks.
    Host,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As it is reached.
    pub number: u64,
    /// `tcp`, `udp`, `sctp`.
    pub protocol: String,
    /// Where.
    pub place: Place,
}

impl Port {
    /// Whether it is the same port, wherever it is published.
    #[must_use]
    pub fn is_of(&self, other: &Self) -> bool {
        self.number == other.number && self.protocol == other.protocol
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// How many nodes can run tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nodes {
    /// This one alone.
    One,
    /// Several, or nobody knows.
    Several,
}

/// Whether a plan writes a service that publishes a port: then [`check_ports`] has something to look for.
#[must_use]
pub fn publishes_ports(plan: &Plan) -> bool {
    plan.services.iter().any(|one| one.action.is_sent() && ports(&one.spec).next().is_some())
}

/// Refuses ports that two services want. `others` are the services of the swarm, whosever; those that are planned or go
/// do not count.
///
/// # Errors
/// With the port, and who has it.
pub fn check_ports(plan: &Plan, others: &[Service], nodes: Nodes) -> Result<(), Unplannable> {
    let is_planned =
        |other: &Service| plan.services.iter().any(|one| one.name == other.name()) || plan.removals.iter().any(|gone| gone.id == other.id);
    let others: Vec<&Service> = others.iter().filter(|other| !is_planned(other)).collect();
    for (n, one) in plan.services.iter().enumerate() {
        let within = plan.services.iter().skip(n + 1).filter(|next| one.action.is_sent() || next.action.is_sent());
        let beside = others.iter().filter(|_| one.action.is_sent()).map(|other| (other.name(), &other.spec));
        for (name, spec) in within.map(|next| (next.name.as_str(), &next.spec)).chain(beside) {
            if let Some(port) = clash(&one.spec, spec, nodes) {
                return Err(Unplannable::PortTaken { service: one.name.clone(), port: port.to_string(), other: name.to_owned() });
            }
        }
    }
    Ok(())
}

fn clash(one: &Value, other: &Value, nodes: Nodes) -> Option<Port> {
    let theirs: Vec<Port> = ports(other).collect();
    ports(one).find(|port| {
        theirs.iter().any(|taken| {
            let on_nodes = port.place == Place::Host && taken.place == Place::Host;
            let fits = on_nodes && (nodes == Nodes::Several || !has_tasks(one) || !has_tasks(other));
            port.is_of(taken) && !fits
        })
    })
}

/// A service of no replicas, as a stopped one, is on no node.
fn has_tasks(spec: &Value) -> bool {
    !matches!(Mode::of(spec), Mode::Replicated(0) | Mode::ReplicatedJob(_) | Mode::GlobalJob)
}

/// The ports that a service's spec publishes under a number of its choice.
pub(super) fn ports(spec: &Value) -> impl Iterator<Item = Port> {
    spec["EndpointSpec"]["Ports"].as_array().into_iter().flatten().filter_map(port)
}

/// One of a list of ports, as the Engine API has it; none where Swarm chooses the number.
#[must_use]
pub fn port(port: &Value) -> Option<Port> {
    let number = port["PublishedPort"].as_u64().filter(|&number| number > 0)?;
    let protocol = port["Protocol"].as_str().filter(|protocol| !protocol.is_empty()).unwrap_or("tcp").to_ascii_lowercase();
    let is_host = port["PublishMode"].as_str().is_some_and(|mode| mode.eq_ignore_ascii_case("host"));
    let place = if is_host { Place::Host } else { Place::Ingress };
    Some(Port { number, protocol, place })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, Code, CommandId};
    use crate::stack::plan::{Who, service};
    use serde_json::json;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn spec(name: &str, ports: &Value, replicas: u64) -> Value {
        json!({"Name": name, "EndpointSpec": {"Ports": ports}, "TaskTemplate": {"ForceUpdate": 0}, "Mode": {"Replicated": {"Replicas": replicas}}})
    }

    fn held(name: &str, ports: &Value, replicas: u64) -> Service {
        serde_json::from_value(json!({"ID": name, "Version": {"Index": 1}, "Spec": spec(name, ports, replicas)})).unwrap()
    }

    fn plan(wanted: &[Value], held: &[Service]) -> Plan {
        let agent = AgentId::new("me").unwrap();
        let who = Who { agent: &agent, command: CommandId(Uuid::from_u128(1)) };
        let one = |spec: &Value| service(spec.clone(), held.iter().find(|held| held.name() == spec["Name"]), &BTreeMap::new(), who);
        let (networks, contents, removals, leaving, warnings) = (vec![], vec![], vec![], vec![], vec![]);
        Plan { networks, contents, services: wanted.iter().map(one).collect(), removals, leaving, warnings }
    }

    #[test]
    fn a_port_of_two_services_is_refused_where_it_cannot_be() {
        let ingress = json!([{"TargetPort": 80, "PublishedPort": 8080}]);
        let host = json!([{"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host", "Protocol": "tcp"}]);
        let udp = json!([{"TargetPort": 80, "PublishedPort": 8080, "Protocol": "udp"}]);
        let free = json!([{"TargetPort": 80}]);
        for (mine, theirs, nodes, taken) in [
            (&ingress, &ingress, Nodes::Several, true),
            (&ingress, &host, Nodes::Several, true),
            (&host, &ingress, Nodes::Several, true),
            (&host, &host, Nodes::Several, false),
            (&host, &host, Nodes::One, true),
            (&ingress, &udp, Nodes::One, false),
            (&free, &free, Nodes::One, false),
        ] {
            let beside = plan(&[spec("st_web", mine, 1)], &[]);
            let elsewhere = check_ports(&beside, &[held("other", theirs, 1)], nodes);
            assert_eq!(elsewhere.is_err(), taken, "{mine} {theirs} {nodes:?}");
            let within = check_ports(&plan(&[spec("st_web", mine, 1), spec("st_b", theirs, 1)], &[]), &[], nodes);
            assert_eq!(within.is_err(), taken, "{mine} {theirs} {nodes:?}");
        }
        let taken = check_ports(&plan(&[spec("st_web", &host, 1)], &[]), &[held("other", &host, 1)], Nodes::One).unwrap_err();
        assert_eq!((taken.code(), taken.to_string().contains("8080/tcp")), (Code::PORT_CLASH, true), "{taken}");
        assert_eq!(check_ports(&plan(&[spec("st_web", &host, 1)], &[]), &[held("stopped", &host, 0)], Nodes::One), Ok(()));
    }

    #[test]
    fn what_runs_beside_each_other_or_goes_is_no_clash() {
        let host = json!([{"TargetPort": 80, "PublishedPort": 8080, "PublishMode": "host", "Protocol": "tcp"}]);
        let (there, old) = (held("st_web", &host, 1), held("st_old", &host, 1));
        let unchanged = plan(&[spec("st_web", &host, 1)], std::slice::from_ref(&there));
        assert!(!publishes_ports(&unchanged));
        assert_eq!(check_ports(&unchanged, &[there.clone(), old.clone()], Nodes::One), Ok(()), "nothing is written");
        let mut moved = plan(&[spec("st_new", &host, 1)], &[]);
        assert!(publishes_ports(&moved) && check_ports(&moved, std::slice::from_ref(&old), Nodes::One).is_err());
        moved.removals = vec![old.clone()];
        assert_eq!(check_ports(&moved, &[old], Nodes::One), Ok(()), "it leaves the file");
    }
}
