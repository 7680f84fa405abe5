//! What is to be done to the networks of a stack, and to the services that are attached to one which is made anew.
//!
//! Pure. Swarm can neither change a network nor remove one that a service is attached to: one that the files define
//! otherwise is replaced under its name, and its services with it.

use super::{Action, NAMESPACE, ServicePlan, Unplannable, check_name, named};
use crate::domain::StackName;
use crate::stack::change::Change;
use crate::stack::held::{Network, Service};
use crate::stack::redefined;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A network of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPlan {
    /// In the swarm.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What differs in the one that is there.
    pub changes: Vec<Change>,
    /// What is sent to make it.
    pub spec: Value,
    /// The one that is there.
    pub held: Option<Network>,
}

impl NetworkPlan {
    /// The one that goes, if it is made anew.
    #[must_use]
    pub fn replaced(&self) -> Option<&Network> {
        self.held.as_ref().filter(|_| self.action == Action::Replace)
    }

    /// Leaves one that is there as it is, if it differs.
    pub fn leave_as_it_is(&mut self) {
        if self.replaced().is_some_and(|held| !held.lingers()) {
            self.action = Action::Unchanged;
        }
    }
}

/// Decides about each.
///
/// # Errors
/// When a name is somebody else's.
pub fn networks(stack: &StackName, held: &[Network], wanted: &[Value]) -> Result<Vec<NetworkPlan>, Unplannable> {
    let one = |spec: &Value| {
        let name = spec["Name"].as_str().unwrap_or_default().to_owned();
        let there = held.iter().find(|network| network.name == name);
        if let Some(there) = there {
            check_name("network", &name, there.labels.get(NAMESPACE).map(String::as_str), stack)?;
        }
        let changes = there.filter(|there| !there.lingers()).map(|there| redefined::changes(spec, there)).unwrap_or_default();
        let (action, reason) = match there {
            None => (Action::Create, "it is not there".to_owned()),
            // No service is attached to it, and this node takes no other of its name until it is gone.
            Some(there) if there.lingers() => (Action::Replace, "it was removed, and its containers have not left it yet".to_owned()),
            Some(_) if changes.is_empty() => (Action::Unchanged, String::new()),
            Some(_) => (Action::Replace, format!("it differs in {}, and Swarm cannot change a network", named(&changes))),
        };
        Ok(NetworkPlan { name, action, reason, changes, spec: spec.clone(), held: there.cloned() })
    };
    wanted.iter().map(one).collect()
}

/// Whether a spec, as the manager has it, is attached to one of these networks.
#[must_use]
pub fn attached(spec: &Value, networks: &BTreeSet<&str>) -> bool {
    // Before 20.10 it was a field of the service itself.
    let lists = [&spec["TaskTemplate"]["Networks"], &spec["Networks"]];
    lists.into_iter().filter_map(Value::as_array).flatten().any(|one| one["Target"].as_str().is_some_and(|id| networks.contains(id)))
}

/// Has the services replaced that are attached to a network which is. `others` are all services that are not planned and
/// not removed.
///
/// # Errors
/// When one of those is attached: nothing of this command's may be done to it.
pub fn detach<'a>(
    networks: &[NetworkPlan],
    services: &mut [ServicePlan],
    others: impl IntoIterator<Item = &'a Service>,
) -> Result<(), Unplannable> {
    let gone = |network: &Network| BTreeSet::from([network.id.clone(), network.name.clone()]);
    let replaced: BTreeSet<String> = networks.iter().filter_map(NetworkPlan::replaced).flat_map(gone).collect();
    if replaced.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<&str> = replaced.iter().map(String::as_str).collect();
    if let Some(other) = others.into_iter().find(|other| attached(&other.spec, &ids)) {
        let network = networks
            .iter()
            .filter_map(NetworkPlan::replaced)
            .find(|network| attached(&other.spec, &BTreeSet::from([network.id.as_str(), network.name.as_str()])));
        let network = network.map(|network| network.name.clone()).unwrap_or_default();
        return Err(Unplannable::NetworkInUse { network, user: format!("service {}", other.name()) });
    }
    for plan in services.iter_mut() {
        let Some(held) = &plan.held else { continue };
        for network in networks.iter().filter_map(NetworkPlan::replaced) {
            if attached(&held.spec, &BTreeSet::from([network.id.as_str(), network.name.as_str()])) {
                let reason = format!("its network {} is made anew", network.name);
                plan.reason = if plan.reason.is_empty() { reason } else { format!("{}; {reason}", plan.reason) };
                plan.action = Action::Replace;
                plan.ours_already = false;
            }
        }
    }
    Ok(())
}

/// The body that makes a network again as it was; what the manager chose itself is left to it.
#[must_use]
pub fn body_of(network: &Network) -> Value {
    json!({
        "Name": network.name, "CheckDuplicate": true, "Driver": network.driver, "EnableIPv6": network.enable_ipv6,
        "Internal": network.internal, "Attachable": network.attachable, "Labels": network.labels,
        "Options": redefined::asked_for(&network.options), "IPAM": redefined::addresses(&network.ipam),
    })
}
