//! Where the control groups are mounted, from `/proc/self/mountinfo`: cgroups(7). Pure.

use super::super::mountinfo;

/// Of version 1, which has a hierarchy for each controller, or for a few that go together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::telemetry) struct Mounts {
    pub(super) cpu: Option<String>,
    pub(super) cpuacct: Option<String>,
    pub(super) memory: Option<String>,
    pub(super) blkio: Option<String>,
    pub(super) pids: Option<String>,
}

/// Where they are, and of which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::telemetry) enum Hierarchy {
    V1(Mounts),
    /// One for all.
    V2(String),
}

impl Hierarchy {
    /// None where there is no control group to be seen.
    pub(in crate::telemetry) fn of(mountinfo: &str) -> Option<Self> {
        let mut v1 = Mounts::default();
        let mut v2 = None;
        for mount in mountinfo::mounts(mountinfo) {
            match mount.kind {
                "cgroup" => v1.take(mount.options, &mount.place()),
                // A host with both versions has its controllers in the first.
                "cgroup2" if v2.is_none() => v2 = Some(mount.place()),
                _ => {}
            }
        }
        if v1.memory.is_some() || v1.cpuacct.is_some() { Some(Self::V1(v1)) } else { v2.map(Self::V2) }
    }

    /// A mount in which every container has a folder.
    pub(in crate::telemetry) fn any(&self) -> &str {
        match self {
            Self::V1(mounts) => mounts.memory.as_deref().or(mounts.cpuacct.as_deref()).unwrap_or_default(),
            Self::V2(mount) => mount,
        }
    }
}

impl Mounts {
    fn take(&mut self, options: &str, place: &str) {
        for controller in options.split(',') {
            let field = match controller {
                "cpu" => &mut self.cpu,
                "cpuacct" => &mut self.cpuacct,
                "memory" => &mut self.memory,
                "blkio" => &mut self.blkio,
                "pids" => &mut self.pids,
                _ => continue,
            };
            field.get_or_insert_with(|| place.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_version_is_found_where_it_is_mounted() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        assert_eq!(Hierarchy::of(v2), Some(Hierarchy::V2("/sys/fs/cgroup".to_owned())));
        let v1 = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
        let both = Some("/sys/fs/cgroup/cpu,cpuacct".to_owned());
        let mounts = Mounts { cpu: both.clone(), cpuacct: both, memory: Some("/sys/fs/cgroup/memory".to_owned()), ..Mounts::default() };
        let found = Hierarchy::of(v1).unwrap();
        assert_eq!((&found, found.any()), (&Hierarchy::V1(mounts), "/sys/fs/cgroup/memory"));
        assert_eq!(Hierarchy::of("22 27 0:21 / /proc rw - proc proc rw\n"), None);
    }
}
