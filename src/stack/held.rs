//! What the swarm holds of a stack: services, secrets, configs and networks as `GET` returns them, with the
//! fields that a plan reads.
//!
//! Pure data. A spec stays the JSON that the engine sent: an object is compared and sent back without losing
//! a field that a newer engine may have added. Engine API 1.40–1.50, section "definitions".

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;

/// The index that an update must name (compare-and-swap).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// Counts up with every change; the engine leaves a 0 out.
    #[serde(default)]
    pub index: u64,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// For the next update.
    pub version: Version,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: String,
    /// RFC 3339.
    #[serde(default)]
    pub updated_at: String,
    /// What it should be.
    pub spec: Value,
    /// What it was before the last update.
    #[serde(default)]
    pub previous_spec: Option<Value>,
    /// How the last update goes; none if there was none or a new one has just been written.
    #[serde(default)]
    pub update_status: Option<UpdateStatus>,
    /// Of a job: which run this is.
    #[serde(default)]
    pub job_status: Option<JobStatus>,
}

/// The mode of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// So many tasks (1 where the spec does not say).
    Replicated(u64),
    /// One task per node.
    Global,
    /// Tasks that end, so many in all.
    ReplicatedJob(u64),
    /// One task that ends per node.
    GlobalJob,
}

impl Mode {
    /// Whether its tasks run once, to their end.
    #[must_use]
    pub const fn is_job(self) -> bool {
        matches!(self, Self::ReplicatedJob(_) | Self::GlobalJob)
    }

    /// The mode that a spec has; one without is replicated, as the engine takes it.
    #[must_use]
    pub fn of(spec: &Value) -> Self {
        Self::of_mode(&spec["Mode"])
    }

    /// The same of a spec's `Mode` alone.
    #[must_use]
    pub fn of_mode(mode: &Value) -> Self {
        if mode["Global"].is_object() {
            Self::Global
        } else if mode["GlobalJob"].is_object() {
            Self::GlobalJob
        } else if mode["ReplicatedJob"].is_object() {
            Self::ReplicatedJob(mode["ReplicatedJob"]["TotalCompletions"].as_u64().unwrap_or(1))
        } else {
            Self::Replicated(mode["Replicated"]["Replicas"].as_u64().unwrap_or(1))
        }
    }

    /// Its name in a Compose file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replicated(_) => "replicated",
            Self::Global => "global",
            Self::ReplicatedJob(_) => "replicated-job",
            Self::GlobalJob => "global-job",
        }
    }
}

impl Service {
    /// `{stack}_{key}`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.spec["Name"].as_str().unwrap_or_default()
    }

    /// One of its labels.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.spec["Labels"][name].as_str()
    }

    /// The image that its tasks run.
    #[must_use]
    pub fn image(&self) -> &str {
        self.spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap_or_default()
    }

    /// Its mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        Mode::of(&self.spec)
    }
}

/// How an update goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateStatus {
    /// Where it stands.
    #[serde(default)]
    pub state: UpdateState,
    /// RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub completed_at: Option<String>,
    /// The manager's words.
    #[serde(default)]
    pub message: String,
}

/// Where an update stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    /// Tasks are being replaced.
    Updating,
    /// It stopped after failures.
    Paused,
    /// All tasks were replaced.
    Completed,
    /// It goes back.
    RollbackStarted,
    /// Going back stopped after failures.
    RollbackPaused,
    /// It is back at the previous spec.
    RollbackCompleted,
    /// None, or one that this agent does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl UpdateState {
    /// As the API spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Updating => "updating",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::RollbackStarted => "rollback_started",
            Self::RollbackPaused => "rollback_paused",
            Self::RollbackCompleted => "rollback_completed",
            Self::Unknown => "unknown",
        }
    }
}

/// Which run of a job this is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobStatus {
    /// Counts up with every run.
    #[serde(default)]
    pub job_iteration: Version,
    /// RFC 3339.
    #[serde(default)]
    pub last_execution: Option<String>,
}

/// Which of the two kinds of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreKind {
    /// A secret: its data never comes back.
    Secret,
    /// A config.
    Config,
}

impl StoreKind {
    /// `secret` or `config`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }
}

/// A secret or a config: the same shape, other content.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Store {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// For the next update.
    pub version: Version,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: String,
    /// What it should be; the data of a secret is never in it.
    pub spec: Value,
}

impl Store {
    /// Its name in the swarm.
    #[must_use]
    pub fn name(&self) -> &str {
        self.spec["Name"].as_str().unwrap_or_default()
    }

    /// One of its labels.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.spec["Labels"][name].as_str()
    }

    /// Whether it has these labels and no other.
    #[must_use]
    pub fn has_labels(&self, labels: &Value) -> bool {
        let of = |labels: &Value| labels.as_object().cloned().unwrap_or_default();
        of(&self.spec["Labels"]) == of(labels)
    }
}

/// A network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `swarm` or `local`.
    #[serde(default)]
    pub scope: String,
    /// `overlay`, …; empty while the manager has not set the network up yet.
    #[serde(default)]
    pub driver: String,
    /// Of the driver; the manager adds its own.
    #[serde(default)]
    pub options: Value,
    /// Its addresses; the manager adds what was not asked for.
    #[serde(rename = "IPAM", default)]
    pub ipam: Value,
    /// Whether it has IPv6 addresses.
    #[serde(rename = "EnableIPv6", default)]
    pub enable_ipv6: bool,
    /// Without a way out.
    #[serde(default)]
    pub internal: bool,
    /// Whether single containers may join.
    #[serde(default)]
    pub attachable: bool,
    /// Its labels.
    #[serde(default, deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// Whether its containers are told, be there none. In a list they are of what this node alone has, and not of what the manager
    /// has (moby, daemon/cluster/convert, `BasicNetworkFromGRPC`).
    #[serde(rename = "Containers", default, deserialize_with = "is_there")]
    has_containers: bool,
}

impl Network {
    /// Of one that a list had: whether the swarm has removed it, and this node still has it, until the last container is off it.
    #[must_use]
    pub fn lingers(&self) -> bool {
        self.has_containers && self.scope == "swarm"
    }

    /// Whether the manager has set it up: one that it cannot keeps its definition alone (moby, daemon/cluster/convert).
    #[must_use]
    pub fn is_allocated(&self) -> bool {
        !self.driver.is_empty()
    }

    /// As it was asked for by name or id, which tells what this node has, and nothing of the manager.
    #[must_use]
    pub fn asked_for(self) -> Self {
        Self { has_containers: false, ..self }
    }
}

/// Whether there is a value.
fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// Reads what Go writes as null where a list or map is empty.
///
/// # Errors
/// Of what is there and is none.
pub fn null_is_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(spec: &Value) -> Service {
        serde_json::from_value(json!({"ID": "s", "Version": {"Index": 7}, "Spec": spec})).unwrap()
    }

    #[test]
    fn a_mode_is_read_as_the_engine_takes_it() {
        for (mode, expected) in [
            (json!(null), Mode::Replicated(1)),
            (json!({"Replicated": {}}), Mode::Replicated(1)),
            (json!({"Replicated": {"Replicas": 0}}), Mode::Replicated(0)),
            (json!({"Global": {}}), Mode::Global),
            (json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 3}}), Mode::ReplicatedJob(3)),
            (json!({"GlobalJob": {}}), Mode::GlobalJob),
        ] {
            assert_eq!(service(&json!({"Name": "st_web", "Mode": mode})).mode(), expected);
        }
    }
}
