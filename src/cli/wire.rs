//! What the agent answers, as far as it is shown. Whatever a newer agent adds is passed over, whatever an older one
//! leaves out is empty: only what the answer is about must be there.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// `GET /v1/stacks`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stacks {
    pub(super) swarm: String,
    pub(super) stacks: Vec<Stack>,
}

/// A stack; with tasks and revisions where it was asked for by its name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stack {
    pub(super) name: String,
    pub(super) project_id: Option<String>,
    pub(super) agent_id: Option<String>,
    pub(super) services: Vec<Service>,
    pub(super) tasks: Vec<Task>,
    pub(super) revisions: Vec<Revision>,
}

/// A service, of a stack or in the details of an event.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) image: Option<String>,
    pub(super) mode: String,
    pub(super) replicas: Replicas,
    pub(super) update: Option<Update>,
    pub(super) errors: Vec<TaskError>,
    pub(super) drift: Option<Drift>,
    pub(super) action: String,
    pub(super) reason: String,
    /// What an update does to the tasks.
    pub(super) tasks: String,
    pub(super) changes: Vec<Change>,
    /// There where the service changes and somebody else wrote it last.
    pub(super) deviations: Option<Vec<String>>,
    pub(super) image_here: Option<bool>,
    /// How far its tasks are.
    pub(super) state: String,
}

/// Tasks that run, and how many should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Replicas {
    pub(super) running: Option<u64>,
    pub(super) desired: Option<u64>,
    /// Of which the last task has ended well, where it may.
    pub(super) completed: Option<u64>,
}

/// What Swarm says of the last update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Update {
    pub(super) state: String,
    pub(super) message: String,
}

/// What went wrong with tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct TaskError {
    pub(super) error: String,
    pub(super) count: u64,
    pub(super) at: String,
}

/// What somebody else has changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Drift {
    pub(super) revision: u64,
    pub(super) changes: Vec<Change>,
}

/// A field that differs; without values where they may be secret.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    pub(super) field: String,
    /// Null where it is not there; nothing where the value may be secret.
    #[serde(deserialize_with = "present")]
    pub(super) old: Option<Value>,
    #[serde(deserialize_with = "present")]
    pub(super) new: Option<Value>,
}

/// A value that is there, be it null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// One task.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) service: String,
    pub(super) slot: Option<u64>,
    pub(super) node: Option<String>,
    pub(super) state: String,
    pub(super) desired_state: String,
    pub(super) message: Option<String>,
    pub(super) error: Option<String>,
    pub(super) image: Option<String>,
    pub(super) since: String,
}

/// A state of a stack that can be returned to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Revision {
    pub(super) revision: u64,
    pub(super) kept_at: Option<String>,
    pub(super) command_id: Option<String>,
    pub(super) images: BTreeMap<String, String>,
    pub(super) runs_now: bool,
}

/// `GET /v1/status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) agent_id: Option<String>,
    pub(super) version: String,
    pub(super) pid: u64,
    pub(super) uptime_seconds: u64,
    pub(super) phase: String,
    /// Whether `/readyz` says yes.
    pub(super) ready: Option<bool>,
    pub(super) mode: String,
    pub(super) paused_since: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) commands_open: u64,
    pub(super) events_unreported: u64,
    pub(super) consumer_lag: Option<u64>,
    pub(super) last_command: Option<LastCommand>,
    pub(super) update_offered: Option<Value>,
    pub(super) resources: Resources,
    pub(super) swarm: Option<Count>,
}

/// The swarm as the agent counted it last.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Count {
    pub(super) counted_at: String,
    pub(super) stacks: Vec<StackCount>,
}

/// One stack of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct StackCount {
    pub(super) running: u64,
    pub(super) desired: u64,
}

/// `GET /v1/update`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Versions {
    pub(super) running: String,
    pub(super) package: String,
    pub(super) channel: String,
    pub(super) refused: Option<Why>,
    /// Why the current version does not run.
    pub(super) held: Option<String>,
    pub(super) last_check: Checked,
    pub(super) current: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) version_floor: Option<String>,
    pub(super) security_floor: Option<String>,
    pub(super) trial: Option<Trial>,
}

/// A code in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Why {
    pub(super) code: String,
    pub(super) message: String,
}

/// What the last look for another version has found.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Checked {
    pub(super) at: Option<String>,
    pub(super) source: Option<String>,
    pub(super) version: Option<String>,
    pub(super) installable: bool,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

