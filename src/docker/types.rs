//! What the engine says, with the fields that this agent reads. What a plan is made from (services, secrets,
//! configs, networks) is `stack::held`'s.
//!
//! Pure data. Engine API 1.40–1.50, section "definitions".

use crate::domain::Timestamp;
use crate::stack::held::null_is_default;
pub use crate::stack::held::{Mode, Network, Service, Store, StoreKind, UpdateState, UpdateStatus, Version};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The label by which everything of a stack is found.
pub const NAMESPACE: &str = "com.docker.stack.namespace";
/// The longest error of a task that is passed on, in characters: with five of each of 200 services an
/// event is still a record that Kafka takes (1 MiB).
const MAX_ERROR: usize = 400;
/// Our mark: the agent that manages a service.
pub const OWNER: &str = "io.axion.owner";

/// The answer to a creation.
#[derive(Debug, Clone, Deserialize)]
pub struct Created {
    /// Of the new object.
    #[serde(alias = "ID", alias = "Id")]
    pub id: String,
    /// What the engine wants to be known.
    #[serde(default, alias = "Warnings", deserialize_with = "null_is_default")]
    pub warnings: Vec<String>,
}

/// The answer to `POST /services/{id}/update`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Updated {
    /// What the engine wants to be known.
    #[serde(default, alias = "Warnings", deserialize_with = "null_is_default")]
    pub warnings: Vec<String>,
}

/// What a service has of the ports that it publishes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Published {
    /// The service's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Where it is reached.
    #[serde(default)]
    pub endpoint: Endpoint,
}

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoint {
    /// As a spec has them.
    #[serde(default, deserialize_with = "null_is_default")]
    pub ports: Vec<Value>,
}

/// A task of which nothing else is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TaskId {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
}

/// A service of which only is asked whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceVersion {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Counts up with every change, also of its update's state.
    pub version: Version,
}

/// A task: one attempt to run one replica.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Task {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Counts up with every change.
    pub version: Version,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: String,
    /// What it runs.
    #[serde(default)]
    pub spec: TaskSpec,
    /// Its service.
    #[serde(rename = "ServiceID", default)]
    pub service_id: String,
    /// Which replica; absent in global services.
    #[serde(default)]
    pub slot: Option<u64>,
    /// Where it runs, once that is decided.
    #[serde(rename = "NodeID", default)]
    pub node_id: String,
    /// Where it stands.
    #[serde(default)]
    pub status: TaskStatus,
    /// Where the manager wants it.
    #[serde(default)]
    pub desired_state: TaskState,
    /// Of a job's task: which run it belongs to.
    #[serde(default)]
    pub job_iteration: Option<Version>,
}

/// What a task runs, of which only this is read: there may be thousands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskSpec {
    /// Its container.
    #[serde(default)]
    pub container_spec: TaskContainer,
    /// Where it may run.
    #[serde(default)]
    pub placement: Value,
}

/// The container that a task runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskContainer {
    /// As it was sent.
    #[serde(default)]
    pub image: String,
}

impl Task {
    /// Whether it runs and is meant to.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status.state == TaskState::Running && self.desired_state <= TaskState::Running
    }

    /// Whether it has been in its state for so long. A manager's clock says when it was made, and its node's since when it is what
    /// it is: both must have been so long ago.
    #[must_use]
    pub fn has_stayed(&self, span: Duration, now: Timestamp) -> bool {
        let is_before = |time: &str| Timestamp::parse(time).is_ok_and(|time| now.since(time) >= span);
        is_before(&self.created_at) && is_before(&self.status.timestamp)
    }

    /// What went wrong with it, in the engine's words, at most [`MAX_ERROR`] of them.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let err: String = self.status.err.chars().take(MAX_ERROR).collect();
        if err.is_empty() {
            return None;
        }
        let exit = self.status.container_status.as_ref().map(|container| container.exit_code).filter(|&code| code != 0);
        Some(match exit {
            // The engine says "task: non-zero exit (1)", with the health check's words where there is one.
            Some(code) if !err.contains(&code.to_string()) => format!("{err} (exit code {code})"),
            _ => err,
        })
    }
}

