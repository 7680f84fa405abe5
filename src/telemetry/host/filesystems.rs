//! Which file systems there are, from `/proc/self/mountinfo`. Pure.
//!
//! Only those on a disk of this host: the server of a network file system that is away would hold up whoever asks.

use super::super::mountinfo::{Mount, mounts};
use std::collections::BTreeSet;

/// File systems whose source is no device file.
const WITHOUT_DEVICE: [&str; 2] = ["zfs", "btrfs"];

/// One file system, at the shortest of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileSystem {
    pub(super) mountpoint: String,
    /// `major:minor`.
    pub(super) device: String,
}

/// Each once, in the order of their places.
pub(super) fn file_systems(mountinfo: &str) -> Vec<FileSystem> {
    let mut all: Vec<FileSystem> = mounts(mountinfo).filter_map(local).collect();
    all.sort_by(|a, b| (a.mountpoint.len(), &a.mountpoint).cmp(&(b.mountpoint.len(), &b.mountpoint)));
    let mut seen = BTreeSet::new();
    all.retain(|one| seen.insert(one.device.clone()));
    all
}

fn local(mount: Mount<'_>) -> Option<FileSystem> {
    let is_local = mount.source.starts_with("/dev/") || WITHOUT_DEVICE.contains(&mount.kind);
    is_local.then(|| FileSystem { mountpoint: mount.place(), device: mount.device.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_local_file_system_is_found_once_at_its_shortest_place() {
        let mountinfo = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
42 27 254:0 /var/lib/docker /var/lib/docker rw,relatime shared:1 - ext4 /dev/vda rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
43 27 8:1 / /mnt/with\\040blank rw master:1 - xfs /dev/sda1 rw
44 27 0:50 / /srv rw - nfs4 server:/export rw
45 27 0:51 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw,lowerdir=/l
46 27 0:52 / /pool rw - zfs tank/data rw
";
        let found: Vec<_> = file_systems(mountinfo).into_iter().map(|one| format!("{} {}", one.device, one.mountpoint)).collect();
        assert_eq!(found, ["254:0 /", "0:52 /pool", "8:1 /mnt/with blank"]);
    }
}
