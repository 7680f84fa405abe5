//! Containers, as their control groups tell of them: the files of either version, without a question to the engine.

mod mounts;
mod place;
mod v1;
mod v2;

use super::files::{Files, number};
use super::interfaces::{Traffic, total};
use super::value::Value;

pub(super) use mounts::Hierarchy;
pub(super) use place::Places;

/// What is known of one container. What its kernel does not tell is none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    pub(super) cpu: Option<Value>,
    pub(super) cpu_user: Option<Value>,
    pub(super) cpu_system: Option<Value>,
    pub(super) periods: Option<u64>,
    pub(super) throttled_periods: Option<u64>,
    pub(super) throttled: Option<Value>,
    pub(super) memory: Option<u64>,
    /// Of it, files that were not used lately.
    inactive_file: Option<u64>,
    pub(super) anonymous: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) swap: Option<u64>,
    pub(super) memory_limit: Option<u64>,
    pub(super) oom_kills: Option<u64>,
    pub(super) io: Option<Io>,
    pub(super) pids: Option<u64>,
    pub(super) pids_limit: Option<u64>,
    /// Received and sent.
    pub(super) network: Option<(Traffic, Traffic)>,
}

/// Over all disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Io {
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) writes: u64,
    pub(super) written_bytes: u64,
}

impl Figures {
    /// What is used and cannot be dropped at once.
    pub(super) fn working_set(&self) -> Option<u64> {
        Some(self.memory?.saturating_sub(self.inactive_file?))
    }

    /// Reads those of the control group at `path`, below the mount of each controller. None where it is gone.
    pub(super) fn read(files: &mut Files, hierarchy: &Hierarchy, path: &str) -> Option<Self> {
        let mut figures = match hierarchy {
            Hierarchy::V1(mounts) => v1::read(files, mounts, path),
            Hierarchy::V2(mount) => v2::read(files, mount, path),
        }?;
        figures.network = network(files, hierarchy, path);
        Some(figures)
    }
}

/// What has gone through the namespace of one of its processes. None where it is the host's own: the files of one namespace
/// are the same files, whichever process they are seen through.
fn network(files: &mut Files, hierarchy: &Hierarchy, path: &str) -> Option<(Traffic, Traffic)> {
    let host = files.inode(&["/proc/1/net/dev"]);
    let procs = files.read(&[hierarchy.any(), path, "/cgroup.procs"])?;
    let process = procs.lines().next().and_then(number)?.to_string();
    let (inode, list) = files.read_with_inode(&["/proc/", &process, "/net/dev"])?;
    (Some(inode) != host).then(|| total(list))
}
