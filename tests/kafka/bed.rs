//! The two Kafka clients and a broker for them: the real one where it does not matter that others use it
//! too, else a mock cluster of the test's own.

use crate::support::commands::CommandSender;
use crate::support::mock::MockBroker;
use crate::support::{Broker, Stage};
use axion_agent::domain::{AgentId, CommandId, Context, Event as Report, EventKind, LinkState, Position, Stage as EventStage, Timestamp};
use axion_agent::kafka::{Consumer, Event, EventMode, Producer, Receipt, Request, Security, Settings, StartPositions};
use axion_agent::threads::{Exit, Published, StopSource};
use crossbeam_channel::{Receiver, bounded};
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Far longer than anything here takes: a wait that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A broker with the three topics of one agent.
pub struct Bed<'a> {
    broker: Broker<'a>,
    pub settings: Settings,
}

impl Bed<'static> {
    /// A mock cluster, to be broken.
    pub fn mock() -> Self {
        Self::without_topics().with_topics()
    }

    /// The same with nothing in it.
    pub fn without_topics() -> Self {
        Self::over(Broker::Mock(MockBroker::start().unwrap()))
    }
}

impl<'a> Bed<'a> {
    /// The real broker if there is one, else a mock cluster.
    pub fn any(stage: &'a Stage) -> Self {
        Self::over(Broker::of(stage.supply())).with_topics()
    }

    fn over(broker: Broker<'a>) -> Self {
        let settings = settings(&broker.brokers());
        Self { broker, settings }
    }

    fn with_topics(self) -> Self {
        let Settings { command_topic, event_topic, dead_letter_topic, .. } = &self.settings;
        let sender = CommandSender::new(&self.broker.brokers(), command_topic).unwrap();
        self.broker.make_topics(&[command_topic, event_topic, dead_letter_topic].map(String::clone), &sender);
        self
    }

    pub fn mocked(&self) -> &MockCluster<'static, DefaultProducerContext> {
        match &self.broker {
            Broker::Mock(mock) => &mock.0,
            Broker::Real(_) => panic!("this test breaks its broker: it uses a mock cluster"),
        }
    }

    pub fn make(&self, topic: &str, partitions: i32) {
        self.mocked().create_topic(topic, partitions, 1).unwrap();
    }

    pub fn sender(&self) -> BaseProducer {
        client(&self.settings).set("linger.ms", "0").create().unwrap()
    }

    pub fn send(&self, values: &[Value]) {
        let sender = self.sender();
        for value in values {
            let value = serde_json::to_vec(value).unwrap();
            sender.send(BaseRecord::to(&self.settings.command_topic).key("p").payload(&value)).map_err(|(error, _)| error).unwrap();
        }
        sender.flush(PATIENCE).unwrap();
    }

    /// As a producer with transactions does: a mark follows them.
    pub fn send_in_a_transaction(&self, values: &[Value]) {
        let sender: BaseProducer = client(&self.settings).set("transactional.id", "sender").create().unwrap();
        sender.init_transactions(PATIENCE).unwrap();
        sender.begin_transaction().unwrap();
        for value in values {
            let value = serde_json::to_vec(value).unwrap();
            sender.send(BaseRecord::to(&self.settings.command_topic).key("p").payload(&value)).map_err(|(error, _)| error).unwrap();
        }
        sender.commit_transaction(PATIENCE).unwrap();
    }

    pub fn consume(&self, positions: StartPositions) -> Intake {
        Intake::start(&self.settings, positions)
    }

    pub fn produce(&self) -> Output {
        self.produce_knowing(&[])
    }

    /// A producer whose journal knows the topics up to these places.
    pub fn produce_knowing(&self, known: &[Position]) -> Output {
        Output::start(&self.settings, known)
    }

    /// The event ids that a reader of what is committed finds, to the end of the topic.
    pub fn committed_events(&self) -> Vec<String> {
        let reader: BaseConsumer = client(&self.settings)
            .set("group.id", "reader")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(&self.settings.event_topic, 0, Offset::Beginning).unwrap();
        reader.assign(&partitions).unwrap();
        let (started, mut found) = (Instant::now(), Vec::new());
        loop {
            assert!(started.elapsed() < PATIENCE, "the topic has no end");
            match reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let event: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
                    found.push(event["event_id"].as_str().unwrap().to_owned());
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return found,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
    }

    /// What the group has committed of the command topic.
    pub fn committed_offset(&self) -> Option<i64> {
        let reader: BaseConsumer = client(&self.settings).set("group.id", &self.settings.consumer_group).create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(&self.settings.command_topic, 0);
        match reader.committed_offsets(partitions, PATIENCE).unwrap().elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// The first record of a topic, by another client.
    pub fn first_record<T>(&self, topic: &str, look: impl Fn(&BorrowedMessage<'_>) -> T) -> T {
        let consumer: BaseConsumer = client(&self.settings).set("group.id", "reader").create().unwrap();
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&partitions).unwrap();
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < PATIENCE, "no record in {topic}");
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                return look(&message);
            }
        }
    }
}

