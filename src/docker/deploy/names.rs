//! What a stack refers to and does not make, and names that somebody else has: looked up before
//! anything is made.

use super::{Broken, Failure};
use crate::docker::client::Client;
use crate::docker::error::EngineError;
use crate::docker::room::{Room, StepError};
use crate::docker::types::{NAMESPACE, Network, Service, Store, StoreKind};
use crate::domain::{Code, StackName};
use crate::stack::External;
use crate::stack::plan::{self, Desired, ExternalIds, NetworkPlan, Observed};
use crate::threads::Deadline;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Networks that every node has: nobody makes them (docker/cli, stack/swarm, `validateExternalNetworks`).
const OF_EVERY_NODE: &[&str] = &["default", "bridge", "host", "none"];

/// How long the manager may take to set a network up: it does so at once, unless it cannot.
const SET_UP: Duration = Duration::from_secs(3);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks all external objects up: ids of the networks by name, and of the rest.
pub(super) fn external(room: &Room<'_>, external: &External) -> Result<(BTreeMap<String, String>, ExternalIds), Broken> {
    let mut networks = BTreeMap::new();
    for name in &external.networks {
        if OF_EVERY_NODE.contains(&name.as_str()) || name.starts_with("container:") {
            continue;
        }
        let network = found(room, |client| client.network(name))?.filter(|network| network.name == *name || network.id == *name);
        let network = network.ok_or_else(|| missing("network", name, "create it with `docker network create --driver overlay`"))?;
        if network.scope != "swarm" {
            let mend = format!("it has scope {:?} and must have scope \"swarm\": create it with `--driver overlay`", network.scope);
            return Err(missing("network", name, &mend).into());
        }
        networks.insert(name.clone(), network.id);
    }
    let mut ids = BTreeMap::new();
    for (kind, names) in [(StoreKind::Secret, &external.secrets), (StoreKind::Config, &external.configs)] {
        for name in names {
            let store = store(room, kind, name)?;
            let mend = format!("create it with `docker {} create`", kind.name());
            let store = store.ok_or_else(|| missing(kind.name(), name, &mend))?;
            ids.insert((kind, name.clone()), store.id);
        }
    }
    Ok((networks, ids))
}

/// Whether a service is on a network that every node has.
pub(super) fn is_on_the_node(spec: &Value) -> bool {
    let networks = spec["TaskTemplate"]["Networks"].as_array().into_iter().flatten();
    networks.filter_map(|network| network["Target"].as_str()).any(|target| OF_EVERY_NODE.contains(&target))
}

/// Ids of the networks that every node has, by name: a service that runs refers to them by id too.
pub(super) fn of_every_node(room: &Room<'_>) -> Result<BTreeMap<String, String>, StepError> {
    let mut ids = BTreeMap::new();
    for name in OF_EVERY_NODE {
        let network = found(room, |client| client.network_of_every_node(name))?;
        ids.extend(network.filter(|network| network.name == *name && network.scope == "swarm").map(|network| (network.name, network.id)));
    }
    Ok(ids)
}

/// All networks of the swarm, by name: a stack's services may use those of other makers by id.
pub(super) fn network_ids(room: &Room<'_>) -> Result<BTreeMap<String, String>, StepError> {
    let mut ids = ids_of_the_swarm(room)?;
    ids.extend(of_every_node(room)?);
    Ok(ids)
}

/// The same for those who name what these services use: those that every node has of its own, each a call, are asked for only
/// where one of them is among it.
pub(super) fn network_ids_of(room: &Room<'_>, services: &[&Service]) -> Result<BTreeMap<String, String>, StepError> {
    let mut ids = ids_of_the_swarm(room)?;
    let used = services.iter().filter_map(|service| service.spec["TaskTemplate"]["Networks"].as_array()).flatten();
    if used.filter_map(|network| network["Target"].as_str()).any(|target| !ids.values().any(|id| id == target)) {
        ids.extend(of_every_node(room)?);
    }
    Ok(ids)
}

