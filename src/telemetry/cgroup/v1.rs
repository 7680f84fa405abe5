//! Control groups of version 1: Documentation/admin-guide/cgroup-v1/{cpuacct,memory,blkio-controller,pids}.rst, and
//! Documentation/scheduler/sched-bwc.rst. Each controller has a tree of its own, with the same paths.

use super::super::text::{number, pairs};
use super::super::value::Value;
use super::mounts::Mounts;
use super::rest::{Extent, Rest};
use super::{Figures, Io, Reading};

/// From here on a limit is none: the kernel writes the largest number of pages that it can count.
const NO_LIMIT: u64 = 1 << 60;

/// What changes when somebody changes it.
pub(super) fn limits(group: &mut Reading<'_>, mounts: &Mounts, figures: &mut Figures) {
    let memory = mounts.memory.as_ref().and_then(|mount| group.limit(mount, "/memory.limit_in_bytes"));
    figures.memory_limit = memory.filter(|&limit| limit < NO_LIMIT);
    figures.pids_limit = mounts.pids.as_ref().and_then(|mount| group.limit(mount, "/pids.max"));
    // -1 where there is none.
    figures.is_throttled = mounts.cpu.as_ref().and_then(|mount| group.limit(mount, "/cpu.cfs_quota_us")).is_some();
    throttling(group, mounts, figures);
}

pub(super) fn read(group: &mut Reading<'_>, mounts: &Mounts, rest: &mut Rest, figures: &mut Figures) -> Option<()> {
    // ORDER: the processor time first: who runs while the rest is read has moved at the next look.
    if let Some(mount) = &mounts.cpuacct {
        figures.cpu = Some(Value::Nanos(group.number(0, mount, "/cpuacct.usage")?));
    }
    let extent = rest.extent(figures.cpu);
    if extent == Extent::Whole {
        if let Some(mount) = &mounts.cpuacct {
            for (key, ticks) in pairs(group.text(1, mount, "/cpuacct.stat")?) {
                match key {
                    "user" => figures.cpu_user = Some(Value::Ticks(ticks)),
                    "system" => figures.cpu_system = Some(Value::Ticks(ticks)),
                    _ => {}
                }
            }
        }
        // The periods of a group without a limit are not counted.
        if figures.is_throttled {
            throttling(group, mounts, figures);
        }
        figures.pids = mounts.pids.as_ref().and_then(|mount| group.number(8, mount, "/pids.current"));
    }
    if let Some(mount) = &mounts.memory {
        memory(group, mount, extent, figures)?;
    }
    // Whoever asks for a request is charged with it: what the kernel writes back later is nobody's here.
    if extent == Extent::Whole {
        figures.io = mounts.blkio.as_ref().and_then(|mount| io(group, mount, figures.io));
    }
    Some(())
}

fn throttling(group: &mut Reading<'_>, mounts: &Mounts, figures: &mut Figures) {
    let Some(stat) = mounts.cpu.as_ref().and_then(|mount| group.text(2, mount, "/cpu.stat")) else { return };
    for (key, count) in pairs(stat) {
        match key {
            "nr_periods" => figures.periods = Some(count),
            "nr_throttled" => figures.throttled_periods = Some(count),
            "throttled_time" => figures.throttled = Some(Value::Nanos(count)),
            _ => {}
        }
    }
}

fn memory(group: &mut Reading<'_>, mount: &str, extent: Extent, figures: &mut Figures) -> Option<()> {
    let before = figures.memory.replace(group.number(3, mount, "/memory.usage_in_bytes")?);
    if extent == Extent::Whole || before != figures.memory {
        for (key, bytes) in pairs(group.text(4, mount, "/memory.stat")?) {
            match key {
                "total_rss" => figures.anonymous = Some(bytes),
                "total_cache" => figures.file = Some(bytes),
                "total_swap" => figures.swap = Some(bytes),
                "total_inactive_file" => figures.inactive_file = Some(bytes),
                _ => {}
            }
        }
    }
    if extent == Extent::Whole {
        let control = group.text(5, mount, "/memory.oom_control")?;
        figures.oom_kills = pairs(control).find(|(key, _)| *key == "oom_kill").map(|(_, count)| count);
    }
    Some(())
}

