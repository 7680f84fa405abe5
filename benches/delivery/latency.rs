//! From a command's record to the CommandAccepted that a reader of what is committed sees, while nothing else is to
//! be done.

use crate::questions::Questions;
use crate::rival::{Answer, Rival};
use crate::support::events::{EventRecord, Start, TopicReader};
use crate::support::{Broker, READY, Stage};
use crate::victim::{Ended, Victim};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Both in turn, so that both meet the same machine.
const ROUNDS: usize = 10;
const COMMANDS: usize = 20;
/// Of the rival's time.
const MOST: f64 = 1.5;
/// About what CommandAccepted takes.
const ANSWER_BYTES: usize = 400;
const PATIENCE: Duration = Duration::from_secs(60);

pub fn latency(stage: &Stage) {
    let mut victim = Victim::new(stage, "latency");
    victim.whisper();
    let agent = victim.start(None);
    agent.wait_ready(READY);
    let reader = victim.reader();
    let broker = Broker::of(stage.supply());
    let mut rival = Rival::start(&broker, Some(&stage.directory().join("rival")));
    let questions = Questions::to(&broker.brokers(), &rival.commands);
    let rivals_reader = TopicReader::open(&broker.brokers(), &rival.events, Start::Beginning).unwrap();
    let (mut agents, mut rivals) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        agents.extend((0..COMMANDS).map(|_| accepted(&mut victim, &reader)));
        rivals.extend((0..COMMANDS).map(|_| answered(&questions, &mut rival, &rivals_reader)));
    }
    let (agent_p50, rival_p50) = (percentile(&mut agents, 50), percentile(&mut rivals, 50));
    println!(
        "a command's record to its CommandAccepted: the agent p50 {agent_p50:.1?}, p99 {:.1?}; the rival p50 {rival_p50:.1?}, p99 {:.1?}: {:.2} times",
        percentile(&mut agents, 99),
        percentile(&mut rivals, 99),
        agent_p50.as_secs_f64() / rival_p50.as_secs_f64()
    );
    assert_eq!(victim.leave(agent), Ended::Left);
    assert!(agent_p50 <= rival_p50.mul_f64(MOST));
}

fn accepted(victim: &mut Victim<'_>, reader: &TopicReader) -> Duration {
    let began = Instant::now();
    let id = victim.question();
    let next = |wanted: fn(&EventRecord) -> bool| {
        loop {
            let event = reader.next(PATIENCE).unwrap().unwrap().event().unwrap();
            if event.causation_id == Some(id) && wanted(&event) {
                return began.elapsed();
            }
        }
    };
    let accepted = next(|event| event.event_type == "CommandAccepted");
    next(|event| event.terminal);
    accepted
}

fn answered(questions: &Questions, rival: &mut Rival, reader: &TopicReader) -> Duration {
    let began = Instant::now();
    questions.ask(Uuid::new_v4());
    rival.answer(1, &Answer { records: 1, value: &[b'x'; ANSWER_BYTES] });
    reader.next(PATIENCE).unwrap().unwrap();
    began.elapsed()
}

fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * part / 100]
}
