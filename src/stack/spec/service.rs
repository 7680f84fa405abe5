//! The body of `POST /services/create`: name, labels, mode, update rules and published ports around a
//! task. Pure data.

use super::{Nanoseconds, StringMap, TaskSpec, empty, null_or};
use serde::{Deserialize, Serialize, Serializer};

/// `ServiceSpec` of the Engine API.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceSpec {
    /// The scoped name.
    pub name: String,
    /// The service's own labels: changing them replaces no task.
    #[serde(deserialize_with = "null_or")]
    pub labels: StringMap,
    /// What runs.
    #[serde(rename = "TaskTemplate")]
    pub task: TaskSpec,
    /// How many run.
    pub mode: ServiceMode,
    /// How an update goes; Swarm's own rule where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_config: Option<UpdateConfig>,
    /// How a rollback goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_config: Option<UpdateConfig>,
    /// Published ports.
    #[serde(rename = "EndpointSpec", skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointSpec>,
}

/// How many tasks a service has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all_fields = "PascalCase")]
pub enum ServiceMode {
    /// So many, kept running.
    Replicated {
        /// None lets the manager take 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        replicas: Option<u64>,
    },
    /// One on every node that fits.
    Global {},
    /// So many, run to their end.
    ReplicatedJob {
        /// At the same time.
        #[serde(skip_serializing_if = "Option::is_none")]
        max_concurrent: Option<u64>,
        /// In all.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_completions: Option<u64>,
    },
    /// Once on every node that fits.
    GlobalJob {},
}

impl Default for ServiceMode {
    fn default() -> Self {
        Self::Replicated { replicas: None }
    }
}

/// `UpdateConfig`: also the shape of the rollback's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct UpdateConfig {
    /// Tasks at the same time; 0 is all of them.
    pub parallelism: u64,
    /// Between two groups of tasks.
    #[serde(skip_serializing_if = "empty")]
    pub delay: Nanoseconds,
    /// `pause`, `continue` or `rollback`.
    #[serde(skip_serializing_if = "empty")]
    pub failure_action: String,
    /// How long a new task is watched.
    #[serde(skip_serializing_if = "empty")]
    pub monitor: Nanoseconds,
    /// The share of tasks that may fail.
    #[serde(serialize_with = "go_float32")]
    pub max_failure_ratio: f32,
    /// `stop-first` or `start-first`.
    pub order: String,
}

/// Go prints a float32 with as few digits as identify it, a whole one without a point; via f64 0.1 would
/// become 0.10000000149.
fn go_float32<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let shortest: f64 = value.to_string().parse().map_err(serde::ser::Error::custom)?;
    if shortest.fract() == 0.0 && shortest.abs() < LARGEST_WHOLE {
        return serializer.serialize_i64(shortest as i64);
    }
    serializer.serialize_f64(shortest)
}

/// Up to here every whole number is exact in a float64.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// `EndpointSpec`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct EndpointSpec {
    /// `vip` or `dnsrr`.
    #[serde(skip_serializing_if = "empty")]
    pub mode: String,
    /// In the order of the published ports.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub ports: Vec<PortConfig>,
}

/// `PortConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PortConfig {
    /// Docker never shows it.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// `tcp`, `udp` or `sctp`.
    #[serde(skip_serializing_if = "empty")]
    pub protocol: String,
    /// In the container.
    #[serde(skip_serializing_if = "empty")]
    pub target_port: u32,
    /// On the nodes; 0 lets the manager choose.
    #[serde(skip_serializing_if = "empty")]
    pub published_port: u32,
    /// `ingress` or `host`.
    #[serde(skip_serializing_if = "empty")]
    pub publish_mode: String,
}
