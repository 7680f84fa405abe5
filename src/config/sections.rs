//! Builds each section of [`Config`] and checks what one key alone cannot say: which keys need each
//! other and which exclude each other.

use super::keys::*;
use super::later;
use super::reader::Reader;
use super::updates;
use super::values::{GrpcUrl, Topic, TopicTemplate, Transport, docker_socket, host_and_port};
use super::{
    Agent, ClientIdentity, Config, Containers, ControlPlane, Direct, Docker, EventMode, Given, Health, Kafka, Limits, Local, MetricsEvents,
    Network, OldImages, Proxy, Sasl, Security, SwarmAutoInit, Telemetry, TlsVersion, Unsigned, nearest,
};
use crate::domain::{Action, AgentId, Sensitive};
use crate::logging;
use crate::signing::{Keys, PublicKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What librdkafka is told by the agent alone: other values would break what it promises.
const OWN_LIBRDKAFKA: &[&str] = &[
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "transactional.id",
];

/// With this begin the properties of the broker that librdkafka brings for its own tests: the static binary is linked without it.
const TEST_LIBRDKAFKA: &str = "test.";

/// While a key is changed there are the old one and the new one; more have been forgotten.
const EPOCHS: usize = 2;

/// The whole. Where something is wrong, the reader has noted it.
pub(super) fn config(reader: &mut Reader) -> Config {
    later::check(reader);
    let config = Config {
        agent: agent(reader),
        control_plane: control_plane(reader),
        kafka: kafka(reader),
        docker: docker(reader),
        health: health(reader),
        telemetry: telemetry(reader),
        update: updates::update(reader),
        logging: logging(reader),
        security: security(reader),
        network: network(reader),
        limits: Limits {
            max_message_bytes: usize::try_from(reader.number(&LIMITS_MESSAGE)).unwrap_or(usize::MAX),
            max_command_age: seconds(reader, &LIMITS_AGE),
            min_free_disk: reader.number(&LIMITS_FREE_DISK),
            journal_size: reader.number(&LIMITS_JOURNAL),
        },
        local: local(reader),
        warnings: Vec::new(),
        ignored: Vec::new(),
        given: Given::default(),
    };
    check_tls(reader, &config);
    updates::check_keys(reader, &config);
    config
}

/// A version of TLS that a library cannot be held to is refused, rather than promised.
fn check_tls(reader: &mut Reader, config: &Config) {
    if config.security.min_tls == TlsVersion::V1_2 {
        return;
    }
    if config.control_plane.as_ref().is_some_and(|section| section.url.transport == Transport::Tls) {
        reader.refuse(&SECURITY_MIN_TLS, "gRPC cannot be held to TLS 1.3: let the control plane take nothing older, and remove this");
    }
    if config.kafka.security_protocol.ends_with("ssl") {
        let mend = "let the brokers take nothing older (ssl.enabled.protocols=TLSv1.3), and remove this";
        reader.refuse(&SECURITY_MIN_TLS, format!("librdkafka cannot be held to TLS 1.3: {mend}"));
    }
}

pub(super) fn seconds(reader: &mut Reader, key: &Key) -> Duration {
    Duration::from_secs(reader.number(key))
}

pub(super) fn count(reader: &mut Reader, key: &Key) -> usize {
    usize::try_from(reader.number(key)).unwrap_or(usize::MAX)
}

fn agent(reader: &mut Reader) -> Agent {
    let state_dir = state_dir(reader);
    let token_file = reader.secret_file(&AGENT_TOKEN);
    // The agent removes a token from its own directory once it has done its work.
    let used_up = token_file.as_ref().is_some_and(|path| path.starts_with(&state_dir) && !path.exists());
    Agent {
        token: if used_up { None } else { reader.secret(&AGENT_TOKEN) },
        token_file,
        id: reader.parsed(&AGENT_ID, |text| AgentId::new(text).map_err(|error| error.to_string())),
        name: reader.text(&AGENT_NAME),
        labels: reader.pairs(&AGENT_LABELS),
        state_dir,
    }
}

fn state_dir(reader: &mut Reader) -> PathBuf {
    not_empty(reader, &AGENT_STATE_DIR);
    reader.path(&AGENT_STATE_DIR).unwrap_or_default()
}

fn control_plane(reader: &mut Reader) -> Option<ControlPlane> {
    let url = reader.parsed(&CONTROL_PLANE_URL, GrpcUrl::parse);
    let rest = ControlPlaneRest {
        timeout: seconds(reader, &CONTROL_PLANE_TIMEOUT),
        heartbeat_interval: seconds(reader, &CONTROL_PLANE_HEARTBEAT),
        ca_file: reader.file(&CONTROL_PLANE_CA),
        client_identity: client_identity(reader, &CONTROL_PLANE_CERT, &CONTROL_PLANE_KEY),
    };
    let Some(url) = url else {
        for key in [&AGENT_TOKEN, &CONTROL_PLANE_CA, &CONTROL_PLANE_CERT] {
            if reader.is_set(key) && !reader.is_set(&CONTROL_PLANE_URL) {
                reader.warn(key, "has no effect without control_plane.grpc_url");
            }
        }
        return None;
    };
    let ControlPlaneRest { timeout, heartbeat_interval, ca_file, client_identity } = rest;
    Some(ControlPlane { url, timeout, heartbeat_interval, ca_file, client_identity })
}

/// Read even where there is no control plane, so that mistakes show.
struct ControlPlaneRest {
    timeout: Duration,
    heartbeat_interval: Duration,
    ca_file: Option<PathBuf>,
    client_identity: Option<ClientIdentity>,
}

fn client_identity(reader: &mut Reader, certificate_key: &Key, key_key: &Key) -> Option<ClientIdentity> {
    match (reader.file(certificate_key), reader.file(key_key)) {
        (Some(certificate), Some(key)) => Some(ClientIdentity { certificate, key }),
        (Some(_), None) if !reader.is_set(key_key) => {
            reader.refuse(certificate_key, format!("needs {}", key_key.dotted()));
            None
        }
        (None, Some(_)) if !reader.is_set(certificate_key) => {
            reader.refuse(key_key, format!("needs {}", certificate_key.dotted()));
            None
        }
        _ => None,
    }
}

fn kafka(reader: &mut Reader) -> Kafka {
    let brokers = brokers(reader);
    if brokers.is_empty() && !reader.is_set(&CONTROL_PLANE_URL) {
        for key in [&KAFKA_PROTOCOL, &KAFKA_ENABLE_SSL, &KAFKA_SASL_MECHANISM] {
            if reader.is_set(key) {
                reader.warn(key, "has no effect without kafka.brokers");
            }
        }
    }
    Kafka {
        brokers,
        command_topic: topic(reader, &KAFKA_COMMAND_TOPIC),
        event_topic: topic(reader, &KAFKA_EVENT_TOPIC),
        dead_letter_topic: topic(reader, &KAFKA_DEAD_LETTER_TOPIC),
        consumer_group: template(reader, &KAFKA_CONSUMER_GROUP, TopicTemplate::group),
        events: events(reader),
        sasl: sasl(reader),
        security_protocol: security_protocol(reader).to_owned(),
        ca: reader.file(&KAFKA_CA),
        client_identity: client_identity(reader, &KAFKA_CERT, &KAFKA_KEY),
        librdkafka: librdkafka(reader),
    }
}

/// Exactly-once reads the topic back, and fences every other who writes to it under this id: it must be the agent's own.
fn events(reader: &mut Reader) -> EventMode {
    let mode = match reader.choice(&KAFKA_EVENTS) {
        Some("at-least-once") => EventMode::AtLeastOnce,
        _ => EventMode::ExactlyOnce,
    };
    if mode == EventMode::ExactlyOnce && !template(reader, &KAFKA_EVENT_TOPIC, TopicTemplate::topic).names_agent() {
        reader
            .refuse(&KAFKA_EVENT_TOPIC, "needs {agent_id} in it, since kafka.events is exactly-once: each agent reads back its own topic");
    }
    mode
}

fn topic(reader: &mut Reader, key: &Key) -> Topic {
    let template = template(reader, key, TopicTemplate::topic);
    if reader.is_set(key) { Topic::Chosen(template) } else { Topic::Default(template) }
}

fn template(reader: &mut Reader, key: &Key, parse: fn(&str) -> Result<TopicTemplate, String>) -> TopicTemplate {
    not_empty(reader, key);
    reader.parsed(key, parse).unwrap_or_default()
}

/// A key without which there is nothing: an empty text would not mean its default.
pub(super) fn not_empty(reader: &mut Reader, key: &Key) {
    if reader.place(key) != super::Place::Default && !reader.is_set(key) {
        reader.refuse(key, "is empty: remove it for the default");
    }
}

fn brokers(reader: &mut Reader) -> Vec<String> {
    let mut brokers = Vec::new();
    for text in reader.list(&KAFKA_BROKERS) {
        match host_and_port(&text, 9092) {
            Ok(broker) => brokers.push(broker),
            Err(message) => reader.refuse(&KAFKA_BROKERS, message),
        }
    }
    brokers
}

fn sasl(reader: &mut Reader) -> Option<Sasl> {
    let mechanism = reader.choice(&KAFKA_SASL_MECHANISM);
    let username = reader.text(&KAFKA_SASL_USERNAME);
    let password = reader.secret(&KAFKA_SASL_PASSWORD);
    if let (Some(mechanism), Some(username), Some(password)) = (mechanism, username, password) {
        return Some(Sasl { mechanism: mechanism.to_owned(), username, password });
    }
    let keys = [&KAFKA_SASL_MECHANISM, &KAFKA_SASL_USERNAME, &KAFKA_SASL_PASSWORD];
    let given = keys.into_iter().find(|key| reader.is_set(key));
    let missing: Vec<_> = keys.into_iter().filter(|key| !reader.is_set(key)).map(|key| key.dotted()).collect();
    if let Some(given) = given
        && !missing.is_empty()
    {
        reader.refuse(given, format!("needs {}", missing.join(" and ")));
    }
    None
}

/// `security_protocol`, or what its older spelling means; checked against what depends on it.
fn security_protocol(reader: &mut Reader) -> &'static str {
    let logs_in = reader.is_set(&KAFKA_SASL_MECHANISM);
    let older = reader.flag(&KAFKA_ENABLE_SSL).map(|tls| match (tls, logs_in) {
        (true, true) => "sasl_ssl",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (false, false) => "plaintext",
    });
    let given = reader.choice(&KAFKA_PROTOCOL);
    if let (Some(given), Some(older)) = (given, older)
        && given.ends_with("ssl") != older.ends_with("ssl")
    {
        reader.refuse(&KAFKA_ENABLE_SSL, format!("contradicts security_protocol = {given:?}: remove the older spelling"));
    }
    let protocol = given.or(older).unwrap_or("plaintext");
    if logs_in && !protocol.starts_with("sasl_") {
        reader.refuse(&KAFKA_SASL_MECHANISM, format!("needs security_protocol = \"sasl_ssl\" (or \"sasl_plaintext\"); it is {protocol}"));
    }
    if !logs_in && protocol.starts_with("sasl_") {
        reader.refuse(&KAFKA_PROTOCOL, format!("{protocol} needs kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password"));
    }
    if !protocol.ends_with("ssl") {
        for key in [&KAFKA_CA, &KAFKA_CERT, &KAFKA_KEY] {
            if reader.is_set(key) {
                reader.refuse(key, format!("needs TLS: security_protocol is {protocol}, and should be ssl or sasl_ssl"));
            }
        }
    }
    if protocol == "sasl_plaintext" {
        reader.warn(&KAFKA_SASL_MECHANISM, "logs in without TLS: the network can read along");
    }
    protocol
}

