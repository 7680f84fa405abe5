//! Whether somebody else has changed a service since it was last seen to run: shown, never undone unasked. Pure.
//!
//! A service is compared with the newest revision of its stack. What this agent wrote itself meanwhile (a deploy that failed
//! and was left, a Scale, a Restart) is nobody else's: its own last whole write is known by the mark with the spec's hash,
//! which those who edit a service leave on it, and those who write it anew take off.

use crate::stack::change::Change;
use crate::stack::held::Service;
use crate::stack::{compare, marks};
use serde_json::Value;
use std::collections::BTreeMap;

/// What others have changed in a service; `kept` are its specs in the kept revisions, the newest first. Counts of replicas
/// are left out: who scales does not deploy.
#[must_use]
pub fn drift<'a>(held: &Service, kept: impl IntoIterator<Item = &'a Value>, networks: &BTreeMap<String, String>) -> Vec<Change> {
    let mut kept = kept.into_iter().peekable();
    let Some(&newest) = kept.peek() else { return Vec::new() };
    let mut changes = compare::changes(newest, &held.spec, networks);
    changes.retain(|change| change.field != "Mode.Replicated.Replicas");
    if changes.is_empty() {
        return changes;
    }
    let ours_last = match held.label(marks::SPEC) {
        None => true,
        Some(hash) => kept.any(|spec| marks::hash(spec) == hash),
    };
    if !ours_last {
        return Vec::new();
    }
    // What others have added is theirs.
    changes.into_iter().map(|change| if change.takes_away() { change } else { change.without_what_variables_bring() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, CommandId};
    use serde_json::json;
    use uuid::Uuid;

    fn spec(image: &str, replicas: u64) -> Value {
        json!({
            "Name": "st_web", "Labels": {"com.docker.stack.namespace": "st"}, "TaskTemplate": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0},
            "Mode": {"Replicated": {"Replicas": replicas}},
        })
    }

    fn held(sent: &Value, edit: impl Fn(&mut Value)) -> Service {
        let stamped = marks::Stamp::new(CommandId(Uuid::from_u128(1)), &AgentId::new("me").unwrap()).on(sent);
        let mut spec = serde_json::from_slice(&stamped).unwrap();
        edit(&mut spec);
        serde_json::from_value(json!({"ID": "s", "Version": {"Index": 4}, "Spec": spec})).unwrap()
    }

    #[test]
    fn what_others_changed_is_told_and_what_we_did_is_not() {
        let (older, newest, failed) = (spec("a:1", 1), spec("a:2", 1), spec("a:3", 1));
        let fields = |held: &Service| -> Vec<String> {
            drift(held, [&newest, &older], &BTreeMap::new()).into_iter().map(|change| change.field).collect()
        };
        let image = "/TaskTemplate/ContainerSpec/Image";
        assert_eq!(fields(&held(&newest, |_| {})), [""; 0]);
        assert_eq!(fields(&held(&newest, |spec| spec["TaskTemplate"]["ForceUpdate"] = json!(3))), [""; 0], "a restart");
        assert_eq!(fields(&held(&newest, |spec| spec["Mode"]["Replicated"]["Replicas"] = json!(5))), [""; 0], "a scale");
        assert_eq!(fields(&held(&failed, |_| {})), [""; 0], "our own deploy that was left");
        let edited = held(&newest, |spec| *spec.pointer_mut(image).unwrap() = json!("b:1"));
        assert_eq!(fields(&edited), ["TaskTemplate.ContainerSpec.Image"]);
        let old_write = held(&older, |spec| spec["Labels"]["a"] = json!("b"));
        assert_eq!(fields(&old_write), ["Labels.a", "TaskTemplate.ContainerSpec.Image"]);
        let anew = held(&newest, |spec| {
            marks::strip(spec);
            spec["Labels"]["a"] = json!("b");
        });
        assert_eq!(fields(&anew), ["Labels.a"], "by the Docker CLI");
        assert_eq!(drift(&edited, [], &BTreeMap::new()), [], "nothing is kept");
    }
}
