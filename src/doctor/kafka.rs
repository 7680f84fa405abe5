//! The brokers and the ACLs. What is asked, and how nothing is changed by asking, is `kafka::examine`'s.

use super::catalogue::{
    Check, KAFKA_BROKERS, KAFKA_COMMANDS, KAFKA_DEAD_LETTERS, KAFKA_EVENTS, KAFKA_GROUP, KAFKA_READBACK, KAFKA_SETTINGS, KAFKA_TRANSACTIONS,
};
use super::running::{Reported, Running};
use super::{Finding, Kafka, QUESTION, Settings};
use crate::kafka::{self, Allowed, EventMode, Reached, Trouble, TroubleCode};
use crate::threads::{Deadline, ThreadName, side_by_side};
use std::collections::BTreeSet;
use std::time::Duration;

/// Brokers are tried side by side, beside the thread of this part; of more the first are looked at.
const SIDE_BY_SIDE: [ThreadName; 3] =
    [ThreadName::new("doctor-broker-1"), ThreadName::new("doctor-broker-2"), ThreadName::new("doctor-broker-3")];
const MAX_BROKERS: usize = 12;
/// One broker: its name, its connection, TLS and a login.
const BROKER: Duration = Duration::from_secs(4);
/// A connection with TLS and a login that takes longer makes every reconnection slow.
const SLOW: Duration = Duration::from_secs(2);

pub(super) fn look(settings: &Settings, running: &Running, deadline: Deadline) -> Vec<Finding> {
    let (kafka, nameless) = match &settings.kafka {
        Kafka::Off => return vec![KAFKA_SETTINGS.skipped("no brokers are configured, and none came by enrolment")],
        Kafka::Reached(kafka) => (kafka, None),
        Kafka::Nameless(kafka, reason) => (kafka, Some(reason)),
    };
    if let Err(error) = kafka::check(kafka) {
        return vec![KAFKA_SETTINGS.fail(error.to_string())];
    }
    let deadline = deadline.min(Deadline::after(QUESTION));
    let mut found = match nameless {
        None => vec![KAFKA_SETTINGS.ok(format!("topics {}, {}, {}", kafka.command_topic, kafka.event_topic, kafka.dead_letter_topic))],
        Some(reason) => vec![KAFKA_SETTINGS.skipped(format!("the names of the agent's topics are not known here: {reason}"))],
    };
    // The ACLs are asked for while the brokers are tried: both take their time where a broker is away.
    let tried = side_by_side(&[ThreadName::new("doctor-acls")], 2, |part| match part {
        0 => brokers(kafka, &settings.kafka, deadline),
        _ if nameless.is_some() => Vec::new(),
        _ => acls(kafka, running, deadline),
    });
    found.extend(tried.into_iter().flatten());
    found
}

/// Those of the configuration, then those that they name beside themselves.
fn brokers(kafka: &kafka::Settings, known_here: &Kafka, deadline: Deadline) -> Vec<Finding> {
    let configured: Vec<String> = kafka.brokers.iter().take(MAX_BROKERS).cloned().collect();
    let reached = try_each(kafka, &configured, deadline);
    let known: BTreeSet<&String> = kafka.brokers.iter().collect();
    let named: BTreeSet<String> =
        reached.iter().flat_map(|(_, result)| result.iter().flat_map(|reached| reached.brokers.clone())).collect();
    let others: Vec<String> = named.into_iter().filter(|address| !known.contains(address)).take(MAX_BROKERS).collect();
    let mut found: Vec<Finding> =
        reached.iter().map(|(address, result)| judge_broker(result, Source::Configured, known_here).about(address)).collect();
    found.extend(
        try_each(kafka, &others, deadline).iter().map(|(address, result)| judge_broker(result, Source::Named, known_here).about(address)),
    );
    found
}

