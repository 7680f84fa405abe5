//! The host: kernel, memory, descriptors, what starts services. Files of /proc and /sys, read once.

use super::catalogue::{HOST_DESCRIPTORS, HOST_INIT, HOST_KERNEL, HOST_MEMORY};
use super::running::Running;
use super::state::bytes;
use super::{Finding, cgroups, clock};
use std::fs;

/// The oldest kernel that the engines the agent works with run on (Docker 19.03).
const LEAST_KERNEL: (u32, u32) = (3, 10);
/// Overlay networks and control groups are whole from here on; the oldest that its makers still mended in 2026 is 5.10.
const GOOD_KERNEL: (u32, u32) = (4, 19);
/// The agent with TLS to everything takes 15 MiB; with less than this free, the host itself is short.
const LEAST_AVAILABLE: u64 = 64 << 20;
/// The least that the agent's own control group should give it.
const LEAST_LIMIT: u64 = 48 << 20;
/// Connections to engine, brokers, control plane and 32 local clients, beside files.
const LEAST_DESCRIPTORS: u64 = 128;
/// What the packaged unit is above by far.
const GOOD_DESCRIPTORS: u64 = 1024;
/// The first processes of containers: the agent itself, and what `docker run --init` and its like put before it.
const OF_CONTAINERS: [&str; 4] = ["axion-agent", "docker-init", "tini", "catatonit"];

pub(super) fn look(running: &Running) -> Vec<Finding> {
    let pid = running.process.as_ref().map_or_else(|| "self".to_owned(), |process| process.pid.to_string());
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    vec![
        judge_kernel(read("/proc/sys/kernel/osrelease").trim()),
        judge_memory(available(&read("/proc/meminfo")), limit(&read(&format!("/proc/{pid}/cgroup")))),
        judge_descriptors(descriptors(&read(&format!("/proc/{pid}/limits")))),
        cgroups::look(),
        clock::look(),
        judge_init(read("/proc/1/comm").trim()),
    ]
}

fn judge_kernel(release: &str) -> Finding {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        return HOST_KERNEL.skipped(format!("its version {release:?} is not understood"));
    };
    let summary = format!("Linux {release}");
    match (major, minor) {
        version if version < LEAST_KERNEL => HOST_KERNEL.fail(summary),
        version if version < GOOD_KERNEL => HOST_KERNEL.warn(summary),
        _ => HOST_KERNEL.ok(summary),
    }
}

/// proc_meminfo(5), in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The memory limit of a process's control group, in bytes: `memory.max` of version 2, else that of version 1.
fn limit(cgroup: &str) -> Option<u64> {
    let number = |path: String| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // Version 1 has a number near 2^63 where there is none.
    let of = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => number(format!("/sys/fs/cgroup{path}/memory.max")),
            _ if controllers.split(',').any(|one| one == "memory") => number(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
            _ => None,
        }
    };
    cgroup.lines().filter_map(of).filter(|limit| *limit < 1 << 60).min()
}

fn judge_memory(available: Option<u64>, limit: Option<u64>) -> Finding {
    let Some(available) = available else { return HOST_MEMORY.skipped("the kernel does not say how much is free") };
    let bound = limit.map_or_else(|| "no limit of its own".to_owned(), |limit| format!("a limit of {}", bytes(limit)));
    let summary = format!("{} are free on the host; the agent's control group has {bound}", bytes(available));
    if available < LEAST_AVAILABLE || limit.is_some_and(|limit| limit < LEAST_LIMIT) {
        HOST_MEMORY.warn(summary)
    } else {
        HOST_MEMORY.ok(summary)
    }
}

/// proc_pid_limits(5): the soft limit.
fn descriptors(limits: &str) -> Option<u64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn judge_descriptors(limit: Option<u64>) -> Finding {
    match limit {
        None => HOST_DESCRIPTORS.skipped("the limit cannot be read"),
        Some(limit) if limit < LEAST_DESCRIPTORS => HOST_DESCRIPTORS.fail(format!("at most {limit}")),
        Some(limit) if limit < GOOD_DESCRIPTORS => HOST_DESCRIPTORS.warn(format!("at most {limit}")),
        Some(limit) => HOST_DESCRIPTORS.ok(format!("at most {limit}")),
    }
}

fn judge_init(name: &str) -> Finding {
    match name {
        "systemd" => HOST_INIT.ok("systemd"),
        name if OF_CONTAINERS.contains(&name) => HOST_INIT.ok(format!("{name}: a container, whose restart policy starts the agent again")),
        "" => HOST_INIT.skipped("the first process hides its name"),
        other => HOST_INIT.warn(format!("the first process is {other}, not systemd")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn kernels_are_judged_by_their_two_first_numbers() {
        for (release, state) in [
            ("6.8.0-45-generic", State::Ok),
            ("4.19.0", State::Ok),
            ("4.18.0-553.el8_10.x86_64", State::Warn),
            ("3.10.0-1160.el7", State::Warn),
            ("2.6.32", State::Fail),
            ("", State::Skipped),
        ] {
            assert_eq!(judge_kernel(release).state, state, "{release}");
        }
    }

    #[test]
    fn memory_is_that_of_the_host_and_the_limit_of_the_group() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:    100 kB\n"), Some(102_400));
        for (available, limit, state) in [
            (Some(1 << 30), None, State::Ok),
            (Some(1 << 30), Some(64 << 20), State::Ok),
            (Some(1 << 30), Some(16 << 20), State::Warn),
            (Some(1 << 20), None, State::Warn),
            (None, None, State::Skipped),
        ] {
            assert_eq!(judge_memory(available, limit).state, state);
        }
    }

    #[test]
    fn descriptors_are_read_from_the_kernels_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max open files            4096                 8192                 files     \n";
        assert_eq!(descriptors(table), Some(4096));
        for (limit, state) in [(Some(64), State::Fail), (Some(512), State::Warn), (Some(4096), State::Ok), (None, State::Skipped)] {
            assert_eq!(judge_descriptors(limit).state, state);
        }
    }

    #[test]
    fn what_starts_services_is_named() {
        assert_eq!(judge_init("systemd").state, State::Ok);
        assert_eq!(judge_init("axion-agent").state, State::Ok);
        assert_eq!(judge_init("sleep").state, State::Warn);
    }
}