pub fn settings(brokers: &str) -> Settings {
    let id = Uuid::new_v4().simple().to_string();
    Settings {
        brokers: vec![brokers.to_owned()],
        command_topic: format!("runner.commands.{id}"),
        event_topic: format!("runner.events.{id}"),
        dead_letter_topic: format!("runner.commands.{id}.dlq"),
        consumer_group: format!("runner-agent-{id}"),
        transactional_id: format!("runner-agent-{id}"),
        events: EventMode::AtLeastOnce,
        security: Security::default(),
        librdkafka: Vec::new(),
        max_message_bytes: 1 << 20,
        agent: AgentId::new(&id).unwrap(),
        command_keys: Published::default(),
    }
}

pub fn client(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", settings.brokers.join(","));
    config
}

/// A running consumer.
pub struct Intake {
    pub consumer: Consumer,
    pub events: Receiver<Event>,
    pub exits: Receiver<Exit>,
}

impl Intake {
    pub fn start(settings: &Settings, positions: StartPositions) -> Self {
        let (events, inbox) = bounded(16);
        let (exits, exit_reports) = bounded(4);
        let consumer = Consumer::start(settings, positions, events, exits).unwrap();
        Self { consumer, events: inbox, exits: exit_reports }
    }

    /// Reads on until `wanted` finds what it looks for.
    pub fn until<T>(&self, what: &str, wanted: impl FnMut(&Event) -> Option<T>) -> T {
        until(&self.events, what, wanted)
    }

    /// The places of the next records; whatever else is told meanwhile is left aside.
    pub fn offsets(&self, count: usize) -> Vec<i64> {
        let mut offsets = Vec::new();
        self.until("records", |event| {
            if let Event::Read(position, _) = event {
                offsets.push(position.offset);
            }
            (offsets.len() == count).then_some(())
        });
        offsets
    }

    pub fn stop(self) -> Duration {
        stop(self.consumer.stop, &self.exits)
    }
}

/// A running producer.
pub struct Output {
    pub producer: Producer,
    pub events: Receiver<Event>,
    pub exits: Receiver<Exit>,
}

impl Output {
    pub fn start(settings: &Settings, known: &[Position]) -> Self {
        let (events, inbox) = bounded(16);
        let (exits, exit_reports) = bounded(4);
        let producer = Producer::start(settings, known, events, exits).unwrap();
        Self { producer, events: inbox, exits: exit_reports }
    }

    pub fn until<T>(&self, what: &str, wanted: impl FnMut(&Event) -> Option<T>) -> T {
        until(&self.events, what, wanted)
    }

    pub fn publish(&self, receipt: u64, event: Report) {
        self.producer.requests.send_timeout(Request::Publish(Receipt(receipt), Box::new(event)), PATIENCE).unwrap();
    }

    pub fn delivered(&self, receipt: u64) {
        self.until("a delivery", |event| matches!(event, Event::Delivered(Receipt(number)) if *number == receipt).then_some(()));
    }

    pub fn stop(self) -> Duration {
        stop(self.producer.stop, &self.exits)
    }
}

fn until<T>(events: &Receiver<Event>, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        let Ok(event) = events.recv_deadline(deadline) else { panic!("{what}: not seen among {seen:#?}") };
        if let Some(found) = wanted(&event) {
            return found;
        }
        seen.push(event);
    }
}

/// Drops the stop; how long the thread took to end.
fn stop(source: StopSource, exits: &Receiver<Exit>) -> Duration {
    let started = Instant::now();
    drop(source);
    exits.recv_timeout(PATIENCE).expect("the thread ends");
    started.elapsed()
}

pub fn up(event: &Event) -> Option<()> {
    matches!(event, Event::Link(_, LinkState::Up)).then_some(())
}

pub fn down(event: &Event) -> Option<String> {
    match event {
        Event::Link(_, LinkState::Down(reason)) => Some(reason.clone()),
        _ => None,
    }
}

pub fn command(n: u128) -> Value {
    json!({"command_id": Uuid::from_u128(n), "command_type": "GetStatus", "payload": {}})
}

pub fn commands(count: u128) -> Vec<Value> {
    (0..count).map(command).collect()
}

pub fn report(payload: Value) -> Report {
    ending(7, payload)
}

/// The terminal event of a command.
pub fn ending(command: u128, payload: Value) -> Report {
    let agent = AgentId::new("edge-7").unwrap();
    let id = CommandId(Uuid::from_u128(command));
    let context = Context { correlation_id: Some(Uuid::from_u128(8)), user_id: Some("u".to_owned()), ..Default::default() };
    Report::of_id(&agent, id, EventKind::CommandCompleted, EventStage::Terminal, context, payload, Timestamp::from_millis(1_000))
}
