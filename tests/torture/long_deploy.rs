//! A deploy of an hour, squeezed into seconds: it holds its lane and its stack, and nothing else. The consumer's time
//! between two polls is squeezed with it: a consumer with a subscription would lose its partitions many times over.

use crate::history;
use crate::random::deploy;
use crate::support::events::TopicReader;
use crate::support::{Draft, Stage};
use crate::victim::{Ended, Victim, about};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What is five minutes by default (`max.poll.interval.ms`).
const FIVE_MINUTES: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(12);
/// Within this a question is answered, whatever else is under way.
const ANSWER: Duration = Duration::from_secs(1);
/// For one that has no such promise, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the window of 256: it fills, and the consumer is asked for nothing any more.
const BACKLOG: u128 = 300;

pub fn hour(stage: &Stage) {
    let limits = format!(
        "[kafka.librdkafka]\n\"max.poll.interval.ms\" = \"{0}\"\n\"session.timeout.ms\" = \"{0}\"\n\"heartbeat.interval.ms\" = \"300\"\n",
        FIVE_MINUTES.as_millis()
    );
    let mut victim = Victim::with(stage, "hour", &limits);
    victim.swarm.lock().unwrap().preparing = Some("long_");
    let agent = victim.start(None);
    let began = Instant::now();
    victim.send(1, deploy("long", 1));
    victim.until_swarm("the deploy has made its service", |swarm| swarm.services.contains_key("long_web"));

    let reader = victim.reader();
    let mut answers = Vec::new();
    let mut value = 1;
    while began.elapsed() < HOUR / 2 {
        value += 2;
        answers.push(carry_out(&mut victim, &reader, value, about("GetStatus", "long")));
        carry_out(&mut victim, &reader, value + 1, deploy("other", value + 1));
    }
    answers.sort_unstable();
    let (fastest, usual, slowest) = (answers[0], answers[answers.len() / 2], answers[answers.len() - 1]);
    println!("{} questions during the deploy: {fastest:?} at least, {usual:?} in the middle, {slowest:?} at most", answers.len());
    // The others say more of the machine than of the agent, which a deploy holds up for as long as it lasts or not at all.
    assert!(fastest < ANSWER, "{answers:?}");

    for number in 0..BACKLOG {
        victim.send(1000 + number, about("Remove", "long"));
    }
    // The rest of the hour is a wait for time: it is what is tested.
    crossbeam_channel::after(HOUR.saturating_sub(began.elapsed()).max(5 * FIVE_MINUTES)).recv().unwrap();
    victim.swarm.lock().unwrap().preparing = None;
    assert_eq!(victim.watch(agent), Ended::Left, "{}", victim.log_tail());

    let events = victim.events();
    assert_eq!(history::ends(&victim.sent, &events), [] as [String; 0]);
    let of_long = |id: &Uuid| id.as_u128() == 1 || id.as_u128() >= 1000;
    let sent: Vec<Uuid> = victim.sent.iter().copied().filter(of_long).collect();
    let ended: Vec<Uuid> = events.iter().filter(|event| event.terminal).filter_map(|event| event.causation_id).filter(of_long).collect();
    assert_eq!(ended, sent, "one stack, one order");
    let log = victim.log();
    for loss in ["maximum poll interval", "kafka_consumer is not ready"] {
        assert!(!log.contains(loss), "{loss}: {}", victim.log_tail());
    }
}

/// Sends a command and waits for its end; how long that took.
fn carry_out(victim: &mut Victim<'_>, reader: &TopicReader, id: u128, draft: Draft) -> Duration {
    let asked = Instant::now();
    victim.send(id, draft);
    let id = Uuid::from_u128(id);
    loop {
        assert!(asked.elapsed() < PATIENCE, "no end of {id}:\n{}", victim.log_tail());
        let event = reader.next(Duration::from_millis(50)).unwrap().and_then(|record| record.event().ok());
        if event.is_some_and(|event| event.terminal && event.causation_id == Some(id)) {
            return asked.elapsed();
        }
    }
}
