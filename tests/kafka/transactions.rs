//! Exactly-once: what a reader of what is committed sees, after a restart, beside a twin, and while calls fail.

use crate::bed::{Bed, Output, down, ending, up};
use crate::support::{Stage, coordinator, until};
use axion_agent::domain::{CommandId, Position};
use axion_agent::kafka::{Event, EventMode, Receipt, Request};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// A forgetful broker looks every few seconds for ids that were idle for fifteen.
const FORGETTING: Duration = Duration::from_secs(60);

fn exactly_once(mut bed: Bed<'_>) -> Bed<'_> {
    bed.settings.events = EventMode::ExactlyOnce;
    bed
}

/// Reads on until the producer has caught up: the commands that have their end on the topic.
fn caught_up(output: &Output) -> Vec<CommandId> {
    let mut answered = Vec::new();
    output.until("that it has caught up", |event| match event {
        Event::Answered(commands) => {
            answered.extend(commands);
            None
        }
        Event::CaughtUp => Some(()),
        _ => None,
    });
    answered
}

fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

fn ids(endings: &[u128]) -> Vec<String> {
    endings.iter().map(|n| ending(*n, json!({})).id.to_string()).collect()
}

pub fn commits(stage: &Stage) {
    let bed = exactly_once(Bed::any(stage));
    let output = bed.produce();
    assert_eq!(caught_up(&output), []);
    output.until("the link", up);
    for n in 1..=5 {
        output.publish(n, ending(n.into(), json!({})));
        let mark = Position { topic: bed.settings.command_topic.clone(), partition: 0, offset: n.cast_signed() };
        output.producer.requests.send(Request::Mark(mark)).unwrap();
    }
    let reached = output.until("the last event", |event| match event {
        // The place behind the last record, or behind what ended its transaction.
        Event::Reached(position) if position.offset >= 5 => Some(position.clone()),
        _ => None,
    });
    assert_eq!(reached.topic, bed.settings.event_topic);
    assert_eq!(bed.committed_events(), ids(&[1, 2, 3, 4, 5]));
    let committed = bed.committed_offset();
    assert!(committed.is_some_and(|offset| (1..=5).contains(&offset)), "{committed:?}");
    // A mark that came too late for its event goes with the next.
    output.publish(6, ending(6, json!({})));
    output.delivered(6);
    assert_eq!(bed.committed_offset(), Some(5));
}

pub fn reads_back(stage: &Stage) {
    let bed = exactly_once(Bed::any(stage));
    let first = bed.produce();
    caught_up(&first);
    for n in 1..=3 {
        first.publish(n, ending(n.into(), json!({})));
    }
    let place = first.until("the events", |event| match event {
        Event::Reached(position) if position.offset >= 3 => Some(position.clone()),
        _ => None,
    });
    first.stop();
    let second = bed.produce();
    assert_eq!(caught_up(&second), [id(1), id(2), id(3)], "nothing is known: all of the topic is read");
    second.publish(4, ending(4, json!({})));
    second.delivered(4);
    second.stop();
    let third = bed.produce_knowing(&[place]);
    assert_eq!(caught_up(&third), [id(4)], "the rest is known");
    assert_eq!(bed.committed_events(), ids(&[1, 2, 3, 4]));
}

pub fn fences(stage: &Stage) {
    let bed = exactly_once(Bed::any(stage));
    let older = bed.produce();
    caught_up(&older);
    older.publish(1, ending(1, json!({})));
    older.delivered(1);
    let younger = bed.produce();
    assert_eq!(caught_up(&younger), [id(1)]);
    older.publish(2, ending(2, json!({"by": "the older"})));
    older.until("that it is fenced", |event| matches!(event, Event::Fenced).then_some(()));
    let reason = older.until("why", down);
    assert!(reason.starts_with("kafka.identity_in_use"), "{reason}");
    younger.publish(2, ending(2, json!({"by": "the younger"})));
    younger.delivered(2);
    assert_eq!(bed.committed_events(), ids(&[1, 2]));
}

pub fn too_large(stage: &Stage) {
    let bed = exactly_once(Bed::any(stage));
    let output = bed.produce();
    caught_up(&output);
    output.publish(1, ending(1, json!({})));
    output.publish(2, ending(2, json!({"text": "x".repeat(2 << 20)})));
    output.publish(3, ending(3, json!({})));
    output.until("the refusal", |event| matches!(event, Event::Undeliverable(Receipt(2), _)).then_some(()));
    output.delivered(3);
    assert_eq!(bed.committed_events(), ids(&[1, 3]));
}

pub fn broken_commit(_: &Stage) {
    let bed = exactly_once(Bed::mock());
    let output = bed.produce();
    caught_up(&output);
    // One that voids the transaction, then one that ends the client.
    bed.mocked().request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING]);
    output.publish(1, ending(1, json!({})));
    output.delivered(1);
    bed.mocked().request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE]);
    output.publish(2, ending(2, json!({})));
    output.delivered(2);
    assert_eq!(bed.committed_events().last(), ids(&[2]).last());
}

/// One that is alone goes on; of two with one identity the older is fenced, though the broker has forgotten both.
pub fn forgotten(stage: &Stage) {
    let beds = [(); 2].map(|()| exactly_once(Bed::any(stage)));
    let outputs = beds.each_ref().map(Bed::produce);
    for output in &outputs {
        caught_up(output);
        output.publish(1, ending(1, json!({})));
        output.delivered(1);
    }
    for bed in &beds {
        let (broker, id) = (&bed.settings.brokers[0], &bed.settings.transactional_id);
        until("the broker has forgotten the id", FORGETTING, || match coordinator::knows(broker, id)? {
            true => Err(format!("{id} is known")),
            false => Ok(()),
        });
    }
    let ([alone, shared], [output, older]) = (&beds, &outputs);

    output.publish(2, ending(2, json!({})));
    let trouble = output.until("the delivery", |event| match event {
        Event::Delivered(Receipt(2)) => Some(None),
        Event::Fenced => Some(Some("it is fenced".to_owned())),
        other => down(other).map(Some),
    });
    assert_eq!(trouble, None, "it is routine, and nobody hears of it");
    assert_eq!(alone.committed_events(), ids(&[1, 2]));

    let younger = shared.produce();
    assert_eq!(caught_up(&younger), [id(1)]);
    older.publish(2, ending(2, json!({"by": "the older"})));
    older.until("that it is fenced", |event| matches!(event, Event::Fenced).then_some(()));
    younger.publish(2, ending(2, json!({"by": "the younger"})));
    younger.delivered(2);
    assert_eq!(shared.committed_events(), ids(&[1, 2]));
}
