//! `ContainerSpec`: what the container of a task is made of, and its references to secrets and configs.
//! A reference made from a Compose file carries the name; the deploy fills the id in. Pure data.

use super::{Mount, Nanoseconds, StringMap, empty, null_or};
use serde::{Deserialize, Serialize};

/// `ContainerSpec` of the Engine API.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerSpec {
    /// With tag, and with digest once resolved.
    #[serde(skip_serializing_if = "empty")]
    pub image: String,
    /// The container's labels: changing them replaces tasks.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub labels: StringMap,
    /// Compose's `entrypoint`.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub command: Vec<String>,
    /// Compose's `command`.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub args: Vec<String>,
    /// May hold a template.
    #[serde(skip_serializing_if = "empty")]
    pub hostname: String,
    /// `K=V`, sorted; `K` alone removes a variable of the image.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub env: Vec<String>,
    /// The working directory.
    #[serde(skip_serializing_if = "empty")]
    pub dir: String,
    /// `name`, `uid` or `uid:gid`.
    #[serde(skip_serializing_if = "empty")]
    pub user: String,
    /// More groups.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub groups: Vec<String>,
    /// Always sent by the CLI, even when it says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileges: Option<Privileges>,
    /// Whether an init process runs first; false is not the same as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    /// Such as `SIGQUIT`.
    #[serde(skip_serializing_if = "empty")]
    pub stop_signal: String,
    /// A terminal.
    #[serde(rename = "TTY", skip_serializing_if = "empty")]
    pub tty: bool,
    /// An open standard input.
    #[serde(skip_serializing_if = "empty")]
    pub open_stdin: bool,
    /// A read-only root.
    #[serde(skip_serializing_if = "empty")]
    pub read_only: bool,
    /// In the order of the file.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub mounts: Vec<Mount>,
    /// Between the stop signal and the kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_grace_period: Option<Nanoseconds>,
    /// How its health is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// `IP host` lines.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub hosts: Vec<String>,
    /// Name servers.
    #[serde(rename = "DNSConfig", skip_serializing_if = "Option::is_none")]
    pub dns_config: Option<DnsConfig>,
    /// Secrets by name and, once looked up, id.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub secrets: Vec<SecretReference>,
    /// Configs likewise.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub configs: Vec<ConfigReference>,
    /// Windows only; the engine answers `default`.
    #[serde(skip_serializing_if = "empty")]
    pub isolation: String,
    /// Kernel parameters.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub sysctls: StringMap,
    /// Normalised, sorted.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub capability_add: Vec<String>,
    /// Likewise.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub capability_drop: Vec<String>,
    /// Sorted by name.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub ulimits: Vec<Ulimit>,
    /// From API 1.46.
    #[serde(skip_serializing_if = "empty")]
    pub oom_score_adj: i64,
}

/// `Privileges`, without the parts that Compose cannot set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Privileges {
    /// Windows only.
    pub credential_spec: Option<CredentialSpec>,
    /// Compose cannot set it.
    #[serde(rename = "SELinuxContext")]
    pub se_linux_context: Option<SeLinuxContext>,
    /// Compose cannot set it.
    pub no_new_privileges: bool,
}

/// `SELinuxContext`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SeLinuxContext {
    /// Switched off.
    pub disable: bool,
    /// User label.
    pub user: String,
    /// Role label.
    pub role: String,
    /// Type label.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Level label.
    pub level: String,
}

/// `CredentialSpec`: one of the three is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CredentialSpec {
    /// The id of a config; made from a file it holds the config's name until the deploy looks it up.
    pub config: String,
    /// A file on the node.
    pub file: String,
    /// A value in the node's registry.
    pub registry: String,
}

/// `HealthConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub test: Vec<String>,
    /// Between two tests.
    #[serde(skip_serializing_if = "empty")]
    pub interval: Nanoseconds,
    /// Of one test.
    #[serde(skip_serializing_if = "empty")]
    pub timeout: Nanoseconds,
    /// In which failures do not count.
    #[serde(skip_serializing_if = "empty")]
    pub start_period: Nanoseconds,
    /// Between two tests in the start period.
    #[serde(skip_serializing_if = "empty")]
    pub start_interval: Nanoseconds,
    /// Failures in a row.
    #[serde(skip_serializing_if = "empty")]
    pub retries: i64,
}

/// `DNSConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DnsConfig {
    /// Servers.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub nameservers: Vec<String>,
    /// Search domains.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub search: Vec<String>,
    /// Resolver options.
    #[serde(skip_serializing_if = "empty", deserialize_with = "null_or")]
    pub options: Vec<String>,
}

/// `SecretReference`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SecretReference {
    /// Where it appears.
    pub file: Option<FileTarget>,
    /// Empty until the deploy has looked the secret up.
    #[serde(rename = "SecretID", skip_serializing_if = "empty")]
    pub secret_id: String,
    /// Its name in the swarm.
    pub secret_name: String,
}

/// `ConfigReference`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConfigReference {
    /// Where it appears.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileTarget>,
    /// Or that it is meant for the runtime: a credential spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeTarget>,
    /// Empty until the deploy has looked the config up.
    #[serde(rename = "ConfigID", skip_serializing_if = "empty")]
    pub config_id: String,
    /// Its name in the swarm.
    pub config_name: String,
}

/// `ConfigReferenceRuntimeTarget`, an empty object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuntimeTarget {}

/// `SecretReferenceFileTarget` and its twin for configs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct FileTarget {
    /// A name below `/run/secrets`, or a path.
    pub name: String,
    /// The owner.
    #[serde(rename = "UID")]
    pub uid: String,
    /// Its group.
    #[serde(rename = "GID")]
    pub gid: String,
    /// Permission bits.
    pub mode: u32,
}

/// `Ulimit`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Ulimit {
    /// Such as `nofile`.
    pub name: String,
    /// The hard limit; -1 is none.
    pub hard: i64,
    /// The soft limit.
    pub soft: i64,
}
