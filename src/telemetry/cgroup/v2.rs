//! Control groups of version 2: Documentation/admin-guide/cgroup-v2.rst. One tree; a controller that is not enabled in it has no files.

use super::super::text::pairs;
use super::super::value::Value;
use super::rest::{Extent, Rest};
use super::{Figures, Io, Reading};

/// What changes when somebody changes it.
pub(super) fn limits(group: &mut Reading<'_>, mount: &str, figures: &mut Figures) {
    (figures.memory_limit, figures.pids_limit) = (group.limit(mount, "/memory.max"), group.limit(mount, "/pids.max"));
}

pub(super) fn read(group: &mut Reading<'_>, mount: &str, rest: &mut Rest, figures: &mut Figures) -> Option<()> {
    // ORDER: the processor time first: who runs while the rest is read has moved at the next look. The file is always there, with the
    // times at least.
    for (key, count) in pairs(group.text(0, mount, "/cpu.stat")?) {
        match key {
            "usage_usec" => figures.cpu = Some(Value::Micros(count)),
            "user_usec" => figures.cpu_user = Some(Value::Micros(count)),
            "system_usec" => figures.cpu_system = Some(Value::Micros(count)),
            "nr_periods" => figures.periods = Some(count),
            "nr_throttled" => figures.throttled_periods = Some(count),
            "throttled_usec" => figures.throttled = Some(Value::Micros(count)),
            _ => {}
        }
    }
    let extent = rest.extent(figures.cpu);
    let before = std::mem::replace(&mut figures.memory, group.number(1, mount, "/memory.current"));
    if extent == Extent::Whole || before != figures.memory {
        memory(group, mount, figures);
    }
    if extent == Extent::Whole {
        let events = group.text(4, mount, "/memory.events").unwrap_or_default();
        figures.oom_kills = pairs(events).find(|(key, _)| *key == "oom_kill").map(|(_, count)| count);
        figures.pids = group.number(6, mount, "/pids.current");
    }
    // What the kernel writes back for a container is charged to it, whenever that is.
    figures.io = group.text(5, mount, "/io.stat").map(io);
    Some(())
}

fn memory(group: &mut Reading<'_>, mount: &str, figures: &mut Figures) {
    figures.swap = group.number(2, mount, "/memory.swap.current");
    (figures.anonymous, figures.file, figures.inactive_file) = (None, None, None);
    for (key, bytes) in pairs(group.text(3, mount, "/memory.stat").unwrap_or_default()) {
        match key {
            "anon" => figures.anonymous = Some(bytes),
            "file" => figures.file = Some(bytes),
            "inactive_file" => figures.inactive_file = Some(bytes),
            _ => {}
        }
    }
}

/// `8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0`, a line for each disk that was used.
fn io(text: &str) -> Io {
    let mut io = Io::default();
    for (key, number) in text.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
        let field = match key {
            "rbytes" => &mut io.read_bytes,
            "wbytes" => &mut io.written_bytes,
            "rios" => &mut io.reads,
            "wios" => &mut io.writes,
            _ => continue,
        };
        *field = field.saturating_add(number.parse().unwrap_or(0));
    }
    io
}

#[cfg(test)]
mod tests {
    use super::super::super::files::Keeping;
    use super::super::super::tree::Tree;
    use super::super::{Group, Hierarchy};
    use super::*;

    const PATH: &str = "/system.slice/docker-0123.scope";

    fn tree() -> Tree {
        let tree = Tree::new();
        for (file, text) in [
            (
                "cpu.stat",
                "usage_usec 5025000\nuser_usec 4010000\nsystem_usec 1015000\nnr_periods 20\nnr_throttled 3\nthrottled_usec 1500001\nnr_bursts 0\nburst_usec 0\n",
            ),
            ("memory.current", "10000000\n"),
            ("memory.max", "64000000\n"),
            ("memory.swap.current", "4096\n"),
            (
                "memory.stat",
                "anon 3500000\nfile 6000000\nkernel 100\ninactive_anon 5\nactive_anon 6\ninactive_file 2000000\nactive_file 1\n",
            ),
            ("memory.events", "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"),
            (
                "io.stat",
                "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 dios=3021\n",
            ),
            ("pids.current", "7\n"),
            ("pids.max", "100\n"),
            ("cgroup.procs", "42\n"),
        ] {
            tree.write(&format!("/sys/fs/cgroup{PATH}/{file}"), text);
        }
        tree.write("/proc/1/net/dev", "");
        tree.write("/proc/42/net/dev", super::super::super::interfaces::EXAMPLE);
        tree
    }

    fn read(tree: &Tree, path: &str) -> Option<Figures> {
        let mut group = Group::at(path.to_owned());
        group.read(&mut tree.files(), &Hierarchy::V2("/sys/fs/cgroup".to_owned()), Keeping::Open)?;
        Some(*group.figures())
    }

    #[test]
    fn every_number_comes_from_its_file() {
        let figures = read(&tree(), PATH).unwrap();
        let micros = |number| Some(Value::Micros(number));
        assert_eq!((figures.cpu, figures.cpu_user, figures.cpu_system), (micros(5_025_000), micros(4_010_000), micros(1_015_000)));
        assert_eq!((figures.periods, figures.throttled_periods, figures.throttled), (Some(20), Some(3), micros(1_500_001)));
        assert_eq!((figures.memory, figures.working_set(), figures.memory_limit), (Some(10_000_000), Some(8_000_000), Some(64_000_000)));
        assert_eq!((figures.anonymous, figures.file, figures.swap), (Some(3_500_000), Some(6_000_000), Some(4096)));
        assert_eq!((figures.oom_kills, figures.pids, figures.pids_limit), (Some(2), Some(7), Some(100)));
        let io = Io { reads: 9142, read_bytes: 91_889_664, writes: 1605, written_bytes: 613_781_504 };
        assert_eq!(figures.io, Some(io));
        assert_eq!(figures.network.map(|(received, sent)| (received.dropped, sent.bytes)), Some((2, 1_784_404)));
    }

    #[test]
    fn controllers_that_are_off_have_no_figures_and_no_limit_is_none() {
        let tree = tree();
        for file in ["memory.current", "memory.stat", "memory.events", "memory.swap.current", "io.stat", "pids.current"] {
            tree.remove(&format!("/sys/fs/cgroup{PATH}/{file}"));
        }
        tree.write(&format!("/sys/fs/cgroup{PATH}/memory.max"), "max\n");
        tree.write(&format!("/sys/fs/cgroup{PATH}/pids.max"), "max\n");
        let figures = read(&tree, PATH).unwrap();
        assert_eq!((figures.memory, figures.working_set(), figures.memory_limit, figures.oom_kills), (None, None, None, None));
        assert_eq!((figures.io, figures.pids, figures.pids_limit), (None, None, None));
        assert!(figures.cpu.is_some() && figures.network.is_some());
        assert_eq!(read(&tree, "/system.slice/other.scope"), None);
    }

    #[test]
    fn the_network_of_the_host_is_not_the_container_s() {
        let tree = tree();
        tree.write(&format!("/sys/fs/cgroup{PATH}/cgroup.procs"), "1\n");
        assert_eq!(read(&tree, PATH).unwrap().network, None);
        tree.write(&format!("/sys/fs/cgroup{PATH}/cgroup.procs"), "");
        assert_eq!(read(&tree, PATH).unwrap().network, None, "its last process has ended");
    }
}
