//! The three labels by which the agent knows its own services again, and the hash in one of them.
//!
//! They are service labels: changing them replaces no task. They are put on when a spec is sent, and
//! left out of every comparison. Pure.

use crate::domain::{AgentId, CommandId, hex};
use openssl::sha::Sha256;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

/// The hash of the spec as it was sent, without these labels.
pub const SPEC: &str = "io.axion.spec";
/// The command that last changed the service.
pub const COMMAND: &str = "io.axion.command";
/// The agent that manages it.
pub const OWNER: &str = "io.axion.owner";

/// Where a spec has its labels.
const LABELS: &str = "Labels";
/// How much of the hash stands in the label, in bytes: far more than chance needs.
const HASH_BYTES: usize = 16;

/// A service's spec with the labels on it, as it is sent.
pub struct Stamped<'a> {
    spec: &'a Value,
    marks: [(&'static str, String); 3],
}

impl<'a> Stamped<'a> {
    /// In the name of an agent and of its command. Marks that are on the spec already do not count.
    #[must_use]
    pub fn new(spec: &'a Value, command: CommandId, owner: &AgentId) -> Self {
        Self { spec, marks: [(COMMAND, command.to_string()), (OWNER, owner.to_string()), (SPEC, hash(spec))] }
    }
}

impl Serialize for Stamped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.spec.as_object().into_iter().flatten().filter(|(field, _)| *field != LABELS);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(LABELS, &Labels(self))?;
        for (field, value) in fields {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

/// The labels of such a spec.
struct Labels<'a>(&'a Stamped<'a>);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Stamped { spec, marks } = self.0;
        let own = spec[LABELS].as_object().into_iter().flatten().filter(|(label, _)| !is_mark(label));
        let mut map = serializer.serialize_map(None)?;
        for (label, value) in own {
            map.serialize_entry(label, value)?;
        }
        for (label, value) in marks {
            map.serialize_entry(label, value)?;
        }
        map.end()
    }
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
        labels.retain(|label, _| !is_mark(label));
    }
}

/// Whether a label is one of them.
#[must_use]
pub fn is_mark(label: &str) -> bool {
    matches!(label, SPEC | COMMAND | OWNER)
}

/// The hash of a spec, whatever labels of ours are on it. The counter that forces an update is no part of it: a restart
/// is another run of the same spec.
#[must_use]
pub fn hash(spec: &Value) -> String {
    // A value is always written. `serde_json` keeps keys sorted, so equal specs are equal texts.
    let text = serde_json::to_vec(&Bare(spec)).unwrap_or_default();
    hex(&sum(&text)[..HASH_BYTES])
}

/// SHA-256. OpenSSL's function for it looks the algorithm up by name each time, which takes as long as the sum of a spec.
fn sum(text: &[u8]) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(text);
    sum.finish()
}

/// A spec as it is hashed.
struct Bare<'a>(&'a Value);

impl Serialize for Bare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(fields) = self.0 else { return self.0.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in fields {
            match key.as_str() {
                LABELS => map.serialize_entry(key, &Without { value, is_left_out: is_mark })?,
                "TaskTemplate" => map.serialize_entry(key, &Without { value, is_left_out: |field| field == "ForceUpdate" })?,
                _ => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

/// An object but for some of its fields.
struct Without<'a> {
    value: &'a Value,
    is_left_out: fn(&str) -> bool,
}

impl Serialize for Without<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(fields) => serializer.collect_map(fields.iter().filter(|(field, _)| !(self.is_left_out)(field))),
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn stamp(spec: &mut Value, command: CommandId, owner: &AgentId) {
        *spec = serde_json::to_value(Stamped::new(spec, command, owner)).unwrap();
    }

    #[test]
    fn the_hash_stays_the_same_when_only_the_marks_change() {
        let (owner, other) = (AgentId::new("edge-1").unwrap(), AgentId::new("edge-2").unwrap());
        let mut spec = json!({"Labels": {}, "Name": "st_web", "TaskTemplate": {"ForceUpdate": 0}});
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
    fn what_is_hashed_is_the_text_of_the_spec_without_marks_and_counter() {
        let spec = json!({
            "Labels": {"a": "b", COMMAND: "c", OWNER: "o", SPEC: "s"}, "Name": "st_web",
            "TaskTemplate": {"ContainerSpec": {"Labels": {OWNER: "kept"}}, "ForceUpdate": 3}
        });
        let text = r#"{"Labels":{"a":"b"},"Name":"st_web","TaskTemplate":{"ContainerSpec":{"Labels":{"io.axion.owner":"kept"}}}}"#;
        assert_eq!(hash(&spec), hex(&sum(text.as_bytes())[..HASH_BYTES]));
        assert_eq!(hash(&json!({"Labels": null})), hex(&sum(br#"{"Labels":null}"#)[..HASH_BYTES]));
    }

    #[test]
    fn a_service_that_is_touched_stays_whose_it_was() {
        let (owner, command) = (AgentId::new("edge-1").unwrap(), CommandId(Uuid::from_u128(2)));
        let mut foreign = json!({"Name": "st_web", "Labels": null});
        touch(&mut foreign, command);
        assert_eq!(foreign["Labels"], json!({COMMAND: command.to_string()}));
        let mut ours = json!({"Labels": {}, "Name": "st_web", "TaskTemplate": {"ForceUpdate": 0}});
        stamp(&mut ours, CommandId(Uuid::from_u128(1)), &owner);
        ours["TaskTemplate"]["ForceUpdate"] = json!(1);
        let mut expected = ours.clone();
        stamp(&mut expected, command, &owner);
        touch(&mut ours, command);
        assert_eq!(ours, expected);
    }
}
