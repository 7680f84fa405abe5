//! Commands in: their order, where reading begins, and what happens where it cannot.

use crate::bed::{Bed, PATIENCE, client, command, commands, down, up};
use crate::support::Stage;
use axion_agent::domain::{Code, Position};
use axion_agent::kafka::{Event, Inbound};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub fn in_order(stage: &Stage) {
    let bed = Bed::any(stage);
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

pub fn beginning(stage: &Stage) {
    let bed = Bed::any(stage);
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

pub fn partitions(_: &Stage) {
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

pub fn gap(stage: &Stage) {
    let bed = Bed::any(stage);
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

pub fn missing_topic(_: &Stage) {
    let bed = Bed::without_topics();
    let intake = bed.consume(Vec::new());
    let reason = intake.until("the missing topic", down);
    assert!(reason.contains(&bed.settings.command_topic) && reason.contains("create it"), "{reason}");
    bed.make(&bed.settings.command_topic, 1);
    intake.until("the link", up);
    bed.send(&commands(1));
    assert_eq!(intake.offsets(1), [0]);
}

pub fn lag(stage: &Stage) {
    let bed = Bed::any(stage);
    bed.send(&commands(30));
    let intake = bed.consume(Vec::new());
    let behind = |wanted: u64| {
        let started = Instant::now();
        while *intake.consumer.behind.newest() != Some(wanted) {
            assert!(started.elapsed() < PATIENCE, "{:?} behind, not {wanted}", intake.consumer.behind.newest());
            std::thread::yield_now();
        }
    };
    // The channel holds 16, the first of which is the link; the thread stands with the next record.
    behind(15);
    bed.send(&commands(5));
    behind(20);
    intake.offsets(35);
    behind(0);
    bed.send_in_a_transaction(&commands(2));
    intake.offsets(2);
    behind(0);
    intake.stop();
    let at_the_end = Position { topic: bed.settings.command_topic.clone(), partition: 0, offset: 37 };
    let intake = bed.consume(vec![at_the_end]);
    let started = Instant::now();
    while *intake.consumer.behind.newest() != Some(0) {
        assert!(started.elapsed() < PATIENCE, "nothing is read, and still it is known that nothing waits");
        std::thread::yield_now();
    }
}

pub fn full_queue(_: &Stage) {
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
