//! Settings → the configuration of the two clients. Pure, apart from making librdkafka's object and looking whether a
//! certificate has been issued.
//!
//! An error names the key of the agent's own configuration, and never repeats a password.

use super::native::{Config, Kind, Refused};
use super::trouble::{Trouble, TroubleCode};
use super::{EventMode, Settings};
use crate::threads::Backoff;
use std::path::Path;
use std::time::Duration;

/// A client cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// A key of the configuration has a value that librdkafka does not take.
    #[error("{key}: {reason}")]
    Setting {
        /// The key.
        key: String,
        /// librdkafka's words.
        reason: String,
    },
    /// A key of the pass-through table that the agent's promises rest on.
    #[error("kafka.librdkafka.{0} cannot be set: the agent needs its own value there; remove the line")]
    Reserved(String),
    /// TLS without anything to trust.
    #[error("found no CA bundle of the system: set kafka.ssl_ca_location, or security.tls_ca_location")]
    NoBundle,
    /// A path that librdkafka cannot be told.
    #[error("{0}: the path is not UTF-8")]
    Path(&'static str),
    /// The settings do not fit together, or a file cannot be read.
    #[error("the Kafka client cannot be made: {0}")]
    Client(String),
    /// No further thread.
    #[error("cannot start a thread for Kafka: {0}")]
    Thread(String),
}

impl StartError {
    /// As the link tells it.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        Trouble::new(TroubleCode::SETTING, self.to_string())
    }
}

/// What each client is called in the brokers' logs and quotas.
const CLIENT_ID: &str = "axion-agent";

/// For both. Times in milliseconds.
const COMMON: &[(&str, &str)] = &[
    ("client.id", CLIENT_ID),
    // A dead peer is found by the kernel too, not only by a request that gets no answer.
    ("socket.keepalive.enable", "true"),
    // A broker that answers does so within seconds; a black hole is left after this, plus a fetch's wait.
    ("socket.timeout.ms", "10000"),
    ("socket.connection.setup.timeout.ms", "5000"),
    // A connection that a broker closes without a word says in the log why (`native/witness.rs`); idle ones are left out.
    ("log.connection.close", "true"),
    // Nothing reads the statistics: no timer for them.
    ("statistics.interval.ms", "0"),
    // Leaders change with an error that asks for metadata at once; this is only for what nobody says.
    ("topic.metadata.refresh.interval.ms", "300000"),
];

/// The pause between two tries of a broker that is away, drawn for each client: those of a fleet that lost its brokers
/// in one instant have come apart by their first retry, and more so by each one after it. (librdkafka's own jitter is
/// cut off at the longest pause: two of three clients would come back in step.) The first pause is as long as the
/// last: while no broker answers, librdkafka begins with the first again and again, and its threads wake twice as
/// often. A broker that is back is found within 3 s. A connection that was good for longer is made anew at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1500);
const PAUSE_SPREAD: Duration = Duration::from_millis(1500);

/// For the consumer.
const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    // Out of range is told as a gap and decided here.
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("check.crcs", "true"),
    // Whether anything waits to be read is known only so: what the brokers call the end may be a transaction's mark.
    ("enable.partition.eof", "true"),
    ("allow.auto.create.topics", "false"),
    // A long poll: the broker answers as soon as there is a record, else after this. It is the pulse of an
    // idle consumer; and other requests on the same connection have to wait for its end.
    ("fetch.wait.max.ms", "1000"),
    ("fetch.min.bytes", "1"),
    // Read little ahead: the coordinator's window decides how much is taken in, the topic is the queue.
    ("queued.min.messages", "64"),
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.max.bytes", "4194304"),
    ("fetch.queue.backoff.ms", "100"),
    ("fetch.error.backoff.ms", "500"),
];

/// For the producer.
const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "1"),
    ("compression.type", "lz4"),
    // The partition that a Java producer would choose for the same key.
    ("partitioner", "murmur2_random"),
    // A topic that does not exist is told after this, and tried again.
    ("topic.metadata.propagation.max.ms", "5000"),
];

/// For a producer without transactions.
const AT_LEAST_ONCE: &[(&str, &str)] = &[
    // No time limit: what the coordinator handed over is kept until the broker confirms it.
    ("message.timeout.ms", "0"),
    // The default of 100 ms would slow the retry of a broker that is busy for a moment.
    ("retry.backoff.ms", "50"),
    ("retry.backoff.max.ms", "1000"),
];

