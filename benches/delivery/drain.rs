//! A backlog of commands that only read, and how fast it is answered.

use crate::questions::Questions;
use crate::rival::{Answer, Rival};
use crate::support::events::{Start, TopicReader};
use crate::support::{Broker, Stage};
use crate::victim::{Ended, Victim};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::time::{Duration, Instant};
use uuid::Uuid;

const BACKLOG: usize = 10_000;
/// CommandAccepted and the answer itself.
const EVENTS: usize = 2;
/// Of the rival's pace.
const LEAST: f64 = 0.5;
const PATIENCE: Duration = Duration::from_secs(60);

/// How a backlog was drained.
struct Drained {
    /// From the first answer that could be seen to the last.
    took: Duration,
    transactions: usize,
    bytes: usize,
}

impl Drained {
    fn pace(&self) -> f64 {
        BACKLOG as f64 / self.took.as_secs_f64()
    }
}

pub fn drain(stage: &Stage) {
    let agent = by_the_agent(stage);
    let batch = BACKLOG.div_ceil(agent.transactions);
    let took = by_the_rival(stage, batch, agent.bytes / (EVENTS * BACKLOG));
    let rival = BACKLOG as f64 / took.as_secs_f64();
    println!(
        "a backlog of {BACKLOG}: the agent {:.0} commands/s in {} transactions, the rival {rival:.0}/s with as many ({batch} commands each): {:.0} %",
        agent.pace(),
        agent.transactions,
        100.0 * agent.pace() / rival
    );
    assert!(agent.pace() >= LEAST * rival);
}

fn by_the_agent(stage: &Stage) -> Drained {
    let mut victim = Victim::new(stage, "drain");
    victim.whisper();
    victim.ask(BACKLOG);
    let reader = victim.reader();
    let agent = victim.start(None);
    let (mut first, mut last) = (None, Instant::now());
    let (mut ends, mut records, mut bytes) = (0, 0, 0);
    while ends < BACKLOG {
        let record = reader.next(PATIENCE).unwrap().unwrap_or_else(|| panic!("{}", victim.log_tail()));
        last = Instant::now();
        first.get_or_insert(last);
        ends += usize::from(record.event().unwrap().terminal);
        records += 1;
        bytes += record.body.len();
    }
    assert_eq!(victim.leave(agent), Ended::Left);
    assert_eq!(records, EVENTS * BACKLOG);
    // Each transaction has one offset for the marker at its end.
    let transactions = usize::try_from(end_of(&victim.broker, victim.event_topic())).unwrap() - records;
    Drained { took: last - first.unwrap(), transactions, bytes }
}

fn by_the_rival(stage: &Stage, batch: usize, bytes: usize) -> Duration {
    let broker = Broker::of(stage.supply());
    let mut rival = Rival::start(&broker, None);
    let questions = Questions::to(&broker.brokers(), &rival.commands);
    (0..BACKLOG).for_each(|_| questions.ask(Uuid::new_v4()));
    questions.flush();
    let value = vec![b'x'; bytes];
    let answer = Answer { records: EVENTS, value: &value };
    // The first one has the client find its partitions.
    let mut left = BACKLOG - batch;
    rival.answer(batch, &answer);
    let began = Instant::now();
    while left > 0 {
        let commands = batch.min(left);
        rival.answer(commands, &answer);
        left -= commands;
    }
    let took = began.elapsed();
    let reader = TopicReader::open(&broker.brokers(), &rival.events, Start::Beginning).unwrap();
    (0..EVENTS * BACKLOG).for_each(|_| drop(reader.next(PATIENCE).unwrap().unwrap()));
    took
}

fn end_of(broker: &Broker<'_>, topic: &str) -> i64 {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", broker.brokers()).create().unwrap();
    client.fetch_watermarks(topic, 0, PATIENCE).unwrap().1
}
