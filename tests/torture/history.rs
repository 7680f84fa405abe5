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

/// A command that is to be cancelled, and the Cancel.
#[derive(Debug, Clone, Copy)]
pub struct Cancelled {
    pub target: Uuid,
    pub cancel: Uuid,
}

/// What is wrong with commands that were to be cancelled. Either has the last word: the command ends as `cancelled` and
/// its Cancel says so, or it ends by itself and the Cancel came too late; whatever died between.
pub fn cancels(cancelled: &[Cancelled], events: &[EventRecord]) -> Vec<String> {
    let end = |id: Uuid| events.iter().find(|event| event.terminal && event.causation_id == Some(id));
    let mut wrong = Vec::new();
    for Cancelled { target, cancel } in cancelled {
        // One that has no end is told by `ends`.
        let (Some(of_target), Some(of_cancel)) = (end(*target), end(*cancel)) else { continue };
        let was_cancelled = of_target.code() == Some("cancelled");
        let says_so = of_cancel.event_type == "CommandCompleted";
        let came_late = of_cancel.code() == Some("command.not_open");
        if was_cancelled != says_so || was_cancelled == came_late {
            wrong.push(format!("{target} and its Cancel do not agree: {of_target:?} {of_cancel:?}"));
        }
    }
    wrong
}

/// What is wrong with the changes of a service whose deploys may be cancelled: each carries its own value, each value
/// comes once at most and in the order of the commands, that of a completed one always, and that of one that was
/// cancelled before it began never.
pub fn values(service: &str, deploys: &[Uuid], events: &[EventRecord], changes: &[Change]) -> Vec<String> {
    let changes = by_object(changes).remove(service).unwrap_or_default();
    let value = |change: &str| change.split('"').find_map(|word| word.strip_prefix("VALUE=")?.parse::<u128>().ok());
    let found: Vec<u128> = changes.iter().filter_map(|change| value(change)).collect();
    let mut wrong = Vec::new();
    if !found.is_sorted_by(|one, next| one < next) {
        wrong.push(format!("{service}: not once each and in order: {found:?}"));
    }
    for deploy in deploys {
        let Some(end) = events.iter().find(|event| event.terminal && event.causation_id == Some(*deploy)) else { continue };
        let made = found.contains(&deploy.as_u128());
        let untouched = end.payload["details"]["changed"] == false;
        if (end.event_type == "DeployCompleted" && !made) || (untouched && made) {
            wrong.push(format!("{service}: {deploy} has {} its value: {end:?}", if made { "written" } else { "not written" }));
        }
    }
    wrong
}