/// A version that has to prove itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trial {
    pub(super) version: String,
    pub(super) since: String,
    pub(super) goes_back_to: String,
    pub(super) attempts: u64,
    pub(super) attempts_allowed: Option<u64>,
    pub(super) outages_before: Vec<String>,
    pub(super) verdict: Option<String>,
    pub(super) reason: Option<String>,
}

/// `GET /v1/logging`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct LogLevels {
    pub(super) level: String,
    pub(super) configured: String,
    pub(super) changed: Option<LevelChange>,
}

/// Who has set other levels.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LevelChange {
    pub(super) at: String,
    pub(super) by: String,
    pub(super) until: Option<String>,
}

/// One thing that the agent depends on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) since: String,
    pub(super) last_error: Option<String>,
    pub(super) detail: Option<String>,
}

/// The newest command that has ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LastCommand {
    pub(super) id: String,
    pub(super) command_type: String,
    pub(super) stack: Option<String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) result: String,
    pub(super) finished_at: String,
}

/// What the process uses, by the names of its metrics.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    #[serde(rename = "process_resident_memory_bytes")]
    pub(super) memory: Option<f64>,
    #[serde(rename = "process_cpu_seconds_total")]
    pub(super) seconds: Option<f64>,
    #[serde(rename = "process_threads")]
    pub(super) threads: Option<f64>,
}

/// `GET /v1/commands`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Commands {
    pub(super) commands: Vec<Command>,
}

/// A command that is open, or has ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Command {
    pub(super) command_id: String,
    pub(super) command_type: String,
    pub(super) dry_run: bool,
    pub(super) stack: Option<String>,
    pub(super) project_id: Option<String>,
    pub(super) way: String,
    pub(super) user: Option<String>,
    pub(super) state: String,
    pub(super) progress: Option<String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) changed: Option<bool>,
    pub(super) rolled_back: Option<Value>,
    pub(super) accepted_at: Option<String>,
    pub(super) started_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) terminal_event: Option<Event>,
}

/// An event record.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    pub(super) event_type: String,
    pub(super) terminal: bool,
    pub(super) payload: Payload,
    /// The command.
    pub(super) causation_id: Option<String>,
    pub(super) timestamp: String,
    /// What stands in the place of an event where the agent ends a stream.
    pub(super) error: Option<Why>,
}

/// What an event says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Payload {
    pub(super) stack_name: Option<String>,
    pub(super) command_type: Option<String>,
    pub(super) message: String,
    /// Of a report that belongs to no command.
    pub(super) code: Option<String>,
    pub(super) details: Details,
}

/// The kind's own fields, as far as they are shown.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) code: Option<String>,
    pub(super) phase: String,
    pub(super) services: Vec<Service>,
    pub(super) networks: Vec<Object>,
    pub(super) secrets: Vec<Object>,
    pub(super) configs: Vec<Object>,
    pub(super) warnings: Vec<String>,
    pub(super) changed: Option<bool>,
    pub(super) rolled_back: Option<Value>,
    /// What is missing on the way back.
    pub(super) rollback: Vec<String>,
    pub(super) revision: Option<u64>,
    pub(super) to_revision: Option<u64>,
    /// Whatever else there is.
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
}

/// A network, a secret or a config of a plan.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    pub(super) name: String,
    /// Its name in the swarm, where that is another one.
    pub(super) object: Option<String>,
    pub(super) action: String,
    pub(super) reason: String,
    pub(super) changes: Vec<Change>,
}

/// A line of a log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogLine {
    pub(super) service: String,
    pub(super) task_id: String,
    pub(super) slot: Option<u64>,
    pub(super) stream: String,
    pub(super) at: String,
    pub(super) text: String,
    /// The last line of a service's log that ends by itself.
    pub(super) end: Option<LogEnd>,
}

/// Why a log has ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogEnd {
    pub(super) code: Option<String>,
    pub(super) message: String,
}

impl Event {
    /// The stable code of a failure or refusal.
    pub(super) fn code(&self) -> Option<&str> {
        self.payload.details.code.as_deref().or(self.payload.code.as_deref())
    }

    /// Whether it is the good end of a command.
    pub(super) fn is_completed(&self) -> bool {
        self.terminal && !self.is_failed()
    }

    /// Whether it is the bad end of one.
    pub(super) fn is_failed(&self) -> bool {
        self.event_type.ends_with("Failed") || self.event_type == "CommandRejected"
    }
}