fn librdkafka(reader: &mut Reader) -> Vec<(String, Sensitive<String>)> {
    let pairs: Vec<_> = reader.pairs(&KAFKA_LIBRDKAFKA).into_iter().collect();
    for (name, _) in &pairs {
        if OWN_LIBRDKAFKA.contains(&name.as_str()) {
            reader.refuse(&KAFKA_LIBRDKAFKA, format!("{name} is set by the agent itself: remove it"));
        } else if name.starts_with(TEST_LIBRDKAFKA) {
            reader.refuse(&KAFKA_LIBRDKAFKA, format!("{name} is for tests of librdkafka, whose broker is not in this program: remove it"));
        }
    }
    pairs.into_iter().map(|(name, value)| (name, Sensitive::new(value))).collect()
}

fn docker(reader: &mut Reader) -> Docker {
    not_empty(reader, &DOCKER_HOST);
    Docker {
        socket: reader.parsed(&DOCKER_HOST, docker_socket).unwrap_or_default(),
        lanes: count(reader, &DOCKER_LANES),
        deploy_timeout: seconds(reader, &DOCKER_DEPLOY_TIMEOUT),
        pull_timeout: seconds(reader, &DOCKER_PULL_TIMEOUT),
        swarm_auto_init: if reader.switch(&DOCKER_SWARM_AUTO_INIT) { SwarmAutoInit::On } else { SwarmAutoInit::Off },
        revisions: count(reader, &DOCKER_REVISIONS),
        old_images: if reader.switch(&DOCKER_REMOVE_OLD_IMAGES) { OldImages::Go } else { OldImages::Stay },
        registries: reader.registries(&DOCKER_REGISTRIES),
    }
}

