//! Whether somebody else has changed a service since it was last seen to run: shown, never undone unasked. Pure.
//!
//! A service is compared with the newest revision of its stack. What this agent wrote itself meanwhile (a deploy that failed
//! and was left, a Scale, a Restart) is nobody else's: its own last whole write is known by the mark with the spec's hash,
//! which those who edit a service leave on it, and those who write it anew take off. A Rollback that failed has written an older
//! revision's spec, in the name of a command that no revision is of; somebody else who goes back takes the older marks with it.

use crate::domain::CommandId;
use crate::stack::change::Change;
use crate::stack::held::Service;
use crate::stack::{compare, marks};
use serde_json::Value;
use std::collections::BTreeMap;

/// What others have changed in a service; `kept` are the commands of the kept revisions and its specs in them, the newest first.
/// Counts of replicas are left out: who scales does not deploy.
#[must_use]
pub fn drift<'a>(
    held: &Service,
    kept: impl Iterator<Item = (CommandId, &'a Value)> + Clone,
    networks: &BTreeMap<String, String>,
) -> Vec<Change> {
    // Those before it are read where it differs.
    let Some((_, newest)) = kept.clone().next() else { return Vec::new() };
    let against = |spec: &Value| {
        let mut changes = compare::changes(spec, &held.spec, networks);
        changes.retain(|change| change.field != "Mode.Replicated.Replicas");
        changes
    };
    let mut changes = against(newest);
    if let Some(hash) = held.label(marks::SPEC).filter(|_| !changes.is_empty()) {
        let Some((_, written)) = kept.clone().find(|(_, spec)| marks::hash(spec) == hash) else { return Vec::new() };
        let has_revision = kept.map(|(command, _)| command).any(|command| held.label(marks::COMMAND) == Some(command.to_string().as_str()));
        if !has_revision {
            changes = against(written);
        }
    }
    // What others have added is theirs.
    changes.into_iter().map(|change| if change.takes_away() { change } else { change.without_what_variables_bring() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentId;
    use serde_json::json;
    use uuid::Uuid;

    fn spec(image: &str, replicas: u64) -> Value {
        json!({
            "Name": "st_web", "Labels": {"com.docker.stack.namespace": "st"}, "TaskTemplate": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0},
            "Mode": {"Replicated": {"Replicas": replicas}},
        })
    }

    fn held(sent: &Value, edit: impl Fn(&mut Value)) -> Service {
        held_by(1, sent, edit)
    }

    /// As a command of this number has written it.
    fn held_by(command: u128, sent: &Value, edit: impl Fn(&mut Value)) -> Service {
        let stamped = marks::Stamp::new(CommandId(Uuid::from_u128(command)), &AgentId::new("me").unwrap()).on(sent);
        let mut spec = serde_json::from_slice(&stamped).unwrap();
        edit(&mut spec);
        serde_json::from_value(json!({"ID": "s", "Version": {"Index": 4}, "Spec": spec})).unwrap()
    }

    #[test]
    fn what_others_changed_is_told_and_what_we_did_is_not() {
        let (older, newest, failed) = (spec("a:1", 1), spec("a:2", 1), spec("a:3", 1));
        let fields = |held: &Service| -> Vec<String> {
            let kept = [(CommandId(Uuid::from_u128(2)), &newest), (CommandId(Uuid::from_u128(1)), &older)];
            drift(held, kept.into_iter(), &BTreeMap::new()).into_iter().map(|change| change.field).collect()
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
        assert_eq!(fields(&held(&older, |_| {})), ["TaskTemplate.ContainerSpec.Image"], "by `docker service rollback`");
        assert_eq!(fields(&held_by(3, &older, |_| {})), [""; 0], "our own rollback that failed");
        assert_eq!(fields(&held_by(3, &older, |spec| spec["Labels"]["a"] = json!("b"))), ["Labels.a"]);
        let anew = held(&newest, |spec| {
            marks::strip(spec);
            spec["Labels"]["a"] = json!("b");
        });
        assert_eq!(fields(&anew), ["Labels.a"], "by the Docker CLI");
        assert_eq!(drift(&edited, std::iter::empty(), &BTreeMap::new()), [], "nothing is kept");
    }
}
