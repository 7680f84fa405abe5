//! What is to be done to the networks of a stack. Pure.

use super::{Action, NAMESPACE, Unplannable, check_name};
use crate::domain::StackName;
use crate::stack::held::Network;
use serde_json::Value;

/// A network of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPlan {
    /// In the swarm.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// What is sent to make it.
    pub spec: Value,
}

/// A network that is there stays as it is: Swarm cannot change one.
pub(super) fn plan(stack: &StackName, held: &[Network], wanted: &[Value]) -> Result<Vec<NetworkPlan>, Unplannable> {
    let one = |spec: &Value| {
        let name = spec["Name"].as_str().unwrap_or_default().to_owned();
        let there = held.iter().find(|network| network.name == name);
        if let Some(there) = there {
            check_name("network", &name, there.labels.get(NAMESPACE).map(String::as_str), stack)?;
        }
        let action = if there.is_some() { Action::Unchanged } else { Action::Create };
        Ok(NetworkPlan { name, action, spec: spec.clone() })
    };
    wanted.iter().map(one).collect()
}
