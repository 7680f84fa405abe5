//! A running agent gets a new configuration: read again from where the first one came from, and handed to the
//! rooms. All that can fail is done before anything is handed over, so that a configuration that cannot be used
//! changes nothing.
//!
//! Runs on the main thread, called by the coordinator, which decides what is said of it.

use super::trust::trust;
use super::{control_plane_settings, docker_settings, kafka_settings, rules, telemetry_settings, understood};
use crate::config::{self, Config, Key};
use crate::coordinator::{Fresh, Reload, Reloaded};
use crate::journal::Identity;
use crate::signing::Keys;
use crate::threads::Published;
use crate::{control_plane, docker, kafka, logging, telemetry};
use crossbeam_channel::Sender;
use std::sync::Arc;

/// Reads the configuration from where the first one came from.
pub type Again = Box<dyn Fn() -> Result<Config, config::Error>>;

/// Where the rooms see what they are to go by.
pub(super) struct Rooms {
    /// What holds now, for what starts later.
    pub(super) config: Published<Config>,
    /// The lanes and the event stream.
    pub(super) docker: Published<docker::Settings>,
    /// The keys for commands that enrolment brought.
    pub(super) pinned: Published<Vec<String>>,
    /// The keys that commands may be signed with.
    pub(super) command_keys: Published<Keys>,
    /// Who the agent was at its start.
    pub(super) identity: Option<Identity>,
    /// The control plane's thread, if there is one.
    pub(super) control_plane: Option<Hand<control_plane::Settings>>,
    /// The thread that measures.
    pub(super) telemetry: Hand<Option<telemetry::Settings>>,
    /// The Kafka clients, once they are there.
    pub(super) kafka: Published<Option<Hands>>,
}

/// Where a thread sees its settings, and what makes it look.
pub(super) struct Hand<T> {
    pub(super) settings: Published<T>,
    pub(super) wake: Sender<()>,
}

impl<T> Hand<T> {
    fn publish(&self, settings: T) {
        self.settings.publish(settings);
        // Full: the word is on its way already.
        let _full = self.wake.try_send(());
    }
}

/// Where the Kafka clients take others in their place.
pub(super) struct Hands {
    pub(super) identity: Identity,
    pub(super) producer: Sender<kafka::Renewal>,
    pub(super) consumer: Sender<kafka::Renewal>,
}

/// How an agent that was started with `started` reads its configuration again.
pub(super) fn reload(again: Again, started: Config, rooms: Rooms) -> Reload {
    let mut last = started.given.clone();
    Box::new(move || {
        let fresh = match again() {
            Ok(fresh) => fresh,
            Err(error) => return Reloaded::Refused(error.to_string().replace('\n', "; ")),
        };
        let (given, understood) = (fresh.given.clone(), understood(&fresh.ignored));
        let doubts: Vec<String> = fresh.warnings.iter().chain(&fresh.ignored).map(ToString::to_string).collect();
        let changed: Vec<&Key> = given.changed(&last).into_iter().filter(|key| !key.needs_restart()).collect();
        let config = fresh.keeping(&started);
        let renewals = match renewals(&rooms, &config, &changed) {
            Ok(renewals) => renewals,
            Err(reason) => return Reloaded::Refused(reason),
        };

        // From here nothing fails.
        logging::start(config.logging.clone());
        for doubt in doubts {
            log::warn!("{doubt}");
        }
        let trust = trust(&config, &rooms.pinned.newest());
        rooms.command_keys.publish(trust.keys);
        rooms.docker.publish(docker_settings(&config));
        if let (Some(hand), Some(settings)) = (&rooms.control_plane, control_plane_settings(&config, rooms.identity.as_ref())) {
            hand.publish(settings);
        }
        rooms.telemetry.publish(telemetry_settings(&config));
        if let Some(renewals) = renewals {
            renewals.hand_over();
        }
        let after_restart = given.changed(&started.given).into_iter().filter(|key| key.needs_restart());
        let fresh =
            Fresh { rules: rules(&config, trust.unsigned), understood, changed: names(changed), after_restart: names(after_restart) };
        rooms.config.publish(config);
        last = given;
        Reloaded::Taken(fresh)
    })
}

fn names(keys: impl IntoIterator<Item = &'static Key>) -> Vec<String> {
    keys.into_iter().map(Key::dotted).collect()
}

/// Clients that connect as the configuration says now.
struct Renewals {
    hands: Arc<Option<Hands>>,
    producer: kafka::Renewal,
    consumer: kafka::Renewal,
}

impl Renewals {
    /// There is room: it was looked at, and nobody else sends.
    fn hand_over(self) {
        if let Some(hands) = &*self.hands {
            drop(hands.producer.try_send(self.producer));
            drop(hands.consumer.try_send(self.consumer));
        }
    }
}

/// Other clients, where something has changed that they were made of.
fn renewals(rooms: &Rooms, config: &Config, changed: &[&Key]) -> Result<Option<Renewals>, String> {
    let hands = rooms.kafka.newest();
    let (Some(found), true) = (&*hands, changed.iter().any(|key| is_of_kafka(key))) else { return Ok(None) };
    if found.producer.is_full() || found.consumer.is_full() {
        return Err("the Kafka clients have not taken over the last one yet: try again soon".to_owned());
    }
    let Some(settings) = kafka_settings(config, &found.identity, &rooms.command_keys) else { return Ok(None) };
    let (producer, consumer) = kafka::renew(&settings).map_err(|error| error.trouble().to_string())?;
    Ok(Some(Renewals { hands, producer, consumer }))
}

fn is_of_kafka(key: &Key) -> bool {
    key.section == "kafka" || matches!((key.section, key.name), ("security", "tls_ca_location") | ("limits", "max_message_bytes"))
}
