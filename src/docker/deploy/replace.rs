//! Makes way for what Swarm cannot change: services and networks that go before they are made again under their names.
//!
//! ORDER: services go first, with a note of what they were; then their tasks end, because two modes of one service must
//! not run at once on the same data, and nobody else may get a network's addresses; then networks go, from the manager
//! and from this node, which would not take a second one of the name. A restart anywhere in between finds by looking
//! what is still to be done. What was removed is remembered in the journal, so that there is a way back without a revision.

use super::{Broken, Failure, apply};
use crate::docker::census::{Census, down};
use crate::docker::leftovers;
use crate::docker::room::{Halt, Room, StepError};
use crate::docker::types::{Network, Task};
use crate::domain::{Code, Entry, Progress, StackName, Step, StepOutcome};
use crate::stack::plan::{self, Action, NetworkPlan, ServicePlan};
use crate::threads::Deadline;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Between two looks at tasks that end: they do so without an event where they run on other nodes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a network may stay busy once no task is on it: containers leave it a little later.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one that is not wanted any more may stay busy: old tasks end behind the new ones.
const LEAVING: Duration = Duration::from_secs(15);
/// The step that notes what a service was that is first written without ports, to exchange them.
pub(super) const EXCHANGE: &str = "service.exchange";
/// Where a spec says which networks its tasks are on.
const NETWORKS: &str = "/TaskTemplate/Networks";
/// The steps that note what was before: they change nothing.
pub(super) const NOTES: [&str; 3] = ["service.replace", "network.replace", EXCHANGE];

/// What a command replaced, as it was before.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// Specs of services, by name.
    pub(super) services: BTreeMap<String, Value>,
    /// Bodies of networks, by name.
    pub(super) networks: BTreeMap<String, Value>,
    /// Specs of services that were first written without ports, by name.
    pub(super) exchanged: BTreeMap<String, Value>,
}

impl Replaced {
    /// By the command, in an earlier process too.
    pub(super) fn by(room: &Room<'_>) -> Result<Self, Broken> {
        let mut replaced = Self::default();
        for (step, outcome) in room.ledger.steps(room.command.id)? {
            let Some(StepOutcome::Done(Some(was))) = outcome else { continue };
            let of_kind = match step.operation.as_str() {
                "service.replace" => &mut replaced.services,
                "network.replace" => &mut replaced.networks,
                EXCHANGE => &mut replaced.exchanged,
                _ => continue,
            };
            if let Ok(was) = serde_json::from_str(&was) {
                // What was before the first replacement is what was before the command.
                of_kind.entry(step.object).or_insert(was);
            }
        }
        Ok(replaced)
    }
}

/// Removes what is to be replaced, and waits until nothing of it is left. Services are then to be created.
pub(super) fn make_way(room: &Room<'_>, stack: &StackName, networks: &[NetworkPlan], services: &mut [ServicePlan]) -> Result<(), Broken> {
    let going: Vec<&Network> = networks.iter().filter_map(NetworkPlan::replaced).collect();
    let mut names = BTreeSet::new();
    for plan in services.iter_mut().filter(|plan| plan.action == Action::Replace) {
        names.insert(plan.name.clone());
        if let Some(held) = plan.held.take() {
            remember(room, "service.replace", &plan.name, &with_names(&held.spec, &going));
            apply::remove_service(room, &held)?;
        }
    }
    let begun_before = room.entry == Entry::Resumed && !Replaced::by(room)?.services.is_empty();
    if names.is_empty() && going.is_empty() && !begun_before {
        return Ok(());
    }
    room.progress(Progress::new("replace", in_short(&names, &going)));
    wait_for_tasks(room, stack)?;
    for network in &going {
        if !network.lingers() {
            remember(room, "network.replace", &network.name, &plan::body_of(network));
        }
        remove_network(room, stack, network, Deadline::after(PATIENCE))?;
    }
    Ok(())
}

/// A spec with the names of the networks that go: they come back under other ids.
fn with_names(spec: &Value, going: &[&Network]) -> Value {
    let mut spec = spec.clone();
    for attached in spec.pointer_mut(NETWORKS).and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(network) = going.iter().find(|network| attached["Target"] == network.id.as_str()) {
            attached["Target"] = Value::from(network.name.as_str());
        }
    }
    spec
}

