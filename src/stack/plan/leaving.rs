//! What left the files: ours goes, what is somebody else's stays and is named. Pure.

use super::{Leavers, Observed, ServicePlan};
use crate::domain::AgentId;
use crate::stack::held::Service;
use crate::stack::marks;
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
