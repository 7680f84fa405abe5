//! The Kafka clients over TLS and SASL: what only a real broker can show. Tests whose part of the bed is not
//! there (the `AXION_TEST_KAFKA_…` variables that `kafka-up.sh` writes) say so and are skipped.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use axion_agent::domain::{LinkState, Sensitive};
use axion_agent::kafka::{Consumer, Event, Producer, Security, Settings};
use crossbeam_channel::{Receiver, bounded};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Far longer than a login takes.
const PATIENCE: Duration = Duration::from_secs(20);
const WRONG_PASSWORD: &str = "hunter2";

fn variable(name: &str) -> Option<String> {
    let found = std::env::var(name).ok();
    if found.is_none() {
        println!("skipped: {name} is not set");
    }
    found
}

/// The listener that `variable` names, with the test CA.
fn listener(name: &str, protocol: &str) -> Option<(Settings, PathBuf)> {
    let (brokers, certificates) = (variable(name)?, PathBuf::from(variable("AXION_TEST_KAFKA_CERTS")?));
    let id = Uuid::new_v4().simple();
    let settings = Settings {
        brokers: vec![brokers],
        command_topic: format!("runner.commands.{id}"),
        event_topic: format!("runner.events.{id}"),
        dead_letter_topic: format!("runner.commands.{id}.dlq"),
        consumer_group: format!("runner-agent-{id}"),
        security: Security { protocol: protocol.to_owned(), ca: Some(certificates.join("ca.pem")), ..Security::default() },
        librdkafka: Vec::new(),
        max_message_bytes: 1 << 20,
    };
    Some((settings, certificates))
}

fn scram(password: &str) -> Option<Settings> {
    let (mut settings, _) = listener("AXION_TEST_KAFKA_SASL", "sasl_ssl")?;
    settings.security.sasl_mechanism = Some("SCRAM-SHA-512".to_owned());
    settings.security.sasl_username = Some("agent".to_owned());
    settings.security.sasl_password = Some(Sensitive::new(password.to_owned()));
    Some(settings)
}

/// What the producer says of its link, up to what is looked for.
fn producer_link(settings: &Settings, wanted: impl Fn(&LinkState) -> bool) -> Result<(), Vec<LinkState>> {
    let (events, inbox) = bounded(16);
    let (exits, _reports) = bounded(4);
    let _running = Producer::start(settings, events, exits).unwrap();
    link(&inbox, wanted)
}

/// What was said instead, if what is looked for was not.
fn link(inbox: &Receiver<Event>, wanted: impl Fn(&LinkState) -> bool) -> Result<(), Vec<LinkState>> {
    let deadline = Instant::now() + PATIENCE;
    let mut states = Vec::new();
    while let Ok(event) = inbox.recv_deadline(deadline) {
        let Event::Link(_, state) = event else { continue };
        if let LinkState::Down(reason) = &state {
            assert!(!reason.contains(WRONG_PASSWORD), "{reason}");
        }
        if wanted(&state) {
            return Ok(());
        }
        states.push(state);
    }
    Err(states)
}

fn up(state: &LinkState) -> bool {
    *state == LinkState::Up
}

fn down_with(words: [&str; 2]) -> impl Fn(&LinkState) -> bool {
    move |state| matches!(state, LinkState::Down(reason) if words.iter().all(|word| reason.contains(word)))
}

#[test]
fn tls_mutual_tls_and_scram_let_us_in() {
    if let Some((settings, _)) = listener("AXION_TEST_KAFKA_SSL", "ssl") {
        assert_eq!(producer_link(&settings, up), Ok(()));
    }
    if let Some((mut settings, certificates)) = listener("AXION_TEST_KAFKA_MTLS", "ssl") {
        settings.security.certificate = Some(certificates.join("client.pem"));
        settings.security.key = Some(certificates.join("client.key"));
        assert_eq!(producer_link(&settings, up), Ok(()));
    }
    if let Some(settings) = scram("agent-secret") {
        assert_eq!(producer_link(&settings, up), Ok(()));
    }
}

#[test]
fn a_wrong_password_is_told_as_such_and_not_repeated() {
    let Some(settings) = scram(WRONG_PASSWORD) else { return };
    assert_eq!(producer_link(&settings, down_with(["refuses the login", "kafka.sasl_password"])), Ok(()));
}

#[test]
fn a_certificate_of_another_ca_is_told_as_such() {
    let Some((mut settings, certificates)) = listener("AXION_TEST_KAFKA_SSL", "ssl") else { return };
    settings.security.ca = Some(certificates.join("other-ca.pem"));
    assert_eq!(producer_link(&settings, down_with(["TLS fails", "kafka.ssl_ca_location"])), Ok(()));
}

#[test]
fn a_topic_without_permission_is_told_with_the_mend() {
    // Prepared by hand: an ACL on this topic for somebody else (see the broker's README).
    let Some(topic) = variable("AXION_TEST_KAFKA_DENIED") else { return };
    let Some(mut settings) = scram("agent-secret") else { return };
    settings.command_topic.clone_from(&topic);
    settings.event_topic = topic;
    let (events, inbox) = bounded(16);
    let (exits, _reports) = bounded(4);
    let _running = Consumer::start(&settings, Vec::new(), events, exits).unwrap();
    assert_eq!(link(&inbox, down_with([&settings.command_topic, "grant this client's principal Read"])), Ok(()));
    assert_eq!(producer_link(&settings, down_with([&settings.event_topic, "grant this client's principal Write"])), Ok(()));
}