fn health(reader: &mut Reader) -> Health {
    let parse = |text: &str| {
        text.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| format!("{text:?} is not an IP address such as 127.0.0.1 or ::1"))
    };
    let bind = reader.parsed(&HEALTH_BIND, parse).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Health {
        bind: SocketAddr::new(bind, u16::try_from(reader.number(&HEALTH_PORT)).unwrap_or(u16::MAX)),
        check_interval: seconds(reader, &HEALTH_CHECK_INTERVAL),
        timeout: seconds(reader, &HEALTH_TIMEOUT),
        failure_threshold: u32::try_from(reader.number(&HEALTH_FAILURES)).unwrap_or(u32::MAX),
    }
}

fn telemetry(reader: &mut Reader) -> Option<Telemetry> {
    let telemetry = Telemetry {
        interval: seconds(reader, &TELEMETRY_INTERVAL),
        batch_size: count(reader, &TELEMETRY_BATCH),
        send_timeout: seconds(reader, &TELEMETRY_SEND_TIMEOUT),
        containers: if reader.switch(&TELEMETRY_CONTAINERS) { Containers::Measured } else { Containers::LeftOut },
        events: if reader.switch(&TELEMETRY_KAFKA) { MetricsEvents::Sent } else { MetricsEvents::None },
    };
    reader.switch(&TELEMETRY_ENABLED).then_some(telemetry)
}

