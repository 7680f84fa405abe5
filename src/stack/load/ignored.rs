//! Keys of a service that Compose allows and Swarm has no place for: each is checked for its shape and
//! named in a warning with what to do instead. `docker stack deploy` warns of some and refuses others.

use super::item::Item;
use crate::stack::StackError;
use crate::stack::yaml::Value;

/// How far an ignored value is checked: as the schemas of the CLI and the Compose Specification have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// True or false.
    Bool,
    /// Text.
    Text,
    /// Text, or nothing.
    TextOrNothing,
    /// A number, or text.
    Number,
    /// A list of texts.
    Texts,
    /// A list of texts and numbers.
    Scalars,
    /// A list of texts and mappings.
    List,
    /// A mapping.
    Map,
    /// Text or a mapping.
    TextOrMap,
    /// A list of texts or a mapping.
    TextsOrMap,
    /// Text or a list.
    TextOrList,
    /// Nobody looks.
    Any,
}

use Shape::{Any, Bool, List, Map, Number, Scalars, Text, TextOrList, TextOrMap, TextOrNothing, Texts, TextsOrMap};

impl Shape {
    /// Refuses what has another shape.
    pub fn check(self, item: &Item<'_>) -> Result<(), StackError> {
        let is_map = matches!(item.node.value, Value::Map(_));
        let is_list = matches!(item.node.value, Value::List(_));
        match self {
            Bool => item.boolean().map(drop),
            TextOrMap | TextsOrMap if is_map => Ok(()),
            TextOrNothing if item.is_null() => Ok(()),
            Text | TextOrMap | TextOrNothing => item.text().map(drop),
            Number => item.text_or_number().map(drop),
            Texts | TextsOrMap => item.texts().map(drop),
            Scalars => item.list()?.iter().try_for_each(|item| item.text_or_number().map(drop)),
            List => item.list()?.iter().filter(|item| !matches!(item.node.value, Value::Map(_))).try_for_each(|item| item.text().map(drop)),
            Map => item.fields_or_nothing().map(drop),
            TextOrList if is_list => Ok(()),
            TextOrList => item.text().map(drop),
            Any => Ok(()),
        }
    }
}

const NAMESPACES: &str = "Swarm gives every task namespaces of its own";
const CPU_SHARES: &str = "Swarm has no such limit: use deploy.resources.limits.cpus";
const MEMORY: &str = "Swarm has no such limit: use deploy.resources.limits.memory";
const CGROUP: &str = "Swarm places the cgroups of tasks itself";
const LINKS: &str = "services of one network find each other by name: no links are needed";
const HOOKS: &str = "Swarm runs no hooks";
const NOT_LOCAL: &str = "is for work on one machine and has no effect in a swarm";

/// Key, shape and what the warning says.
pub const IGNORED: &[(&str, Shape, &str)] = &[
    ("annotations", TextsOrMap, "Swarm has no annotations for tasks"),
    ("attach", Bool, NOT_LOCAL),
    ("blkio_config", Map, "Swarm does not limit block I/O"),
    ("build", TextOrMap, "a swarm does not build: the image must be in a registry"),
    ("cgroup", Text, CGROUP),
    ("cgroup_parent", Text, CGROUP),
    ("cgroupns_mode", Text, CGROUP),
    ("container_name", Text, "Swarm names the containers of tasks itself"),
    ("cpu_count", Number, CPU_SHARES),
    ("cpu_percent", Number, CPU_SHARES),
    ("cpu_period", Number, CPU_SHARES),
    ("cpu_quota", Number, CPU_SHARES),
    ("cpu_rt_period", Number, CPU_SHARES),
    ("cpu_rt_runtime", Number, CPU_SHARES),
    ("cpu_shares", Number, CPU_SHARES),
    ("cpuset", Text, CPU_SHARES),
    ("depends_on", TextsOrMap, "Swarm starts services in no order: let them wait for each other"),
    ("develop", Map, NOT_LOCAL),
    ("device_cgroup_rules", Texts, "Swarm gives tasks no devices"),
    ("devices", List, "Swarm gives tasks no devices: use generic resources"),
    ("domainname", Text, "Swarm has no domain names for tasks"),
    ("expose", Scalars, "services of one network reach each other on any port"),
    ("external_links", Texts, LINKS),
    ("gpus", TextOrList, "Swarm gives tasks no devices: use deploy.resources.reservations.generic_resources"),
    ("ipc", Text, NAMESPACES),
    ("links", Texts, LINKS),
    ("mac_address", Text, "Swarm assigns the addresses of tasks itself"),
    ("mem_swappiness", Number, MEMORY),
    ("memswap_limit", Number, MEMORY),
    ("models", TextsOrMap, "Swarm runs no models"),
    ("network_mode", Text, "Swarm has no network modes: use networks"),
    ("oom_kill_disable", Bool, "Swarm does not switch the OOM killer off"),
    ("pid", TextOrNothing, NAMESPACES),
    ("post_start", List, HOOKS),
    ("pre_stop", List, HOOKS),
    ("privileged", Bool, "Swarm runs no privileged tasks: use cap_add"),
    ("provider", Map, NOT_LOCAL),
    ("pull_policy", Text, "Swarm pulls an image where a node lacks its digest"),
    ("pull_refresh_after", Text, "Swarm pulls an image where a node lacks its digest"),
    ("runtime", Text, "Swarm uses each node's default runtime"),
    ("security_opt", Texts, "Swarm sets no security options from a Compose file"),
    ("shm_size", Number, "Swarm does not size /dev/shm: mount a tmpfs there"),
    ("storage_opt", Map, "Swarm has no storage options"),
    ("use_api_socket", Bool, NOT_LOCAL),
    ("userns_mode", Text, NAMESPACES),
    ("uts", Text, NAMESPACES),
    ("volumes_from", Texts, "tasks share no mounts: name the volume in both services"),
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
