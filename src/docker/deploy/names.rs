//! What a stack refers to and does not make, and names that somebody else has: looked up before
//! anything is made.

use super::{Broken, Failure, plan};
use crate::docker::api::StoreKind;
use crate::docker::client::Client;
use crate::docker::error::EngineError;
use crate::docker::room::{Room, StepError};
use crate::docker::types::{NAMESPACE, Network, Store};
use crate::domain::{Code, StackName};
use crate::stack::External;
use std::collections::{BTreeMap, BTreeSet};

/// Networks that every node has: nobody makes them (docker/cli, stack/swarm, `validateExternalNetworks`).
const OF_EVERY_NODE: &[&str] = &["default", "bridge", "host", "none"];

/// Ids of external secrets and configs, by kind and name.
pub(super) type ExternalIds = BTreeMap<(&'static str, String), String>;

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
            ids.insert((kind.name(), name.clone()), store.id);
        }
    }
    Ok((networks, ids))
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
pub(super) fn network_ids(room: &Room<'_>) -> Result<BTreeMap<String, String>, Broken> {
    let networks = room.observe(|client| client.all_networks())?.into_iter().filter(|network| network.scope == "swarm");
    let mut ids: BTreeMap<String, String> = networks.map(|network| (network.name, network.id)).collect();
    ids.extend(of_every_node(room)?);
    Ok(ids)
}

fn missing(kind: &str, name: &str, mend: &str) -> Failure {
    Failure::new(Code::REFERENCE_MISSING, format!("the file declares the {kind} {name} as external, but it cannot be used: {mend}"))
}

/// Refuses a network's name that somebody else has.
pub(super) fn check_network(room: &Room<'_>, stack: &StackName, name: &str) -> Result<(), Broken> {
    let there: Option<Network> = found(room, |client| client.network(name))?.filter(|network| network.name == name);
    let label = there.as_ref().map(|network| network.labels.get(NAMESPACE).map(String::as_str));
    label.map_or(Ok(()), |label| plan::check_name("network", name, label, stack)).map_err(Broken::from)
}

/// Refuses names of services that somebody else has: stack `a_b` has service `c` where stack `a` has `b_c`.
pub(super) fn check_services(room: &Room<'_>, stack: &StackName, wanted: &BTreeSet<&str>) -> Result<(), Broken> {
    if wanted.is_empty() {
        return Ok(());
    }
    let there = room.observe(|client| client.services_named_as_of(stack))?;
    let mut taken = there.iter().filter(|service| wanted.contains(service.name()));
    Ok(taken.try_for_each(|service| plan::check_name("service", service.name(), service.label(NAMESPACE), stack))?)
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
