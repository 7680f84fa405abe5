//! What is looked at once the plan is known and before anything is made: addresses and ports that are taken, platforms that no node
//! has, images that this node would have to pull, and room for them.
//!
//! Asks only for what the plan gives reason to: a plan that writes nothing costs no call.

use super::{Broken, names};
use crate::docker::client::Client;
use crate::docker::leftovers::SERVICE_OF;
use crate::docker::room::{Room, StepError};
use crate::docker::types::Node;
use crate::filesystem;
use crate::stack::images::image;
use crate::stack::plan::{self, Action, NetworkPlan, Nodes, Plan, Platform, ServicePlan, Unplannable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Images are unpacked beside what they are pulled as, and containers write: with less room than this where the engine
/// keeps all that, a pull may fail.
const LITTLE_ROOM: u64 = 2 << 30;
/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

/// What is known of images.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Services whose image this node has not, by name.
    pub(super) not_here: BTreeSet<String>,
    pub(super) warnings: Vec<String>,
}

/// Looks, and refuses what the manager would not take or what cannot come to run.
pub(super) fn check(room: &Room<'_>, plan: &Plan) -> Result<Found, Broken> {
    plan::check_rules(plan)?;
    surroundings(room, plan)
}

/// The same of what the manager has taken before.
pub(super) fn surroundings(room: &Room<'_>, plan: &Plan) -> Result<Found, Broken> {
    check_single_containers(room, plan)?;
    if plan::names_subnets(plan) {
        plan::check_subnets(plan, &room.observe(Client::all_networks)?)?;
    }
    let mut warnings = Vec::new();
    let (ports, platforms) = (plan::publishes_ports(plan), plan::names_platforms(plan));
    if ports || platforms || plan::limits_replicas(plan) {
        let nodes = room.observe(Client::nodes)?;
        let usable: Vec<&Node> =
            nodes.iter().filter(|node| node.status.state == "ready" && node.spec["Availability"] == "active").collect();
        let there: Vec<Platform> = usable.iter().map(|node| Platform::of(&node.description["Platform"])).collect();
        plan::check_platforms(plan, &there)?;
        if ports {
            let count = if usable.len() == 1 && nodes.len() == 1 { Nodes::One } else { Nodes::Several };
            plan::check_ports(plan, &room.observe(Client::all_services)?, count)?;
        }
        warnings = plan::too_few_nodes(plan, usable.len() as u64).collect();
    }
    warnings.extend(plan::slow_updates(plan, room.deadline.left()));
    let mut found = Found { not_here: not_here(room, plan)?, warnings };
    if !found.not_here.is_empty() {
        found.warnings.extend(little_room(room)?);
    }
    Ok(found)
}

/// Refuses to make a network anew that containers of no service are on: nobody but their owner takes them off. What other nodes have
/// cannot be seen.
fn check_single_containers(room: &Room<'_>, plan: &Plan) -> Result<(), Broken> {
    let replaced = plan.networks.iter().filter_map(NetworkPlan::replaced);
    for network in replaced.filter(|network| network.attachable && !network.lingers()) {
        let containers = room.observe(|client| client.containers_on(&network.id))?;
        if let Some(single) = containers.iter().find(|one| !one.labels.contains_key(SERVICE_OF)) {
            let name = single.names.first().unwrap_or(&single.id).trim_start_matches('/');
            return Err(Unplannable::NetworkInUse { network: network.name.clone(), user: format!("container {name}") }.into());
        }
    }
    Ok(())
}

/// The services whose image is new to them and is not on this node.
fn not_here(room: &Room<'_>, plan: &Plan) -> Result<BTreeSet<String>, StepError> {
    let mut asked: BTreeMap<&str, bool> = BTreeMap::new();
    let mut not_here = BTreeSet::new();
    for one in plan.services.iter().filter(|one| is_new_image(one)) {
        let image = image(&one.spec);
        let here = match asked.get(image) {
            Some(here) => *here,
            None => names::found(room, |client| client.image(image))?.is_some(),
        };
        asked.insert(image, here);
        if !here {
            not_here.insert(one.name.clone());
        }
    }
    Ok(not_here)
}

fn is_new_image(plan: &ServicePlan) -> bool {
    match plan.action {
        Action::Create => true,
        Action::Update | Action::Replace => plan.held.as_ref().is_none_or(|held| held.image() != image(&plan.spec)),
        Action::Unchanged | Action::Remove => false,
    }
}

/// Whether the engine has little room for images. Where its folder cannot be seen from here, nobody knows.
fn little_room(room: &Room<'_>) -> Result<Option<String>, StepError> {
    let root = room.observe(Client::info)?.docker_root_dir;
    let free = match filesystem::free(Path::new(&root)) {
        Ok(free) => free,
        Err(error) => {
            log::debug!("the room in {root} is not known: {error}");
            return Ok(None);
        }
    };
    Ok((free < LITTLE_ROOM).then(|| {
        let (free, floor) = (free / MIB, LITTLE_ROOM / MIB);
        format!("images have to be pulled, and where the engine of this node keeps them, in {root}, only {free} MiB are free: {floor} MiB should be")
    }))
}
