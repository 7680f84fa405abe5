//! The one table of checks: what each looks at, what it means where it is not well, and how that is mended. The ids are
//! part of the interface: they stay. `docs/doctor.md` has the same table, and a test holds the two together.

/// A check.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, such as `docker.socket`; what stands before the dot is its part.
    pub id: &'static str,
    /// What is looked at.
    pub looks: &'static str,
    /// What it means where it is not well.
    pub meaning: &'static str,
    /// What to do then.
    pub mend: &'static str,
}

macro_rules! checks {
    ($($name:ident = $id:literal, $looks:literal, $meaning:literal, $mend:literal;)*) => {
        $(pub(super) static $name: Check = Check { id: $id, looks: $looks, meaning: $meaning, mend: $mend };)*

        /// Every check of this version, part by part.
        pub static CHECKS: &[&Check] = &[$(&$name),*];
    };
}

checks! {
    CONFIG_VALID = "config.valid",
        "the configuration as the agent would read it, with the place of each mistake",
        "The agent does not start with it, or leaves out what it does not understand.",
        "Correct what is named; `axion-agent config check` shows the same.";
    CONFIG_SECRETS = "config.secrets",
        "who may read the files that hold secrets and private keys",
        "Other users of this host can read the agent's secrets.",
        "Take the permission from others: `chmod o-rwx FILE`; the agent's user must still be able to read it.";
    CONFIG_SIGNERS = "config.signers",
        "the keys that commands may be signed with, and how long each counts",
        "Commands are refused that a key has signed which does not count.",
        "List the next epoch of the key in security.command_public_keys before the old one ends, and take out those that are over; docs/signing.md says how.";

    STATE_DIRECTORY = "state.directory",
        "the state directory: there, of the agent's user, closed to others, writable",
        "The agent cannot keep its journal, so it does not start.",
        "Make it belong to the agent's user with mode 0700: `install -d -o axion-agent -g axion-agent -m 0700 DIR`.";
    STATE_LOCK = "state.lock",
        "which process holds the journal",
        "Another program than the agent holds the journal: an agent cannot start beside it.",
        "End the process that is named, or give each agent a state directory of its own (agent.state_dir).";
    STATE_JOURNAL = "state.journal",
        "the size of the journal, and, while nobody holds it, whether it can be read",
        "The agent may refuse new commands (journal.full), or cannot read what it has written down.",
        "Where it is too large: lower docker.revisions or raise limits.journal_size. Where it cannot be read: docs/delivery.md says what a lost journal costs.";
    STATE_DISK = "state.disk",
        "the free space where the journal is",
        "With less than limits.min_free_disk new commands are refused as journal.full.",
        "Make room on that file system.";

    AGENT_RUNNING = "agent.running",
        "whether an agent runs, and what it says of itself on /readyz",
        "No command is carried out, or not every kind of it.",
        "Start it (`systemctl start axion-agent`) or mend what the dependency that is named says; its log tells more.";
    AGENT_SOCKET = "agent.socket",
        "the agent's own socket for the local command line: there, and somebody answers",
        "The local command line does not reach the agent.",
        "See that the agent runs and that your user may use the socket (local.ipc_socket_mode, local.ipc_group).";
    AGENT_SANDBOX = "agent.sandbox",
        "what the unit closes (new privileges, system calls, capabilities), and that what the agent needs can be reached from inside",
        "The agent has more power than it needs, or its sandbox hides something that it needs.",
        "Use the packaged unit; in a drop-in, open what is named (ReadWritePaths=, BindPaths=, SupplementaryGroups=docker).";

    HOST_KERNEL = "host.kernel",
        "the version of the kernel",
        "Containers may lack what newer engines need of the kernel.",
        "Update the host's kernel.";
    HOST_MEMORY = "host.memory",
        "the memory that is free, and the limit that the agent's control group sets",
        "The kernel may end the agent, or containers, for want of memory.",
        "Free memory, or raise the limit (MemoryMax= of the unit).";
    HOST_DESCRIPTORS = "host.descriptors",
        "how many files the agent may have open",
        "With too few, connections to the engine, brokers and clients fail at times of load.",
        "Raise it: LimitNOFILE= of the unit (the packaged one has 4096).";
    HOST_CGROUPS = "host.cgroups",
        "the control groups of the host: their version, and whether memory and CPU can be limited",
        "Limits and reservations of a Compose file have no effect.",
        "Boot with the controllers that are named, such as `cgroup_enable=memory cgroup_memory=1` on the kernel's command line.";
    HOST_CLOCK = "host.clock",
        "whether the clock is kept in step with a time server",
        "Certificates, expiry of commands and the age of events are judged by a clock that may be wrong.",
        "Run a time service, such as systemd-timesyncd or chrony, and let it reach its servers.";
    HOST_OFFSET = "host.offset",
        "the clock against the time that the control plane's server tells",
        "Commands may be refused as stale or expired, and certificates as not valid.",
        "Set the clock right on the end that is wrong.";
    HOST_INIT = "host.init",
        "what starts services here",
        "Nobody starts the agent again after a crash.",
        "Run the agent under systemd, or under another service manager that restarts it.";

    DOCKER_SOCKET = "docker.socket",
        "the engine's socket: there, and a socket",
        "Without the engine nothing can be deployed.",
        "Start the engine (`systemctl start docker`), or correct docker.host.";
    DOCKER_PERMISSIONS = "docker.permissions",
        "whether the agent's user may use the engine's socket",
        "The agent cannot reach the engine, though others can.",
        "Add the agent's user to the socket's group: `usermod -aG docker axion-agent` (the packaged unit does: SupplementaryGroups=docker), and restart the agent.";
    DOCKER_ANSWERS = "docker.answers",
        "whether the engine answers, and how fast",
        "Commands wait until the engine answers.",
        "See `systemctl status docker` and `journalctl -u docker`.";
    DOCKER_API = "docker.api",
        "the versions of the Engine API that engine and agent speak",
        "Engine and agent have no version in common, or not the one that the agent was written for.",
        "Update the one that is older: the agent needs API 1.40 (Docker 19.03) at least.";
    DOCKER_SWARM = "docker.swarm",
        "the engine's place in a swarm, and whether the swarm has a leader",
        "Commands that change stacks are refused (swarm.inactive, swarm.not_manager) or wait.",
        "Make or join a swarm as a manager (`docker swarm init`), or set docker.swarm_auto_init.";
    DOCKER_NODES = "docker.nodes",
        "the nodes of the swarm, and how many managers may be lost",
        "Tasks cannot run on nodes that are away; without a majority of managers nothing can be changed.",
        "Bring the nodes back, or take them out (`docker node rm`); have an odd number of managers.";
    DOCKER_CGROUPS = "docker.cgroups",
        "the control groups as the engine uses them, and what it says it lacks",
        "Limits of a Compose file may have no effect.",
        "Use the systemd driver where systemd runs; boot with the controllers that the engine misses.";
    DOCKER_DISK = "docker.disk",
        "the free space where the engine keeps images and containers, if it is on this host",
        "Images cannot be pulled, and containers may fail.",
        "Remove what is not needed (`docker system prune`), or enlarge the file system.";
    DOCKER_PORTS = "docker.ports",
        "whether a service or container publishes the agent's health port",
        "The health pages, or the service, cannot be reached: both want the same port.",
        "Set another health.port, or publish the service on another one.";

    NETWORK_DNS = "network.dns",
        "each name of the configuration, as this host resolves it",
        "What has that name cannot be reached, or only slowly.",
        "Correct the name in the configuration, or this host's resolver (/etc/resolv.conf).";
    NETWORK_PORT = "network.port",
        "who listens on the health port",
        "The agent does not start: another program has its port.",
        "End that program, or set another health.port.";

    TLS_TRUST = "tls.trust",
        "the CAs that the agent trusts: there, readable, valid",
        "No TLS connection can be verified.",
        "Install the system's CA bundle (package ca-certificates), or name the CA: kafka.ssl_ca_location, control_plane.ca_file, security.tls_ca_location.";
    TLS_CERTIFICATES = "tls.certificates",
        "how long each certificate of the agent is valid, and that its key belongs to it",
        "The other end refuses the agent once its certificate has expired.",
        "Renew the file. One that the control plane has issued is renewed by the agent while it is reached.";
    TLS_SERVERS = "tls.servers",
        "how long the certificates of control plane and brokers are valid",
        "The agent refuses the connection once that certificate has expired.",
        "Renew the certificate on that server.";

    KAFKA_SETTINGS = "kafka.settings",
        "whether a client can be made of the settings, and who the agent is in its topics' names",
        "Kafka is not used at all.",
        "Correct the key that is named.";
    KAFKA_BROKERS = "kafka.brokers",
        "each broker of the configuration, and each that these name: connection, TLS, login",
        "Commands and events take another broker, or none where none answers.",
        "docs/kafka.md has a row for the code that is named.";
    KAFKA_COMMANDS = "kafka.commands",
        "the command topic: there, and Read is allowed",
        "No command arrives.",
        "Create the topic, or grant Read on it.";
    KAFKA_EVENTS = "kafka.events",
        "the event topic: there, and Write is allowed",
        "Events wait in the journal.",
        "Create the topic, or grant Write on it.";
    KAFKA_READBACK = "kafka.readback",
        "with exactly-once: Read on the event topic is allowed",
        "No command is taken in: the agent cannot know which of its events count.",
        "Grant Read on the event topic, or set kafka.events to at-least-once.";
    KAFKA_DEAD_LETTERS = "kafka.dead_letters",
        "the dead-letter topic: there, and Write is allowed",
        "Records that are no commands wait, and those behind them too.",
        "Create the topic, or grant Write on it.";
    KAFKA_GROUP = "kafka.group",
        "Read on the consumer group is allowed",
        "No offsets are committed; with exactly-once events wait.",
        "Grant Read on the group.";
    KAFKA_TRANSACTIONS = "kafka.transactions",
        "with exactly-once: Write on the transactional id is allowed",
        "No command is taken in: no event could be written.",
        "Grant Write on the transactional id, or set kafka.events to at-least-once.";

    CONTROL_PLANE_IDENTITY = "control_plane.identity",
        "what the agent can show to the control plane: certificate, credential or token",
        "The control plane does not know who calls.",
        "Get a one-time token from the control plane and set agent.token_file, or run `axion-agent enroll --token-file FILE`.";
    CONTROL_PLANE_REACH = "control_plane.reach",
        "TCP and TLS to the control plane, through the proxy where there is one",
        "No heartbeats, no immediate actions; commands still come by Kafka.",
        "docs/control-plane.md has a row for the code that is named.";
    CONTROL_PLANE_CALL = "control_plane.call",
        "a call in the agent's name that changes nothing (CheckForUpdate)",
        "The control plane does not take the agent in.",
        "docs/control-plane.md has a row for the code that is named.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_an_id_of_its_own_and_whole_sentences() {
        let ids: BTreeSet<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        assert!(CHECKS.len() >= 20);
        let mut parts: Vec<&str> = CHECKS.iter().map(|check| check.id.split_once('.').unwrap().0).collect();
        parts.dedup();
        assert_eq!(parts.len(), parts.iter().collect::<BTreeSet<_>>().len(), "a part is in one piece: {parts:?}");
        for check in CHECKS {
            assert!(check.meaning.ends_with('.') && check.mend.ends_with('.') && !check.looks.ends_with('.'), "{}", check.id);
        }
    }
}
