//! Commands that only read, as fast as the broker takes them.

use crate::support::Draft;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use std::time::Duration;
use uuid::Uuid;

/// For a broker that is started again meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks whether the client takes more.
const ROOM: Duration = Duration::from_millis(20);

/// Writes to one command topic.
pub struct Questions {
    producer: BaseProducer,
    topic: String,
}

impl Questions {
    pub fn to(brokers: &str, topic: &str) -> Self {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", brokers).set("enable.idempotence", "true").set("linger.ms", "0");
        // A broker that comes back is used within seconds, not after a minute.
        client.set("reconnect.backoff.max.ms", "1000");
        Self { producer: client.create().unwrap(), topic: topic.to_owned() }
    }

    /// Asks for the state of all stacks, and waits for nothing.
    pub fn ask(&self, id: Uuid) {
        let draft = Draft { command_type: "GetStatus".to_owned(), command_id: Some(id), ..Draft::default() };
        let body = draft.record().body;
        let mut record = BaseRecord::<str, [u8]>::to(&self.topic).payload(&body);
        while let Err((error, again)) = self.producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
            self.producer.poll(ROOM);
            record = again;
        }
    }

    /// Waits until the broker has them all.
    pub fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}
