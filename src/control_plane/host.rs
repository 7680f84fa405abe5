//! What is said of this host at enrolment: read once, from the files of the kernel and the distribution.

use std::fs;

/// The facts; a file that is missing leaves its fact empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostFacts {
    pub(super) hostname: String,
    pub(super) architecture: &'static str,
    pub(super) operating_system: String,
    pub(super) kernel: String,
    pub(super) cpus: u32,
    pub(super) memory_bytes: u64,
}

/// Reads them.
pub(super) fn facts() -> HostFacts {
    HostFacts {
        hostname: line("/proc/sys/kernel/hostname"),
        architecture: std::env::consts::ARCH,
        operating_system: fs::read_to_string("/etc/os-release").map_or_else(|_| String::new(), |text| pretty_name(&text)),
        kernel: line("/proc/sys/kernel/osrelease"),
        cpus: std::thread::available_parallelism().map_or(0, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX)),
        memory_bytes: fs::read_to_string("/proc/meminfo").map_or(0, |text| memory(&text)),
    }
}

/// The kernel's one-minute load average; 0 where it cannot be read.
pub(super) fn load1() -> f64 {
    line("/proc/loadavg").split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn line(path: &str) -> String {
    fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// os-release(5): `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`.
fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.map(|value| value.trim_matches('"').to_owned()).unwrap_or_default()
}

/// proc_meminfo(5): `MemTotal:       24689416 kB`.
fn memory(meminfo: &str) -> u64 {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: u64 = value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    kib * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_their_manuals_say() {
        assert_eq!(pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"), "Debian GNU/Linux 12");
        assert_eq!(memory("MemTotal:       24689416 kB\nMemFree: 1 kB\n"), 24_689_416 * 1024);
    }
}
