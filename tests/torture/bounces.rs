//! The broker goes away and comes back, again and again, while commands keep coming.
//!
//! It leaves in order. A broker alone that is killed and is back before its old session is over (9 s) loses its own
//! leadership once more when that session ends, and then takes the topics of transactions that it was ending for deleted
//! (Kafka 4.3.1, `TransactionMarkerChannelManager`: "these partitions are likely deleted already"): such a transaction
//! hangs, and nobody who reads what is committed sees anything behind it. No client can mend that (docs/kafka.md,
//! `kafka.topic_stuck`).

use crate::history;
use crate::random::{deploy, in_order, moment};
use crate::recovery::Recovery;
use crate::support::Stage;
use crate::victim::{Ended, Victim};
use std::time::Duration;

/// In the short form.
const BOUNCES: usize = 2;
/// The longest time that the broker is away.
const AWAY: Duration = Duration::from_secs(4);
/// The longest time that it is there.
const THERE: Duration = Duration::from_secs(2);
const STACKS: [&str; 2] = ["a", "b"];
/// How often the state is asked for in each round.
const QUESTIONS: usize = 20;

pub fn bounces(stage: &Stage) {
    let bounces = crate::long_form().map_or(BOUNCES, |kills| kills.div_ceil(10));
    let mut victim = Victim::new(stage, "bounced");
    let mut agent = victim.start(None);
    let recovery = Recovery::after_warming_up(&mut victim, &mut agent);
    let mut value = 0_u128;
    for _ in 0..bounces {
        for stack in STACKS {
            value += 1;
            victim.send(value, deploy(stack, value));
        }
        victim.ask(QUESTIONS);
        moment(THERE);
        victim.broker.down();
        moment(AWAY);
        victim.broker.up();
    }
    recovery.wait(&victim, &mut agent, &format!("{bounces} bounces"));
    assert_eq!(victim.leave(agent), Ended::Left, "{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(in_order(&victim));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}
