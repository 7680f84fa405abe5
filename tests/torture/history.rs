//! The checker: what was sent, what the engine saw, what the reader found.

use crate::fake_swarm::Change;
use crate::support::events::EventRecord;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What is wrong with the ends of these commands; nothing if each has exactly one.
pub fn ends(sent: &[Uuid], events: &[EventRecord]) -> Vec<String> {
    let mut ends: BTreeMap<Uuid, Vec<&EventRecord>> = sent.iter().map(|id| (*id, Vec::new())).collect();
    let mut wrong = Vec::new();
    for event in events.iter().filter(|event| event.terminal) {
        match event.causation_id.and_then(|id| ends.get_mut(&id)) {
            Some(ends) => ends.push(event),
            None => wrong.push(format!("an end of something that was not sent: {event:?}")),
        }
    }
    wrong.extend(ends.iter().filter(|(_, ends)| ends.len() != 1).map(|(id, ends)| format!("{id} has {} ends: {ends:?}", ends.len())));
    let mut ids: BTreeMap<Uuid, usize> = BTreeMap::new();
    events.iter().for_each(|event| *ids.entry(event.event_id).or_default() += 1);
    wrong.extend(ids.iter().filter(|(_, count)| **count > 1).map(|(id, count)| format!("event {id} is there {count} times")));
    wrong
}

/// The changes of each object, in order, in short: what two runs must have in common. Ids of networks depend on which
/// of two lanes was first.
pub fn by_object(changes: &[Change]) -> BTreeMap<String, Vec<String>> {
    let mut objects: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Change { operation, object, spec } in changes {
        let task = &spec["TaskTemplate"];
        let (container, mode, force) = (&task["ContainerSpec"], &spec["Mode"], &task["ForceUpdate"]);
        let essence = format!("{operation} {} {} {mode} {force}", container["Image"], container["Env"]);
        objects.entry(object.clone()).or_default().push(essence);
    }
    objects
}

/// Where the changes differ from those of an undisturbed run.
pub fn effects(expected: &[Change], found: &[Change]) -> Vec<String> {
    let (expected, found) = (by_object(expected), by_object(found));
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let differ = names.into_iter().filter(|name| expected.get(*name) != found.get(*name));
    differ.map(|name| format!("{name}: expected {:?}, found {:?}", expected.get(name), found.get(name))).collect()
}