/// The kernel counts the bytes of a request and then the request: where no request is new, no bytes are.
fn io(group: &mut Reading<'_>, mount: &str, before: Option<Io>) -> Option<Io> {
    let (reads, writes) = both_ways(group.text(7, mount, "/blkio.throttle.io_serviced_recursive")?);
    if let Some(before) = before.filter(|before| (before.reads, before.writes) == (reads, writes)) {
        return Some(before);
    }
    let (read_bytes, written_bytes) = both_ways(group.text(6, mount, "/blkio.throttle.io_service_bytes_recursive")?);
    Some(Io { reads, read_bytes, writes, written_bytes })
}

/// `8:0 Read 4096`, a line for each disk and kind of request.
fn both_ways(text: &str) -> (u64, u64) {
    let (mut reads, mut writes) = (0_u64, 0_u64);
    // The last line has no disk.
    for (kind, count) in text.lines().filter_map(|line| line.split_once(' ')?.1.split_once(' ')) {
        match kind {
            "Read" => reads = reads.saturating_add(number(count).unwrap_or(0)),
            "Write" => writes = writes.saturating_add(number(count).unwrap_or(0)),
            _ => {}
        }
    }
    (reads, writes)
}

#[cfg(test)]
mod tests {
    use super::super::super::files::Keeping;
    use super::super::super::tree::Tree;
    use super::super::{Group, Hierarchy};
    use super::*;

    const ID: &str = "/docker/0123";

