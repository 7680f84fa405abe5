//! One field in which a service that runs differs from what is wanted, as a plan shows it: old and new,
//! and what writing it does to the tasks. Pure.

use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Objects and lists whose values may be passwords: what differs in them is named and not shown.
const HIDDEN: &[&str] = &["Env", "Options", "DriverOpts", "DriverOptions"];
/// Where else passwords are written that come from variables.
const VARIABLE: &[&str] = &["Args", "Command", "Labels", "Test"];
/// A longer value is cut: a plan is read by people.
const SHOWN_CHARS: usize = 120;

/// The keys of a change as events show it.
const FIELD: &str = "field";
const OLD: &str = "old";
const NEW: &str = "new";

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its path in the service's spec, such as `TaskTemplate.ContainerSpec.Image`; a variable's ends in its name.
    pub field: String,
    /// What it is, null where it is not there; nothing where the value may be secret.
    old: Option<Value>,
    /// The same of what it will be.
    new: Option<Value>,
}

/// What an update does to the tasks of a service, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// All go on.
    Kept,
    /// Some are added or removed, the others go on.
    Counted,
    /// Those go on whose nodes still fit.
    Moved,
    /// Each is replaced.
    Replaced,
    /// A job begins again, whatever was changed (swarmkit raises its iteration with every update).
    RunAgain,
}

impl Effect {
    /// As events spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Counted => "counted",
            Self::Moved => "moved",
            Self::Replaced => "replaced",
            Self::RunAgain => "run_again",
        }
    }

    /// Of writing this spec with these changes.
    #[must_use]
    pub fn of(spec: &Value, changes: &[Change]) -> Self {
        let is_job = ["ReplicatedJob", "GlobalJob"].iter().any(|mode| spec["Mode"][*mode].is_object());
        if is_job { Self::RunAgain } else { changes.iter().map(Change::effect).max().unwrap_or(Self::Kept) }
    }
}

impl Change {
    /// Of a field with these values.
    #[must_use]
    pub fn new(field: String, old: &Value, new: &Value) -> Self {
        let hidden = field.split('.').any(|part| HIDDEN.contains(&part));
        let change = Self { field, old: Some(without_secrets(old)), new: Some(without_secrets(new)) };
        if hidden { change.without_values() } else { change }
    }

    /// Whether there is something is no secret.
    fn without_values(self) -> Self {
        Self { old: self.old.filter(Value::is_null), new: self.new.filter(Value::is_null), ..self }
    }

    /// Of something that was written long ago: where a variable may have brought a value there, whatever it stood for then, it is not shown.
    #[must_use]
    pub fn without_what_variables_bring(self) -> Self {
        if self.field.split('.').any(|part| VARIABLE.contains(&part)) { self.without_values() } else { self }
    }

    /// Whether nothing is wanted where something is.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        self.new == Some(Value::Null)
    }

    /// What writing this field alone does (swarmkit, `IsTaskDirty`).
    #[must_use]
    pub fn effect(&self) -> Effect {
        let mut parts = self.field.split('.');
        match (parts.next(), parts.next()) {
            (Some("TaskTemplate"), Some("Placement")) => Effect::Moved,
            (Some("TaskTemplate" | "EndpointSpec"), _) => Effect::Replaced,
            (Some("Mode"), _) => Effect::Counted,
            _ => Effect::Kept,
        }
    }

    /// As events show it, but for [`shorten`]: a value that is cut is not known again by those who hide it.
    #[must_use]
    pub fn told(&self) -> Value {
        let values = [(OLD, &self.old), (NEW, &self.new)];
        let values = values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        Value::Object([(FIELD.to_owned(), json!(self.field))].into_iter().chain(values).collect())
    }
}

/// Hides the values of one as events show it. Whether there is something is no secret.
pub fn hide(told: &mut Map<String, Value>) {
    told.retain(|key, value| key == FIELD || value.is_null());
}

/// Cuts the values of one as events show it. Where what differs is cut off, it is said where that is.
pub fn shorten(told: &mut Map<String, Value>) {
    let differ = match (told.get(OLD), told.get(NEW)) {
        (Some(old), Some(new)) => text(old).chars().zip(text(new).chars()).take_while(|(old, new)| old == new).count(),
        _ => 0,
    };
    for (_, value) in told.iter_mut().filter(|(key, _)| *key != FIELD) {
        let whole = text(value);
        if whole.chars().count() > SHOWN_CHARS {
            let begin: String = whole.chars().take(SHOWN_CHARS).collect();
            let place = if differ < SHOWN_CHARS { String::new() } else { format!(" (differs from character {} on)", differ + 1) };
            *value = json!(format!("{begin}…{place}"));
        }
    }
}

