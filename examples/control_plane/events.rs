//! An agent's event topic, read as a control plane reads it: committed records only, in order.

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::Offset;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the broker may take to answer about a topic.
const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// The topic could not be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("topic {0} has no partition yet")]
    NoPartition(String),
}

/// The body of an event record (contract: one JSON object per record).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventRecord {
    pub event_id: Uuid,
    pub event_type: String,
    pub terminal: bool,
    pub payload: Value,
    pub correlation_id: Option<Uuid>,
    /// The command that it answers.
    pub causation_id: Option<Uuid>,
    /// That of the command.
    pub traceparent: Option<String>,
    pub timestamp: String,
    pub agent_id: String,
}

/// One record of any topic.
#[derive(Debug, Clone)]
pub struct RawRecord {
    pub key: Option<String>,
    pub body: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

impl RawRecord {
    /// As an event, if it is one.
    pub fn event(&self) -> Result<EventRecord, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

impl EventRecord {
    /// The stable code of a failure or refusal.
    pub fn code(&self) -> Option<&str> {
        self.payload["details"]["code"].as_str().or_else(|| self.payload["code"].as_str())
    }

    pub fn message(&self) -> &str {
        self.payload["message"].as_str().unwrap_or_default()
    }
}

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Beginning,
    /// After the newest record.
    End,
}

/// Reads one topic, all of its partitions.
pub struct TopicReader {
    consumer: BaseConsumer,
}

impl TopicReader {
    /// # Errors
    /// When the topic does not exist or the broker is away.
    pub fn open(brokers: &str, topic: &str, start: Start) -> Result<Self, EventError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            // Required by assign(), never used: nothing is committed.
            .set("group.id", format!("control-plane-{}", Uuid::new_v4()))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "true")
            .set("fetch.wait.max.ms", "100")
            // A broker that comes back is used within seconds, not after a minute.
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.connection.setup.timeout.ms", "3000")
            .set("socket.timeout.ms", "10000")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(topic), ASK_TIMEOUT)?;
        let partitions = metadata.topics().iter().filter(|known| known.name() == topic).flat_map(|known| known.partitions());
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            let offset = match start {
                Start::Beginning => Offset::Beginning,
                // The number now, not Offset::End, which means the end at the first fetch.
                Start::End => Offset::Offset(consumer.fetch_watermarks(topic, partition.id(), ASK_TIMEOUT)?.1),
            };
            assignment.add_partition_offset(topic, partition.id(), offset)?;
        }
        if assignment.count() == 0 {
            return Err(EventError::NoPartition(topic.to_owned()));
        }
        consumer.assign(&assignment)?;
        Ok(Self { consumer })
    }

    /// The next record, or None when none came in `span`. A broker that is away is waited for.
    pub fn next(&self, span: Duration) -> Result<Option<RawRecord>, EventError> {
        let end = Instant::now() + span;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.consumer.poll(left) {
                None => return Ok(None),
                Some(Ok(message)) => return Ok(Some(copy(&message))),
                // librdkafka reconnects by itself; its errors are news, not the end.
                Some(Err(KafkaError::MessageConsumption(_))) if !left.is_zero() => {}
                Some(Err(error)) => return Err(error.into()),
            }
        }
    }
}

fn copy(message: &impl Message) -> RawRecord {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map(|headers| headers.iter().filter_map(|one| Some((one.key.to_owned(), text(one.value?)))).collect());
    RawRecord { key: message.key().map(text), body: message.payload().unwrap_or_default().to_vec(), headers: headers.unwrap_or_default() }
}