/// A task as far as it is counted: a swarm may have thousands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskHead {
    /// Its service.
    #[serde(rename = "ServiceID", default)]
    pub service_id: String,
    /// Where it runs, once that is decided.
    #[serde(rename = "NodeID", default)]
    pub node_id: String,
    /// Where it stands.
    #[serde(default)]
    pub status: HeadStatus,
    /// Where the manager wants it.
    #[serde(default)]
    pub desired_state: TaskState,
}

/// Where a task stands, and nothing else of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HeadStatus {
    /// Where it stands.
    #[serde(default)]
    pub state: TaskState,
}

/// A service as far as it is counted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceHead {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// What it should be.
    pub spec: ServiceHeadSpec,
    /// How its last update goes.
    #[serde(default)]
    pub update_status: Option<UpdateStatus>,
}

/// What a service should be, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceHeadSpec {
    /// Its name in the swarm.
    pub name: String,
    /// Its labels.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// How many tasks it has.
    #[serde(default)]
    pub mode: Value,
}

/// Where a task stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskStatus {
    /// RFC 3339.
    #[serde(default)]
    pub timestamp: String,
    /// Where it stands.
    #[serde(default)]
    pub state: TaskState,
    /// In words.
    #[serde(default)]
    pub message: String,
    /// What went wrong.
    #[serde(default)]
    pub err: String,
    /// Its container, once there is one.
    #[serde(default)]
    pub container_status: Option<ContainerStatus>,
}

/// A task's container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerStatus {
    /// Its id.
    #[serde(rename = "ContainerID", default)]
    pub container_id: String,
    /// How its process ended; 0 while it runs.
    #[serde(default)]
    pub exit_code: i64,
}

/// The life of a task, in order (swarmkit, api/types.proto, TaskState).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Made.
    New,
    /// Its resources are reserved.
    Allocated,
    /// Waits for a node.
    Pending,
    /// Has a node.
    Assigned,
    /// The node took it.
    Accepted,
    /// The node pulls and creates.
    Preparing,
    /// Ready to start.
    Ready,
    /// Starts; with a health check, until it is healthy.
    Starting,
    /// Runs.
    Running,
    /// Ended with success.
    Complete,
    /// Was asked to end.
    Shutdown,
    /// Ended with an error.
    Failed,
    /// The node could not run it.
    Rejected,
    /// To be removed.
    Remove,
    /// Its node is gone.
    Orphaned,
    /// One that this agent does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl TaskState {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::New,
        Self::Allocated,
        Self::Pending,
        Self::Assigned,
        Self::Accepted,
        Self::Preparing,
        Self::Ready,
        Self::Starting,
        Self::Running,
        Self::Complete,
        Self::Shutdown,
        Self::Failed,
        Self::Rejected,
        Self::Remove,
        Self::Orphaned,
        Self::Unknown,
    ];

    /// As the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Allocated => "allocated",
            Self::Pending => "pending",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Remove => "remove",
            Self::Orphaned => "orphaned",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing of it runs or will run any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Complete | Self::Shutdown | Self::Failed | Self::Rejected | Self::Orphaned)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A node of the swarm.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Node {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Role, availability, labels.
    #[serde(default)]
    pub spec: Value,
    /// Host name, platform.
    #[serde(default)]
    pub description: Value,
    /// `ready`, `down`, …
    #[serde(default)]
    pub status: NodeStatus,
    /// Of a manager: how it takes part.
    #[serde(default)]
    pub manager_status: Option<Value>,
}

/// Whether a node is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodeStatus {
    /// `ready`, `down`, `unknown`, `disconnected`.
    #[serde(default)]
    pub state: String,
}

