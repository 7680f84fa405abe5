//! What a command came to, and what it says on the way.

use super::{Code, Command, Timestamp};
use serde_json::{Map, Value, json};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it was done and seen to be so.
    Completed,
    /// It failed, with the reason's stable code.
    Failed(Code),
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Done or failed.
    pub verdict: Verdict,
    /// One sentence for a person.
    pub message: String,
    /// Per-service facts, errors, counts: the kind's own fields.
    pub details: Map<String, Value>,
}

/// A step forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// `plan`, `apply`, `converge`, `rollback`, `remove`.
    pub phase: &'static str,
    /// One sentence for a person.
    pub message: String,
    /// The phase's own fields.
    pub details: Map<String, Value>,
}

impl Outcome {
    /// That of a command which waited beyond its time, if it has: it must not start any more.
    #[must_use]
    pub fn expired(command: &Command, now: Timestamp) -> Option<Self> {
        let expires = command.expires_at.filter(|&expires| expires < now)?;
        let message = format!("the command expired at {expires}, before its turn came; send a new one with a later expires_at");
        Some(Self::failed(Code::EXPIRED, message))
    }

    /// Done.
    #[must_use]
    pub fn completed(message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Completed, message: message.into(), details: Map::new() }
    }

    /// Failed.
    #[must_use]
    pub fn failed(code: Code, message: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed(code), message: message.into(), details: Map::new() }
    }

    /// With one more field in the details.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The payload of the terminal event: project, stack, status, message and details with the code.
    #[must_use]
    pub fn payload(&self, command: &Command) -> Value {
        let mut details = self.details.clone();
        let status = match self.verdict {
            Verdict::Completed => "Completed",
            Verdict::Failed(code) => {
                details.insert("code".to_owned(), json!(code));
                "Failed"
            }
        };
        payload(command, status, &self.message, details)
    }
}

impl Progress {
    /// A step with nothing more to say.
    #[must_use]
    pub fn new(phase: &'static str, message: impl Into<String>) -> Self {
        Self { phase, message: message.into(), details: Map::new() }
    }

    /// With one more field in the details.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The payload of its event; the phase stands in the details.
    #[must_use]
    pub fn payload(self, command: &Command) -> Value {
        let Self { phase, message, mut details } = self;
        details.insert("phase".to_owned(), json!(phase));
        payload(command, "Progressing", &message, details)
    }
}

fn payload(command: &Command, status: &str, message: &str, details: Map<String, Value>) -> Value {
    let target = command.action.target();
    let mut payload = json!({
        "project_id": target.map(|target| target.project.as_str()),
        "stack_name": target.map(|target| target.stack.as_str()),
        "command_type": command.action.name(),
        "status": status,
        "message": message,
    });
    // Within the macro they would be written and read once more.
    payload["details"] = Value::Object(details);
    payload
}