fn try_each(kafka: &kafka::Settings, addresses: &[String], deadline: Deadline) -> Vec<(String, Result<Reached, Trouble>)> {
    side_by_side(&SIDE_BY_SIDE, addresses.len(), |number| {
        let address = &addresses[number];
        (address.clone(), kafka::reach(kafka, address, deadline.or_after(BROKER)))
    })
}

/// How the agent comes to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// By kafka.brokers.
    Configured,
    /// By a broker: its `advertised.listeners`.
    Named,
}

fn judge_broker(result: &Result<Reached, Trouble>, source: Source, known_here: &Kafka) -> Finding {
    match result {
        Ok(reached) => {
            let summary = format!("lets the agent in, within {} ms", reached.took.as_millis());
            if reached.took > SLOW { KAFKA_BROKERS.warn(summary) } else { KAFKA_BROKERS.ok(summary) }
        }
        // The agent may have one, which this process may not read.
        Err(trouble) if trouble.code == TroubleCode::CERTIFICATE_WANTED && matches!(known_here, Kafka::Nameless(..)) => {
            KAFKA_BROKERS.skipped("it wants a certificate; call the doctor as root to look further")
        }
        Err(trouble) if source == Source::Named => KAFKA_BROKERS
            .fail(trouble.to_string())
            .mend("This address is what a broker calls itself: its advertised.listeners must be reached from here, and its certificate must have that name."),
        Err(trouble) => KAFKA_BROKERS.fail(trouble.to_string()),
    }
}

fn acls(kafka: &kafka::Settings, running: &Running, deadline: Deadline) -> Vec<Finding> {
    match kafka::permissions(kafka, deadline) {
        Ok(allowed) => {
            let mut found = judge_allowed(kafka, &allowed);
            found.push(transactions(kafka, running, deadline));
            found
        }
        Err(trouble) => {
            let all = [&KAFKA_COMMANDS, &KAFKA_EVENTS, &KAFKA_READBACK, &KAFKA_DEAD_LETTERS, &KAFKA_GROUP, &KAFKA_TRANSACTIONS];
            all.into_iter().map(|check| check.skipped(format!("no broker could be asked: {}", trouble.code.as_str()))).collect()
        }
    }
}

fn judge_allowed(kafka: &kafka::Settings, allowed: &Allowed) -> Vec<Finding> {
    let Allowed { commands, events, readback, dead_letters, group } = allowed;
    let (command_topic, event_topic) = (&kafka.command_topic, &kafka.event_topic);
    let mut found = vec![
        judge_commands(command_topic, commands),
        judge(&KAFKA_EVENTS, &format!("Write on {event_topic}"), events.as_ref().map(drop)),
        judge(&KAFKA_DEAD_LETTERS, &format!("Write on {}", kafka.dead_letter_topic), dead_letters.as_ref().map(drop)),
        judge(&KAFKA_GROUP, &format!("Read on group {}", kafka.consumer_group), group.as_ref().map(drop)),
    ];
    found.push(match readback {
        Some(result) => judge(&KAFKA_READBACK, &format!("Read on {event_topic}"), result.as_ref().map(drop)),
        None => KAFKA_READBACK.skipped("kafka.events is at-least-once, which needs none"),
    });
    found
}

fn judge_commands(topic: &str, result: &Result<usize, Trouble>) -> Finding {
    match result {
        Ok(partitions) if *partitions > 1 => KAFKA_COMMANDS
            .warn(format!("Read on {topic} is allowed; it has {partitions} partitions, and commands are in order within each alone"))
            .mend("Give the topic one partition, or see that the commands of a project share a key."),
        other => judge(&KAFKA_COMMANDS, &format!("Read on {topic}"), other.as_ref().map(drop)),
    }
}

fn judge(check: &'static Check, what: &str, result: Result<(), &Trouble>) -> Finding {
    match result {
        Ok(()) => check.ok(format!("{what} is allowed")),
        Err(trouble) => check.fail(trouble.to_string()),
    }
}