fn logging(reader: &mut Reader) -> logging::Settings {
    let format = match reader.choice(&LOGGING_FORMAT) {
        Some("text") => logging::Format::Text,
        Some("json") => logging::Format::Json,
        _ => logging::Format::Auto,
    };
    logging::Settings { level: reader.levels(&LOGGING_LEVEL), format }
}

fn security(reader: &mut Reader) -> Security {
    let min_tls = if reader.choice(&SECURITY_MIN_TLS) == Some("1.3") { TlsVersion::V1_3 } else { TlsVersion::V1_2 };
    let command_keys = public_keys(reader, &SECURITY_COMMAND_KEYS);
    Security {
        ca: reader.file(&SECURITY_CA),
        min_tls,
        allowed_commands: allowed_commands(reader),
        unsigned: unsigned(reader),
        command_keys,
    }
}

/// Keys that something may be signed with.
fn public_keys(reader: &mut Reader, key: &Key) -> Keys {
    let mut keys = Keys::default();
    for (index, text) in reader.list(key).iter().enumerate() {
        if let Err(error) = PublicKey::parse(text).and_then(|public| keys.add(public)) {
            reader.refuse_item(key, index, error.to_string());
        }
    }
    let mut epochs: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for public in keys.iter() {
        epochs.entry(public.id.name()).or_default().insert(public.id.epoch());
    }
    for (name, epochs) in epochs.iter().filter(|(_, epochs)| epochs.len() > EPOCHS) {
        let listed = epochs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        reader.warn(key, format!("{name} has the epochs {listed}: remove those that nobody signs with any more"));
    }
    keys
}

