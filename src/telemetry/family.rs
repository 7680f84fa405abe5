//! The one table of metrics: every family with its meaning, its labels and where its numbers come from.
//!
//! The page, the reports and `docs/metrics.md` come from here, so that none of them can know a family that the others do not.

/// How the numbers of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only rise, until what is counted begins anew.
    Counter,
    /// They rise and fall.
    Gauge,
}

impl Kind {
    /// As the page says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// Where a family is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On `/metrics` alone.
    Page,
    /// In reports too, each of whose numbers costs bytes on every link.
    Reported,
}

/// One family.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// With its unit at the end.
    pub name: &'static str,
    /// How its numbers behave.
    pub kind: Kind,
    /// Where it is shown.
    pub reach: Reach,
    /// What tells its numbers from each other.
    pub labels: &'static [&'static str],
    /// What it says, on the page and in the documentation.
    pub help: &'static str,
    /// Where its numbers come from, in the documentation.
    pub source: &'static str,
}

/// One constant for each family, and all of them in order.
macro_rules! families {
    ($($constant:ident = $kind:ident $reach:ident $name:literal $labels:tt $help:literal, $source:literal;)*) => {
        $(pub(super) static $constant: Family = Family {
            name: $name, kind: Kind::$kind, reach: Reach::$reach, labels: &$labels, help: $help, source: $source,
        };)*
        /// All families, in the order of the documentation.
        pub static FAMILIES: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    BUILD_INFO = Gauge Page "axion_agent_build_info" ["version"] "Always 1; the label says which version runs.", "the binary";
    START_TIME = Gauge Page "axion_agent_start_time_seconds" [] "When the agent was started, in seconds since the Unix epoch.", "the agent";
    RECORDS_READ = Counter Page "axion_agent_records_read_total" [] "Records read from the command topic.", "the coordinator";
    ACCEPTED = Counter Page "axion_agent_commands_accepted_total" ["command_type"] "Commands taken into the journal.", "the coordinator";
    FINISHED = Counter Reported "axion_agent_commands_finished_total" ["command_type", "result"]
        "Commands that have ended. Reports count them over all types.", "the coordinator";
    SPENT = Counter Page "axion_agent_commands_duration_seconds_total" ["command_type"]
        "From the acceptance of commands, or the start that took them up again, to their end, summed up over those that have ended.",
        "the coordinator";
    FAILURES = Counter Page "axion_agent_command_failures_total" ["code"]
        "Commands that failed, by the stable code of the reason; codes not seen are left out.", "the coordinator";
    REFUSED = Counter Page "axion_agent_commands_refused_total" ["code"]
        "Commands refused, by the stable code of the reason; codes not seen are left out.", "the coordinator";
    DUPLICATES = Counter Page "axion_agent_commands_duplicate_total" [] "Commands that came again and had no effect.", "the coordinator";
    DEAD_LETTERS = Counter Page "axion_agent_dead_letters_total" [] "Records that went to the dead-letter topic.", "the coordinator";
    CONSUMER_LAG = Gauge Page "axion_agent_consumer_lag_records" [] "Records of the command topic that wait to be taken in.", "librdkafka";
    EVENTS_PUBLISHED = Counter Page "axion_agent_events_published_total" [] "Events that the broker has confirmed.", "the coordinator";
    EVENTS_SHED = Counter Page "axion_agent_events_shed_total" []
        "Events, none of them terminal, given up for want of room.", "the coordinator";
    PHASE = Gauge Page "axion_agent_phase" ["phase"] "1 at the phase that the agent is in.", "the coordinator";
    DEPENDENCY_UP = Gauge Page "axion_agent_dependency_up" ["dependency"]
        "Whether a dependency works; those that are not configured are left out.", "the coordinator";
    DEPENDENCY_LOSSES = Counter Page "axion_agent_dependency_losses_total" ["dependency"]
        "How often a dependency was ready and then was not; those that are not configured are left out.", "the coordinator";
    QUEUE = Gauge Page "axion_agent_queue_length" ["queue"]
        "What waited in a queue at the coordinator's last turn: for it, or for those who work for it.", "the coordinator";
    THREAD_LATE = Gauge Page "axion_agent_thread_late" ["thread"]
        "1 for a thread that has not shown itself when it said that it would: it hangs.", "the coordinator, as often as it looks";
    TURN = Gauge Page "axion_agent_coordinator_turn_time_seconds" []
        "When the coordinator had its last turn, in seconds since the Unix epoch; it has one every `health.check_interval` at least.",
        "the coordinator";
    JOURNAL_SIZE = Gauge Page "axion_agent_journal_size_bytes" []
        "The journal's file; beyond `limits.journal_size`, what is in it.", "stat(2), the journal";
    JOURNAL_FREE = Gauge Page "axion_agent_journal_free_bytes" [] "What is free in the file system of the journal.", "statvfs(3)";
    PAUSED = Gauge Page "axion_agent_paused" []
        "1 while nothing starts that changes something, because somebody asked for it.", "the coordinator";
    OPEN = Gauge Reported "axion_agent_commands_open" [] "Commands admitted and not finished.", "the coordinator";
    UNREPORTED = Gauge Reported "axion_agent_events_unreported" []
        "Terminal events that the broker has not confirmed yet.", "the coordinator";

    PROCESS_CPU = Counter Reported "process_cpu_seconds_total" []
        "CPU time spent, in user and in kernel mode, in seconds.", "`/proc/self/stat`";
    PROCESS_RESIDENT = Gauge Reported "process_resident_memory_bytes" [] "Memory in RAM, in bytes.", "`/proc/self/stat`";
    PROCESS_VIRTUAL = Gauge Page "process_virtual_memory_bytes" [] "Address space in use, in bytes.", "`/proc/self/stat`";
    PROCESS_THREADS = Gauge Reported "process_threads" [] "Threads of the operating system.", "`/proc/self/stat`";
    PROCESS_OPEN_FDS = Gauge Reported "process_open_fds" [] "Open file descriptors.", "`/proc/self/fd`";
    PROCESS_MAX_FDS = Gauge Page "process_max_fds" [] "How many file descriptors may be open.", "getrlimit(2)";

    PROCESS_WAKE_UPS = Counter Page "process_voluntary_context_switches_total" []
        "How often its threads have waited, and so had to be woken.", "getrusage(2)";
    PROCESS_PREEMPTIONS = Counter Page "process_involuntary_context_switches_total" []
        "How often its threads had to make way for others.", "getrusage(2)";
    PROCESS_WRITTEN = Counter Page "process_disk_written_bytes_total" [] "Bytes that it has caused to be written to disks.", "`/proc/self/io`, `write_bytes`";

    SAMPLED = Gauge Page "axion_agent_telemetry_sample_time_seconds" []
        "When the host and its containers were looked at last, in seconds since the Unix epoch.", "the thread `telemetry`";
    SAMPLE_SPENT = Gauge Page "axion_agent_telemetry_sample_duration_seconds" [] "How long that look took.", "the thread `telemetry`";
    CONTAINERS = Gauge Page "axion_agent_telemetry_containers" ["state"]
        "Containers that run: measured, or without a control group that can be seen, or left out because there are too many.",
        "Docker's events and the control groups";

    HOST_CPUS = Gauge Page "axion_host_cpus" [] "Processors that are online.", "`/proc/stat`";
    HOST_CPU = Counter Reported "axion_host_cpu_seconds_total" ["mode"]
        "Processor time over all processors, by what it was spent on; guests count as user too.", "`/proc/stat`, `cpu`";
    HOST_SWITCHES = Counter Page "axion_host_context_switches_total" [] "Context switches.", "`/proc/stat`, `ctxt`";
    HOST_FORKS = Counter Page "axion_host_forks_total" [] "Processes and threads that were made.", "`/proc/stat`, `processes`";
    HOST_RUNNING = Gauge Page "axion_host_processes_running" [] "Threads that run or could.", "`/proc/stat`, `procs_running`";
    HOST_BLOCKED = Gauge Page "axion_host_processes_blocked" [] "Threads that wait for a disk.", "`/proc/stat`, `procs_blocked`";
    HOST_UPTIME = Gauge Page "axion_host_uptime_seconds" [] "Since the host was started.", "`/proc/uptime`";
    HOST_LOAD1 = Gauge Reported "axion_host_load1" [] "The load average over one minute.", "`/proc/loadavg`";
    HOST_LOAD5 = Gauge Page "axion_host_load5" [] "The load average over five minutes.", "`/proc/loadavg`";
    HOST_LOAD15 = Gauge Page "axion_host_load15" [] "The load average over fifteen minutes.", "`/proc/loadavg`";
    HOST_MEMORY_TOTAL = Gauge Reported "axion_host_memory_total_bytes" [] "Memory.", "`/proc/meminfo`, `MemTotal`";
    HOST_MEMORY_FREE = Gauge Page "axion_host_memory_free_bytes" [] "Memory that nobody uses.", "`/proc/meminfo`, `MemFree`";
    HOST_MEMORY_AVAILABLE = Gauge Reported "axion_host_memory_available_bytes" []
        "Memory that programs could have without swapping.", "`/proc/meminfo`, `MemAvailable`";
    HOST_MEMORY_BUFFERS = Gauge Page "axion_host_memory_buffers_bytes" [] "Memory for blocks of disks.", "`/proc/meminfo`, `Buffers`";
    HOST_MEMORY_CACHED = Gauge Page "axion_host_memory_cached_bytes" [] "Memory for files.", "`/proc/meminfo`, `Cached`";
    HOST_SWAP_TOTAL = Gauge Page "axion_host_swap_total_bytes" [] "Swap space.", "`/proc/meminfo`, `SwapTotal`";
    HOST_SWAP_FREE = Gauge Page "axion_host_swap_free_bytes" [] "Swap space that nobody uses.", "`/proc/meminfo`, `SwapFree`";
    HOST_WAITING = Counter Page "axion_host_pressure_waiting_seconds_total" ["resource"]
        "Time in which at least one thread waited for the resource.", "`/proc/pressure`, `some`";
    HOST_STALLED = Counter Page "axion_host_pressure_stalled_seconds_total" ["resource"]
        "Time in which all threads that had work waited for the resource.", "`/proc/pressure`, `full`";
    HOST_DISK_READS = Counter Page "axion_host_disk_reads_total" ["device"] "Reads that a disk has finished.", "`/proc/diskstats`";
    HOST_DISK_READ_BYTES = Counter Page "axion_host_disk_read_bytes_total" ["device"] "Bytes read from a disk.", "`/proc/diskstats`";
    HOST_DISK_WRITES = Counter Page "axion_host_disk_writes_total" ["device"] "Writes that a disk has finished.", "`/proc/diskstats`";
    HOST_DISK_WRITTEN_BYTES = Counter Page "axion_host_disk_written_bytes_total" ["device"]
        "Bytes written to a disk.", "`/proc/diskstats`";
    HOST_DISK_BUSY = Counter Page "axion_host_disk_io_time_seconds_total" ["device"]
        "Time in which a disk had something to do.", "`/proc/diskstats`";
    HOST_FS_SIZE = Gauge Reported "axion_host_filesystem_size_bytes" ["mountpoint"] "The size of a file system.", "statvfs(3)";
    HOST_FS_AVAILABLE = Gauge Reported "axion_host_filesystem_available_bytes" ["mountpoint"]
        "What is free in a file system for others than root.", "statvfs(3)";
    HOST_FS_FILES = Gauge Page "axion_host_filesystem_inodes" ["mountpoint"] "How many files a file system can have.", "statvfs(3)";
    HOST_FS_FILES_FREE = Gauge Page "axion_host_filesystem_inodes_free" ["mountpoint"] "How many more it could have.", "statvfs(3)";
    HOST_NET_RECEIVED = Counter Reported "axion_host_network_receive_bytes_total" ["interface"] "Bytes received.", "`/proc/net/dev`";
    HOST_NET_SENT = Counter Reported "axion_host_network_transmit_bytes_total" ["interface"] "Bytes sent.", "`/proc/net/dev`";
    HOST_NET_PACKETS_IN = Counter Page "axion_host_network_receive_packets_total" ["interface"] "Packets received.", "`/proc/net/dev`";
    HOST_NET_PACKETS_OUT = Counter Page "axion_host_network_transmit_packets_total" ["interface"] "Packets sent.", "`/proc/net/dev`";
    HOST_NET_ERRORS_IN = Counter Page "axion_host_network_receive_errors_total" ["interface"]
        "Packets that could not be received.", "`/proc/net/dev`";
    HOST_NET_ERRORS_OUT = Counter Page "axion_host_network_transmit_errors_total" ["interface"]
        "Packets that could not be sent.", "`/proc/net/dev`";
    HOST_NET_DROPPED_IN = Counter Page "axion_host_network_receive_dropped_total" ["interface"]
        "Packets received and dropped.", "`/proc/net/dev`";
    HOST_NET_DROPPED_OUT = Counter Page "axion_host_network_transmit_dropped_total" ["interface"]
        "Packets dropped before they were sent.", "`/proc/net/dev`";
    HOST_TEMPERATURE = Gauge Page "axion_host_temperature_celsius" ["sensor"]
        "What a sensor measures.", "`/sys/class/hwmon`, else `/sys/class/thermal`";

    SWARM_COUNTED = Gauge Page "axion_swarm_count_time_seconds" []
        "When the swarm was counted last, in seconds since the Unix epoch. Only managers count.", "the thread `docker-survey`";
    SWARM_NODES = Gauge Page "axion_swarm_nodes" ["state"] "Nodes of the swarm.", "Engine API, `GET /nodes`";
    SWARM_TASKS = Gauge Page "axion_swarm_tasks" ["state"]
        "Tasks of the swarm; those that have ended as far as the swarm keeps them.", "Engine API, `GET /tasks`";
    SWARM_SERVICES = Gauge Page "axion_swarm_services" [] "Services of the swarm.", "Engine API, `GET /services`";
    SERVICE_DESIRED = Gauge Page "axion_swarm_service_tasks_desired" ["stack", "service"]
        "How many tasks of a service are to run; of a job, how many are to end.", "Engine API, `GET /services`; of a global service `GET /tasks`";
    SERVICE_RUNNING = Gauge Page "axion_swarm_service_tasks_running" ["stack", "service"]
        "How many tasks of a service run and are meant to.", "Engine API, `GET /tasks`";
    SERVICE_UPDATE = Gauge Page "axion_swarm_service_update_state" ["stack", "service", "state"]
        "Always 1; the label says where the last update of a service stands.", "Engine API, `GET /services`";

    CONTAINER_INFO = Gauge Page "axion_container_info" ["container", "stack", "service", "task", "name"]
        "Always 1; the label says how the container is called.", "Docker's events";
    CONTAINER_CPU = Counter Reported "axion_container_cpu_seconds_total" ["container", "stack", "service", "task"]
        "Processor time.", "v2: `cpu.stat`, `usage_usec`; v1: `cpuacct.usage`";
    CONTAINER_CPU_USER = Counter Page "axion_container_cpu_user_seconds_total" ["container", "stack", "service", "task"]
        "Of it, in programs.", "v2: `cpu.stat`, `user_usec`; v1: `cpuacct.stat`";
    CONTAINER_CPU_SYSTEM = Counter Page "axion_container_cpu_system_seconds_total" ["container", "stack", "service", "task"]
        "Of it, in the kernel.", "v2: `cpu.stat`, `system_usec`; v1: `cpuacct.stat`";
    CONTAINER_PERIODS = Counter Page "axion_container_cpu_periods_total" ["container", "stack", "service", "task"]
        "Periods of its processor limit.", "`cpu.stat`, `nr_periods`";
    CONTAINER_THROTTLED_PERIODS = Counter Page "axion_container_cpu_throttled_periods_total" ["container", "stack", "service", "task"]
        "Of these, in which it used up its limit.", "`cpu.stat`, `nr_throttled`";
    CONTAINER_THROTTLED = Counter Page "axion_container_cpu_throttled_seconds_total" ["container", "stack", "service", "task"]
        "Time in which its limit kept it from running.", "`cpu.stat`; v2: `throttled_usec`, v1: `throttled_time`";
    CONTAINER_MEMORY = Gauge Page "axion_container_memory_usage_bytes" ["container", "stack", "service", "task"]
        "Memory, with its part of the file cache.", "v2: `memory.current`; v1: `memory.usage_in_bytes`";
    CONTAINER_WORKING_SET = Gauge Reported "axion_container_memory_working_set_bytes" ["container", "stack", "service", "task"]
        "Memory without the files that were not used lately: what `docker stats` shows.",
        "the line above without `memory.stat`'s `inactive_file` (v1: `total_inactive_file`)";
    CONTAINER_ANONYMOUS = Gauge Page "axion_container_memory_anonymous_bytes" ["container", "stack", "service", "task"]
        "Of it, what no file stands behind.", "`memory.stat`; v2: `anon`, v1: `total_rss`";
    CONTAINER_FILE = Gauge Page "axion_container_memory_file_bytes" ["container", "stack", "service", "task"]
        "Of it, files.", "`memory.stat`; v2: `file`, v1: `total_cache`";
    CONTAINER_SWAP = Gauge Page "axion_container_memory_swap_bytes" ["container", "stack", "service", "task"]
        "Swap space.", "v2: `memory.swap.current`; v1: `memory.stat`, `total_swap`";
    CONTAINER_MEMORY_LIMIT = Gauge Page "axion_container_memory_limit_bytes" ["container", "stack", "service", "task"]
        "The most memory that it may have; left out where it has no limit.", "v2: `memory.max`; v1: `memory.limit_in_bytes`";
    CONTAINER_OOM_KILLS = Counter Reported "axion_container_oom_kills_total" ["container", "stack", "service", "task"]
        "Its processes that the kernel has ended for want of memory.", "v2: `memory.events`, `oom_kill`; v1: `memory.oom_control`, `oom_kill`";
    CONTAINER_READS = Counter Page "axion_container_io_reads_total" ["container", "stack", "service", "task"]
        "Reads from disks.", "v2: `io.stat`, `rios`; v1: `blkio.throttle.io_serviced_recursive`";
    CONTAINER_READ_BYTES = Counter Page "axion_container_io_read_bytes_total" ["container", "stack", "service", "task"]
        "Bytes read from disks.", "v2: `io.stat`, `rbytes`; v1: `blkio.throttle.io_service_bytes_recursive`";
    CONTAINER_WRITES = Counter Page "axion_container_io_writes_total" ["container", "stack", "service", "task"]
        "Writes to disks.", "v2: `io.stat`, `wios`; v1: `blkio.throttle.io_serviced_recursive`";
    CONTAINER_WRITTEN_BYTES = Counter Page "axion_container_io_written_bytes_total" ["container", "stack", "service", "task"]
        "Bytes written to disks.", "v2: `io.stat`, `wbytes`; v1: `blkio.throttle.io_service_bytes_recursive`";
    CONTAINER_PIDS = Gauge Page "axion_container_pids" ["container", "stack", "service", "task"]
        "Processes and threads.", "`pids.current`";
    CONTAINER_PIDS_LIMIT = Gauge Page "axion_container_pids_limit" ["container", "stack", "service", "task"]
        "The most of them that it may have; left out where it has no limit.", "`pids.max`";
    CONTAINER_NET_RECEIVED = Counter Page "axion_container_network_receive_bytes_total" ["container", "stack", "service", "task"]
        "Bytes received, over all interfaces but the loopback. Left out where it has the host's network.", "`/proc/PID/net/dev`";
    CONTAINER_NET_SENT = Counter Page "axion_container_network_transmit_bytes_total" ["container", "stack", "service", "task"]
        "Bytes sent, likewise.", "`/proc/PID/net/dev`";
    CONTAINER_NET_PACKETS_IN = Counter Page "axion_container_network_receive_packets_total" ["container", "stack", "service", "task"]
        "Packets received, likewise.", "`/proc/PID/net/dev`";
    CONTAINER_NET_PACKETS_OUT = Counter Page "axion_container_network_transmit_packets_total" ["container", "stack", "service", "task"]
        "Packets sent, likewise.", "`/proc/PID/net/dev`";
    CONTAINER_NET_DROPPED_IN = Counter Page "axion_container_network_receive_dropped_total" ["container", "stack", "service", "task"]
        "Packets received and dropped, likewise.", "`/proc/PID/net/dev`";
    CONTAINER_NET_DROPPED_OUT = Counter Page "axion_container_network_transmit_dropped_total" ["container", "stack", "service", "task"]
        "Packets dropped before they were sent, likewise.", "`/proc/PID/net/dev`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_counters_say_so() {
        let mut names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        for family in FAMILIES {
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
            assert!(!family.help.contains(['\\', '\n']), "{}: it is written as it is", family.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }
}
