//! Clients that take the place of others, as after a reload: nothing is read twice, nothing is lost.

use crate::bed::{Bed, Intake, Output, PATIENCE, commands, down, report, up};
use crate::support::Stage;
use axion_agent::domain::Sensitive;
use axion_agent::kafka::{Settings, renew};
use serde_json::json;

pub fn goes_on(stage: &Stage) {
    let bed = Bed::any(stage);
    let (intake, output) = (bed.consume(Vec::new()), bed.produce());
    for round in 0..4 {
        bed.send(&commands(3));
        let first = round * 3;
        assert_eq!(intake.offsets(3), [first, first + 1, first + 2], "each record once, in its order");
        let receipt = u64::try_from(round).unwrap();
        output.publish(receipt, report(json!({})));
        let (producer, consumer) = renew(&bed.settings).unwrap();
        intake.consumer.renewals.send_timeout(consumer, PATIENCE).unwrap();
        output.producer.renewals.send_timeout(producer, PATIENCE).unwrap();
        output.delivered(receipt);
    }
    intake.stop();
    output.stop();
}

pub fn mends(_stage: &Stage) {
    let bed = Bed::mock();
    // A port that nobody listens on stands for whatever was wrong.
    let wrong = Settings { brokers: vec!["127.0.0.1:1".to_owned()], ..bed.settings.clone() };
    let (intake, output) = (Intake::start(&wrong, Vec::new()), Output::start(&wrong, &[]));
    intake.until("the consumer is down", down);
    output.until("the producer is down", down);
    output.publish(1, report(json!({})));
    bed.send(&commands(1));

    let unknown = vec![("no.such.property".to_owned(), Sensitive::new("1".to_owned()))];
    let error = renew(&Settings { librdkafka: unknown, ..bed.settings.clone() }).err().unwrap();
    assert!(error.to_string().contains("kafka.librdkafka.no.such.property"), "{error}");

    let (producer, consumer) = renew(&bed.settings).unwrap();
    intake.consumer.renewals.send_timeout(consumer, PATIENCE).unwrap();
    output.producer.renewals.send_timeout(producer, PATIENCE).unwrap();
    intake.until("the consumer is up", up);
    assert_eq!(intake.offsets(1), [0]);
    output.delivered(1);
}
