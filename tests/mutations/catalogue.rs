//! The options of a service that a plan can name, each with the values that it may have.

/// An option: where it stands, and its values; the first is that of most services. An empty one is absent.
pub struct Choice {
    pub place: Place,
    pub key: &'static str,
    pub values: &'static [&'static str],
}

/// Where an option stands in a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Of the service itself.
    Service,
    /// Below `deploy`.
    Deploy,
    /// Below `deploy.resources`.
    Resources,
    /// Below `deploy.placement`.
    Placement,
}

const fn service(key: &'static str, values: &'static [&'static str]) -> Choice {
    Choice { place: Place::Service, key, values }
}

const fn in_deploy(key: &'static str, values: &'static [&'static str]) -> Choice {
    Choice { place: Place::Deploy, key, values }
}

const fn in_resources(key: &'static str, values: &'static [&'static str]) -> Choice {
    Choice { place: Place::Resources, key, values }
}

const fn in_placement(key: &'static str, values: &'static [&'static str]) -> Choice {
    Choice { place: Place::Placement, key, values }
}

/// All of them. Each value lets the task run on a node without anything special, also with each value of the others.
pub const CHOICES: &[Choice] = &[
    service("image", &["'axion-test/box:1'", "'axion-test/box:mutated'"]),
    service("command", &["[sleep, '1000']", "[sleep, '2000']"]),
    service("entrypoint", &["", "[/bin/busybox]"]),
    service("labels", &["", "{a: '1'}", "{a: '2', b: x}"]),
    service("hostname", &["", "one", "two"]),
    service("environment", &["", "{A: '1'}", "{A: '2'}", "{A: '1', B: x}"]),
    service("working_dir", &["", "/tmp", "/etc"]),
    service("user", &["", "root", "'0:0'"]),
    service("init", &["true", "false", ""]),
    service("stop_signal", &["SIGKILL", "SIGTERM"]),
    service("stop_grace_period", &["1s", "2s"]),
    service("tty", &["", "true", "false"]),
    service("stdin_open", &["", "true"]),
    service("read_only", &["", "true"]),
    service("volumes", &["", "['/etc:/x:ro']", "['data:/d']", "[{type: tmpfs, target: /t}]", "['/etc:/x']"]),
    service("healthcheck", &["", "{disable: true}", "{test: [CMD, 'true'], interval: 1s}", "{test: [CMD, 'true'], interval: 2s}"]),
    service("extra_hosts", &["", "['a:10.0.0.1']", "['a:10.0.0.2', 'b:10.0.0.1']"]),
    service("dns", &["", "[8.8.8.8]"]),
    service("dns_search", &["", "[example.org]"]),
    service("sysctls", &["", "{net.core.somaxconn: '1024'}"]),
    service("cap_add", &["", "[SYS_TIME]"]),
    service("cap_drop", &["", "[MKNOD]"]),
    service("ulimits", &["", "{nofile: 1024}", "{nofile: {soft: 512, hard: 1024}}"]),
    service("secrets", &["", "[word]", "[{source: word, target: other}]"]),
    service("configs", &["", "[page]", "[{source: page, target: /p, mode: 0444}]"]),
    service("networks", &["", "[default, more]", "[more]", "{default: {aliases: [a]}}"]),
    service("logging", &["", "{driver: json-file}", "{driver: json-file, options: {max-size: 1m}}"]),
    service("ports", &["", "[{target: 80, mode: host}]", "[{target: 81, mode: host}]", "[{target: 80, protocol: udp, mode: host}]"]),
    in_deploy("replicas", &["1", "2", "3", "0"]),
    in_deploy("labels", &["", "{l: '1'}", "{l: '2'}"]),
    in_deploy("endpoint_mode", &["dnsrr", "vip"]),
    in_deploy(
        "update_config",
        &["{monitor: 1s}", "{monitor: 1s, parallelism: 2}", "{monitor: 1s, order: start-first}", "{monitor: 1s, delay: 100ms}"],
    ),
    in_deploy("rollback_config", &["", "{monitor: 1s}", "{monitor: 1s, failure_action: continue, parallelism: 0}"]),
    in_deploy("restart_policy", &["{delay: 1s}", "{delay: 2s}", "{delay: 1s, max_attempts: 9}", "{delay: 1s, window: 60s}"]),
    in_resources("limits", &["", "{memory: 64M}", "{cpus: '0.5'}", "{memory: 64M, pids: 100}"]),
    in_resources("reservations", &["", "{memory: 8M}", "{cpus: '0.001'}"]),
    in_placement("constraints", &["", "[node.role == manager]", "[node.labels.moon != yes]"]),
    in_placement("preferences", &["", "[{spread: node.labels.zone}]"]),
    in_placement("max_replicas_per_node", &["", "10", "11"]),
];
