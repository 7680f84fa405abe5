//! A stack as its files describe it: every section read and checked by itself, names not yet resolved.
//! What maps one to one onto a type of the engine is that type already.

use super::path::Spot;
use crate::stack::spec::{ContainerSpec, Driver, Ipam, Placement, PortConfig, Resources, RestartPolicy, StringMap, UpdateConfig};
use std::collections::BTreeMap;

/// The whole stack.
#[derive(Debug, Default)]
pub struct Model<'a> {
    /// In the order of their keys.
    pub services: Vec<(String, Service<'a>)>,
    /// Those of the top level.
    pub networks: BTreeMap<String, Network>,
    /// Those of the top level.
    pub volumes: BTreeMap<String, Volume>,
    /// Those of the top level.
    pub secrets: BTreeMap<String, Content>,
    /// Those of the top level.
    pub configs: BTreeMap<String, Content>,
}

/// A service.
#[derive(Debug)]
pub struct Service<'a> {
    /// The image as the file has it.
    pub image: String,
    /// All of the container that the service says by itself; mounts, secrets, configs and the stack's
    /// labels come later.
    pub container: ContainerSpec,
    /// Its mounts, in order.
    pub mounts: Vec<Mount<'a>>,
    /// Networks by key; none stands for the default network.
    pub networks: BTreeMap<String, Attachment<'a>>,
    /// Secrets.
    pub secrets: Vec<Reference<'a>>,
    /// Configs.
    pub configs: Vec<Reference<'a>>,
    /// The config that holds its credential spec.
    pub credential_config: Option<(Spot<'a>, String)>,
    /// The whole of `deploy`.
    pub deploy: Deploy,
    /// Published ports.
    pub ports: Vec<PortConfig>,
    /// Its log driver.
    pub logging: Option<Driver>,
}

/// The section `deploy`, with what older keys of the service say in its place.
#[derive(Debug, Default)]
pub struct Deploy {
    /// Of the service, not of its containers.
    pub labels: StringMap,
    /// `replicated` and so on.
    pub mode: Mode,
    /// How many, with the place that says so.
    pub replicas: Option<u64>,
    /// How it is updated.
    pub update: Option<UpdateConfig>,
    /// How it is rolled back.
    pub rollback: Option<UpdateConfig>,
    /// Limits and reservations.
    pub resources: Resources,
    /// When it restarts.
    pub restart: Option<RestartPolicy>,
    /// Where it runs.
    pub placement: Placement,
    /// `vip` or `dnsrr`.
    pub endpoint_mode: String,
}

/// The modes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// So many tasks.
    #[default]
    Replicated,
    /// One per node.
    Global,
    /// So many that end.
    ReplicatedJob,
    /// One per node that ends.
    GlobalJob,
}

/// A mount of a service.
#[derive(Debug, Clone, Default)]
pub struct Mount<'a> {
    /// Its place.
    pub at: Spot<'a>,
    /// `volume` when the file says nothing.
    pub kind: String,
    /// A path, a volume's key, an image.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
    /// Passed on.
    pub consistency: String,
    /// The section `bind`: its propagation.
    pub bind: Option<String>,
    /// The section `volume`.
    pub volume: Option<VolumePart>,
    /// The section `tmpfs`.
    pub tmpfs: Option<TmpfsPart>,
    /// The section `image`: its folder.
    pub image: Option<String>,
    /// The section `cluster` is there.
    pub cluster: Option<()>,
    /// Options of the short form that mean nothing.
    pub unknown: Vec<String>,
}

/// The section `volume` of a mount.
#[derive(Debug, Clone, Default)]
pub struct VolumePart {
    /// Do not copy the image's files.
    pub no_copy: bool,
    /// A folder of the volume.
    pub subpath: String,
}

/// The section `tmpfs` of a mount.
#[derive(Debug, Clone, Default)]
pub struct TmpfsPart {
    /// In bytes.
    pub size: i64,
    /// Permission bits; only the short form can say them.
    pub mode: u32,
}

/// A service's place in a network.
#[derive(Debug, Clone, Default)]
pub struct Attachment<'a> {
    /// Its place.
    pub at: Spot<'a>,
    /// More names there.
    pub aliases: Vec<String>,
    /// Of the driver.
    pub driver_opts: StringMap,
}

/// A service's use of a secret or config.
#[derive(Debug, Clone, Default)]
pub struct Reference<'a> {
    /// Its place.
    pub at: Spot<'a>,
    /// The key at the top level.
    pub source: String,
    /// The file's name; the key where empty.
    pub target: String,
    /// Owner.
    pub uid: Option<String>,
    /// Group.
    pub gid: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
}

/// A network of the top level.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Empty where the file gives none.
    pub name: String,
    /// Made by somebody else.
    pub external: bool,
    /// `overlay` where empty.
    pub driver: String,
    /// Of the driver; None where the key is absent.
    pub driver_opts: Option<StringMap>,
    /// Addresses.
    pub ipam: Option<Ipam>,
    /// Whether it has IPv6.
    pub enable_ipv6: Option<bool>,
    /// Without a way out.
    pub internal: bool,
    /// For single containers too.
    pub attachable: bool,
    /// Its labels.
    pub labels: StringMap,
}

/// A volume of the top level.
#[derive(Debug, Clone, Default)]
pub struct Volume {
    /// Empty where the file gives none.
    pub name: String,
    /// Made by somebody else.
    pub external: bool,
    /// The engine's own where empty.
    pub driver: String,
    /// None where the key is absent: an empty mapping is sent, nothing is not.
    pub driver_opts: Option<StringMap>,
    /// Its labels.
    pub labels: StringMap,
}

/// A secret or config of the top level.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Empty where the file gives none.
    pub name: String,
    /// Made by somebody else.
    pub external: bool,
    /// Its content.
    pub data: crate::domain::Sensitive<Vec<u8>>,
    /// Where the content comes from instead; secrets only.
    pub driver: Option<Driver>,
    /// Whether the content is a template.
    pub templating: Option<Driver>,
    /// Its labels.
    pub labels: StringMap,
}