/// A running agent knows: it has the id, or was refused it. Only where none runs the brokers are asked.
fn transactions(kafka: &kafka::Settings, running: &Running, deadline: Deadline) -> Finding {
    if kafka.events == EventMode::AtLeastOnce {
        return KAFKA_TRANSACTIONS.skipped("kafka.events is at-least-once, which uses no transactions");
    }
    let id = &kafka.transactional_id;
    if running.is() {
        return judge_word(id, running.dependency("kafka_producer"));
    }
    let what = format!("Write on transactional id {id}");
    match kafka::transactions(kafka, deadline) {
        Err(trouble) if trouble.code == TroubleCode::TRANSACTIONS_DENIED || trouble.code == TroubleCode::CLUSTER_DENIED => {
            KAFKA_TRANSACTIONS.fail(trouble.to_string())
        }
        Err(trouble) => KAFKA_TRANSACTIONS.skipped(format!("{what} is not proven: {trouble}")),
        Ok(()) => KAFKA_TRANSACTIONS.ok(format!("{what} is allowed")),
    }
}

fn judge_word(id: &str, producer: Option<&Reported>) -> Finding {
    match producer {
        Some(Reported { state, .. }) if state == "ready" => {
            KAFKA_TRANSACTIONS.ok(format!("the running agent writes with transactional id {id}"))
        }
        Some(Reported { state, last_error: Some(error), .. }) if state == "not_ready" && error.contains("transaction") => {
            KAFKA_TRANSACTIONS.fail(error)
        }
        _ => KAFKA_TRANSACTIONS.skipped(format!(
            "Write on transactional id {id} is not proven: asking for it could fence the running agent, and that does not write just now"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use crate::domain::AgentId;
    use crate::threads::Published;

    #[test]
    fn a_running_agents_word_is_the_proof() {
        let one = |state: &str, error: Option<&str>| Reported {
            name: "kafka_producer".into(),
            state: state.into(),
            last_error: error.map(Into::into),
        };
        for (producer, state) in [
            (Some(one("ready", Some("kafka.transactions_denied: old"))), State::Ok),
            (Some(one("not_ready", Some("kafka.transactions_denied: grant"))), State::Fail),
            (Some(one("not_ready", Some("kafka.unreachable: away"))), State::Skipped),
            (Some(one("connecting", None)), State::Skipped),
            (None, State::Skipped),
        ] {
            assert_eq!(judge_word("id", producer.as_ref()).state, state, "{producer:?}");
        }
    }

    #[test]
    fn an_address_that_a_broker_names_is_mended_there() {
        let nobody = kafka::Settings {
            brokers: vec!["127.0.0.1:9".into()],
            command_topic: "c".into(),
            event_topic: "e".into(),
            dead_letter_topic: "d".into(),
            consumer_group: "g".into(),
            events: EventMode::AtLeastOnce,
            transactional_id: "t".into(),
            security: kafka::Security::default(),
            librdkafka: Vec::new(),
            max_message_bytes: 1 << 20,
            agent: AgentId::new("a").unwrap(),
            command_keys: Published::default(),
        };
        let away = kafka::reach(&nobody, "127.0.0.1:9", Deadline::after(Duration::from_millis(100))).map(drop).unwrap_err();
        let named = judge_broker(&Err(away.clone()), Source::Named, &Kafka::Off);
        assert!(named.state == State::Fail && named.remedy().contains("advertised.listeners"), "{named:?}");
        assert_eq!(judge_broker(&Err(away), Source::Configured, &Kafka::Off).state, State::Fail);
    }

    #[test]
    fn a_slow_broker_and_several_partitions_are_told() {
        let reached = |millis| Ok(Reached { took: Duration::from_millis(millis), brokers: Vec::new() });
        assert_eq!(judge_broker(&reached(20), Source::Configured, &Kafka::Off).state, State::Ok);
        assert_eq!(judge_broker(&reached(2500), Source::Configured, &Kafka::Off).state, State::Warn);
        assert_eq!(judge_commands("t", &Ok(1)).state, State::Ok);
        assert_eq!(judge_commands("t", &Ok(3)).state, State::Warn);
    }
}
