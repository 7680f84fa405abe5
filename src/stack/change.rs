//! One field in which a service that runs differs from what is wanted, as a plan shows it: old and new,
//! and what writing it does to the tasks. Pure.

use serde_json::{Map, Value, json};

/// Objects and lists whose values may be passwords: what differs in them is named and not shown.
const HIDDEN: &[&str] = &["Env", "Options", "DriverOpts", "DriverOptions"];
/// Where else passwords are written that come from variables.
const VARIABLE: &[&str] = &["Args", "Command", "Labels", "Test"];
/// A longer value is cut: a plan is read by people.
const SHOWN_CHARS: usize = 120;

/// A field that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its path in the service's spec, such as `TaskTemplate.ContainerSpec.Image`; a variable's ends in its name.
    pub field: String,
    /// What it is and what it will be; nothing where that may be secret.
    values: Option<(Value, Value)>,
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
        Self { field, values: (!hidden).then(|| (shown(old), shown(new))) }
    }

    /// Of something that was written long ago: where a variable may have brought a value there, whatever it stood for then, it is not shown.
    #[must_use]
    pub fn without_what_variables_bring(mut self) -> Self {
        if self.field.split('.').any(|part| VARIABLE.contains(&part)) {
            self.values = None;
        }
        self
    }

    /// Whether nothing is wanted where something is.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        matches!(&self.values, Some((_, Value::Null)))
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

    /// As events show it.
    #[must_use]
    pub fn told(&self) -> Value {
        match &self.values {
            Some((old, new)) => json!({"field": self.field, "old": old, "new": new}),
            None => json!({"field": self.field}),
        }
    }
}

/// A value that may be shown, and is not too long.
fn shown(value: &Value) -> Value {
    let value = without_secrets(value);
    let text = if let Value::String(text) = &value { text.clone() } else { value.to_string() };
    if text.chars().count() <= SHOWN_CHARS { value } else { json!(format!("{}…", text.chars().take(SHOWN_CHARS).collect::<String>())) }
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
        let long = Change::new("Labels.a".to_owned(), &json!("é".repeat(500)), &Value::Null).told();
        assert_eq!(long["old"].as_str().unwrap().chars().count(), SHOWN_CHARS + 1);
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
