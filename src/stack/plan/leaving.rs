//! What left the files: ours goes, what is somebody else's stays and is named. Pure.

use super::{ContentPlan, Leavers, NAMESPACE, NetworkPlan, Observed, ServicePlan, attached};
use crate::domain::{AgentId, StackName};
use crate::stack::held::{Network, Service, Store, StoreKind};
use crate::stack::{marks, rotate};
use std::collections::BTreeSet;

/// The services that go. Those that stay are named in `warnings`.
pub(super) fn services(
    observed: &Observed,
    services: &[ServicePlan],
    leavers: Leavers,
    agent: &AgentId,
    warnings: &mut Vec<String>,
) -> Vec<Service> {
    let wanted = services.iter().map(|plan| plan.name.as_str()).collect();
    let (ours, foreign) = leftovers(&observed.services, &wanted, &observed.known_services, agent);
    for service in foreign {
        warnings.push(format!("service {} is not in the file and was not made here: it stays", service.name()));
    }
    match leavers {
        Leavers::Removed => ours.into_iter().cloned().collect(),
        Leavers::Kept => {
            warnings.extend(ours.iter().map(|service| format!("service {} is not in the file: it stays, as prune is off", service.name())));
            Vec::new()
        }
    }
}

/// The networks that go once the services are off them. Those that stay are named in `warnings`, and so is what holds
/// one: a service that is planned, where the file declares as external what it made before, or one of `staying`, which go
/// on and are not planned.
pub(super) fn networks(
    observed: &Observed,
    networks: &[NetworkPlan],
    services: &[ServicePlan],
    staying: &[&Service],
    leavers: Leavers,
    warnings: &mut Vec<String>,
) -> Vec<Network> {
    let mut leaving = Vec::new();
    for (network, fate) in unwanted(&observed.networks, networks, &observed.known_networks, services, staying) {
        let name = &network.name;
        match (fate, leavers) {
            (Fate::Foreign, _) => warnings.push(format!("network {name} is not in the file and was not made here: it stays")),
            (_, Leavers::Kept) => warnings.push(format!("network {name} is used by no service of the file: it stays, as prune is off")),
            (Fate::InUse(service), Leavers::Removed) => {
                warnings.push(format!("network {name} is not in the file: it stays, as service {service} is attached to it"));
            }
            (Fate::Goes, Leavers::Removed) => leaving.push(network.clone()),
        }
    }
    leaving
}

/// What becomes of a network of the stack that is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It stays: it was not made here.
    Foreign,
    /// It stays: this service goes on and is attached to it.
    InUse(&'a str),
    /// It goes once no service is on it.
    Goes,
}

/// What becomes of the networks that are none of the planned ones: `known` are the names of those that were made here,
/// `services` are planned, and `staying` go on and are not.
pub fn unwanted<'a>(
    held: &'a [Network],
    networks: &[NetworkPlan],
    known: &BTreeSet<String>,
    services: &'a [ServicePlan],
    staying: &[&'a Service],
) -> Vec<(&'a Network, Fate<'a>)> {
    let fate = |network: &'a Network| {
        let on_it = BTreeSet::from([network.id.as_str(), network.name.as_str()]);
        let planned = services.iter().map(|plan| (plan.name.as_str(), &plan.spec));
        let mut users = planned.chain(staying.iter().map(|service| (service.name(), &service.spec)));
        match users.find(|(_, spec)| attached(spec, &on_it)) {
            _ if !known.contains(&network.name) => Fate::Foreign,
            Some((service, _)) => Fate::InUse(service),
            None => Fate::Goes,
        }
    };
    let is_over = |held: &&Network| !held.lingers() && !networks.iter().any(|plan| plan.name == held.name);
    held.iter().filter(is_over).map(|network| (network, fate(network))).collect()
}

/// Names in `warnings` the secrets and configs that are neither wanted nor ours. Ours go with the last revision that
/// needs them.
pub(super) fn contents(stack: &StackName, observed: &Observed, contents: &[ContentPlan], warnings: &mut Vec<String>) {
    let of = |kind: StoreKind, stores: &[Store]| -> Vec<String> {
        let word = |store: &Store| {
            let name = store.name();
            let is_of = |plain: &str| name == plain || rotate::is_rotation(name, plain);
            let external = observed.external.contains_key(&(kind, name.to_owned()));
            let kept = observed.fingerprints.contains_key(&store.id) || observed.orphans.contains(&store.id);
            if store.label(NAMESPACE) != Some(stack.as_str()) || external || kept {
                return None;
            }
            match contents.iter().find(|content| content.kind == kind && is_of(&content.plain)) {
                // What others have made before the content changed.
                Some(content) if name == content.plain && name != content.name => Some("has another content than the file"),
                Some(_) => None,
                None => (!observed.known_contents.iter().any(|plain| is_of(plain))).then_some("is not in the file"),
            }
        };
        let told = |store| Some(format!("{} {} {} and was not made here: it stays", kind.name(), Store::name(store), word(store)?));
        stores.iter().filter_map(told).collect()
    };
    warnings.extend(of(StoreKind::Secret, &observed.secrets));
    warnings.extend(of(StoreKind::Config, &observed.configs));
}

/// Which services that are not wanted are ours, and which are foreign.
#[must_use]
pub fn leftovers<'a>(
    held: &'a [Service],
    wanted: &BTreeSet<&str>,
    known: &BTreeSet<String>,
    agent: &AgentId,
) -> (Vec<&'a Service>, Vec<&'a Service>) {
    let gone = held.iter().filter(|service| !wanted.contains(service.name()));
    gone.partition(|service| service.label(marks::OWNER) == Some(agent.as_str()) || known.contains(service.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_what_is_ours_goes() {
        let service = |name: &str, labels: Value| -> Service {
            let spec = json!({"Name": name, "Labels": labels, "Mode": {"Global": {}}});
            serde_json::from_value(json!({"ID": "s", "Version": {"Index": 4}, "Spec": spec})).unwrap()
        };
        let held = [
            service("st_web", json!({})),
            service("st_old", json!({marks::OWNER: "me"})),
            service("st_known", json!({})),
            service("st_foreign", json!({})),
        ];
        let agent = AgentId::new("me").unwrap();
        let (ours, foreign) = leftovers(&held, &BTreeSet::from(["st_web"]), &BTreeSet::from(["st_known".to_owned()]), &agent);
        let names = |services: Vec<&Service>| services.iter().map(|service| service.name().to_owned()).collect::<Vec<_>>();
        assert_eq!((names(ours), names(foreign)), (vec!["st_old".to_owned(), "st_known".to_owned()], vec!["st_foreign".to_owned()]));
    }
}
