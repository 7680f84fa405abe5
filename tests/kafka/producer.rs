//! Events and dead letters out: what is written, and what a broker that refuses them leads to.

use crate::bed::{Bed, PATIENCE, down, report, up};
use crate::support::Stage;
use axion_agent::domain::{Code, Context, LinkState, Position};
use axion_agent::kafka::{DeadLetter, Event, Receipt, Request, Side};
use rdkafka::Message as _;
use rdkafka::message::Headers as _;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

pub fn delivery(stage: &Stage) {
    let bed = Bed::any(stage);
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

fn letter(value: Vec<u8>) -> DeadLetter {
    DeadLetter {
        position: Position { topic: "t".to_owned(), partition: 1, offset: 2 },
        key: Some(b"k".to_vec()),
        length: value.len(),
        value,
        sha256: "ab".to_owned(),
        code: Code::MALFORMED,
        message: "broken".to_owned(),
        context: Context::default(),
    }
}

pub fn dead_letter(stage: &Stage) {
    let bed = Bed::any(stage);
    let output = bed.produce();
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

pub fn undeliverable(stage: &Stage) {
    let bed = Bed::any(stage);
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

pub fn no_letters(_: &Stage) {
    let bed = Bed::mock();
    let topic = &bed.settings.dead_letter_topic;
    bed.mocked().topic_error(topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let output = bed.produce();
    let letters = |event: &Event| match event {
        Event::Link(Side::DeadLetters, state) => Some(state.clone()),
        _ => None,
    };
    // More bytes than the producer keeps of events.
    for receipt in 0..16 {
        output.producer.requests.send_timeout(Request::Bury(Receipt(receipt), Box::new(letter(vec![b'x'; 1 << 20]))), PATIENCE).unwrap();
    }
    let started = Instant::now();
    let mut told = None;
    thread::scope(|scope| {
        // Beside the reading: the producer takes no more while nobody reads what it tells.
        scope.spawn(|| (100..400).for_each(|receipt| output.publish(receipt, report(json!({})))));
        output.until("the last event", |event| {
            told = letters(event).or(told.take());
            matches!(event, Event::Delivered(Receipt(399))).then_some(())
        });
    });
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let told = told.unwrap_or_else(|| output.until("the missing topic", letters));
    assert!(
        matches!(&told, LinkState::Down(reason) if reason.starts_with("kafka.topic_missing: ") && reason.contains(topic.as_str())),
        "{told:?}"
    );
    bed.mocked().topic_error(topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    output.delivered(15);
    assert!(output.stop() < Duration::from_secs(1));
}

pub fn permission(_: &Stage) {
    let bed = Bed::mock();
    let output = bed.produce();
    output.until("the link", up);
    let denied = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 2];
    bed.mocked().request_errors(RDKafkaApiKey::Produce, &denied);
    output.publish(1, report(json!({})));
    output.publish(2, report(json!({})));
    let reason = output.until("the refusal", down);
    assert!(reason.starts_with("kafka.topic_denied: ") && reason.contains("principal Write"), "{reason}");
    output.until("the link", up);
    output.delivered(2);
    let first = bed.first_record(&bed.settings.event_topic, |record| record.offset());
    assert_eq!(first, 0);
}

pub fn replacement(_: &Stage) {
    let bed = Bed::mock();
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED];
    bed.mocked().request_errors(RDKafkaApiKey::InitProducerId, &refused);
    let output = bed.produce();
    output.publish(1, report(json!({})));
    let reason = output.until("the break", |event| down(event).filter(|reason| reason.contains("IdempotentWrite")));
    assert!(reason.contains("grant"), "{reason}");
    output.delivered(1);
}