/// For one with them.
const EXACTLY_ONCE: &[(&str, &str)] = &[
    // A transaction that somebody died in, or was cut off in, holds up its readers for this long. Records that are
    // not written by then make it void, and are written again in the next one.
    ("transaction.timeout.ms", "60000"),
    ("message.timeout.ms", "60000"),
    // The broker refuses the next transaction until the last one's markers are written, some milliseconds.
    ("retry.backoff.ms", "1"),
    ("retry.backoff.max.ms", "1000"),
];

/// Properties that `[kafka.librdkafka]` may not touch, since the promises of the agent rest on them or
/// they have a key of their own; and those of librdkafka's own test broker, which the static binary is linked without.
const RESERVED: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "message.timeout.ms",
    "metadata.broker.list",
    "request.required.acks",
    "sasl.password",
    "test.mock.broker.rtt",
    "test.mock.num.brokers",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Which key of the agent's configuration stands behind a property.
const KEYS: &[(&str, &str)] = &[
    ("bootstrap.servers", "kafka.brokers"),
    ("group.id", "kafka.consumer_group"),
    ("security.protocol", "kafka.security_protocol"),
    ("ssl.ca.location", "kafka.ssl_ca_location"),
    ("ssl.certificate.location", "kafka.ssl_certificate_location"),
    ("ssl.key.location", "kafka.ssl_key_location"),
    ("sasl.mechanism", "kafka.sasl_mechanism"),
    ("sasl.username", "kafka.sasl_username"),
    ("sasl.password", "kafka.sasl_password"),
    ("message.max.bytes", "limits.max_message_bytes"),
];

/// Room in a record beside its value: key, headers, framing.
const RECORD_OVERHEAD_BYTES: usize = 64 * 1024;

/// The configuration of one client.
pub(super) fn config(kind: Kind, settings: &Settings) -> Result<Config, StartError> {
    if let Some((key, _)) = settings.librdkafka.iter().find(|(key, _)| RESERVED.contains(&key.as_str())) {
        return Err(StartError::Reserved(key.clone()));
    }
    let mut config = Config::new().map_err(named)?;
    let mut set = |property: &str, value: &str| config.set(property, value).map_err(named);
    for (property, value) in COMMON.iter().chain(if kind == Kind::Consumer { CONSUMER } else { PRODUCER }) {
        set(property, value)?;
    }
    let pause = pause().as_millis().to_string();
    set("reconnect.backoff.ms", &pause)?;
    set("reconnect.backoff.max.ms", &pause)?;
    set("bootstrap.servers", &settings.brokers.join(","))?;
    let record = (settings.max_message_bytes + RECORD_OVERHEAD_BYTES).to_string();
    match kind {
        Kind::Consumer => {
            set("group.id", &settings.consumer_group)?;
            set("fetch.message.max.bytes", &record)?;
        }
        Kind::Producer => {
            set("message.max.bytes", &record)?;
            if settings.events == EventMode::ExactlyOnce {
                set("transactional.id", &settings.transactional_id)?;
            }
            for (property, value) in if settings.events == EventMode::ExactlyOnce { EXACTLY_ONCE } else { AT_LEAST_ONCE } {
                set(property, value)?;
            }
        }
    }
    for (property, value) in security(settings)? {
        set(property, &value)?;
    }
    for (property, value) in &settings.librdkafka {
        let passed =
            |refused: Refused| StartError::Setting { key: format!("kafka.librdkafka.{}", refused.property), reason: refused.reason };
        config.set(property, value.reveal()).map_err(passed)?;
    }
    Ok(config)
}

fn pause() -> Duration {
    SHORTEST_PAUSE + Backoff::new(PAUSE_SPREAD, PAUSE_SPREAD).spread(PAUSE_SPREAD)
}

fn security(settings: &Settings) -> Result<Vec<(&'static str, String)>, StartError> {
    let security = &settings.security;
    let mut found = Vec::new();
    if !security.protocol.is_empty() {
        found.push(("security.protocol", security.protocol.to_ascii_lowercase()));
    }
    let tls = security.protocol.to_ascii_lowercase().ends_with("ssl");
    match &security.ca {
        Some(path) => found.push(("ssl.ca.location", utf8(path, "kafka.ssl_ca_location")?)),
        None if tls => return Err(StartError::NoBundle),
        None => {}
    }
    if let Some((certificate, key)) = security.client_files() {
        found.push(("ssl.certificate.location", utf8(certificate, "kafka.ssl_certificate_location")?));
        found.push(("ssl.key.location", utf8(key, "kafka.ssl_key_location")?));
    }
    let login = [
        ("sasl.mechanism", security.sasl_mechanism.clone()),
        ("sasl.username", security.sasl_username.clone()),
        ("sasl.password", security.sasl_password.as_ref().map(|password| password.reveal().clone())),
    ];
    found.extend(login.into_iter().filter_map(|(property, value)| Some((property, value?))));
    Ok(found)
}

