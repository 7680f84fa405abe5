//! Command records: drafted, completed and written to an agent's command topic.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossbeam_channel::{Receiver, Sender, bounded};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// How long a record may take to reach the broker, and a topic to be made.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// One slice of waiting for an acknowledgement.
const POLL: Duration = Duration::from_millis(20);

/// A record could not be made or sent.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
    #[error("the record is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the record is no JSON object")]
    NoObject,
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("the broker took no record within {} s; is it reachable?", SEND_TIMEOUT.as_secs())]
    NotDelivered,
    #[error("topic {0} does not exist and the broker does not make it: {1}")]
    NoTopic(String, String),
}

/// A command before it has ids and times.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub command_type: String,
    pub payload: Map<String, Value>,
    pub command_id: Option<Uuid>,
    pub expires_in: Option<Duration>,
}

impl Draft {
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.payload.insert(key.to_owned(), value.into());
        self
    }

    pub fn set_project(&mut self, project: Option<String>) {
        if let Some(project) = project {
            self.payload.insert("project_id".to_owned(), json!(project));
        }
    }

    /// Sets a field unless it would be empty.
    pub fn set_object(&mut self, key: &str, fields: impl IntoIterator<Item = (String, Value)>) {
        let object: Map<_, _> = fields.into_iter().collect();
        if !object.is_empty() {
            self.payload.insert(key.to_owned(), Value::Object(object));
        }
    }

    /// A file that the Compose file names.
    pub fn ship(&mut self, path: &str, content: &[u8]) {
        let files = self.payload.entry("files").or_insert_with(|| json!({}));
        files[path] = json!(STANDARD.encode(content));
    }

    pub fn record(self) -> Record {
        let mut body = Map::new();
        body.insert("command_type".to_owned(), json!(self.command_type));
        body.insert("payload".to_owned(), Value::Object(self.payload));
        if let Some(id) = self.command_id {
            body.insert("command_id".to_owned(), json!(id));
        }
        if let Some(span) = self.expires_in {
            body.insert("expires_at".to_owned(), json!(rfc3339(SystemTime::now() + span)));
        }
        Record::complete(body)
    }
}

/// A record, ready to be sent.
#[derive(Debug, Clone)]
pub struct Record {
    pub command_id: Option<Uuid>,
    pub key: Option<String>,
    pub body: Vec<u8>,
    pub headers: Vec<(&'static str, String)>,
}

impl Record {
    /// Bytes as they are: no key, no headers, perhaps no command at all.
    pub fn raw(body: Vec<u8>) -> Self {
        let command_id = Self::command_of(&body)["command_id"].as_str().and_then(|id| id.parse().ok());
        Self { command_id, key: None, body, headers: Vec::new() }
    }

    /// What the bytes say: themselves, or the body of an envelope (`axion-agent keys sign`). Who has signed it does not
    /// matter here.
    fn command_of(bytes: &[u8]) -> Value {
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let record = read(bytes);
        match record["payload"].as_str().filter(|_| record["payloadType"].is_string()) {
            Some(signed) => read(&STANDARD.decode(signed).unwrap_or_default()),
            None => record,
        }
    }

    /// A record from a file: what is absent of ids and times is filled in. What is signed stays as it is.
    pub fn from_json(text: &[u8]) -> Result<Self, CommandError> {
        match serde_json::from_slice(text)? {
            Value::Object(body) if body.contains_key("payloadType") => {
                let project = Self::command_of(text)["payload"]["project_id"].as_str().map(str::to_owned);
                Ok(Self { key: project, ..Self::raw(text.to_vec()) })
            }
            Value::Object(body) => Ok(Self::complete(body)),
            _ => Err(CommandError::NoObject),
        }
    }

    fn complete(mut body: Map<String, Value>) -> Self {
        let mut fill = |key: &str, value: String| body.entry(key).or_insert(Value::String(value)).as_str().unwrap_or_default().to_owned();
        let id = fill("command_id", Uuid::new_v4().to_string());
        let correlation = fill("correlation_id", Uuid::new_v4().to_string());
        fill("timestamp", rfc3339(SystemTime::now()));
        if let (Ok(trace), Ok(parent)) = (id.parse::<Uuid>(), correlation.parse::<Uuid>()) {
            fill("traceparent", traceparent(trace, parent));
        }
        let project = body.get("payload").and_then(|payload| payload["project_id"].as_str()).map(str::to_owned);
        let mut headers = vec![("x-correlation-id", correlation), ("x-timestamp", unix_millis(SystemTime::now()))];
        headers.extend(project.clone().map(|project| ("x-project-id", project)));
        Self { command_id: id.parse().ok(), key: project, body: Value::Object(body).to_string().into_bytes(), headers }
    }
}

/// A trace of its own for each command (W3C Trace Context, section 3.2): whoever has the one finds the other.
pub fn traceparent(trace: Uuid, parent: Uuid) -> String {
    format!("00-{}-{}-01", trace.simple(), &parent.simple().to_string()[..16])
}

fn rfc3339(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

fn unix_millis(at: SystemTime) -> String {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis().to_string()
}

/// Writes records and waits until the broker has them.
pub struct CommandSender {
    producer: BaseProducer<Deliveries>,
    deliveries: Receiver<Result<(), KafkaError>>,
    topic: String,
}

impl CommandSender {
    /// # Errors
    /// When the settings are refused, or the topic does not exist and is not made on asking.
    pub fn new(brokers: &str, topic: &str) -> Result<Self, CommandError> {
        let (sender, deliveries) = bounded(1);
        let producer: BaseProducer<Deliveries> = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            // A broker that comes back is used within seconds, not after a minute.
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.connection.setup.timeout.ms", "3000")
            .set("socket.timeout.ms", "10000")
            .set("message.timeout.ms", SEND_TIMEOUT.as_millis().to_string())
            // Asking for a topic makes it, where the broker allows that.
            .set("allow.auto.create.topics", "true")
            .create_with_context(Deliveries(sender))?;
        Ok(Self { producer, deliveries, topic: topic.to_owned() })
    }

    /// Asks the broker for `topic` until it is there: brokers that make topics on demand make it now.
    pub fn make_topic(&self, topic: &str) -> Result<(), CommandError> {
        let end = std::time::Instant::now() + SEND_TIMEOUT;
        loop {
            let metadata = self.producer.client().fetch_metadata(Some(topic), SEND_TIMEOUT)?;
            let error = metadata.topics().iter().find(|known| known.name() == topic).map(|known| known.error());
            match error {
                Some(None) => return Ok(()),
                Some(Some(error)) if std::time::Instant::now() > end => {
                    return Err(CommandError::NoTopic(topic.to_owned(), format!("{error:?}")));
                }
                _ => self.producer.poll(POLL),
            }
        }
    }

    pub fn send(&self, record: &Record) -> Result<(), CommandError> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_str()) }));
        let mut message = BaseRecord::<str, [u8]>::to(&self.topic).payload(&record.body).headers(headers);
        if let Some(key) = &record.key {
            message = message.key(key);
        }
        self.producer.send(message).map_err(|(error, _)| error)?;
        self.producer.flush(SEND_TIMEOUT)?;
        self.deliveries.try_recv().map_err(|_| CommandError::NotDelivered)?.map_err(CommandError::from)
    }
}

/// Takes delivery reports from librdkafka's callback to the caller of `send`.
struct Deliveries(Sender<Result<(), KafkaError>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // One record is under way at a time; the channel holds one.
        let _full = self.0.try_send(outcome);
    }
}
