//! Keys of a service that Compose allows and Swarm has no place for: each is checked for its shape and
//! named in a warning with what to do instead. `docker stack deploy` warns of some and refuses others.

/// How far an ignored value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// A list.
    List,
    /// Several shapes, or sections of their own.
    Any,
}

use Shape::{Any, Bool, List, Text};

const NAMESPACES: &str = "Swarm gives every task namespaces of its own";
const CPU_SHARES: &str = "Swarm has no such limit: use deploy.resources.limits.cpus";
const MEMORY: &str = "Swarm has no such limit: use deploy.resources.limits.memory";
const CGROUP: &str = "Swarm places the cgroups of tasks itself";
const LINKS: &str = "services of one network find each other by name: no links are needed";
const HOOKS: &str = "Swarm runs no hooks";
const NOT_LOCAL: &str = "is for work on one machine and has no effect in a swarm";

/// Key, shape and what the warning says.
pub const IGNORED: &[(&str, Shape, &str)] = &[
    ("annotations", Any, "Swarm has no annotations for tasks"),
    ("attach", Bool, NOT_LOCAL),
    ("blkio_config", Any, "Swarm does not limit block I/O"),
    ("build", Any, "a swarm does not build: the image must be in a registry"),
    ("cgroup", Text, CGROUP),
    ("cgroup_parent", Text, CGROUP),
    ("cgroupns_mode", Text, CGROUP),
    ("container_name", Text, "Swarm names the containers of tasks itself"),
    ("cpu_count", Any, CPU_SHARES),
    ("cpu_percent", Any, CPU_SHARES),
    ("cpu_period", Any, CPU_SHARES),
    ("cpu_quota", Any, CPU_SHARES),
    ("cpu_rt_period", Any, CPU_SHARES),
    ("cpu_rt_runtime", Any, CPU_SHARES),
    ("cpu_shares", Any, CPU_SHARES),
    ("cpuset", Text, CPU_SHARES),
    ("depends_on", Any, "Swarm starts services in no order: let them wait for each other"),
    ("develop", Any, NOT_LOCAL),
    ("device_cgroup_rules", List, "Swarm gives tasks no devices"),
    ("devices", List, "Swarm gives tasks no devices: use generic resources"),
    ("domainname", Text, "Swarm has no domain names for tasks"),
    ("expose", List, "services of one network reach each other on any port"),
    ("external_links", List, LINKS),
    ("gpus", Any, "Swarm gives tasks no devices: use deploy.resources.reservations.generic_resources"),
    ("ipc", Text, NAMESPACES),
    ("links", List, LINKS),
    ("mac_address", Text, "Swarm assigns the addresses of tasks itself"),
    ("mem_swappiness", Any, MEMORY),
    ("memswap_limit", Any, MEMORY),
    ("models", Any, "Swarm runs no models"),
    ("network_mode", Text, "Swarm has no network modes: use networks"),
    ("oom_kill_disable", Bool, "Swarm does not switch the OOM killer off"),
    ("pid", Any, NAMESPACES),
    ("post_start", Any, HOOKS),
    ("pre_stop", Any, HOOKS),
    ("privileged", Bool, "Swarm runs no privileged tasks: use cap_add"),
    ("provider", Any, NOT_LOCAL),
    ("pull_policy", Any, "Swarm pulls an image where a node lacks its digest"),
    ("pull_refresh_after", Any, "Swarm pulls an image where a node lacks its digest"),
    ("runtime", Text, "Swarm uses each node's default runtime"),
    ("security_opt", List, "Swarm sets no security options from a Compose file"),
    ("shm_size", Any, "Swarm does not size /dev/shm: mount a tmpfs there"),
    ("storage_opt", Any, "Swarm has no storage options"),
    ("use_api_socket", Bool, NOT_LOCAL),
    ("userns_mode", Text, NAMESPACES),
    ("uts", Text, NAMESPACES),
    ("volumes_from", List, "tasks share no mounts: name the volume in both services"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_key_stands_once() {
        let keys: BTreeSet<_> = IGNORED.iter().map(|(key, ..)| key).collect();
        assert_eq!(keys.len(), IGNORED.len());
    }
}
