//! Control groups of version 1: Documentation/admin-guide/cgroup-v1/{cpuacct,memory,blkio-controller,pids}.rst, and
//! Documentation/scheduler/sched-bwc.rst. Each controller has a tree of its own, with the same paths.

use super::super::files::pairs;
use super::super::value::Value;
use super::mounts::Mounts;
use super::{Figures, Io, Limits, Reading};

/// From here on a limit is none: the kernel writes the largest number of pages that it can count.
const NO_LIMIT: u64 = 1 << 60;

/// What a group may have at most.
pub(super) fn limits(group: &mut Reading<'_>, mounts: &Mounts) -> Limits {
    let memory = mounts.memory.as_ref().and_then(|mount| group.limit(mount, "/memory.limit_in_bytes"));
    let pids = mounts.pids.as_ref().and_then(|mount| group.limit(mount, "/pids.max"));
    Limits { memory: memory.filter(|&limit| limit < NO_LIMIT), pids }
}

pub(super) fn read(group: &mut Reading<'_>, mounts: &Mounts) -> Option<Figures> {
    let mut figures = Figures::default();
    if let Some(mount) = &mounts.cpuacct {
        figures.cpu = Some(Value::Nanos(group.number(0, mount, "/cpuacct.usage")?));
        for (key, ticks) in pairs(group.text(1, mount, "/cpuacct.stat")?) {
            match key {
                "user" => figures.cpu_user = Some(Value::Ticks(ticks)),
                "system" => figures.cpu_system = Some(Value::Ticks(ticks)),
                _ => {}
            }
        }
    }
    if let Some(stat) = mounts.cpu.as_ref().and_then(|mount| group.text(2, mount, "/cpu.stat")) {
        for (key, count) in pairs(stat) {
            match key {
                "nr_periods" => figures.periods = Some(count),
                "nr_throttled" => figures.throttled_periods = Some(count),
                "throttled_time" => figures.throttled = Some(Value::Nanos(count)),
                _ => {}
            }
        }
    }
    if let Some(mount) = &mounts.memory {
        memory(group, mount, &mut figures)?;
    }
    if let Some(mount) = &mounts.blkio {
        figures.io = io(group, mount);
    }
    if let Some(mount) = &mounts.pids {
        figures.pids = group.number(8, mount, "/pids.current");
    }
    Some(figures)
}

fn memory(group: &mut Reading<'_>, mount: &str, figures: &mut Figures) -> Option<()> {
    figures.memory = Some(group.number(3, mount, "/memory.usage_in_bytes")?);
    for (key, bytes) in pairs(group.text(4, mount, "/memory.stat")?) {
        match key {
            "total_rss" => figures.anonymous = Some(bytes),
            "total_cache" => figures.file = Some(bytes),
            "total_swap" => figures.swap = Some(bytes),
            "total_inactive_file" => figures.inactive_file = Some(bytes),
            _ => {}
        }
    }
    let control = group.text(5, mount, "/memory.oom_control")?;
    figures.oom_kills = pairs(control).find(|(key, _)| *key == "oom_kill").map(|(_, count)| count);
    Some(())
}

fn io(group: &mut Reading<'_>, mount: &str) -> Option<Io> {
    let (read_bytes, written_bytes) = both_ways(group.text(6, mount, "/blkio.throttle.io_service_bytes_recursive")?);
    let (reads, writes) = both_ways(group.text(7, mount, "/blkio.throttle.io_serviced_recursive")?);
    Some(Io { reads, read_bytes, writes, written_bytes })
}

/// `8:0 Read 4096`, a line for each disk and kind of request.
fn both_ways(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        let of_kind = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(rest, _)| rest.ends_with(kind));
        of_kind.filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
    };
    (sum(" Read"), sum(" Write"))
}

#[cfg(test)]
mod tests {
    use super::super::super::files::Keeping;
    use super::super::super::tree::Tree;
    use super::super::{Group, Hierarchy, Surroundings};
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
        let mut files = tree.files();
        let host = files.inode(&["/proc/1/net/dev"]);
        group.read(&mut files, Surroundings { hierarchy, host }, keeping)
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
    fn files_that_stay_open_show_what_is_new_and_a_gone_process_makes_way() {
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
        assert_eq!(seen(&tree), (nanos(6_000_000_000), None, Some(2761)), "limits are read seldom");
        tree.remove("/proc/42");
        tree.write("/cg/memory/docker/0123/cgroup.procs", "43\n");
        tree.write("/proc/43/net/dev", "eth0: 1 7 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
        (0..4).for_each(|_| assert_eq!(seen(&tree).2, Some(7)));
        assert_eq!(seen(&tree).1, Some(64_000_000));
    }
}