fn text(value: &Value) -> Cow<'_, str> {
    if let Value::String(text) = value { Cow::Borrowed(text) } else { Cow::Owned(value.to_string()) }
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let safe = |(key, value): (&String, &Value)| {
                let value = if HIDDEN.contains(&key.as_str()) { json!("(not shown)") } else { without_secrets(value) };
                (key.clone(), value)
            };
            Value::Object(fields.iter().map(safe).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_named_and_not_shown() {
        let (old, new) = (json!("hunter1"), json!("hunter2"));
        let image = Change::new("TaskTemplate.ContainerSpec.Image".to_owned(), &json!("a:1"), &json!("a:2"));
        assert_eq!(image.told(), json!({"field": "TaskTemplate.ContainerSpec.Image", "old": "a:1", "new": "a:2"}));
        let variable = Change::new("TaskTemplate.ContainerSpec.Env.PASSWORD".to_owned(), &old, &new);
        assert_eq!(variable.told(), json!({"field": "TaskTemplate.ContainerSpec.Env.PASSWORD"}));
        let mounts = |secret: &Value| json!([{"Target": "/d", "VolumeOptions": {"DriverConfig": {"Options": {"o": secret}}}}]);
        let mount = Change::new("TaskTemplate.ContainerSpec.Mounts".to_owned(), &mounts(&old), &mounts(&new)).told();
        assert!(!mount.to_string().contains("hunter") && mount.to_string().contains("/d"), "{mount}");
        let gone = Change::new("TaskTemplate.ContainerSpec.Env.PASSWORD".to_owned(), &old, &Value::Null);
        assert_eq!(gone.told(), json!({"field": "TaskTemplate.ContainerSpec.Env.PASSWORD", "new": null}), "that it goes is no secret");
        let label = Change::new("Labels.a".to_owned(), &Value::Null, &new).without_what_variables_bring();
        assert_eq!(label.told(), json!({"field": "Labels.a", "old": null}));
    }

    #[test]
    fn long_values_are_cut_and_say_where_they_differ() {
        let cut = |old: Value, new: Value| {
            let mut told = Change::new("Labels.a".to_owned(), &old, &new).told();
            shorten(told.as_object_mut().unwrap());
            [told["old"].clone(), told["new"].clone()]
        };
        let (long, place) = ("é".repeat(500), " (differs from character 501 on)");
        let begin = format!("{}…", "é".repeat(SHOWN_CHARS));
        assert_eq!(cut(json!(long), Value::Null), [json!(begin), Value::Null]);
        assert_eq!(cut(json!(long), json!(format!("{long}!"))), [json!(format!("{begin}{place}")), json!(format!("{begin}{place}"))]);
        assert_eq!(cut(json!(format!("a{long}")), json!("b")), [json!(format!("a{}…", "é".repeat(SHOWN_CHARS - 1))), json!("b")]);
        assert_eq!(cut(json!("é".repeat(SHOWN_CHARS)), json!([1])), [json!("é".repeat(SHOWN_CHARS)), json!([1])]);
    }

    #[test]
    fn tasks_are_replaced_by_what_swarmkit_calls_dirty() {
        let effect = |fields: &[&str]| {
            let changes: Vec<Change> = fields.iter().map(|field| Change::new((*field).to_owned(), &Value::Null, &json!(1))).collect();
            Effect::of(&json!({"Mode": {"Replicated": {}}}), &changes)
        };
        assert_eq!(effect(&[]), Effect::Kept);
        assert_eq!(effect(&["Labels.a", "UpdateConfig"]), Effect::Kept);
        assert_eq!(effect(&["Mode.Replicated.Replicas", "Labels.a"]), Effect::Counted);
        assert_eq!(effect(&["TaskTemplate.Placement.Constraints", "Mode.Replicated.Replicas"]), Effect::Moved);
        assert_eq!(effect(&["TaskTemplate.Placement.Constraints", "EndpointSpec.Ports"]), Effect::Replaced);
        assert_eq!(Effect::of(&json!({"Mode": {"GlobalJob": {}}}), &[]), Effect::RunAgain);
    }
}
