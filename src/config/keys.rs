//! The one table of keys: what the configuration knows, what a key means and what holds without it.
//!
//! The known keys, `agent.toml.example` and `config show` all come from here, so that none of them can
//! know a key that the others do not.

/// One key.
#[derive(Debug)]
pub struct Key {
    /// The table it stands in, without brackets.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What holds without it, as an environment variable would say it. None: it is simply not set.
    pub default: Option<&'static str>,
    /// A value for the example, in TOML, where there is no default to show.
    pub example: &'static str,
    /// What it means, for the example file; lines are broken as there.
    pub doc: &'static str,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown; also as `NAME_file` and from `$CREDENTIALS_DIRECTORY`.
    Secret,
    /// An absolute path.
    Path,
    /// Texts; split on commas in the environment.
    List,
    /// A whole number of something, between the two bounds.
    Number(Unit, u64, u64),
    /// true or false.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Levels of the log: one for all, others by module.
    Levels,
    /// A table of texts; `a=b,c=d` in the environment.
    Pairs,
    /// Permissions of a file in octal, as in 0660.
    Mode,
    /// A table of its own form. Only in the file.
    Table,
    /// `[docker.registries."HOST"]` with a username and a password. Only in the file.
    Registries,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds; also written as `15m` or `1h30m`.
    Seconds,
    /// Bytes; also written as `1MiB`.
    Bytes,
}

impl Key {
    /// Whether a change of it counts only after a restart.
    #[must_use]
    pub fn needs_restart(&self) -> bool {
        AFTER_RESTART.iter().any(|key| std::ptr::eq(*key, self))
    }

