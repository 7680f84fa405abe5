//! TLS, SASL and permissions: what only a real broker can show.

use crate::bed::settings;
use crate::support::{Listeners, Stage};
use axion_agent::domain::{LinkState, Sensitive};
use axion_agent::kafka::{Consumer, Event, Producer, Settings};
use crossbeam_channel::{Receiver, bounded};
use std::time::{Duration, Instant};

/// Far longer than a login takes.
const PATIENCE: Duration = Duration::from_secs(20);
const WRONG_PASSWORD: &str = "hunter2";

fn listeners(stage: &Stage) -> Listeners {
    stage.supply().secure().expect("the test said that it needs a secure broker")
}

/// A listener with TLS and the test CA.
fn tls(listeners: &Listeners, address: &str) -> Settings {
    let mut settings = settings(address);
    settings.security.protocol = "ssl".to_owned();
    settings.security.ca = Some(listeners.certificates.join("ca.pem"));
    settings
}

fn scram(stage: &Stage, password: &str) -> Settings {
    let listeners = listeners(stage);
    let mut settings = tls(&listeners, &listeners.sasl);
    settings.security.protocol = "sasl_ssl".to_owned();
    settings.security.sasl_mechanism = Some("SCRAM-SHA-512".to_owned());
    settings.security.sasl_username = Some("agent".to_owned());
    settings.security.sasl_password = Some(Sensitive::new(password.to_owned()));
    settings
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

pub fn logins(stage: &Stage) {
    let listeners = listeners(stage);
    assert_eq!(producer_link(&tls(&listeners, &listeners.tls), up), Ok(()));
    let mut mutual = tls(&listeners, &listeners.mutual_tls);
    mutual.security.certificate = Some(listeners.certificates.join("client.pem"));
    mutual.security.key = Some(listeners.certificates.join("client.key"));
    assert_eq!(producer_link(&mutual, up), Ok(()));
    assert_eq!(producer_link(&scram(stage, "agent-secret"), up), Ok(()));
}

pub fn wrong_password(stage: &Stage) {
    let settings = scram(stage, WRONG_PASSWORD);
    assert_eq!(producer_link(&settings, down_with(["refuses the login", "kafka.sasl_password"])), Ok(()));
}

pub fn other_ca(stage: &Stage) {
    let listeners = listeners(stage);
    let mut settings = tls(&listeners, &listeners.tls);
    settings.security.ca = Some(listeners.certificates.join("other-ca.pem"));
    assert_eq!(producer_link(&settings, down_with(["TLS fails", "kafka.ssl_ca_location"])), Ok(()));
}

pub fn denied_topic(stage: &Stage) {
    let topic = stage.supply().denied_topic().expect("the test said that it needs such a topic");
    let mut settings = scram(stage, "agent-secret");
    settings.command_topic.clone_from(&topic);
    settings.event_topic = topic;
    let (events, inbox) = bounded(16);
    let (exits, _reports) = bounded(4);
    let _running = Consumer::start(&settings, Vec::new(), events, exits).unwrap();
    assert_eq!(link(&inbox, down_with([&settings.command_topic, "grant this client's principal Read"])), Ok(()));
    assert_eq!(producer_link(&settings, down_with([&settings.event_topic, "grant this client's principal Write"])), Ok(()));
}
