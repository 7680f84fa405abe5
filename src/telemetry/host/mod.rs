//! The host: what `/proc`, `/sys` and statvfs(3) say of it.
//!
//! On the thread `telemetry`. What cannot be read has no line; nothing here waits for a disk or a network.

mod disks;
mod filesystems;
mod memory;
mod stat;
mod temperature;

use super::draft::Draft;
use super::family as f;
use super::family::Family;
use super::files::{Files, Watched};
use super::interfaces::{Interface, LOOPBACK, interfaces};
use super::value::Value;
use crate::filesystem;
use filesystems::FileSystem;
use memory::Pressure;
use stat::Stat;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use temperature::Sensor;

/// How many of each kind are shown: more than a host of stacks has, and few enough for whoever stores them.
const MOST: usize = 32;
/// The ends of containers' networks that stay on the host: one for each container, under another name each time. What goes
/// through them is told of the containers.
const OF_CONTAINERS: &str = "veth";
/// What the kernel knows the pressure of.
const RESOURCES: [(&str, &str); 3] = [("cpu", "/proc/pressure/cpu"), ("memory", "/proc/pressure/memory"), ("io", "/proc/pressure/io")];
const MOUNTS: &str = "/proc/self/mountinfo";
/// The list of mounts is long where there are containers, and changes with each of them: it is read with every so many looks, if it has
/// changed. What is not mounted any more is left out at once.
const MOUNTS_EVERY: u32 = 6;
const MEMORY: [(&str, &Family); 7] = [
    ("MemTotal", &f::HOST_MEMORY_TOTAL),
    ("MemFree", &f::HOST_MEMORY_FREE),
    ("MemAvailable", &f::HOST_MEMORY_AVAILABLE),
    ("Buffers", &f::HOST_MEMORY_BUFFERS),
    ("Cached", &f::HOST_MEMORY_CACHED),
    ("SwapTotal", &f::HOST_SWAP_TOTAL),
    ("SwapFree", &f::HOST_SWAP_FREE),
];

/// What is known from one look to the next.
pub(super) struct Host {
    sensors: Vec<Sensor>,
    /// Their list.
    interfaces: &'static str,
    mounts: Option<Watched>,
    file_systems: Vec<FileSystem>,
    looks: u32,
}

impl Host {
    pub(super) fn new(files: &mut Files) -> Self {
        // The first process is in the host's namespace, also where the agent is in a container that shares its processes.
        let interfaces = if files.exists(&["/proc/1/net/dev"]) { "/proc/1/net/dev" } else { "/proc/self/net/dev" };
        Self { sensors: temperature::sensors(files, MOST), interfaces, mounts: None, file_systems: Vec::new(), looks: 0 }
    }

    /// Looks at all of it.
    pub(super) fn look(&mut self, files: &mut Files, draft: &mut Draft) {
        processors(files, draft);
        memory(files, draft);
        disks(files, draft);
        self.find_file_systems(files);
        file_systems(&self.file_systems, draft);
        network(files, self.interfaces, draft);
        draft.family(&f::HOST_TEMPERATURE);
        for sensor in &self.sensors {
            draft.number(&[("sensor", &sensor.name)], sensor.read(files));
        }
    }

    fn find_file_systems(&mut self, files: &mut Files) {
        let is_due = self.looks.is_multiple_of(MOUNTS_EVERY);
        self.looks = self.looks.wrapping_add(1);
        if is_due && self.mounts.as_ref().is_none_or(Watched::has_changed) {
            // ORDER: watched before it is read.
            self.mounts = self.mounts.take().or_else(|| files.watch(MOUNTS));
            self.file_systems = files.read(&[MOUNTS]).map(filesystems::file_systems).unwrap_or_default();
        }
    }
}

