//! The link to the brokers: lost, found again, never there.

use crate::bed::{Bed, commands, down, report, up};
use crate::support::Stage;
use axion_agent::domain::LinkState;
use axion_agent::kafka::{Event, Side};
use serde_json::json;
use std::time::{Duration, Instant};

pub fn comes_back(_: &Stage) {
    let bed = Bed::mock();
    let (intake, output) = (bed.consume(Vec::new()), bed.produce());
    intake.until("the consumer's link", up);
    output.until("the producer's link", up);
    bed.mocked().broker_down(1).unwrap();
    for reason in [intake.until("the loss", down), output.until("the loss", down)] {
        assert!(reason.starts_with("kafka.unreachable: no broker answers at "), "{reason}");
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

pub fn never_there(_: &Stage) {
    let mut bed = Bed::mock();
    // Port 9 ("discard"): nobody listens; an address of TEST-NET-1 (RFC 5737): nobody answers.
    for brokers in ["127.0.0.1:9", "192.0.2.1:9092"] {
        bed.settings.brokers = vec![brokers.to_owned()];
        let (intake, output) = (bed.consume(Vec::new()), bed.produce());
        output.publish(1, report(json!({})));
        for reason in [intake.until("the absence", down), output.until("the absence", down)] {
            assert!(reason.starts_with(&format!("kafka.unreachable: no broker answers at {brokers}")), "{reason}");
        }
        assert!(intake.exits.is_empty() && output.exits.is_empty());
        let (consumer, producer) = (intake.stop(), output.stop());
        assert!(consumer.max(producer) < Duration::from_secs(2), "{brokers}: {consumer:?} {producer:?}");
    }
}

pub fn sides(_: &Stage) {
    let bed = Bed::mock();
    let side = |event: &Event| match event {
        Event::Link(side, LinkState::Up) => Some(*side),
        _ => None,
    };
    assert_eq!(bed.consume(Vec::new()).until("the link", side), Side::Consumer);
    assert_eq!(bed.produce().until("the link", side), Side::Producer);
}
