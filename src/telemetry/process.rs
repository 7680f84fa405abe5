//! What the kernel says of this process, under the names that every Prometheus client uses. What
//! cannot be read has no line.

use super::page::Page;
use std::fs;

/// How `/proc` counts CPU time: Linux shows 100 ticks a second to programs on every architecture that
/// the agent is built for (proc_pid_stat(5), `USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds the families of the process.
pub(super) fn render(page: &mut Page) {
    if let Some(seconds) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu_seconds) {
        page.counter("process_cpu_seconds_total", "CPU time spent, in user and in kernel mode, in seconds.");
        page.sample(&[], seconds);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(kilobytes) = status_number(&status, "VmRSS:") {
        page.gauge("process_resident_memory_bytes", "Memory in RAM, in bytes.");
        page.sample(&[], kilobytes * 1024);
    }
    if let Some(kilobytes) = status_number(&status, "VmSize:") {
        page.gauge("process_virtual_memory_bytes", "Address space in use, in bytes.");
        page.sample(&[], kilobytes * 1024);
    }
    if let Some(threads) = status_number(&status, "Threads:") {
        page.gauge("process_threads", "Threads of the operating system.");
        page.sample(&[], threads);
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        page.gauge("process_open_fds", "Open file descriptors.");
        page.sample(&[], entries.count());
    }
    if let Some(limit) = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(descriptor_limit) {
        page.gauge("process_max_fds", "How many file descriptors may be open.");
        page.sample(&[], limit);
    }
}

/// Fields 14 and 15 of proc_pid_stat(5), utime and stime. Field 2 is a name in parentheses that may
/// itself hold blanks and parentheses, so counting begins behind the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn status_number(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The soft limit: the third column from "Max open files".
fn descriptor_limit(limits: &str) -> Option<u64> {
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
        assert_eq!(status_number(status, "VmRSS:"), Some(1234));
        assert_eq!(status_number(status, "VmPin:"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n";
        assert_eq!(descriptor_limit(limits), Some(1024));
        assert_eq!(cpu_seconds("nonsense"), None);
    }
}
