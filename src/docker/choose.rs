//! Which services a command is about: those of its stack, or those of them that it names.
//!
//! One read of the engine; the rest is pure. The verbs for stacks that are there share it.

use super::ownership::{self, Takeover};
use super::room::{End, Room};
use super::types::Service;
use crate::domain::{Code, LedgerError, Outcome, StackName, Target};
use std::collections::BTreeSet;

/// The services of a stack, if it has any and the command may touch it.
pub(super) fn held(room: &Room<'_>, target: &Target, takeover: Takeover) -> Result<Vec<Service>, End> {
    of(room, target, takeover, |services| Ok(!services.is_empty()))
}

/// Those that there are, be it none, of a stack that has some or a revision, and that the command may look at.
pub(super) fn seen(room: &Room<'_>, target: &Target) -> Result<Vec<Service>, End> {
    of(room, target, Takeover::Allowed, |services| Ok(!services.is_empty() || !room.ledger.revisions(&target.stack)?.is_empty()))
}

fn of(
    room: &Room<'_>,
    target: &Target,
    takeover: Takeover,
    is_stack: impl FnOnce(&[Service]) -> Result<bool, LedgerError>,
) -> Result<Vec<Service>, End> {
    let services = room.observe(|client| client.services(&target.stack))?;
    if !is_stack(&services)? {
        let message = format!("the swarm has no service of a stack {}", target.stack);
        return Err(End::Finished(Outcome::failed(Code::STACK_NOT_FOUND, message)));
    }
    ownership::check(room, target, &services, takeover)?;
    Ok(services)
}

/// The service with this Compose key, or this whole name.
pub(super) fn one<'a>(stack: &StackName, services: &'a [Service], key: &str) -> Result<&'a Service, Outcome> {
    let scoped = stack.scoped(key);
    services.iter().find(|service| service.name() == scoped || service.name() == key).ok_or_else(|| {
        let known: Vec<&str> = services.iter().map(|service| stack.descoped(service.name())).collect();
        let message = format!("the stack {stack} has no service {key}; it has {}", known.join(", "));
        Outcome::failed(Code::SERVICE_NOT_FOUND, message)
    })
}

/// Those that are named, each once; all where none is.
pub(super) fn named<'a>(stack: &StackName, services: &'a [Service], keys: &BTreeSet<String>) -> Result<Vec<&'a Service>, Outcome> {
    if keys.is_empty() {
        return Ok(services.iter().collect());
    }
    let mut chosen: Vec<&Service> = keys.iter().map(|key| one(stack, services, key)).collect::<Result<_, _>>()?;
    chosen.sort_by_key(|service| service.name());
    chosen.dedup_by_key(|service| service.name());
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Verdict;
    use serde_json::json;

    #[test]
    fn services_are_named_by_key_or_whole_and_all_are_meant_where_none_is() {
        let stack = StackName::new("st").unwrap();
        let service = |name: &str| -> Service {
            serde_json::from_value(json!({"ID": name, "Version": {"Index": 1}, "Spec": {"Name": name}})).unwrap()
        };
        let services = [service("st_web"), service("st_db"), service("st_st_web")];
        let ask = |keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            named(&stack, &services, &keys).map(|chosen| chosen.iter().map(|service| service.name().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(ask(&[]).unwrap().len(), 3);
        assert_eq!(ask(&["web", "db"]).unwrap(), ["st_db", "st_web"]);
        assert_eq!(ask(&["db", "st_db"]).unwrap(), ["st_db"], "each once");
        let refused = ask(&["web", "cache"]).unwrap_err();
        assert_eq!(refused.verdict, Verdict::Failed(Code::SERVICE_NOT_FOUND));
        assert!(refused.message.contains("cache; it has web, db"), "{}", refused.message);
    }
}