fn in_short(services: &BTreeSet<String>, networks: &[&Network]) -> String {
    let services: Vec<&str> = services.iter().map(String::as_str).collect();
    let networks: Vec<&str> = networks.iter().map(|network| network.name.as_str()).collect();
    match (services.as_slice(), networks.as_slice()) {
        (services, []) => format!("to be made anew: services {}", services.join(", ")),
        ([], networks) => format!("to be made anew: networks {}", networks.join(", ")),
        (services, networks) => format!("to be made anew: networks {}, services {}", networks.join(", "), services.join(", ")),
    }
}

pub(super) fn remember(room: &Room<'_>, operation: &str, name: &str, was: &Value) {
    let step = Step { operation: operation.to_owned(), object: name.to_owned() };
    room.ledger.note(room.command.id, step, StepOutcome::Done(Some(was.to_string())));
}

/// Waits until no task runs whose service is gone: after a restart nothing else tells which services were removed.
fn wait_for_tasks(room: &Room<'_>, stack: &StackName) -> Result<(), Broken> {
    loop {
        let services: BTreeSet<String> = room.observe(|client| client.services(stack))?.into_iter().map(|service| service.id).collect();
        let tasks = room.observe(|client| client.tasks(stack))?;
        let orphans: Vec<&Task> = tasks.iter().filter(|task| !services.contains(&task.service_id)).collect();
        let nodes = if orphans.is_empty() { Vec::new() } else { room.observe(|client| client.nodes())? };
        let census = Census::of(orphans, &down(&nodes));
        let late = census.running + census.starting + census.ending;
        if late == 0 {
            return Ok(());
        }
        match room.wait_for_change(LOOK_EVERY) {
            Err(Halt::TimedOut) => {
                let message = format!("{late} tasks of services that are made anew had not ended when the command's time was over");
                return Err(Failure::new(Code::TIMED_OUT, message).into());
            }
            other => other?,
        }
    }
}

/// Removes a network that is not wanted any more, for the reason `why`, once the services are off it. What holds it is told,
/// and no failure: the stack runs as it should.
pub(super) fn let_go(room: &Room<'_>, stack: &StackName, network: &Network, why: &str) -> Result<Option<String>, Broken> {
    match remove_network(room, stack, network, Deadline::after(LEAVING)) {
        Ok(()) => Ok(None),
        Err(Broken::Failed(failure)) => Ok(Some(format!("{}; {why}, and goes after the next deploy", failure.message))),
        Err(ended) => Err(ended),
    }
}

/// Removes a network of which no task is left, and waits until this node has let go of it.
fn remove_network(room: &Room<'_>, stack: &StackName, network: &Network, patience: Deadline) -> Result<(), Broken> {
    loop {
        let services = room.observe(|client| client.services(stack))?;
        let is_gone = |name: &str| !services.iter().any(|service| service.name() == name);
        leftovers::sweep(room, stack, |service| service.is_some_and(is_gone))?;
        let words = match room.step("network.remove", &network.name, |client| client.remove_network(&network.id)) {
            Ok(()) => "its containers leave it only slowly".to_owned(),
            Err(StepError::Refused(error)) if error.is_not_found() => "its containers leave it only slowly".to_owned(),
            Err(StepError::Refused(error) | StepError::Unknown(error)) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        // This node lists it until its last container is off it, and takes no other of the name until then.
        if super::names::found(room, |client| client.network(&network.id))?.is_none_or(|there| there.id != network.id) {
            return Ok(());
        }
        if patience.has_passed() {
            return Err(Failure::new(Code::NETWORK_IN_USE, format!("the network {} cannot be removed: {words}", network.name)).into());
        }
        room.wait_for_change(LOOK_EVERY)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_remembered_of_a_service_names_the_networks_that_go() {
        let going: Network = serde_json::from_value(json!({"Id": "n1", "Name": "st_n", "Scope": "swarm"})).unwrap();
        let spec = json!({"TaskTemplate": {"Networks": [{"Target": "n1", "Aliases": ["web"]}, {"Target": "n2"}]}});
        let named = json!({"TaskTemplate": {"Networks": [{"Target": "st_n", "Aliases": ["web"]}, {"Target": "n2"}]}});
        assert_eq!(with_names(&spec, &[&going]), named);
        assert_eq!(with_names(&json!({"Name": "st_web"}), &[&going]), json!({"Name": "st_web"}), "nothing is added");
    }
}
