//! `TaskSpec`: the part of a service whose change replaces tasks. Pure data.

use super::{ContainerSpec, Nanoseconds, StringMap, empty, null_or};
use serde::{Deserialize, Serialize};

/// `TaskSpec` of the Engine API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TaskSpec {
    /// The container.
    #[serde(rename = "ContainerSpec", deserialize_with = "null_or")]
    pub container: ContainerSpec,
    /// Limits and reservations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// When a task that ended starts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Where it may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Attached networks, sorted by target.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub networks: Vec<NetworkAttachment>,
    /// Where its output goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_driver: Option<Driver>,
    /// A counter: raising it replaces the tasks.
    pub force_update: u64,
    /// Only read: the engine answers `container`.
    #[serde(skip_serializing_if = "empty")]
    pub runtime: String,
}

/// A driver by name with its options: of logs, secrets, templates, volumes and of the address
/// management.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Driver {
    /// Empty is the engine's default.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Its own options.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub options: StringMap,
}

/// `ResourceRequirements`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Resources {
    /// At most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limit>,
    /// At least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservations: Option<Reservation>,
}

/// `Limit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Limit {
    /// Billionths of a processor.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "empty")]
    pub nano_cpus: i64,
    /// Memory in bytes.
    #[serde(skip_serializing_if = "empty")]
    pub memory_bytes: i64,
    /// Processes.
    #[serde(skip_serializing_if = "empty")]
    pub pids: i64,
}

/// `Resources`: what the scheduler keeps free for a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Reservation {
    /// Billionths of a processor.
    #[serde(rename = "NanoCPUs", skip_serializing_if = "empty")]
    pub nano_cpus: i64,
    /// Memory in bytes.
    #[serde(skip_serializing_if = "empty")]
    pub memory_bytes: i64,
    /// Such as GPUs.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub generic_resources: Vec<GenericResource>,
}

/// `GenericResource`: one of its two halves is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct GenericResource {
    /// Named ones; Compose cannot ask for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_resource_spec: Option<NamedResource>,
    /// Counted ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discrete_resource_spec: Option<DiscreteResource>,
}

/// `NamedGenericResource`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NamedResource {
    /// The kind.
    #[serde(skip_serializing_if = "empty")]
    pub kind: String,
    /// Its name.
    #[serde(skip_serializing_if = "empty")]
    pub value: String,
}

/// `DiscreteGenericResource`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DiscreteResource {
    /// The kind.
    #[serde(skip_serializing_if = "empty")]
    pub kind: String,
    /// How many.
    #[serde(skip_serializing_if = "empty")]
    pub value: i64,
}

/// `RestartPolicy`. An absent field is the manager's default, a zero is a zero.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// `none`, `on-failure` or `any`.
    #[serde(skip_serializing_if = "empty")]
    pub condition: String,
    /// Before the next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Nanoseconds>,
    /// Then it stays down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
    /// In which the attempts are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Nanoseconds>,
}

/// `Placement`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Placement {
    /// All must hold.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub constraints: Vec<String>,
    /// How tasks spread.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub preferences: Vec<Preference>,
    /// Per node; 0 is any number.
    #[serde(skip_serializing_if = "empty")]
    pub max_replicas: u64,
    /// What the image can run on; filled in from its registry.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub platforms: Vec<Platform>,
}

/// `PlacementPreference`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Preference {
    /// Evenly over the values of a label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// `SpreadOver`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Spread {
    /// Such as `node.labels.zone`.
    pub spread_descriptor: String,
}

/// `Platform`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Platform {
    /// Such as `amd64`.
    #[serde(skip_serializing_if = "empty")]
    pub architecture: String,
    /// Such as `linux`.
    #[serde(rename = "OS", skip_serializing_if = "empty")]
    pub os: String,
}

/// `NetworkAttachmentConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkAttachment {
    /// Sent as a name, answered as an id.
    #[serde(skip_serializing_if = "empty")]
    pub target: String,
    /// Names of the service there, its own key last.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub aliases: Vec<String>,
    /// Options of this attachment.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub driver_opts: StringMap,
}