/// The engine itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Info {
    /// Such as `20.10.24`.
    #[serde(default)]
    pub server_version: String,
    /// Where it keeps images and containers.
    #[serde(default)]
    pub docker_root_dir: String,
    /// Its swarm.
    #[serde(default)]
    pub swarm: SwarmInfo,
}

/// The engine's place in a swarm.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SwarmInfo {
    /// This node's id in it.
    #[serde(rename = "NodeID", default)]
    pub node_id: String,
    /// `inactive`, `pending`, `active`, `error`, `locked`.
    #[serde(default)]
    pub local_node_state: String,
    /// Whether it is a manager that can be asked.
    #[serde(default)]
    pub control_available: bool,
    /// What is wrong with it.
    #[serde(default)]
    pub error: String,
}

/// What a registry says of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Distribution {
    /// Its manifest, or its manifest list.
    #[serde(rename = "Descriptor")]
    pub descriptor: Descriptor,
    /// What it runs on.
    #[serde(rename = "Platforms", default, deserialize_with = "null_is_default")]
    pub platforms: Vec<Platform>,
}

/// A manifest's identity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Descriptor {
    /// `sha256:…`.
    pub digest: String,
}

/// OCI image specification, "platform".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, …
    #[serde(default)]
    pub architecture: String,
    /// `linux`, …
    #[serde(default)]
    pub os: String,
}

/// An image on this node. That it is there is all that is asked.
#[derive(Debug, Clone, Deserialize)]
pub struct Image {}

/// A container on this node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id.
    pub id: String,
    /// `created`, `running`, `exited`, …
    #[serde(default)]
    pub state: String,
    /// Its names, each with a slash before it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub names: Vec<String>,
    /// Its labels.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
}

/// `GET /containers/{id}/json`, of which only what its health check says is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Inspected {
    /// Its state.
    pub state: InspectedState,
}

/// The state of a container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InspectedState {
    /// Nothing where it has no health check.
    pub health: Option<Health>,
}

/// What a health check has said last, be it before the container ended.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
}

/// A volume on this node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Its name.
    pub name: String,
}

/// `GET /volumes`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Volumes {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) volumes: Vec<Volume>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::held::JobStatus;
    use serde_json::json;

    #[test]
    fn states_follow_the_life_of_a_task_and_new_ones_are_no_error() {
        let state = |text: &str| serde_json::from_value::<TaskState>(json!(text)).unwrap();
        assert!(state("preparing") < state("running") && state("running") < state("complete"));
        assert_eq!(state("hibernating"), TaskState::Unknown);
        let update: UpdateStatus = serde_json::from_value(json!({"State": "rollback_paused", "Message": "x"})).unwrap();
        assert_eq!(update.state, UpdateState::RollbackPaused);
    }

    #[test]
    fn a_failed_task_tells_its_error_with_the_exit_code_once() {
        let task = |err: &str, code: i64| -> Task {
            let status = json!({"State": "failed", "Err": err, "ContainerStatus": {"ContainerID": "c", "ExitCode": code}});
            serde_json::from_value(json!({"ID": "t", "Version": {"Index": 1}, "Status": status, "DesiredState": "shutdown"})).unwrap()
        };
        assert_eq!(task("task: non-zero exit (3)", 3).error().unwrap(), "task: non-zero exit (3)");
        assert_eq!(task("starting container failed", 127).error().unwrap(), "starting container failed (exit code 127)");
        assert_eq!(task("", 0).error(), None);
    }

    #[test]
    fn what_go_leaves_out_or_writes_as_null_is_no_error() {
        let first: JobStatus = serde_json::from_value(json!({"JobIteration": {}, "LastExecution": "2026-01-01T00:00:00Z"})).unwrap();
        assert_eq!(first.job_iteration, Version::default());
        let network: Network = serde_json::from_value(json!({"Id": "n", "Name": "st_default", "Labels": null})).unwrap();
        assert!(network.labels.is_empty());
        let created: Created = serde_json::from_value(json!({"ID": "x", "Warnings": null})).unwrap();
        assert!(created.warnings.is_empty());
    }
}
