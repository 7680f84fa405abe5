//! The three labels by which the agent knows its own services again, and the hash in one of them.
//!
//! They are service labels: changing them replaces no task. They are put on when a spec is sent, and
//! left out of every comparison. Pure.

use crate::domain::{AgentId, CommandId};
use openssl::sha::sha256;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The hash of the spec as it was sent, without these labels.
pub const SPEC: &str = "io.axion.spec";
/// The command that last changed the service.
pub const COMMAND: &str = "io.axion.command";
/// The agent that manages it.
pub const OWNER: &str = "io.axion.owner";

/// How much of the hash stands in the label, in bytes: far more than chance needs.
const HASH_BYTES: usize = 16;

/// Puts the labels on a service's spec.
pub fn stamp(spec: &mut Value, command: CommandId, owner: &AgentId) {
    strip(spec);
    if spec["Labels"].is_null() {
        spec["Labels"] = json!({});
    }
    let hash = hash_of_bare(spec);
    spec["Labels"][SPEC] = json!(hash);
    spec["Labels"][COMMAND] = json!(command.to_string());
    spec["Labels"][OWNER] = json!(owner.as_str());
}

/// Notes that this command changed a service, and leaves it to whom it belongs; the hash stays that of what was last sent whole.
pub fn touch(spec: &mut Value, command: CommandId) {
    if spec["Labels"].is_null() {
        spec["Labels"] = json!({});
    }
    spec["Labels"][COMMAND] = json!(command.to_string());
}

/// Takes the labels off.
pub fn strip(spec: &mut Value) {
    if let Some(labels) = spec.get_mut("Labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !matches!(label.as_str(), SPEC | COMMAND | OWNER));
    }
}

/// The hash of a spec, whatever labels of ours are on it. The counter that forces an update is no part of it: a restart
/// is another run of the same spec.
#[must_use]
pub fn hash(spec: &Value) -> String {
    let mut bare = spec.clone();
    strip(&mut bare);
    hash_of_bare(&mut bare)
}

/// The same of a spec without our labels, which it leaves as it was. `serde_json` keeps keys sorted, so equal specs are
/// equal texts.
fn hash_of_bare(spec: &mut Value) -> String {
    let counter = spec.get_mut("TaskTemplate").and_then(Value::as_object_mut).and_then(|task| task.remove("ForceUpdate"));
    // A value is always written.
    let text = serde_json::to_vec(spec).unwrap_or_default();
    if let Some(counter) = counter {
        spec["TaskTemplate"]["ForceUpdate"] = counter;
    }
    hex(&sha256(&text)[..HASH_BYTES])
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_hash_stays_the_same_when_only_the_marks_change() {
        let (owner, other) = (AgentId::new("edge-1").unwrap(), AgentId::new("edge-2").unwrap());
        let mut spec = json!({"Name": "st_web", "TaskTemplate": {"ForceUpdate": 0}});
        stamp(&mut spec, CommandId(Uuid::from_u128(1)), &owner);
        let first = spec["Labels"][SPEC].clone();
        assert_eq!(first.as_str().unwrap().len(), 2 * HASH_BYTES);
        stamp(&mut spec, CommandId(Uuid::from_u128(2)), &other);
        assert_eq!((&spec["Labels"][SPEC], spec["Labels"][OWNER].as_str()), (&first, Some("edge-2")));
        spec["TaskTemplate"]["ForceUpdate"] = json!(1);
        stamp(&mut spec, CommandId(Uuid::from_u128(2)), &other);
        assert_eq!(spec["Labels"][SPEC], first, "another run of the same");
        spec["TaskTemplate"]["Runtime"] = json!("other");
        stamp(&mut spec, CommandId(Uuid::from_u128(2)), &other);
        assert_ne!(spec["Labels"][SPEC], first);
        strip(&mut spec);
        assert_eq!(spec["Labels"], json!({}));
    }

    #[test]
    fn a_service_that_is_touched_stays_whose_it_was() {
        let (owner, command) = (AgentId::new("edge-1").unwrap(), CommandId(Uuid::from_u128(2)));
        let mut foreign = json!({"Name": "st_web", "Labels": null});
        touch(&mut foreign, command);
        assert_eq!(foreign["Labels"], json!({COMMAND: command.to_string()}));
        let mut ours = json!({"Name": "st_web", "TaskTemplate": {"ForceUpdate": 0}});
        stamp(&mut ours, CommandId(Uuid::from_u128(1)), &owner);
        ours["TaskTemplate"]["ForceUpdate"] = json!(1);
        let mut expected = ours.clone();
        stamp(&mut expected, command, &owner);
        touch(&mut ours, command);
        assert_eq!(ours, expected);
    }
}