fn ids_of_the_swarm(room: &Room<'_>) -> Result<BTreeMap<String, String>, StepError> {
    let networks =
        room.observe(|client| client.all_networks())?.into_iter().filter(|network| network.scope == "swarm" && !network.lingers());
    Ok(networks.map(|network| (network.name, network.id)).collect())
}

/// The stack's networks, once the manager has set them up: it takes a moment, until which they tell little of themselves.
pub(super) fn networks(room: &Room<'_>, stack: &StackName) -> Result<Vec<Network>, Broken> {
    let patience = Deadline::after(SET_UP);
    loop {
        let networks = room.observe(|client| client.networks(stack))?;
        if networks.iter().all(Network::is_allocated) || patience.has_passed() {
            return Ok(networks);
        }
        room.wait_for_change(LOOK_EVERY)?;
    }
}

/// The services of others, where a network of the stack is made anew: they may be attached to it.
pub(super) fn outsiders(room: &Room<'_>, stack: &StackName, networks: &[NetworkPlan]) -> Result<Vec<Service>, Broken> {
    if networks.iter().all(|plan| plan.replaced().is_none()) {
        return Ok(Vec::new());
    }
    let mut all = room.observe(Client::all_services)?;
    all.retain(|service| service.label(NAMESPACE) != Some(stack.as_str()));
    Ok(all)
}

fn missing(kind: &str, name: &str, mend: &str) -> Failure {
    Failure::new(Code::REFERENCE_MISSING, format!("the file declares the {kind} {name} as external, but it cannot be used: {mend}"))
}

/// Adds to a look what others have under names that the stack wants: networks, secrets and configs without its
/// label, and services; stack `a_b` has service `c` where stack `a` has `b_c`. Says whether this node has networks that were removed.
pub(super) fn look_for_others(room: &Room<'_>, stack: &StackName, observed: &mut Observed, desired: &Desired) -> Result<bool, Broken> {
    let name_of = |spec: &Value| spec["Name"].as_str().unwrap_or_default().to_owned();
    let is_new = |name: &String| !observed.networks.iter().any(|network| network.name == *name);
    let new_networks: BTreeSet<String> = desired.networks.iter().map(name_of).filter(is_new).collect();
    let mut lingering = observed.networks.iter().any(Network::lingers);
    if !new_networks.is_empty() {
        let all = room.observe(Client::all_networks)?;
        lingering |= all.iter().any(Network::lingers);
        observed.networks.extend(all.into_iter().filter(|network| new_networks.contains(&network.name)));
    }
    for content in &desired.contents {
        let held = if content.kind == StoreKind::Secret { &mut observed.secrets } else { &mut observed.configs };
        if !held.iter().any(|store| store.name() == content.plain()) {
            held.extend(store(room, content.kind, content.plain())?);
        }
    }
    let there: BTreeSet<&str> = observed.services.iter().map(Service::name).collect();
    let new: BTreeSet<String> = desired.services.iter().map(name_of).filter(|name| !there.contains(name.as_str())).collect();
    if !new.is_empty() {
        let named = room.observe(|client| client.services_named_as_of(stack))?;
        observed.services.extend(named.into_iter().filter(|service| new.contains(service.name())));
    }
    Ok(lingering)
}

/// A secret or config under exactly this name, if it may be used.
pub(super) fn usable_store(room: &Room<'_>, stack: &StackName, kind: StoreKind, name: &str) -> Result<Option<Store>, Broken> {
    let store = store(room, kind, name)?;
    if let Some(store) = &store {
        plan::check_name(kind.name(), name, store.label(NAMESPACE), stack)?;
    }
    Ok(store)
}

fn store(room: &Room<'_>, kind: StoreKind, name: &str) -> Result<Option<Store>, StepError> {
    // The engine takes the beginning of an id for the whole.
    Ok(found(room, |client| client.store(kind, name))?.filter(|store| store.name() == name))
}

/// What is there, or nothing.
pub(super) fn found<T>(room: &Room<'_>, call: impl Fn(&Client) -> Result<T, EngineError>) -> Result<Option<T>, StepError> {
    match room.observe(call) {
        Ok(object) => Ok(Some(object)),
        Err(StepError::Refused(error)) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
