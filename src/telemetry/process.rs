//! What the kernel says of this process, under the names that every Prometheus client uses. What
//! cannot be read has no line.

use super::page::{Kind, Page};
use crate::domain::Sample;
use std::fs;

/// How `/proc` counts CPU time: Linux shows 100 ticks a second to programs on every architecture that
/// the agent is built for (proc_pid_stat(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// What the control plane is told too.
const REPORTED: [&str; 4] = ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_threads", "process_open_fds"];

/// One family with its one number.
struct Reading {
    kind: Kind,
    name: &'static str,
    help: &'static str,
    value: f64,
}

/// Adds the families of the process.
pub(super) fn render(page: &mut Page) {
    for Reading { kind, name, help, value } in readings() {
        page.family(kind, name, help);
        page.sample(&[], value);
    }
}

/// Those that are reported.
pub(super) fn samples() -> impl Iterator<Item = Sample> {
    let reported = readings().into_iter().filter(|reading| REPORTED.contains(&reading.name));
    reported.map(|Reading { name, value, .. }| Sample { name, labels: &[], value })
}

fn readings() -> Vec<Reading> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (status, limits) = (read("/proc/self/status"), read("/proc/self/limits"));
    let bytes = |name: &str| status_number(&status, name).map(|kilobytes| kilobytes * 1024.0);
    let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    let gauge = |name, help, value| (Kind::Gauge, name, help, value);
    let spent = cpu_seconds(&read("/proc/self/stat"));
    let families = [
        (Kind::Counter, "process_cpu_seconds_total", "CPU time spent, in user and in kernel mode, in seconds.", spent),
        gauge("process_resident_memory_bytes", "Memory in RAM, in bytes.", bytes("VmRSS:")),
        gauge("process_virtual_memory_bytes", "Address space in use, in bytes.", bytes("VmSize:")),
        gauge("process_threads", "Threads of the operating system.", status_number(&status, "Threads:")),
        gauge("process_open_fds", "Open file descriptors.", open),
        gauge("process_max_fds", "How many file descriptors may be open.", descriptor_limit(&limits)),
    ];
    families.into_iter().filter_map(|(kind, name, help, value)| Some(Reading { kind, name, help, value: value? })).collect()
}

/// Fields 14 and 15 of proc_pid_stat(5), utime and stime. Field 2 is a name in parentheses that may
/// itself hold blanks and parentheses, so counting begins behind the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn status_number(status: &str, name: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The soft limit: the third column from "Max open files".
fn descriptor_limit(limits: &str) -> Option<f64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_proc_are_read_as_documented() {
        let stat = "7 (a (strange) name) S 1 7 7 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 4 0 100 1000 50";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        let status = "Name:\tx\nVmSize:\t  2000 kB\nVmRSS:\t   1234 kB\nThreads:\t4\n";
        assert_eq!(status_number(status, "VmRSS:"), Some(1234.0));
        assert_eq!(status_number(status, "VmPin:"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
        assert_eq!(descriptor_limit(limits), Some(1024.0));
        assert_eq!(cpu_seconds("nonsense"), None);
    }
}
