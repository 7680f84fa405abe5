//! Who waits for which stack, and who must be woken when the engine says that something changed.
//!
//! Rooms register (on their lanes); the event stream tells (on `docker-events`). A wake-up carries
//! nothing: it means "look again". It never holds more than one per room.

use super::containers::{Known, Labels};
use crate::domain::{CommandId, StackName};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One message of `GET /events`, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    actor: Actor,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(default)]
    attributes: Labels,
}

impl Message {
    /// Whether something of `stack` may have changed. Services, networks, secrets and configs carry
    /// their name, containers the labels of their service; a node concerns every stack.
    fn concerns(&self, stack: &StackName) -> bool {
        let attributes = &self.actor.attributes;
        match (&attributes.namespace, &attributes.name) {
            _ if self.is_of_a_node() => true,
            (Some(namespace), _) => namespace == stack.as_str(),
            (None, Some(name)) => stack.descoped(name) != name,
            (None, None) => false,
        }
    }

    /// Lets `known` hear of a container that runs or has ended.
    pub(super) fn tell_of_a_container(&self, known: &Known) {
        let Actor { id, attributes } = &self.actor;
        if let ("container", Some(name)) = (self.kind.as_str(), &attributes.name) {
            known.hear(&self.action, id, name, attributes);
        }
    }

    /// Whether it is about a node, and so may be about this one's role.
    pub(super) fn is_of_a_node(&self) -> bool {
        self.kind == "node"
    }

    /// Whether the swarm's own network came or went: the engine joined a swarm or left it.
    pub(super) fn is_of_the_ingress(&self) -> bool {
        self.kind == "network" && self.actor.attributes.name.as_ref().is_some_and(|name| name == "ingress")
    }
}

struct Waiter {
    stack: StackName,
    wake: Sender<()>,
}

/// The rooms that wait.
#[derive(Default)]
pub(super) struct Changes(Mutex<BTreeMap<CommandId, Waiter>>);

impl Changes {
    /// Lets `command` hear of `stack` until the watch is dropped. Without a stack it hears of nothing.
    pub(super) fn watch(&self, command: CommandId, stack: Option<&StackName>) -> Watch<'_> {
        let (wake, woken) = bounded(1);
        if let Some(stack) = stack {
            self.lock().insert(command, Waiter { stack: stack.clone(), wake });
        }
        Watch { changes: self, command, woken }
    }

    /// The engine said this.
    pub(super) fn tell(&self, message: &Message) {
        self.wake(|stack| message.concerns(stack));
    }

    /// The stream was away: anything may have changed.
    pub(super) fn tell_all(&self) {
        self.wake(|_| true);
    }

    fn wake(&self, concerned: impl Fn(&StackName) -> bool) {
        for waiter in self.lock().values().filter(|waiter| concerned(&waiter.stack)) {
            // Full: it is to look again anyway.
            let _full = waiter.wake.try_send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CommandId, Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A room's ear.
pub(super) struct Watch<'a> {
    changes: &'a Changes,
    command: CommandId,
    woken: Receiver<()>,
}

impl Watch<'_> {
    /// Ready when the room should look again.
    pub(super) fn receiver(&self) -> &Receiver<()> {
        &self.woken
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.changes.lock().remove(&self.command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::types::NAMESPACE;
    use serde_json::json;
    use uuid::Uuid;

    fn message(kind: &str, attributes: &serde_json::Value) -> Message {
        serde_json::from_value(json!({"Type": kind, "Action": "update", "Actor": {"ID": "x", "Attributes": attributes}, "scope": "swarm"}))
            .unwrap()
    }

    #[test]
    fn a_message_wakes_the_rooms_of_its_stack_alone() {
        let changes = Changes::default();
        let watch = |n, name| changes.watch(CommandId(Uuid::from_u128(n)), Some(&StackName::new(name).unwrap()));
        let (st, other) = (watch(1, "st"), watch(2, "st_other"));
        let woken = |kind, attributes| {
            changes.tell(&message(kind, &attributes));
            (st.receiver().try_recv().is_ok(), other.receiver().try_recv().is_ok())
        };
        assert_eq!(woken("service", json!({"name": "st_web", "updatestate.new": "completed"})), (true, false));
        assert_eq!(woken("container", json!({NAMESPACE: "st_other", "name": "st_other_web.1.x"})), (false, true));
        // A name may belong to either; a needless look costs little.
        assert_eq!(woken("network", json!({"name": "st_other_default"})), (true, true));
        assert_eq!(woken("node", json!({"name": "vm", "state.new": "down"})), (true, true));
        assert_eq!(woken("service", json!({"name": "stranger"})), (false, false));
    }

    #[test]
    fn a_dropped_watch_is_forgotten_and_wake_ups_do_not_pile_up() {
        let changes = Changes::default();
        let watch = changes.watch(CommandId(Uuid::from_u128(1)), Some(&StackName::new("st").unwrap()));
        changes.tell_all();
        changes.tell_all();
        assert_eq!(watch.receiver().try_iter().count(), 1);
        drop(watch);
        assert!(changes.lock().is_empty());
    }
}
