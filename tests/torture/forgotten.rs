//! The brokers forget the transactional id of an agent that has nothing to say.

use crate::history;
use crate::random::{deploy, in_order};
use crate::support::{READY, Stage, coordinator, until};
use crate::victim::{Answers, Ended, Victim};
use std::time::Duration;

/// A forgetful broker looks every few seconds for ids that were idle for fifteen.
const FORGETTING: Duration = Duration::from_secs(60);
const AGENT: &str = "forgotten";

pub fn forgotten(stage: &Stage) {
    let mut victim = Victim::new(stage, AGENT);
    let mut agent = victim.start(None);
    victim.send(1, deploy("a", 1));
    victim.send(2, deploy("b", 2));
    assert_eq!(victim.answers(&mut agent), Answers::All, "{}", victim.log_tail());
    until("the broker has forgotten the id", FORGETTING, || {
        match coordinator::knows(&victim.broker.brokers(), &format!("runner-agent-{AGENT}"))? {
            true => Err("it is known".to_owned()),
            false => Ok(()),
        }
    });
    agent.wait_ready(READY);
    victim.send(3, deploy("a", 3));
    victim.send(4, deploy("b", 4));
    assert_eq!(victim.answers(&mut agent), Answers::All, "{}", victim.log_tail());
    assert_eq!(agent.dependency("kafka_producer").as_deref(), Ok("ready"));
    assert_eq!(victim.leave(agent), Ended::Left, "{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(in_order(&victim));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}