    /// `section.name`.
    #[must_use]
    pub fn dotted(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

macro_rules! keys {
    ($($name:ident = $section:literal . $key:literal, $kind:expr, $default:expr, $example:literal, $doc:literal;)*) => {
        $(pub(super) static $name: Key =
            Key { section: $section, name: $key, kind: $kind, default: $default, example: $example, doc: $doc };)*

        /// Every key of this version, section by section.
        pub static KEYS: &[&Key] = &[$(&$name),*];
    };
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

keys! {
    AGENT_TOKEN = "agent"."token", Kind::Secret, None, "\"one-time token\"",
        "The one-time token for the first start with a control plane. Better in a file of its own: token_file. In the\nstate directory that file is removed after use.";
    AGENT_ID = "agent"."id", Kind::Text, None, "\"edge-7\"",
        "Who this agent is; part of its topic names. Normally the control plane issues it, and the journal keeps it.\nAnother id than that makes it another agent: with a token it enrols anew.";
    AGENT_NAME = "agent"."name", Kind::Text, None, "\"Shop floor 7\"",
        "A name for people.";
    AGENT_LABELS = "agent"."labels", Kind::Pairs, None, "{ site = \"berlin\", tier = \"edge\" }",
        "Labels for people, told to the control plane.";
    AGENT_STATE_DIR = "agent"."state_dir", Kind::Path, Some("/var/lib/axion-agent"), "",
        "The journal lives here. One agent per directory.";

    CONTROL_PLANE_URL = "control_plane"."grpc_url", Kind::Text, None, "\"https://control.example.com:443\"",
        "Where the control plane is: https:// for TLS, http:// in clear (development). Not set: there is none.";
    CONTROL_PLANE_TIMEOUT = "control_plane"."timeout", Kind::Number(Unit::Seconds, 1, 5 * MINUTE), Some("30s"), "",
        "The longest time that one call may take.";
    CONTROL_PLANE_HEARTBEAT = "control_plane"."heartbeat_interval", Kind::Number(Unit::Seconds, 1, 5 * MINUTE), Some("5s"), "",
        "The time between heartbeats; the control plane may set another one.";
    CONTROL_PLANE_CA = "control_plane"."ca_file", Kind::Path, None, "\"/etc/axion/ca.pem\"",
        "A private CA, in PEM. Not set: the system's bundle, which costs 1-2 MB of memory.";
    CONTROL_PLANE_CERT = "control_plane"."client_cert_file", Kind::Path, None, "\"/etc/axion/agent.pem\"",
        "The agent's own certificate, in PEM, for mutual TLS; needs client_key_file.";
    CONTROL_PLANE_KEY = "control_plane"."client_key_file", Kind::Path, None, "\"/etc/axion/agent.key\"",
        "The private key of that certificate.";

    KAFKA_BROKERS = "kafka"."brokers", Kind::List, None, "[\"kafka-1.example.com:9092\", \"kafka-2.example.com:9092\"]",
        "The first brokers to ask, as host:port. Not set: no Kafka, unless the control plane names brokers at enrolment.";
    KAFKA_COMMAND_TOPIC = "kafka"."command_topic", Kind::Text, Some("runner.commands.{agent_id}"), "",
        "Where commands come from. {agent_id} stands for the agent's id.";
    KAFKA_EVENT_TOPIC = "kafka"."event_topic", Kind::Text, Some("runner.events.{agent_id}"), "",
        "Where events go.";
    KAFKA_DEAD_LETTER_TOPIC = "kafka"."dead_letter_topic", Kind::Text, Some("runner.commands.{agent_id}.dlq"), "",
        "Where records go that are no commands and that nobody could be answered about.";
    KAFKA_CONSUMER_GROUP = "kafka"."consumer_group", Kind::Text, Some("runner-agent-{agent_id}"), "",
        "Offsets are committed in this group's name.";
    KAFKA_EVENTS = "kafka"."events", Kind::Choice(&["exactly-once", "at-least-once"]), Some("exactly-once"), "",
        "exactly-once: in transactions, so that a reader of what is committed (isolation.level=read_committed) sees each event\n\
         once. Needs {agent_id} in event_topic, Read on that topic, and Write on the transactional id runner-agent-{agent_id}.\n\
         at-least-once: an event may come twice, with the same event_id.";
    KAFKA_PROTOCOL = "kafka"."security_protocol",
        Kind::Choice(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]), None, "\"sasl_ssl\"",
        "How to talk to the brokers: plaintext, ssl, sasl_plaintext or sasl_ssl. Not set: plaintext.";
    KAFKA_ENABLE_SSL = "kafka"."enable_ssl", Kind::Flag, None, "true",
        "The older spelling of security_protocol: true is ssl (sasl_ssl with a sasl_mechanism), false is plaintext.";
    KAFKA_CA = "kafka"."ssl_ca_location", Kind::Path, None, "\"/etc/axion/kafka-ca.pem\"",
        "A private CA for the brokers, in PEM. Not set: the system's bundle.";
    KAFKA_CERT = "kafka"."ssl_certificate_location", Kind::Path, None, "\"/etc/axion/kafka.pem\"",
        "The agent's own certificate for the brokers, in PEM; needs ssl_key_location. Not set: with ssl, the one that the\n\
         control plane has issued, if it has.";
    KAFKA_KEY = "kafka"."ssl_key_location", Kind::Path, None, "\"/etc/axion/kafka.key\"",
        "The private key of that certificate.";
    KAFKA_SASL_MECHANISM = "kafka"."sasl_mechanism",
        Kind::Choice(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]), None, "\"SCRAM-SHA-512\"",
        "How to log in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Needs a sasl_ security_protocol, a username and a password.";
    KAFKA_SASL_USERNAME = "kafka"."sasl_username", Kind::Text, None, "\"edge-7\"",
        "The account.";
    KAFKA_SASL_PASSWORD = "kafka"."sasl_password", Kind::Secret, None, "\"secret\"",
        "Its password. Better in a file of its own: sasl_password_file.";
    KAFKA_LIBRDKAFKA = "kafka"."librdkafka", Kind::Pairs, None, "{ \"socket.connection.setup.timeout.ms\" = \"10000\" }",
        "Handed to librdkafka as they are, for what has no key of its own.";

    DOCKER_HOST = "docker"."host", Kind::Text, Some("unix:///var/run/docker.sock"), "",
        "The engine's Unix socket. Where this is not set, $DOCKER_HOST counts first.";
    DOCKER_LANES = "docker"."lanes", Kind::Number(Unit::Count, 1, 16), Some("2"), "",
        "How many stacks are changed side by side; one stack is always changed by one command at a time.";
    DOCKER_DEPLOY_TIMEOUT = "docker"."deploy_timeout", Kind::Number(Unit::Seconds, 1, DAY), Some("15m"), "",
        "How long a command may take that names no time of its own.";
    DOCKER_PULL_TIMEOUT = "docker"."pull_timeout", Kind::Number(Unit::Seconds, 1, DAY), Some("10m"), "",
        "How long a node may prepare a task, which is to pull its image, before the command fails.";
    DOCKER_SWARM_AUTO_INIT = "docker"."swarm_auto_init", Kind::Flag, Some("false"), "",
        "Whether the first command for a stack makes a swarm of an engine that is in none. Otherwise it is refused.";
    DOCKER_REVISIONS = "docker"."revisions", Kind::Number(Unit::Count, 1, 100), Some("5"), "",
        "How many good revisions of each stack are kept, to return to.";
    DOCKER_REMOVE_OLD_IMAGES = "docker"."remove_old_images", Kind::Flag, Some("true"), "",
        "Whether a deploy removes from this node what earlier deploys have pulled by digest and no container, service or revision needs.";
    DOCKER_REGISTRIES = "docker"."registries", Kind::Registries, None,
        "{ \"registry.example.com:5000\" = { username = \"puller\", password = \"secret\" } }",
        "Logins at registries, also as [docker.registries.\"HOST\"] with username and password (or password_file).\n\
         A command's own logins come first.";

    HEALTH_BIND = "health"."bind", Kind::Text, Some("127.0.0.1"), "",
        "The address of the health pages. They ask for no password: keep them on the loopback or a private network.";
    HEALTH_PORT = "health"."port", Kind::Number(Unit::Count, 1, 65535), Some("9469"), "",
        "Their port.";

    HEALTH_CHECK_INTERVAL = "health"."check_interval", Kind::Number(Unit::Seconds, 1, HOUR), Some("30s"), "",
        "How often the engine is asked for a sign of life while it says nothing, and the free space, the threads and what waits for\n\
         the brokers are looked at.";
    HEALTH_TIMEOUT = "health"."timeout", Kind::Number(Unit::Seconds, 1, 5 * MINUTE), Some("10s"), "",
        "How long its answer may take.";
    HEALTH_FAILURES = "health"."failure_threshold", Kind::Number(Unit::Count, 1, 100), Some("3"), "",
        "After so many failures in a row the engine counts as away; the first ones follow each other within seconds. A link that has\n\
         worked makes the agent not ready after so many failures, or when it is down for so many check_intervals.";

    TELEMETRY_ENABLED = "telemetry"."enabled", Kind::Flag, Some("true"), "",
        "Whether the agent measures the host, its containers and itself, shows that on /metrics and reports it to the control\n\
         plane. What it counts of its own work is on /metrics in any case.";
    TELEMETRY_INTERVAL = "telemetry"."interval_seconds", Kind::Number(Unit::Seconds, 1, HOUR), Some("10"), "",
        "The time between two samples; in reports no less than that between heartbeats.";
    TELEMETRY_BATCH = "telemetry"."batch_size", Kind::Number(Unit::Count, 1, 10_000), Some("500"), "",
        "How many samples go to the control plane at once; a report goes out behind every tenth heartbeat, or when there\n\
         are so many.";
    TELEMETRY_SEND_TIMEOUT = "telemetry"."send_timeout", Kind::Number(Unit::Seconds, 1, 5 * MINUTE), Some("5"), "",
        "The longest time that sending them may take.";
    TELEMETRY_CONTAINERS = "telemetry"."containers", Kind::Flag, Some("true"), "",
        "Whether each container is measured too.";
    TELEMETRY_KAFKA = "telemetry"."kafka", Kind::Flag, Some("false"), "",
        "Whether what is reported also goes to the event topic with each sample, as MetricsReport.";

    UPDATE_ENABLED = "update"."enabled", Kind::Flag, Some("false"), "",
        "Whether the agent looks for other versions of itself, and installs one when it is told to. Without it Update is\n\
         refused.";
    UPDATE_CHANNEL = "update"."channel", Kind::Text, Some("stable"), "",
        "Which releases it follows.";
    UPDATE_MANIFEST = "update"."manifest_url", Kind::Text, None, "\"https://releases.example.com/axion-agent/stable.json\"",
        "Where the signed manifest is, where the control plane offers none.";
    UPDATE_KEYS = "update"."public_keys", Kind::List, None, "[\"release-1:BASE64\"]",
        "The release keys: a manifest is believed if one of them has signed it. None of them should sign commands, too.\n\
         ID:BASE64, with ;from=TIME and ;until=TIME behind it where a key counts for a time alone.";
    UPDATE_CHECK_INTERVAL = "update"."check_interval", Kind::Number(Unit::Seconds, MINUTE, 30 * DAY), Some("1h"), "",
        "How often it asks, a tenth more or less.";
    UPDATE_DOWNLOAD_TIMEOUT = "update"."download_timeout", Kind::Number(Unit::Seconds, 1, DAY), Some("5m"), "",
        "The longest time that a download may take.";
    UPDATE_INSTALL_TIMEOUT = "update"."install_timeout", Kind::Number(Unit::Seconds, 1, HOUR), Some("1m"), "",
        "The longest time that the helper may take to install.";
    UPDATE_ROLLBACK = "update"."rollback_on_failure", Kind::Flag, Some("true"), "",
        "Whether the version before comes back when the new one does not become healthy.";
    UPDATE_BACKUPS = "update"."max_backups", Kind::Number(Unit::Count, 1, 10), Some("2"), "",
        "How many versions stay beside the current one.";
    UPDATE_HEALTH_WINDOW = "update"."health_window", Kind::Number(Unit::Seconds, 1, HOUR), Some("2m"), "",
        "For how long a new version must be ready without a break before it counts. It has three times as long, and a\n\
         minute, for that.";
    UPDATE_VERSIONS = "update"."versions_dir", Kind::Path, Some("/var/lib/axion-agent-versions"), "",
        "Where root's helper installs versions. Where it is not there, as in a container, Update is refused.";

    LOGGING_LEVEL = "logging"."level", Kind::Levels, Some("info"), "",
        "What is logged at all: off, error, warn, info, debug or trace. Also by module, as env_logger has it:\n\
         \"info,axion_agent::docker=debug\". Other crates are shown to info at the most.";
    LOGGING_FORMAT = "logging"."format", Kind::Choice(&["auto", "text", "json"]), Some("auto"), "",
        "text for people, json with one object a line for machines; auto is text on a terminal, else json. Where systemd's\n\
         journal reads it, each line has its priority.";

    SECURITY_CA = "security"."tls_ca_location", Kind::Path, None, "\"/etc/axion/ca.pem\"",
        "A private CA, in PEM, for whatever has none of its own: the control plane, the brokers and releases. Not set: the\n\
         system's bundle. Registries are reached by the engine, which has its own.";
    SECURITY_MIN_TLS = "security"."min_tls_version", Kind::Choice(&["1.2", "1.3"]), Some("1.2"), "",
        "The oldest version of TLS that is spoken: 1.2 or 1.3. Refused where a library cannot keep to it.";
    SECURITY_REQUIRE_SIGNED = "security"."require_signed_commands", Kind::Flag, None, "true",
        "Whether commands of Kafka and of the control plane that are not signed are refused, as signature.missing. Not set:\n\
         as soon as there are keys. Those of the local socket are never signed: its permissions say who may speak.";
    SECURITY_COMMAND_KEYS = "security"."command_public_keys", Kind::List, None, "[\"ops-1:BASE64\"]",
        "The keys that commands may be signed with, as `axion-agent keys generate` prints them: a name, the number of the key among\n\
         those of that name (its epoch), and the key. To change a key, list both until nobody signs with the old one. A key that\n\
         counts for a time alone has ;from=TIME or ;until=TIME behind it. Not set: those that enrolment brought, if it did.";
    SECURITY_ALLOWED = "security"."allowed_commands", Kind::List, None, "[\"Deploy\", \"Scale\", \"GetStatus\", \"HealthCheck\"]",
        "The command types that this host takes; any other is refused as command.not_allowed. Not set: all.";
    SECURITY_DOCKER_POLICY = "security"."docker_policy", Kind::Table, None, "{}",
        "What a stack may ask of this host. Not in this version yet: refused.";

    NETWORK_PROXY = "network"."https_proxy", Kind::Secret, None, "\"http://proxy.example.com:3128\"",
        "The HTTP proxy for what is spoken with TLS: the control plane and releases. Kafka cannot use one.\n\
         http://user:password@host:port logs in. Where this is not set, $https_proxy and $HTTPS_PROXY count; an empty text means none.";
    NETWORK_NO_PROXY = "network"."no_proxy", Kind::List, None, "[\"localhost\", \".example.com\", \"10.0.0.0/8\"]",
        "Hosts, domains, addresses and networks that are reached without it; * is all of them. Where this is not set,\n\
         $no_proxy and $NO_PROXY count.";

    LIMITS_MESSAGE = "limits"."max_message_bytes", Kind::Number(Unit::Bytes, 64 * KIB, 16 * MIB), Some("1MiB"), "",
        "The largest command that is read, and the largest record that is written.";
    LIMITS_AGE = "limits"."max_command_age", Kind::Number(Unit::Seconds, MINUTE, 30 * DAY), Some("24h"), "",
        "A command without an expiry that is older than this is refused as stale.";
    LIMITS_FREE_DISK = "limits"."min_free_disk", Kind::Number(Unit::Bytes, 0, 1024 * GIB), Some("64MiB"), "",
        "With less free space than this where the journal is, new commands are refused as journal.full, but for those\n\
         that only read, cancel or remove.";
    LIMITS_JOURNAL = "limits"."journal_size", Kind::Number(Unit::Bytes, 16 * MIB, 1024 * GIB), Some("512MiB"), "",
        "With more than this in the journal the same holds. Revisions of stacks take most of it: see docker.revisions.";

    LOCAL_ENABLED = "local"."enabled", Kind::Flag, Some("true"), "",
        "Whether the local command line can speak to the agent.";
    LOCAL_SOCKET = "local"."ipc_socket_path", Kind::Path, Some("/run/axion-agent/agent.sock"), "",
        "Over which socket.";
    LOCAL_MODE = "local"."ipc_socket_mode", Kind::Mode, Some("0660"), "",
        "Who may connect to it, as permissions in octal.";
    LOCAL_GROUP = "local"."ipc_group", Kind::Text, None, "\"axion\"",
        "The group of the socket. Not set: the agent's own.";
}

/// What each section is for.
pub(super) static SECTIONS: &[(&str, &str)] = &[
    ("agent", "Who this agent is, and where it keeps what it must not forget."),
    ("control_plane", "The control plane, over gRPC. Without it and without Kafka the agent runs in local mode."),
    ("kafka", "Commands in, events out."),
    ("docker", "The Docker Engine."),
    ("health", "The health pages over HTTP: /health, /livez, /readyz, /metrics and / for people."),
    ("telemetry", "What is measured and reported."),
    ("update", "Self-update."),
    ("logging", "The log, on standard error."),
    ("security", "Whom to trust with what."),
    ("network", "The way out."),
    ("limits", "What is too much."),
    ("local", "The local command line, over a Unix socket."),
];

/// Variables that other programs read too. They count where nothing else sets their key; the first of a key wins.
pub(super) static SHARED_VARIABLES: &[(&str, &Key)] = &[
    ("DOCKER_HOST", &DOCKER_HOST),
    ("https_proxy", &NETWORK_PROXY),
    ("HTTPS_PROXY", &NETWORK_PROXY),
    ("no_proxy", &NETWORK_NO_PROXY),
    ("NO_PROXY", &NETWORK_NO_PROXY),
];

/// Keys that count when the process starts and not when it reloads: what they name is held open, or others know
/// the agent by it. All the others are taken over by a reload.
pub(super) static AFTER_RESTART: &[&Key] = &[
    &AGENT_ID,
    &AGENT_STATE_DIR,
    &CONTROL_PLANE_URL,
    &KAFKA_BROKERS,
    &KAFKA_COMMAND_TOPIC,
    &KAFKA_EVENT_TOPIC,
    &KAFKA_DEAD_LETTER_TOPIC,
    &KAFKA_CONSUMER_GROUP,
    &KAFKA_EVENTS,
    &DOCKER_HOST,
    &DOCKER_LANES,
    &HEALTH_BIND,
    &HEALTH_PORT,
    &HEALTH_CHECK_INTERVAL,
    &LOCAL_ENABLED,
    &LOCAL_SOCKET,
    &LOCAL_MODE,
    &LOCAL_GROUP,
    &UPDATE_ENABLED,
    &UPDATE_CHANNEL,
    &UPDATE_MANIFEST,
    &UPDATE_KEYS,
    &UPDATE_CHECK_INTERVAL,
    &UPDATE_DOWNLOAD_TIMEOUT,
    &UPDATE_INSTALL_TIMEOUT,
    &UPDATE_ROLLBACK,
    &UPDATE_BACKUPS,
    &UPDATE_HEALTH_WINDOW,
    &UPDATE_VERSIONS,
];

/// What a name in the file or the environment stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lookup {
    /// A key.
    Known(&'static Key),
    /// A secret key in its `NAME_file` form.
    SecretFile(&'static Key),
    /// Nothing.
    Unknown,
}

/// Looks a key up.
pub(super) fn look_up(section: &str, name: &str) -> Lookup {
    let find = |name: &str| KEYS.iter().find(|key| key.section == section && key.name == name).copied();
    if let Some(key) = find(name) {
        return Lookup::Known(key);
    }
    if let Some(key) = name.strip_suffix("_file").and_then(find)
        && key.kind == Kind::Secret
    {
        return Lookup::SecretFile(key);
    }
    Lookup::Unknown
}

/// Whether the section is known.
pub(super) fn is_section(section: &str) -> bool {
    SECTIONS.iter().any(|(known, _)| *known == section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_has_a_section_a_text_and_a_value_to_show() {
        let mut seen = BTreeSet::new();
        for key in KEYS {
            assert!(seen.insert(key.dotted()), "{} twice", key.dotted());
            assert!(SECTIONS.iter().any(|(section, _)| *section == key.section), "{}", key.dotted());
            assert!(key.doc.ends_with('.'), "{}", key.dotted());
            assert_ne!(key.default.is_some(), !key.example.is_empty(), "{}: a default or an example", key.dotted());
        }
    }

    #[test]
    fn only_secrets_have_a_file_form() {
        assert!(matches!(look_up("agent", "token_file"), Lookup::SecretFile(_)));
        assert!(matches!(look_up("agent", "name_file"), Lookup::Unknown));
        assert!(matches!(look_up("control_plane", "ca_file"), Lookup::Known(_)));
        assert!(matches!(look_up("kafka", "broker"), Lookup::Unknown));
    }
}
