//! The rival: it consumes, writes down what it consumed if it is asked to, and answers in a transaction that
//! carries its offsets. It is librdkafka and nothing else, with the settings of the agent.

use crate::support::Broker;
use crate::support::commands::CommandSender;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::File;
use std::io::Write as _;
use std::mem;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A broker that does not answer within this is away.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_MS: i32 = 30_000;
/// As `kafka/settings.rs` has them for a producer with exactly-once.
const PRODUCER: &[(&str, &str)] = &[
    ("enable.idempotence", "true"),
    ("acks", "all"),
    ("linger.ms", "1"),
    ("compression.type", "lz4"),
    ("transaction.timeout.ms", "60000"),
    ("message.timeout.ms", "60000"),
    ("retry.backoff.ms", "1"),
    ("retry.backoff.max.ms", "1000"),
];
/// As it has them for the consumer.
const CONSUMER: &[(&str, &str)] = &[
    ("enable.auto.commit", "false"),
    ("isolation.level", "read_committed"),
    ("check.crcs", "true"),
    ("fetch.wait.max.ms", "1000"),
    ("queued.min.messages", "64"),
    ("queued.max.messages.kbytes", "4096"),
];
/// librdkafka's words about a client that it does not make.
const EXPLANATION_BYTES: usize = 512;

/// What an answer consists of.
pub struct Answer<'a> {
    /// So many records for each command.
    pub records: usize,
    pub value: &'a [u8],
}

/// Two topics, and the loop between them.
pub struct Rival {
    pub commands: String,
    pub events: String,
    consumer: BaseConsumer,
    producer: Producer,
    group: CString,
    /// What was consumed, synced, if that is wanted.
    journal: Option<File>,
}

impl Rival {
    pub fn start(broker: &Broker<'_>, journal: Option<&Path>) -> Self {
        let run = Uuid::new_v4().simple().to_string();
        let topics = ["commands", "events"].map(|what| format!("rival.{what}.{run}"));
        let sender = CommandSender::new(&broker.brokers(), &topics[0]).unwrap();
        broker.make_topics(&topics, &sender);
        let [commands, events] = topics;
        let consumer: BaseConsumer = config(&broker.brokers(), CONSUMER).set("group.id", &commands).create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&commands, 0, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        let producer = Producer::start(config(&broker.brokers(), PRODUCER).set("transactional.id", &commands), &events);
        let group = CString::new(commands.clone()).unwrap();
        Self { commands, events, consumer, producer, group, journal: journal.map(|path| File::create(path).unwrap()) }
    }

    /// Consumes so many commands and answers them in one transaction.
    pub fn answer(&mut self, commands: usize, answer: &Answer<'_>) {
        let deadline = Instant::now() + PATIENCE;
        let (mut consumed, mut next) = (0, 0);
        while consumed < commands {
            assert!(Instant::now() < deadline, "the rival waits for commands");
            let Some(message) = self.consumer.poll(PATIENCE).transpose().unwrap() else { continue };
            if let Some(journal) = &mut self.journal {
                journal.write_all(message.payload().unwrap()).unwrap();
            }
            next = message.offset() + 1;
            consumed += 1;
        }
        if let Some(journal) = &self.journal {
            journal.sync_data().unwrap();
        }
        self.producer.begin();
        (0..commands * answer.records).for_each(|_| self.producer.produce(answer.value));
        self.producer.commit(&self.commands, &self.group, next);
    }
}

fn config(brokers: &str, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.set("bootstrap.servers", brokers).set("client.id", "rival");
    config
}

/// librdkafka's own producer: the crate's waits longer than it has to.
struct Producer {
    client: *mut sys::rd_kafka_t,
    topic: *mut sys::rd_kafka_topic_t,
}

impl Producer {
    fn start(config: &ClientConfig, topic: &str) -> Self {
        let settings = config.create_native_config().unwrap();
        let topic = CString::new(topic).unwrap();
        let mut reason = [0_u8; EXPLANATION_BYTES];
        // SAFETY: the settings are a valid object, which the client owns from here on (`forget`); the buffer has the length
        // that is given; client and topic are ours until `drop`.
        unsafe {
            let kind = sys::rd_kafka_type_t::RD_KAFKA_PRODUCER;
            let client = sys::rd_kafka_new(kind, settings.ptr(), reason.as_mut_ptr().cast::<c_char>(), reason.len());
            assert!(!client.is_null(), "{:?}", CStr::from_bytes_until_nul(&reason));
            mem::forget(settings);
            check(sys::rd_kafka_init_transactions(client, PATIENCE_MS));
            Self { client, topic: sys::rd_kafka_topic_new(client, topic.as_ptr(), ptr::null_mut()) }
        }
    }

    fn begin(&self) {
        // SAFETY: the client is alive.
        check(unsafe { sys::rd_kafka_begin_transaction(self.client) });
    }

    fn produce(&self, value: &[u8]) {
        let bytes = value.as_ptr().cast_mut().cast::<c_void>();
        // SAFETY: the topic is alive; the bytes are copied.
        let refused =
            unsafe { sys::rd_kafka_produce(self.topic, 0, sys::RD_KAFKA_MSG_F_COPY, bytes, value.len(), ptr::null(), 0, ptr::null_mut()) };
        assert_eq!(refused, 0, "the rival's record was not taken");
    }

    fn commit(&self, topic: &str, group: &CStr, offset: i64) {
        let topic = CString::new(topic).unwrap();
        // SAFETY: client, texts, list and metadata live until the calls have returned; the last two are ours.
        unsafe {
            let offsets = sys::rd_kafka_topic_partition_list_new(1);
            (*sys::rd_kafka_topic_partition_list_add(offsets, topic.as_ptr(), 0)).offset = offset;
            let member = sys::rd_kafka_consumer_group_metadata_new(group.as_ptr());
            check(sys::rd_kafka_send_offsets_to_transaction(self.client, offsets, member, PATIENCE_MS));
            sys::rd_kafka_consumer_group_metadata_destroy(member);
            sys::rd_kafka_topic_partition_list_destroy(offsets);
            check(sys::rd_kafka_commit_transaction(self.client, PATIENCE_MS));
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: both are ours and are not used again.
        unsafe {
            sys::rd_kafka_topic_destroy(self.topic);
            sys::rd_kafka_destroy(self.client);
        }
    }
}

fn check(error: *mut sys::rd_kafka_error_t) {
    if error.is_null() {
        return;
    }
    // SAFETY: the error is alive; its text ends with NUL.
    panic!("the rival: {:?}", unsafe { CStr::from_ptr(sys::rd_kafka_error_string(error)) });
}