fn processors(files: &mut Files, draft: &mut Draft) {
    let stat = files.read_again("/proc/stat").map(Stat::of).unwrap_or_default();
    single(draft, &f::HOST_CPUS, Some(stat.cpus).filter(|&cpus| cpus > 0));
    draft.family(&f::HOST_CPU);
    for (mode, &ticks) in stat::MODES.iter().zip(&stat.ticks) {
        draft.number(&[("mode", mode)], Some(Value::Ticks(ticks)));
    }
    single(draft, &f::HOST_SWITCHES, stat.switches);
    single(draft, &f::HOST_FORKS, stat.forks);
    single(draft, &f::HOST_RUNNING, stat.running);
    single(draft, &f::HOST_BLOCKED, stat.blocked);
    single(draft, &f::HOST_UPTIME, files.read_again("/proc/uptime").and_then(stat::uptime));
    let load = files.read_again("/proc/loadavg").and_then(stat::load);
    for (n, family) in [&f::HOST_LOAD1, &f::HOST_LOAD5, &f::HOST_LOAD15].into_iter().enumerate() {
        single(draft, family, load.map(|load| load[n]));
    }
}

fn memory(files: &mut Files, draft: &mut Draft) {
    let meminfo = files.read_again("/proc/meminfo").unwrap_or_default();
    for (key, family) in MEMORY {
        single(draft, family, memory::bytes(meminfo, key));
    }
    let pressure = RESOURCES.map(|(_, file)| files.read_again(file).map(Pressure::of).unwrap_or_default());
    draft.family(&f::HOST_WAITING);
    for ((resource, _), pressure) in RESOURCES.into_iter().zip(&pressure) {
        draft.number(&[("resource", resource)], pressure.some.map(Value::Micros));
    }
    draft.family(&f::HOST_STALLED);
    for ((resource, _), pressure) in RESOURCES.into_iter().zip(&pressure) {
        draft.number(&[("resource", resource)], pressure.full.map(Value::Micros));
    }
}

fn disks(files: &mut Files, draft: &mut Draft) {
    let text = files.read_again("/proc/diskstats").unwrap_or_default().to_owned();
    // Partitions are in folders of their disks.
    let whole = |disk: &disks::Disk<'_>| files.exists(&["/sys/block/", disk.name]);
    let found: Vec<_> = disks::disks(&text).filter(whole).take(MOST).collect();
    let mut family = |family, read: fn(&disks::Disk<'_>) -> Value| {
        draft.family(family);
        for disk in &found {
            draft.number(&[("device", disk.name)], Some(read(disk)));
        }
    };
    family(&f::HOST_DISK_READS, |disk| disk.reads.into());
    family(&f::HOST_DISK_READ_BYTES, |disk| disk.read_bytes.into());
    family(&f::HOST_DISK_WRITES, |disk| disk.writes.into());
    family(&f::HOST_DISK_WRITTEN_BYTES, |disk| disk.written_bytes.into());
    family(&f::HOST_DISK_BUSY, |disk| Value::Micros(disk.busy.saturating_mul(1000)));
}

fn file_systems(all: &[FileSystem], draft: &mut Draft) {
    let shown = all.iter().filter(|one| is_on_top(one)).take(MOST);
    let found: Vec<_> = shown.filter_map(|one| Some((room(&one.mountpoint)?, &one.mountpoint))).collect();
    let mut family = |family, read: fn(&filesystem::Room) -> u64| {
        draft.family(family);
        for (room, mountpoint) in &found {
            draft.number(&[("mountpoint", mountpoint)], Some(read(room)));
        }
    };
    family(&f::HOST_FS_SIZE, |room| room.size);
    family(&f::HOST_FS_AVAILABLE, |room| room.available);
    family(&f::HOST_FS_FILES, |room| room.inodes);
    family(&f::HOST_FS_FILES_FREE, |room| room.inodes_free);
}

/// Nothing for what is no folder, as the single files that containers are given, and for what has no size.
fn room(mountpoint: &str) -> Option<filesystem::Room> {
    filesystem::room(Path::new(mountpoint)).ok().filter(|room| room.size > 0)
}

/// Whether it can be seen at its place: another one may lie over it, as over `/home` where the unit closes that. Subvolumes of
/// btrfs have numbers of their own (major 0).
fn is_on_top(one: &FileSystem) -> bool {
    let Ok(seen) = fs::metadata(&one.mountpoint).map(|metadata| metadata.dev()) else { return false };
    let (major, minor) = (libc::major(seen), libc::minor(seen));
    major == 0 || one.device == format!("{major}:{minor}")
}

