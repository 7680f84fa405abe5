//! Containers, as their control groups tell of them: the files of either version, without a question to the engine.

mod mounts;
mod place;
mod v1;
mod v2;

use super::files::{Files, Keeping, Kept, number};
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
}

/// How many files of a group are kept open.
pub(super) const KEPT_FILES: usize = 9;
/// Limits change when somebody changes them: they are read with every so many looks.
const LIMITS_EVERY: u32 = 6;

/// The control group of one container, from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Below the mount of each controller.
    path: String,
    kept: [Kept; KEPT_FILES],
    limits: Limits,
    looks: u32,
    network: Option<Network>,
}

/// What a container may have at most, where it is limited.
#[derive(Debug, Clone, Copy, Default)]
struct Limits {
    memory: Option<u64>,
    pids: Option<u64>,
}

/// One of its processes, and the namespace that this is in.
#[derive(Debug)]
struct Network {
    process: String,
    /// Of the namespace's list of interfaces.
    inode: u64,
}

/// Where the groups are, and what a look at one needs beside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) hierarchy: &'a Hierarchy,
    /// The list of the host's interfaces: the files of one namespace are the same files, whichever process they are seen through.
    pub(super) host: Option<u64>,
}

impl Group {
    /// At a path that was found.
    pub(super) fn at(path: String) -> Self {
        Self { path, ..Self::default() }
    }

    /// Reads all of it. None where it is gone.
    pub(super) fn read(&mut self, files: &mut Files, surroundings: Surroundings<'_>, keeping: Keeping) -> Option<Figures> {
        let Self { path, kept, limits, looks, network } = self;
        let mut reading = Reading { files, path, kept, keeping };
        let limits_are_due = looks.is_multiple_of(LIMITS_EVERY);
        *looks = looks.wrapping_add(1);
        let mut figures = match surroundings.hierarchy {
            Hierarchy::V1(mounts) => {
                if limits_are_due {
                    *limits = v1::limits(&mut reading, mounts);
                }
                v1::read(&mut reading, mounts)
            }
            Hierarchy::V2(mount) => {
                if limits_are_due {
                    *limits = v2::limits(&mut reading, mount);
                }
                v2::read(&mut reading, mount)
            }
        }?;
        (figures.memory_limit, figures.pids_limit) = (limits.memory, limits.pids);
        figures.network = traffic(files, surroundings, path, network);
        Some(figures)
    }
}

/// The files of one group.
struct Reading<'a> {
    files: &'a mut Files,
    path: &'a str,
    kept: &'a mut [Kept; KEPT_FILES],
    keeping: Keeping,
}

impl Reading<'_> {
    /// A file that is read with every look, and its place among those.
    fn text(&mut self, place: usize, mount: &str, name: &str) -> Option<&str> {
        self.files.read_kept(&mut self.kept[place], self.keeping, &[mount, self.path, name])
    }

    fn number(&mut self, place: usize, mount: &str, name: &str) -> Option<u64> {
        self.text(place, mount, name).and_then(number)
    }

    /// A number that is read seldom.
    fn limit(&mut self, mount: &str, name: &str) -> Option<u64> {
        self.files.read(&[mount, self.path, name]).and_then(number)
    }
}

/// What has gone through the namespace of one of its processes. None where it is the host's own.
fn traffic(files: &mut Files, surroundings: Surroundings<'_>, path: &str, known: &mut Option<Network>) -> Option<(Traffic, Traffic)> {
    if let Some(Network { process, inode }) = known
        && let Some((found, list)) = files.read_with_inode(&["/proc/", process, "/net/dev"])
        && found == *inode
    {
        return Some(total(list));
    }
    // That process has ended.
    *known = None;
    let procs = files.read(&[surroundings.hierarchy.any(), path, "/cgroup.procs"])?;
    let process = procs.lines().next().and_then(number)?.to_string();
    let (inode, list) = files.read_with_inode(&["/proc/", &process, "/net/dev"])?;
    let of_host = Some(inode) == surroundings.host;
    let total = (!of_host).then(|| total(list))?;
    *known = Some(Network { process, inode });
    Some(total)
}