    fn tree() -> (Tree, Hierarchy) {
        let tree = Tree::new();
        let mut mountinfo = String::new();
        for controller in ["cpu,cpuacct", "memory", "blkio", "pids"] {
            mountinfo.push_str(&format!("32 31 0:29 / /cg/{controller} rw - cgroup cgroup rw,{controller}\n"));
        }
        for (file, text) in [
            ("cpu,cpuacct/docker/0123/cpuacct.usage", "5025000000\n"),
            ("cpu,cpuacct/docker/0123/cpuacct.stat", "user 401\nsystem 101\n"),
            ("cpu,cpuacct/docker/0123/cpu.cfs_quota_us", "50000\n"),
            ("cpu,cpuacct/docker/0123/cpu.stat", "nr_periods 20\nnr_throttled 3\nthrottled_time 1500000001\n"),
            ("memory/docker/0123/memory.usage_in_bytes", "10000000\n"),
            ("memory/docker/0123/memory.limit_in_bytes", "9223372036854771712\n"),
            (
                "memory/docker/0123/memory.stat",
                "cache 1\nrss 2\ntotal_cache 6000000\ntotal_rss 3500000\ntotal_swap 4096\ntotal_inactive_file 2000000\n",
            ),
            ("memory/docker/0123/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ("memory/docker/0123/cgroup.procs", "42\n43\n"),
            (
                "blkio/docker/0123/blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Total 12288\n8:16 Read 1\n8:16 Write 2\nTotal 12291\n",
            ),
            ("blkio/docker/0123/blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n"),
            ("pids/docker/0123/pids.current", "7\n"),
            ("pids/docker/0123/pids.max", "max\n"),
        ] {
            tree.write(&format!("/cg/{file}"), text);
        }
        tree.write("/proc/1/net/dev", "");
        tree.write("/proc/42/net/dev", super::super::super::interfaces::EXAMPLE);
        (tree, Hierarchy::of(&mountinfo).unwrap())
    }

    fn read(group: &mut Group, tree: &Tree, hierarchy: &Hierarchy, keeping: Keeping) -> Option<Figures> {
        group.read(&mut tree.files(), hierarchy, keeping)?;
        Some(*group.figures())
    }

    #[test]
    fn every_number_comes_from_its_file() {
        let (tree, hierarchy) = tree();
        let figures = read(&mut Group::at(ID.to_owned()), &tree, &hierarchy, Keeping::Nothing).unwrap();
        assert_eq!(
            (figures.cpu, figures.cpu_user, figures.cpu_system),
            (Some(Value::Nanos(5_025_000_000)), Some(Value::Ticks(401)), Some(Value::Ticks(101)))
        );
        assert_eq!((figures.periods, figures.throttled_periods, figures.throttled), (Some(20), Some(3), Some(Value::Nanos(1_500_000_001))));
        assert_eq!((figures.memory, figures.working_set(), figures.memory_limit), (Some(10_000_000), Some(8_000_000), None));
        assert_eq!((figures.anonymous, figures.file, figures.swap), (Some(3_500_000), Some(6_000_000), Some(4096)));
        assert_eq!((figures.oom_kills, figures.pids, figures.pids_limit), (Some(2), Some(7), None));
        assert_eq!(figures.io, Some(Io { reads: 1, read_bytes: 4097, writes: 2, written_bytes: 8194 }));
        assert_eq!(figures.network.map(|(received, sent)| (received.bytes, sent.packets)), Some((1_216_645, 4344)));
    }

    #[test]
    fn a_group_that_is_gone_has_no_figures_and_a_controller_that_is_off_costs_its_own_alone() {
        let (tree, hierarchy) = tree();
        assert_eq!(read(&mut Group::at("/docker/4567".to_owned()), &tree, &hierarchy, Keeping::Open), None);
        tree.remove("/cg/blkio/docker");
        tree.remove("/cg/cpu,cpuacct/docker/0123/cpu.stat");
        tree.write("/cg/memory/docker/0123/memory.limit_in_bytes", "64000000\n");
        let figures = read(&mut Group::at(ID.to_owned()), &tree, &hierarchy, Keeping::Nothing).unwrap();
        assert_eq!((figures.io, figures.periods, figures.memory_limit), (None, None, Some(64_000_000)));
    }

    #[test]
    fn files_that_stay_open_show_what_is_new() {
        let (tree, hierarchy) = tree();
        let mut group = Group::at(ID.to_owned());
        let mut seen = |tree: &Tree| {
            let figures = read(&mut group, tree, &hierarchy, Keeping::Open).unwrap();
            (figures.cpu, figures.memory_limit, figures.network.map(|(received, _)| received.packets))
        };
        let nanos = |number| Some(Value::Nanos(number));
        assert_eq!(seen(&tree), (nanos(5_025_000_000), None, Some(2761)));
        tree.write("/cg/cpu,cpuacct/docker/0123/cpuacct.usage", "6000000000\n");
        tree.write("/cg/memory/docker/0123/memory.limit_in_bytes", "64000000\n");
        tree.write("/proc/42/net/dev", "eth0: 1 7 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        assert_eq!(seen(&tree), (nanos(6_000_000_000), None, Some(7)), "limits are read seldom");
        tree.remove("/proc/42");
        (2..30).for_each(|_| assert_eq!(seen(&tree).2, Some(7), "the namespace is the same, whoever it was seen through"));
        assert_eq!(seen(&tree).1, Some(64_000_000));
    }

    #[test]
    fn of_a_container_at_rest_is_read_what_others_change() {
        let (tree, hierarchy) = tree();
        let mut group = Group::at(ID.to_owned());
        let mut seen = |tree: &Tree| read(&mut group, tree, &hierarchy, Keeping::Open).unwrap();
        assert_eq!((0..3).map(|_| seen(&tree).pids).last(), Some(Some(7)));
        tree.write("/cg/pids/docker/0123/pids.current", "8\n");
        tree.write("/cg/memory/docker/0123/memory.stat", "total_rss 5\n");
        tree.write("/cg/blkio/docker/0123/blkio.throttle.io_service_bytes_recursive", "8:0 Read 5000\n8:0 Write 1\nTotal 5001\n");
        tree.write("/proc/42/net/dev", "eth0: 1 7 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        let figures = seen(&tree);
        assert_eq!((figures.pids, figures.anonymous), (Some(7), Some(3_500_000)));
        assert_eq!(figures.network.map(|(received, _)| received.packets), Some(7));
        tree.write("/cg/memory/docker/0123/memory.usage_in_bytes", "9000000\n");
        let figures = seen(&tree);
        assert_eq!((figures.pids, figures.memory, figures.anonymous), (Some(7), Some(9_000_000), Some(5)));
        tree.write("/cg/cpu,cpuacct/docker/0123/cpuacct.usage", "6000000000\n");
        let figures = seen(&tree);
        assert_eq!((figures.pids, figures.io.map(|io| io.read_bytes)), (Some(8), Some(4097)), "it has run, and asked for nothing");
        tree.write("/cg/blkio/docker/0123/blkio.throttle.io_serviced_recursive", "8:0 Read 9\n8:0 Write 2\nTotal 11\n");
        assert_eq!(seen(&tree).io, Some(Io { reads: 9, read_bytes: 5000, writes: 2, written_bytes: 1 }));
        tree.write("/cg/pids/docker/0123/pids.current", "9\n");
        assert_eq!((0..3).map(|_| seen(&tree).pids).last(), Some(Some(9)), "and comes to rest");
        tree.write("/cg/pids/docker/0123/pids.current", "10\n");
        let seldom: Vec<_> = (3..=30).map(|_| seen(&tree).pids).collect();
        assert_eq!((seldom.first(), seldom.last()), (Some(&Some(9)), Some(&Some(10))), "now and then all is read");
    }
}
