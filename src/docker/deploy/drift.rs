//! Which services of a stack others have changed since its newest revision, for those who tell of it.

use super::{names, revision};
use crate::docker::room::{End, Room, StepError};
use crate::docker::types::{NAMESPACE, Service};
use crate::domain::{Revision, StackName};
use crate::stack::change::{self, Change};
use crate::stack::plan;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// At most so many fields are told of a service.
const FIELDS: usize = 10;

/// What others have changed in a service.
pub(in crate::docker) struct Drift {
    /// The revision that it was compared with.
    revision: u64,
    changes: Vec<Change>,
}

impl Drift {
    /// As events show it.
    pub(in crate::docker) fn told(&self) -> Value {
        let shown = |change: &Change| {
            let mut told = change.told();
            told.as_object_mut().into_iter().for_each(change::shorten);
            told
        };
        json!({"revision": self.revision, "changes": self.changes.iter().take(FIELDS).map(shown).collect::<Vec<_>>()})
    }

    /// In words.
    pub(super) fn warning(&self, service: &str) -> String {
        let fields: Vec<&str> = self.changes.iter().take(FIELDS).map(|change| change.field.as_str()).collect();
        format!("service {service} was changed by somebody else since revision {}: {}", self.revision, fields.join(", "))
    }
}

/// The services that others have changed, by name. `networks` are ids by name.
pub(super) fn of(revisions: &[Revision], services: &[Service], networks: &BTreeMap<String, String>) -> BTreeMap<String, Drift> {
    let Some(newest) = revisions.last() else { return BTreeMap::new() };
    let is_kept = |name: &str| revision::specs_of_services(newest).any(|spec| spec["Name"] == name);
    let drift = |service: &Service| {
        let changes = plan::drift(service, revision::specs_of(revisions, service.name()), networks);
        (!changes.is_empty()).then(|| (service.name().to_owned(), Drift { revision: newest.number, changes }))
    };
    services.iter().filter(|service| is_kept(service.name())).filter_map(drift).collect()
}

/// The same, where ids by name of the stack's own networks may not be all: services may be on networks that the file does not name,
/// or not any more. Where it looks as if they were on others, all of the swarm are asked for.
pub(super) fn seen(
    room: &Room<'_>,
    revisions: &[Revision],
    services: &[Service],
    networks: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Drift>, StepError> {
    let found = of(revisions, services, networks);
    if found.is_empty() {
        return Ok(found);
    }
    Ok(of(revisions, services, &names::network_ids_of(room, &services.iter().collect::<Vec<_>>())?))
}

/// The same for services of any stacks, as GetStatus has them: by name.
pub(in crate::docker) fn of_stacks(room: &Room<'_>, services: &[Service]) -> Result<BTreeMap<String, Drift>, End> {
    let mut stacks: BTreeMap<StackName, Vec<Service>> = BTreeMap::new();
    for service in services {
        // A name that the agent would not accept was never deployed by it.
        if let Some(stack) = service.label(NAMESPACE).and_then(|name| StackName::new(name).ok()) {
            stacks.entry(stack).or_default().push(service.clone());
        }
    }
    let mut kept = Vec::new();
    for (stack, services) in stacks {
        let revisions = room.ledger.revisions(&stack)?;
        if !revisions.is_empty() {
            kept.push((revisions, services));
        }
    }
    if kept.is_empty() {
        return Ok(BTreeMap::new());
    }
    let compared: Vec<&Service> = kept.iter().flat_map(|(_, services)| services).collect();
    let networks = super::names::network_ids_of(room, &compared)?;
    Ok(kept.iter().flat_map(|(revisions, services)| of(revisions, services, &networks)).collect())
}