fn utf8(path: &Path, key: &'static str) -> Result<String, StartError> {
    path.to_str().map(str::to_owned).ok_or(StartError::Path(key))
}

fn named(refused: Refused) -> StartError {
    let key = KEYS.iter().find(|(property, _)| *property == refused.property).map_or(refused.property.as_str(), |(_, key)| key);
    StartError::Setting { key: key.to_owned(), reason: refused.reason }
}

/// librdkafka's words about a client that cannot be made, with the keys that they are about.
pub(super) fn unusable(reason: String) -> StartError {
    let about = KEYS.iter().find(|(property, _)| reason.contains(property));
    match about {
        Some((_, key)) => StartError::Setting { key: (*key).to_owned(), reason },
        None => StartError::Client(reason),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::native::Client;
    use super::*;
    use crate::domain::{AgentId, Sensitive};
    use crate::kafka::{EventMode, Security};
    use crate::threads::Published;

    pub(in super::super) fn settings() -> Settings {
        Settings {
            // Nobody listens there (port 9, "discard").
            brokers: vec!["127.0.0.1:9".to_owned()],
            command_topic: "commands".to_owned(),
            event_topic: "events".to_owned(),
            dead_letter_topic: "dead".to_owned(),
            consumer_group: "group".to_owned(),
            events: EventMode::AtLeastOnce,
            transactional_id: "agent".to_owned(),
            security: Security::default(),
            librdkafka: Vec::new(),
            max_message_bytes: 1 << 20,
            agent: AgentId::new("a").unwrap(),
            command_keys: Published::default(),
        }
    }

    fn start(kind: Kind, settings: &Settings) -> Result<Client, StartError> {
        Client::new(kind, config(kind, settings)?).map_err(unusable)
    }

    #[test]
    fn both_clients_start_while_no_broker_is_there_and_end_at_once() {
        for kind in [Kind::Consumer, Kind::Producer] {
            drop(start(kind, &settings()).unwrap());
        }
    }

    #[test]
    fn no_two_clients_of_a_fleet_come_back_in_step() {
        let pauses: std::collections::BTreeSet<u128> = (0..200).map(|_| pause().as_millis()).collect();
        assert!(pauses.len() > 100 && pauses.iter().all(|pause| (1500..=3000).contains(pause)), "{pauses:?}");
    }

    #[test]
    fn small_and_large_records_fit_the_other_limits() {
        for max_message_bytes in [1_024, 16 << 20] {
            for kind in [Kind::Consumer, Kind::Producer] {
                assert!(start(kind, &Settings { max_message_bytes, ..settings() }).is_ok(), "{kind:?} {max_message_bytes}");
            }
        }
    }

    #[test]
    fn a_bad_setting_is_named_by_its_key() {
        let pass = |key: &str, value: &str| Settings { librdkafka: vec![(key.to_owned(), Sensitive::new(value.to_owned()))], ..settings() };
        let secure = |security: Security| Settings { security, ..settings() };
        let table = [
            (secure(Security { protocol: "carrier-pigeon".to_owned(), ..Security::default() }), "kafka.security_protocol: "),
            (
                secure(Security { protocol: "ssl".to_owned(), ca: Some("/no/such/ca.pem".into()), ..Security::default() }),
                "kafka.ssl_ca_location: ",
            ),
            (
                secure(Security {
                    protocol: "sasl_plaintext".to_owned(),
                    sasl_mechanism: Some("PIGEON".to_owned()),
                    sasl_username: Some("u".to_owned()),
                    sasl_password: Some(Sensitive::new("hunter2".to_owned())),
                    ..Security::default()
                }),
                "",
            ),
            (pass("no.such.property", "1"), "kafka.librdkafka.no.such.property: "),
            (pass("enable.auto.commit", "true"), "kafka.librdkafka.enable.auto.commit cannot be set"),
        ];
        for (settings, expected) in table {
            let error = start(Kind::Consumer, &settings).err().unwrap().to_string();
            assert!(error.starts_with(expected) && !error.contains("hunter2"), "{error}");
        }
    }
}
