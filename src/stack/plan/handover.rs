//! In which order services are written between which published ports move.
//!
//! Pure. Swarm refuses an ingress port while another service has it, and finds no node for a task whose port of the node
//! another task has: who gives a port up is written before who takes it. Where services exchange ports, one of them is
//! first written without those that it gets.

use super::ports::{Port, port, ports};
use super::{Action, ServicePlan};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Services that are written at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wave {
    /// Their places in the plan.
    pub services: Vec<usize>,
    /// Those that must have let go of their ports before.
    pub awaits: BTreeSet<usize>,
    /// Ports that others still have and must get rid of first: it is written without them, and again in a later wave.
    pub without: Vec<Port>,
}

/// The order in which the services of a plan are written.
#[must_use]
pub fn waves(plans: &[ServicePlan]) -> Vec<Wave> {
    let mut left: BTreeSet<usize> = (0..plans.len()).filter(|&n| plans[n].action.is_sent()).collect();
    let waits = waits(plans);
    let (mut waves, mut let_go) = (Vec::new(), BTreeSet::new());
    while let Some(&first) = left.first() {
        let givers = |n: usize| waits.get(&n).into_iter().flat_map(BTreeMap::keys).copied();
        let ready: Vec<usize> = left.iter().copied().filter(|&n| givers(n).all(|giver| let_go.contains(&giver))).collect();
        if ready.is_empty() {
            let one = on_a_circle(first, |n| givers(n).find(|giver| !let_go.contains(giver)));
            let without = waits[&one].iter().filter(|(giver, _)| !let_go.contains(*giver)).flat_map(|(_, ports)| ports.clone()).collect();
            let awaits = givers(one).filter(|giver| let_go.contains(giver)).collect();
            waves.push(Wave { services: vec![one], awaits, without });
            let_go.insert(one);
            continue;
        }
        left.retain(|n| !ready.contains(n));
        let_go.extend(&ready);
        let awaits = ready.iter().flat_map(|&n| givers(n)).collect();
        waves.push(Wave { services: ready, awaits, without: Vec::new() });
    }
    waves
}

/// The ports that an update takes from a service.
#[must_use]
pub fn given_up(plan: &ServicePlan) -> Vec<Port> {
    let held = plan.held.as_ref().filter(|_| plan.action == Action::Update);
    let wanted: Vec<Port> = ports(&plan.spec).collect();
    held.into_iter().flat_map(|held| ports(&held.spec)).filter(|port| !wanted.iter().any(|kept| kept.is_of(port))).collect()
}

/// Takes ports out of a service's spec.
pub fn leave_out(spec: &mut Value, unwanted: &[Port]) {
    if let Some(all) = spec["EndpointSpec"]["Ports"].as_array_mut() {
        all.retain(|one| port(one).is_none_or(|port| !unwanted.iter().any(|unwanted| unwanted.is_of(&port))));
    }
}

/// What whoever reads the plan should know of services that exchange ports.
pub(super) fn warnings(plans: &[ServicePlan]) -> impl Iterator<Item = String> {
    waves(plans).into_iter().filter(|wave| !wave.without.is_empty()).flat_map(move |wave| {
        let ports: Vec<String> = wave.without.iter().map(ToString::to_string).collect();
        let told = |n: usize| {
            format!(
                "service {} exchanges published ports with others: it is first written without {}, and again when they are free, so its tasks are replaced twice",
                plans[n].name,
                ports.join(", ")
            )
        };
        wave.services.into_iter().map(told).collect::<Vec<String>>()
    })
}

/// Of each service that takes ports: from which ones, and which.
fn waits(plans: &[ServicePlan]) -> BTreeMap<usize, BTreeMap<usize, Vec<Port>>> {
    let given: Vec<(usize, Vec<Port>)> = plans.iter().map(given_up).enumerate().filter(|(_, ports)| !ports.is_empty()).collect();
    let mut waits: BTreeMap<usize, BTreeMap<usize, Vec<Port>>> = BTreeMap::new();
    if given.is_empty() {
        return waits;
    }
    for (n, taker) in plans.iter().enumerate().filter(|(_, plan)| plan.action.is_sent()) {
        let had: Vec<Port> = taker.held.iter().flat_map(|held| ports(&held.spec)).collect();
        for new in ports(&taker.spec).filter(|new| !had.iter().any(|had| had.is_of(new))) {
            for (giver, _) in given.iter().filter(|(giver, ports)| *giver != n && ports.iter().any(|port| port.is_of(&new))) {
                waits.entry(n).or_default().entry(*giver).or_default().push(new.clone());
            }
        }
    }
    waits
}