fn network(files: &mut Files, list: &'static str, draft: &mut Draft) {
    let list = files.read_again(list).unwrap_or_default();
    let of_host = |name: &str| name != LOOPBACK && !name.starts_with(OF_CONTAINERS);
    let found: Vec<_> = interfaces(list, of_host).take(MOST).collect();
    let mut family = |family, read: fn(&Interface<'_>) -> u64| {
        draft.family(family);
        for one in &found {
            draft.number(&[("interface", one.name)], Some(read(one)));
        }
    };
    family(&f::HOST_NET_RECEIVED, |one| one.received.bytes);
    family(&f::HOST_NET_SENT, |one| one.sent.bytes);
    family(&f::HOST_NET_PACKETS_IN, |one| one.received.packets);
    family(&f::HOST_NET_PACKETS_OUT, |one| one.sent.packets);
    family(&f::HOST_NET_ERRORS_IN, |one| one.received.errors);
    family(&f::HOST_NET_ERRORS_OUT, |one| one.sent.errors);
    family(&f::HOST_NET_DROPPED_IN, |one| one.received.dropped);
    family(&f::HOST_NET_DROPPED_OUT, |one| one.sent.dropped);
}

fn single(draft: &mut Draft, family: &'static Family, value: Option<impl Into<Value>>) {
    draft.family(family);
    draft.number(&[], value);
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use std::collections::BTreeMap;

    fn page(tree: &Tree) -> BTreeMap<String, String> {
        let (mut files, mut draft) = (tree.files(), Draft::upon(String::new(), 0));
        Host::new(&mut files).look(&mut files, &mut draft);
        let (text, _) = draft.finish();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(series, value)| (series.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_host_without_files_has_no_lines() {
        assert_eq!(page(&Tree::new()), BTreeMap::new());
    }

    #[test]
    fn every_file_has_its_families() {
        let tree = Tree::new();
        tree.write("/proc/stat", stat::EXAMPLE);
        tree.write("/proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
        tree.write("/proc/uptime", "350735.47 234388.90\n");
        tree.write("/proc/meminfo", memory::MEMINFO);
        tree.write("/proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n");
        tree.write("/proc/diskstats", disks::EXAMPLE);
        tree.write("/sys/block/sda/size", "1\n");
        tree.write("/sys/block/vda/size", "1\n");
        tree.write("/proc/1/net/dev", &format!("{}vethab12: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n", super::super::interfaces::EXAMPLE));
        let page = page(&tree);
        for (series, value) in [
            ("axion_host_cpus", "2"),
            ("axion_host_cpu_seconds_total{mode=\"user\"}", "101321.53"),
            ("axion_host_cpu_seconds_total{mode=\"steal\"}", "0.00"),
            ("axion_host_context_switches_total", "115315"),
            ("axion_host_uptime_seconds", "350735.47"),
            ("axion_host_load15", "0.12"),
            ("axion_host_memory_total_bytes", "25281961984"),
            ("axion_host_swap_free_bytes", "1073737728"),
            ("axion_host_pressure_waiting_seconds_total{resource=\"cpu\"}", "1.500000"),
            ("axion_host_disk_read_bytes_total{device=\"sda\"}", "4889952256"),
            ("axion_host_disk_io_time_seconds_total{device=\"vda\"}", "60.032000"),
            ("axion_host_network_receive_bytes_total{interface=\"eth1\"}", "1000"),
            ("axion_host_network_transmit_dropped_total{interface=\"eth0\"}", "4"),
        ] {
            assert_eq!(page.get(series).map(String::as_str), Some(value), "{series} in {page:#?}");
        }
        let is_there = |part: &str| page.keys().any(|series| series.contains(part));
        assert!(!is_there("sda1") && !is_there("veth") && !is_there("\"lo\"") && !is_there("stalled") && !is_there("resource=\"io\""));
    }

    #[test]
    fn this_host_has_a_file_system_with_room() {
        let (mut files, mut draft) = (Files::below(""), Draft::upon(String::new(), 0));
        Host::new(&mut files).look(&mut files, &mut draft);
        let (text, samples) = draft.finish();
        assert!(text.contains("axion_host_filesystem_available_bytes{mountpoint=\"/"), "{text}");
        assert!(samples.iter().any(|sample| sample.name == "axion_host_filesystem_size_bytes" && sample.value > 1e6), "{samples:?}");
    }
}
