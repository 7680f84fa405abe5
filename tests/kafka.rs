//! The Kafka clients against librdkafka's mock cluster, and against the broker that `AXION_TEST_KAFKA`
//! names where it does not matter that others use it too.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

use axion_agent::domain::{AgentId, Code, CommandId, Event as Report, EventKind, LinkState, Position, Stage, Timestamp};
use axion_agent::kafka::{Consumer, DeadLetter, Event, Inbound, Producer, Receipt, Request, Security, Settings, Side, StartPositions};
use axion_agent::threads::Exit;
use crossbeam_channel::{Receiver, bounded};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Far longer than anything here takes: a wait that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker with the three topics of one agent.
struct Bed {
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
    settings: Settings,
}

impl Bed {
    fn mock() -> Self {
        let bed = Self::without_topics();
        bed.make(&bed.settings.command_topic, 1);
        bed.make(&bed.settings.event_topic, 1);
        bed.make(&bed.settings.dead_letter_topic, 1);
        bed
    }

    fn without_topics() -> Self {
        let mock = MockCluster::new(1).unwrap();
        let settings = settings(&mock.bootstrap_servers());
        Self { mock: Some(mock), settings }
    }

    /// The real broker if there is one, else a mock cluster. The real one makes topics on first use.
    fn any() -> Self {
        let Ok(brokers) = std::env::var("AXION_TEST_KAFKA") else { return Self::mock() };
        let bed = Self { mock: None, settings: settings(&brokers) };
        let producer = bed.sender();
        for topic in [&bed.settings.command_topic, &bed.settings.event_topic, &bed.settings.dead_letter_topic] {
            let timeout = Duration::from_secs(10);
            producer.client().fetch_metadata(Some(topic), timeout).unwrap();
        }
        bed
    }