/// The first service of the file that waits for itself in the end, where `start` and all that it waits for have somebody to
/// wait for.
fn on_a_circle(start: usize, waits_for: impl Fn(usize) -> Option<usize>) -> usize {
    let next = |n: usize| waits_for(n).unwrap_or(n);
    let (mut met, mut now) = (BTreeSet::new(), start);
    while met.insert(now) {
        now = next(now);
    }
    let (meeting, mut first) = (now, now);
    loop {
        now = next(now);
        first = first.min(now);
        if now == meeting {
            return first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, CommandId};
    use crate::stack::held::Service;
    use crate::stack::plan::{Who, service};
    use serde_json::json;
    use uuid::Uuid;

    fn spec(name: &str, ports: &[u64]) -> Value {
        let ports: Vec<Value> = ports.iter().map(|port| json!({"TargetPort": 80, "PublishedPort": port})).collect();
        json!({"Name": name, "EndpointSpec": {"Ports": ports}, "TaskTemplate": {"ForceUpdate": 0}, "Mode": {"Global": {}}})
    }

    /// A service, the ports that it has if it is there, and those that it is to have.
    type Ported<'a> = (&'a str, Option<&'a [u64]>, &'a [u64]);

    fn plans(services: &[Ported<'_>]) -> Vec<ServicePlan> {
        let agent = AgentId::new("me").unwrap();
        let who = Who { agent: &agent, command: CommandId(Uuid::from_u128(1)) };
        let held = |name: &str, ports: &[u64]| -> Service {
            serde_json::from_value(json!({"ID": name, "Version": {"Index": 1}, "Spec": spec(name, ports)})).unwrap()
        };
        let one =
            |(name, had, wants): &Ported<'_>| service(spec(name, wants), had.map(|had| held(name, had)).as_ref(), &BTreeMap::new(), who);
        services.iter().map(one).collect()
    }

    fn order(plans: &[ServicePlan]) -> Vec<(Vec<&str>, Vec<String>)> {
        let name = |n: &usize| plans[*n].name.as_str();
        let told = |wave: &Wave| (wave.services.iter().map(name).collect(), wave.without.iter().map(ToString::to_string).collect());
        waves(plans).iter().map(told).collect()
    }

    #[test]
    fn who_gives_a_port_up_is_written_before_who_takes_it() {
        let none: [String; 0] = [];
        let moved = plans(&[("a", Some(&[]), &[80]), ("b", Some(&[80]), &[81]), ("c", None, &[90]), ("same", Some(&[1]), &[1])]);
        assert_eq!(order(&moved), [(vec!["b", "c"], none.to_vec()), (vec!["a"], none.to_vec())]);
        assert_eq!(waves(&moved)[1].awaits, BTreeSet::from([1]));
        assert_eq!(given_up(&moved[1])[0].to_string(), "80/tcp");
        let chain = plans(&[("a", Some(&[1]), &[2]), ("b", Some(&[2]), &[3]), ("c", Some(&[3]), &[])]);
        assert_eq!(order(&chain).iter().map(|(names, _)| names[0]).collect::<Vec<_>>(), ["c", "b", "a"]);
        assert_eq!(warnings(&chain).count(), 0);
        let quiet = plans(&[("a", Some(&[1]), &[1, 2]), ("b", None, &[3])]);
        assert_eq!(order(&quiet), [(vec!["a", "b"], none.to_vec())]);
        assert_eq!(order(&plans(&[("a", Some(&[1]), &[1])])), []);
    }

    #[test]
    fn of_services_that_exchange_ports_one_is_first_written_without() {
        let swap = plans(&[("x", None, &[2]), ("a", Some(&[1]), &[2, 7]), ("b", Some(&[2]), &[1])]);
        // Two services cannot both have a port, but a plan that is refused for that must not hang.
        assert_eq!(waves(&swap).iter().map(|wave| wave.services.len()).sum::<usize>(), 4);
        let swap = plans(&[("later", None, &[5]), ("a", Some(&[1]), &[2, 7]), ("b", Some(&[2, 5]), &[1])]);
        let without = vec!["2/tcp".to_owned()];
        assert_eq!(order(&swap), [(vec!["a"], without), (vec!["b"], vec![]), (vec!["later", "a"], vec![])]);
        assert_eq!(waves(&swap)[2].awaits, BTreeSet::from([2]));
        let told: Vec<String> = warnings(&swap).collect();
        assert!(told.len() == 1 && told[0].contains("service a exchanges") && told[0].contains("without 2/tcp"), "{told:?}");
        let mut bare = swap[1].spec.clone();
        leave_out(&mut bare, &waves(&swap)[0].without);
        assert_eq!(bare["EndpointSpec"]["Ports"], json!([{"TargetPort": 80, "PublishedPort": 7}]));
        let ring = plans(&[("a", Some(&[1]), &[2]), ("b", Some(&[2]), &[3]), ("c", Some(&[3]), &[1])]);
        assert_eq!(order(&ring).iter().map(|(names, _)| names[0]).collect::<Vec<_>>(), ["a", "c", "b", "a"]);
    }
}
