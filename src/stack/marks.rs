//! The three labels by which the agent knows its own services again, and the hash in one of them.
//!
//! They are service labels: changing them replaces no task. They are put on when a spec is sent, and
//! left out of every comparison. Pure.

use crate::domain::{AgentId, CommandId, hex};
use openssl::sha::Sha256;
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};
use std::ops::Range;

/// The hash of the spec as it was sent, without these labels.
pub const SPEC: &str = "io.axion.spec";
/// The command that last changed the service.
pub const COMMAND: &str = "io.axion.command";
/// The agent that manages it.
pub const OWNER: &str = "io.axion.owner";

/// Where a spec has its labels.
const LABELS: &str = "Labels";
/// Where it has what concerns its tasks …
const TASK: &str = "TaskTemplate";
/// … and there the counter that forces an update.
const COUNTER: &str = "ForceUpdate";
/// How much of the hash stands in the label, in bytes: far more than chance needs.
const HASH_BYTES: usize = 16;

/// Puts the labels on: in the name of an agent and of its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Those that are the same on each service, as they are written.
    marks: String,
}

impl Stamp {
    /// For the services of one command.
    #[must_use]
    pub fn new(command: CommandId, owner: &AgentId) -> Self {
        let marks = [(COMMAND, command.to_string()), (OWNER, owner.to_string())];
        Self { marks: marks.map(|(label, value)| format!("{}:{}", json!(label), json!(value))).join(",") }
    }

    /// The text of a service's spec with the labels on it, as it is sent. Marks that are on the spec already do not count.
    #[must_use]
    pub fn on(&self, spec: &Value) -> Vec<u8> {
        let bare = Bare::of(spec);
        let marks = format!("{},\"{SPEC}\":\"{}\"", self.marks, bare.hash());
        bare.with(&marks, spec[TASK].get(COUNTER))
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
    Bare::of(spec).hash()
}

/// SHA-256. OpenSSL's function for it looks the algorithm up by name each time, which takes as long as the sum of a spec.
fn sum(text: &[u8]) -> [u8; 32] {
    let mut sum = Sha256::new();
    sum.update(text);
    sum.finish()
}

/// The text of a spec without marks and counter, which is what is hashed. `serde_json` keeps keys sorted, so equal specs are
/// equal texts.
#[derive(Default)]
struct Bare {
    text: Vec<u8>,
    /// Where the marks go: within the labels, or in the place of whatever stands there.
    labels: Option<Range<usize>>,
    /// Where the counter goes.
    counter: Option<usize>,
}

impl Bare {
    fn of(spec: &Value) -> Self {
        let mut bare = Self::default();
        let Value::Object(fields) = spec else { return Self { text: written(spec), ..bare } };
        for (key, value) in fields {
            bare.text.push(if bare.text.is_empty() { b'{' } else { b',' });
            bare.write(key);
            bare.text.push(b':');
            let begin = bare.text.len();
            match key.as_str() {
                LABELS => {
                    bare.write(&Without { value, is_left_out: is_mark });
                    let end = bare.text.len();
                    bare.labels = Some(if value.is_object() { end - 1..end - 1 } else { begin..end });
                }
                TASK => {
                    bare.write(&Without { value, is_left_out: |field| field == COUNTER });
                    bare.counter = value.is_object().then(|| bare.text.len() - 1);
                }
                _ => bare.write(value),
            }
        }
        if fields.is_empty() {
            bare.text.push(b'{');
        }
        bare.text.push(b'}');
        bare
    }

    fn write(&mut self, value: &impl Serialize) {
        // A value is always written.
        let _infallible = serde_json::to_writer(&mut self.text, value);
    }

    fn hash(&self) -> String {
        hex(&sum(&self.text)[..HASH_BYTES])
    }

    /// The spec with these labels, and with its counter.
    fn with(&self, marks: &str, counter: Option<&Value>) -> Vec<u8> {
        let text = &self.text;
        let (labels, marks) = match self.labels.clone() {
            // The labels' own bracket, or a comma behind their last.
            Some(at) if at.is_empty() => {
                let comma = if text[at.start - 1] == b'{' { "" } else { "," };
                (at, format!("{comma}{marks}"))
            }
            Some(at) => (at, format!("{{{marks}}}")),
            None => (1..1, format!("\"{LABELS}\":{{{marks}}}{}", if text.len() > 2 { "," } else { "" })),
        };
        let counter = self.counter.zip(counter).map(|(at, counter)| {
            let comma = if text[at - 1] == b'{' { "" } else { "," };
            (at, format!("{comma}\"{COUNTER}\":{counter}"))
        });
        // ORDER: keys are sorted, so the labels come before the task.
        let (at, counter) = counter.unwrap_or((text.len(), String::new()));
        [&text[..labels.start], marks.as_bytes(), &text[labels.end..at], counter.as_bytes(), &text[at..]].concat()
    }
}

fn written(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
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
        *spec = serde_json::from_slice(&Stamp::new(command, owner).on(spec)).unwrap();
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
    fn a_spec_is_sent_as_it_is_but_for_the_marks() {
        let (owner, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        for spec in [
            json!({"Labels": {"a": "b", "z": "}"}, "Name": "st_web", "TaskTemplate": {"ContainerSpec": {"Image": "a"}, "ForceUpdate": 3}}),
            json!({"Labels": {OWNER: "other"}, "Name": "st_web", "TaskTemplate": {"ForceUpdate": 3}}),
            json!({"Labels": null, "Mode": {}, "TaskTemplate": {}}),
            json!({"Name": "no labels", "TaskTemplate": null}),
            json!({"ZLabels": {}, "AName": {"Labels": {}}}),
            json!({}),
        ] {
            let mut expected = spec.clone();
            if !expected["Labels"].is_object() {
                expected["Labels"] = json!({});
            }
            for (mark, value) in [(COMMAND, command.to_string()), (OWNER, owner.to_string()), (SPEC, hash(&spec))] {
                expected["Labels"][mark] = json!(value);
            }
            let sent = Stamp::new(command, &owner).on(&spec);
            assert_eq!(serde_json::from_slice::<Value>(&sent).unwrap(), expected);
            assert_eq!(String::from_utf8(sent).unwrap().matches("\"Labels\"").count(), expected.to_string().matches("\"Labels\"").count());
        }
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