    fn mocked(&self) -> &MockCluster<'static, DefaultProducerContext> {
        self.mock.as_ref().expect("this test uses the mock cluster")
    }

    fn make(&self, topic: &str, partitions: i32) {
        self.mocked().create_topic(topic, partitions, 1).unwrap();
    }

    fn sender(&self) -> BaseProducer {
        client(&self.settings).set("linger.ms", "0").create().unwrap()
    }

    fn send(&self, values: &[Value]) {
        let sender = self.sender();
        for value in values {
            let value = serde_json::to_vec(value).unwrap();
            sender.send(BaseRecord::to(&self.settings.command_topic).key("p").payload(&value)).map_err(|(error, _)| error).unwrap();
        }
        sender.flush(PATIENCE).unwrap();
    }

    fn consume(&self, positions: StartPositions) -> Intake {
        let (events, inbox) = bounded(16);
        let (exits, exit_reports) = bounded(4);
        let consumer = Consumer::start(&self.settings, positions, events, exits).unwrap();
        Intake { consumer, events: inbox, exits: exit_reports }
    }

    fn produce(&self) -> Output {
        let (events, inbox) = bounded(16);
        let (exits, exit_reports) = bounded(4);
        let producer = Producer::start(&self.settings, events, exits).unwrap();
        Output { producer, events: inbox, exits: exit_reports }
    }

    /// The first record of a topic, by another client.
    fn first_record<T>(&self, topic: &str, look: impl Fn(&BorrowedMessage<'_>) -> T) -> T {
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

fn settings(brokers: &str) -> Settings {
    let id = Uuid::new_v4().simple().to_string();
    Settings {
        brokers: vec![brokers.to_owned()],
        command_topic: format!("runner.commands.{id}"),
        event_topic: format!("runner.events.{id}"),
        dead_letter_topic: format!("runner.commands.{id}.dlq"),
        consumer_group: format!("runner-agent-{id}"),
        security: Security::default(),
        librdkafka: Vec::new(),
        max_message_bytes: 1 << 20,
    }
}

fn client(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", settings.brokers.join(","));
    config
}

struct Intake {
    consumer: Consumer,
    events: Receiver<Event>,
    exits: Receiver<Exit>,
}

impl Intake {
    /// Reads on until `wanted` finds what it looks for.
    fn until<T>(&self, what: &str, wanted: impl FnMut(&Event) -> Option<T>) -> T {
        until(&self.events, what, wanted)
    }

    /// The places of the next records; whatever else is told meanwhile is left aside.
    fn offsets(&self, count: usize) -> Vec<i64> {
        let mut offsets = Vec::new();
        self.until("records", |event| {
            if let Event::Read(position, _) = event {
                offsets.push(position.offset);
            }
            (offsets.len() == count).then_some(())
        });
        offsets
    }

    fn stop(self) -> Duration {
        stop(self.consumer.stop, &self.exits)
    }
}

struct Output {
    producer: Producer,
    events: Receiver<Event>,
    exits: Receiver<Exit>,
}

impl Output {
    fn until<T>(&self, what: &str, wanted: impl FnMut(&Event) -> Option<T>) -> T {
        until(&self.events, what, wanted)
    }

    fn publish(&self, receipt: u64, event: Report) {
        self.producer.requests.send_timeout(Request::Publish(Receipt(receipt), Box::new(event)), PATIENCE).unwrap();
    }

    fn delivered(&self, receipt: u64) {
        self.until("a delivery", |event| matches!(event, Event::Delivered(Receipt(number)) if *number == receipt).then_some(()));
    }

    fn stop(self) -> Duration {
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
fn stop(source: axion_agent::threads::StopSource, exits: &Receiver<Exit>) -> Duration {
    let started = Instant::now();
    drop(source);
    exits.recv_timeout(PATIENCE).expect("the thread ends");
    started.elapsed()
}

fn up(event: &Event) -> Option<()> {
    matches!(event, Event::Link(_, LinkState::Up)).then_some(())
}

fn down(event: &Event) -> Option<String> {
    match event {
        Event::Link(_, LinkState::Down(reason)) => Some(reason.clone()),
        _ => None,
    }
}

fn command(n: u128) -> Value {
    json!({"command_id": Uuid::from_u128(n), "command_type": "GetStatus", "payload": {}})
}

fn commands(count: u128) -> Vec<Value> {
    (0..count).map(command).collect()
}

fn report(payload: Value) -> Report {
    let agent = AgentId::new("edge-7").unwrap();
    let id = CommandId(Uuid::from_u128(7));
    let context =
        axion_agent::domain::Context { correlation_id: Some(Uuid::from_u128(8)), user_id: Some("u".to_owned()), ..Default::default() };
    Report::of_id(&agent, id, EventKind::CommandCompleted, Stage::Terminal, context, payload, Timestamp::from_millis(1_000))
}

#[test]
fn commands_are_read_in_their_order_from_the_earliest() {
    let bed = Bed::any();
    bed.send(&commands(5));
    let intake = bed.consume(Vec::new());
    let mut ids = Vec::new();
    intake.until("five commands", |event| {
        if let Event::Read(_, inbound) = event {
            let Inbound::Command(command) = inbound.as_ref() else { panic!("no command: {inbound:?}") };
            ids.push(command.id.0.as_u128());
        }
        (ids.len() == 5).then_some(())
    });
    assert_eq!(ids, [0, 1, 2, 3, 4]);
    bed.send(&[json!({"command_id": Uuid::from_u128(9), "command_type": "Dance"}), json!("nothing")]);
    intake.until("a refusal", |event| match event {
        Event::Read(_, inbound) => matches!(inbound.as_ref(), Inbound::Refused(refusal) if refusal.code == Code::UNSUPPORTED).then_some(()),
        _ => None,
    });
    let letter = intake.until("a dead letter", |event| match event {
        Event::Read(position, inbound) => matches!(inbound.as_ref(), Inbound::Unreadable(_)).then(|| position.clone()),
        _ => None,
    });
    assert_eq!(letter, Position { topic: bed.settings.command_topic.clone(), partition: 0, offset: 6 });
    assert!(intake.stop() < Duration::from_secs(1));
}

#[test]
fn the_journal_decides_where_reading_begins_and_without_it_the_groups_offset() {
    let bed = Bed::any();
    bed.send(&commands(6));
    let at = |offset| Position { topic: bed.settings.command_topic.clone(), partition: 0, offset };
    let intake = bed.consume(vec![at(2)]);
    assert_eq!(intake.offsets(4), [2, 3, 4, 5]);
    for offset in [3, 4] {
        intake.consumer.marks.send_timeout(at(offset), PATIENCE).unwrap();
    }
    wait_for_commit(&bed, 4);
    intake.stop();

    let intake = bed.consume(Vec::new());
    assert_eq!(intake.offsets(2), [4, 5]);
    intake.stop();
    let intake = bed.consume(vec![at(1)]);
    assert_eq!(intake.offsets(1), [1]);
    intake.stop();
}

fn wait_for_commit(bed: &Bed, offset: i64) {
    let consumer: BaseConsumer = client(&bed.settings).set("group.id", &bed.settings.consumer_group).create().unwrap();
    let started = Instant::now();
    loop {
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition(&bed.settings.command_topic, 0);
        let committed = consumer.committed_offsets(partitions, Duration::from_secs(10)).map(|list| list.elements()[0].offset());
        if committed == Ok(Offset::Offset(offset)) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "committed: {committed:?}");
    }
}

#[test]
fn several_partitions_are_all_read() {
    let bed = Bed::without_topics();
    bed.make(&bed.settings.command_topic, 3);
    let sender = bed.sender();
    for partition in 0..3 {
        let value = serde_json::to_vec(&command(partition as u128)).unwrap();
        sender
            .send(BaseRecord::<(), _>::to(&bed.settings.command_topic).partition(partition).payload(&value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    sender.flush(PATIENCE).unwrap();
    let intake = bed.consume(Vec::new());
    let mut partitions = Vec::new();
    intake.until("three records", |event| {
        if let Event::Read(position, _) = event {
            partitions.push(position.partition);
        }
        (partitions.len() == 3).then_some(())
    });
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1, 2]);
}

#[test]
fn an_offset_that_is_not_there_is_a_gap_and_reading_goes_on_at_the_earliest() {
    let bed = Bed::any();
    bed.send(&commands(2));
    let wanted = Position { topic: bed.settings.command_topic.clone(), partition: 0, offset: 1000 };
    let intake = bed.consume(vec![wanted.clone()]);
    let gap = intake.until("a gap", |event| match event {
        Event::Gap { wanted, resumed } => Some((wanted.clone(), *resumed)),
        _ => None,
    });
    assert_eq!(gap, (wanted, 0));
    assert_eq!(intake.offsets(2), [0, 1]);
}

#[test]
fn a_missing_topic_is_told_with_the_mend_and_read_once_it_is_there() {
    let bed = Bed::without_topics();
    let intake = bed.consume(Vec::new());
    let reason = intake.until("the missing topic", down);
    assert!(reason.contains(&bed.settings.command_topic) && reason.contains("create it"), "{reason}");
    bed.make(&bed.settings.command_topic, 1);
    intake.until("the link", up);
    bed.send(&commands(1));
    assert_eq!(intake.offsets(1), [0]);
}

#[test]
fn a_broker_that_comes_back_is_used_again() {
    let bed = Bed::mock();
    let (intake, output) = (bed.consume(Vec::new()), bed.produce());
    intake.until("the consumer's link", up);
    output.until("the producer's link", up);
    bed.mocked().broker_down(1).unwrap();
    for reason in [intake.until("the loss", down), output.until("the loss", down)] {
        assert!(reason.starts_with("no broker answers at "), "{reason}");
    }
    output.publish(1, report(json!({})));
    bed.mocked().broker_up(1).unwrap();
    let back = Instant::now();
    intake.until("the consumer's link", up);
    output.delivered(1);
    bed.send(&commands(2));
    assert_eq!(intake.offsets(2), [0, 1]);
    assert!(back.elapsed() < Duration::from_secs(10), "{:?}", back.elapsed());
}

#[test]
fn brokers_that_were_never_there_are_waited_for_and_the_stop_does_not_wait_for_them() {
    let mut bed = Bed::mock();
    bed.mock = None;
    // Port 9 ("discard"): nobody listens; an address of TEST-NET-1 (RFC 5737): nobody answers.
    for brokers in ["127.0.0.1:9", "192.0.2.1:9092"] {
        bed.settings.brokers = vec![brokers.to_owned()];
        let (intake, output) = (bed.consume(Vec::new()), bed.produce());
        output.publish(1, report(json!({})));
        for reason in [intake.until("the absence", down), output.until("the absence", down)] {
            assert!(reason.starts_with(&format!("no broker answers at {brokers}")), "{reason}");
        }
        assert!(intake.exits.is_empty() && output.exits.is_empty());
        let (consumer, producer) = (intake.stop(), output.stop());
        assert!(consumer.max(producer) < Duration::from_secs(2), "{brokers}: {consumer:?} {producer:?}");
    }
}

#[test]
fn a_consumer_whose_events_nobody_takes_still_stops() {
    let bed = Bed::mock();
    bed.send(&commands(50));
    let intake = bed.consume(Vec::new());
    let started = Instant::now();
    while !intake.events.is_full() {
        assert!(started.elapsed() < PATIENCE, "the queue fills");
        std::thread::yield_now();
    }
    assert!(intake.stop() < Duration::from_secs(1));
}

#[test]
fn an_event_is_delivered_with_its_key_and_headers() {
    let bed = Bed::any();
    let output = bed.produce();
    let event = report(json!({"status": "Completed"}));
    output.publish(5, event.clone());
    output.delivered(5);
    let (key, body, headers) = bed.first_record(&bed.settings.event_topic, |record| {
        let headers: Vec<String> =
            record.headers().unwrap().iter().map(|header| format!("{}={}", header.key, text(header.value))).collect();
        (text(record.key()), serde_json::from_slice::<Value>(record.payload().unwrap()).unwrap(), headers)
    });
    assert_eq!((key.as_str(), body["event_id"].as_str().unwrap()), ("edge-7", event.id.to_string().as_str()));
    assert_eq!(body["payload"], json!({"status": "Completed"}));
    let id = event.id;
    let (correlation, causation) = (Uuid::from_u128(8), Uuid::from_u128(7));
    let expected = [
        format!("x-correlation-id={correlation}"),
        format!("x-causation-id={causation}"),
        "x-user-id=u".to_owned(),
        "x-timestamp=1000".to_owned(),
        "x-agent-id=edge-7".to_owned(),
        format!("x-event-id={id}"),
        "content-type=application/json".to_owned(),
    ];
    assert_eq!(headers, expected);
    assert!(output.stop() < Duration::from_secs(1));
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap()
}

#[test]
fn a_dead_letter_is_buried_whole_or_cut() {
    let bed = Bed::any();
    let output = bed.produce();
    let letter = |value: Vec<u8>| DeadLetter {
        position: Position { topic: "t".to_owned(), partition: 1, offset: 2 },
        key: Some(b"k".to_vec()),
        length: value.len(),
        value,
        sha256: "ab".to_owned(),
        code: Code::MALFORMED,
        message: "broken".to_owned(),
    };
    // Larger than any topic's default limit: cut to what is always kept.
    let large = letter(vec![b'x'; 2 << 20]);
    output.producer.requests.send_timeout(Request::Bury(Receipt(1), Box::new(large)), PATIENCE).unwrap();
    output.delivered(1);
    let (key, length, code) = bed.first_record(&bed.settings.dead_letter_topic, |record| {
        let code = record.headers().unwrap().iter().find(|header| header.key == "x-dead-letter-code").unwrap().value.map(<[u8]>::to_vec);
        (text(record.key()), record.payload().unwrap().len(), text(code.as_deref()))
    });
    assert_eq!((key.as_str(), length, code.as_str()), ("k", DeadLetter::MAX_KEPT_BYTES, "command.malformed"));
}

#[test]
fn an_event_that_no_broker_can_take_is_given_back_and_the_next_is_written() {
    let bed = Bed::any();
    let output = bed.produce();
    output.publish(1, report(json!({"text": "x".repeat(2 << 20)})));
    output.publish(2, report(json!({})));
    let reason = output.until("the refusal", |event| match event {
        Event::Undeliverable(Receipt(1), reason) => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("too large"), "{reason}");
    output.delivered(2);
}

#[test]
fn a_permission_that_is_granted_later_lets_the_event_through() {
    let bed = Bed::mock();
    let output = bed.produce();
    output.until("the link", up);
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 2];
    bed.mocked().request_errors(RDKafkaApiKey::Produce, &denied);
    output.publish(1, report(json!({})));
    output.publish(2, report(json!({})));
    let reason = output.until("the refusal", down);
    assert!(reason.contains("kept and tried again"), "{reason}");
    output.until("the link", up);
    output.delivered(2);
    let first = bed.first_record(&bed.settings.event_topic, |record| record.offset());
    assert_eq!(first, 0);
}

#[test]
fn a_producer_that_breaks_is_replaced_and_nothing_is_lost() {
    let bed = Bed::mock();
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    bed.mocked().request_errors(RDKafkaApiKey::InitProducerId, &refused);
    let output = bed.produce();
    output.publish(1, report(json!({})));
    let reason = output.until("the break", |event| down(event).filter(|reason| reason.contains("IdempotentWrite")));
    assert!(reason.contains("grant"), "{reason}");
    output.delivered(1);
}

#[test]
fn both_sides_say_who_they_are() {
    let bed = Bed::mock();
    let side = |event: &Event| match event {
        Event::Link(side, LinkState::Up) => Some(*side),
        _ => None,
    };
    assert_eq!(bed.consume(Vec::new()).until("the link", side), Side::Consumer);
    assert_eq!(bed.produce().until("the link", side), Side::Producer);
}

/// Measures; with the real broker: `AXION_TEST_KAFKA=… cargo test --test kafka -- --ignored --nocapture`.
#[test]
#[ignore = "measures for a minute; its figures need a quiet machine and a real broker"]
fn an_idle_pair_sleeps_and_still_sees_a_command_soon() {
    const IDLE: Duration = Duration::from_secs(30);
    let bed = Bed::any();
    let (intake, output) = (bed.consume(Vec::new()), bed.produce());
    intake.until("the consumer's link", up);
    output.until("the producer's link", up);
    output.publish(1, report(json!({})));
    output.delivered(1);
    assert!(intake.events.recv_timeout(Duration::from_secs(5)).is_err(), "nothing happens");
    let (switches, cpu) = (context_switches(), cpu_time());
    assert!(intake.events.recv_timeout(IDLE).is_err(), "nothing happens");
    let switches = (context_switches() - switches) as f64 / IDLE.as_secs_f64();
    let cpu = (cpu_time() - cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;

    let sender = bed.sender();
    let mut latencies: Vec<Duration> = (0..300)
        .map(|n| {
            let value = serde_json::to_vec(&command(n)).unwrap();
            let sent = Instant::now();
            sender.send(BaseRecord::to(&bed.settings.command_topic).key("p").payload(&value)).map_err(|(error, _)| error).unwrap();
            intake.offsets(1);
            let seen = sent.elapsed();
            sender.flush(PATIENCE).unwrap();
            seen
        })
        .collect();
    latencies.sort_unstable();
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    println!("idle: {switches:.1} context switches/s, {cpu:.2} % of a core; a command is seen after p50 {p50:?}, p99 {p99:?}");
    assert!(switches <= 16.0 && p99 <= Duration::from_millis(50));
}

/// Of all threads of this process.
fn context_switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |status: String| -> u64 {
        status
            .lines()
            .filter(|line| line.contains("ctxt_switches"))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum()
    };
    tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok()).map(of).sum()
}

/// Of this process, user and system.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |stat: String| stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).map(Duration::from_nanos);
    tasks.filter_map(|task| of(std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?)).sum()
}