/// A control plane may give the keys at enrolment; without one only the configuration can.
fn unsigned(reader: &mut Reader) -> Option<Unsigned> {
    let required = reader.flag(&SECURITY_REQUIRE_SIGNED);
    if required == Some(true) && !reader.is_set(&SECURITY_COMMAND_KEYS) && !reader.is_set(&CONTROL_PLANE_URL) {
        let mend = "list the keys of those who may sign there, or remove this";
        reader.refuse(&SECURITY_REQUIRE_SIGNED, format!("needs security.command_public_keys, without which nobody could command: {mend}"));
    }
    required.map(|required| if required { Unsigned::Refused } else { Unsigned::Taken })
}

/// Which kinds of command this host takes, if it says so at all.
fn allowed_commands(reader: &mut Reader) -> Option<BTreeSet<&'static str>> {
    not_empty(reader, &SECURITY_ALLOWED);
    if !reader.is_set(&SECURITY_ALLOWED) {
        return None;
    }
    let mut allowed = BTreeSet::new();
    for name in reader.list(&SECURITY_ALLOWED) {
        match Action::NAMES.iter().find(|known| **known == name) {
            Some(known) => drop(allowed.insert(*known)),
            None => {
                let near = nearest(&name, Action::NAMES.iter().copied());
                let hint = near.map_or_else(|| format!("they are {}", Action::NAMES.join(", ")), |near| format!("did you mean {near}?"));
                reader.refuse(&SECURITY_ALLOWED, format!("{name:?} is no command type; {hint}"));
            }
        }
    }
    if allowed.is_empty() {
        reader.warn(&SECURITY_ALLOWED, "names no command: every one is refused");
    }
    Some(allowed)
}

fn local(reader: &mut Reader) -> Option<Local> {
    let local = Local {
        socket: reader.path(&LOCAL_SOCKET).unwrap_or_default(),
        mode: reader.mode(&LOCAL_MODE),
        group: reader.text(&LOCAL_GROUP).filter(|group| !group.is_empty()),
    };
    reader.switch(&LOCAL_ENABLED).then_some(local)
}

fn network(reader: &mut Reader) -> Network {
    let https_proxy = reader.secret(&NETWORK_PROXY).and_then(|url| match Proxy::parse(url.reveal()) {
        Ok(proxy) => Some(proxy),
        Err(message) => {
            reader.refuse(&NETWORK_PROXY, message);
            None
        }
    });
    let mut no_proxy = Vec::new();
    for text in reader.list(&NETWORK_NO_PROXY) {
        match Direct::parse(&text) {
            Ok(direct) => no_proxy.push(direct),
            // Others put paths of sockets there, for instance: their variable is no mistake of this configuration.
            Err(message) if reader.is_shared(&NETWORK_NO_PROXY) => reader.warn(&NETWORK_NO_PROXY, format!("{message}: skipped")),
            Err(message) => reader.refuse(&NETWORK_NO_PROXY, message),
        }
    }
    Network { https_proxy, no_proxy }
}
