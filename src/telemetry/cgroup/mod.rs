//! Containers, as their control groups tell of them: the files of either version, without a question to the engine.

mod mounts;
mod network;
mod place;
mod rest;
mod v1;
mod v2;

use super::files::{Files, Keeping, Kept};
use super::interfaces::Traffic;
use super::text::number;
use super::value::Value;
use network::Network;
use rest::Rest;

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
    /// Whether its processor time is limited; of version 1, whose periods have a file of their own.
    is_throttled: bool,
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

/// How many files of a group are kept open, the list of its interfaces among them.
pub(super) const KEPT_FILES: usize = FILES + 1;
/// Of the group itself.
const FILES: usize = 9;
/// Limits change when somebody changes them, and the engine says so when that was somebody of its own: they are read with every so
/// many looks.
const LIMITS_EVERY: u32 = 30;

/// The control group of one container, from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Below the mount of each controller.
    path: String,
    kept: [Kept; FILES],
    looks: u32,
    rest: Rest,
    figures: Figures,
    network: Network,
}

impl Group {
    /// At a path that was found.
    pub(super) fn at(path: String) -> Self {
        Self { path, ..Self::default() }
    }

    /// As they were read last.
    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Reads it. None where it is gone.
    pub(super) fn read(&mut self, files: &mut Files, hierarchy: &Hierarchy, keeping: Keeping) -> Option<()> {
        let Self { path, kept, looks, rest, figures, network } = self;
        let mut reading = Reading { files, path, kept, keeping };
        if looks.is_multiple_of(LIMITS_EVERY) {
            match hierarchy {
                Hierarchy::V1(mounts) => v1::limits(&mut reading, mounts, figures),
                Hierarchy::V2(mount) => v2::limits(&mut reading, mount, figures),
            }
            network.look_again();
        }
        *looks = looks.wrapping_add(1);
        match hierarchy {
            Hierarchy::V1(mounts) => v1::read(&mut reading, mounts, rest, figures),
            Hierarchy::V2(mount) => v2::read(&mut reading, mount, rest, figures),
        }?;
        figures.network = network.read(files, &[hierarchy.any(), path, "/cgroup.procs"], keeping);
        Some(())
    }
}

/// The files of one group.
struct Reading<'a> {
    files: &'a mut Files,
    path: &'a str,
    kept: &'a mut [Kept; FILES],
    keeping: Keeping,
}

impl Reading<'_> {
    /// A file that is read with most looks, and its place among those.
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
