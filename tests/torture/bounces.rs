//! The broker goes away and comes back, again and again, while commands keep coming.
//!
//! A broker alone that leaves while it ends a transaction finds no leader for the topics of that transaction, takes them for
//! deleted and writes no end of it (Kafka 4.3.1, `TransactionMarkerChannelManager`: "these partitions are likely deleted
//! already"): it hangs, and nobody who reads what is committed sees anything behind it (docs/kafka.md, `kafka.topic_stuck`).
//! No client can mend that: where it is seen the bounces begin anew, with other topics.

use crate::history;
use crate::random::{deploy, in_order, moment};
use crate::recovery::Recovery;
use crate::support::Stage;
use crate::victim::{Answers, Ended, Victim};
use std::time::Duration;

/// In the short form.
const BOUNCES: usize = 2;
/// All must be answered after so many.
const SERIES: usize = 10;
/// A hundred bounces come to a transaction that hangs once or twice.
const ATTEMPTS: usize = 8;
/// The longest time that the broker is away.
const AWAY: Duration = Duration::from_secs(4);
/// The longest time that it is there.
const THERE: Duration = Duration::from_secs(2);
const STACKS: [&str; 2] = ["a", "b"];
/// How often the state is asked for in each round.
const QUESTIONS: usize = 20;

pub fn bounces(stage: &Stage) {
    let bounces = crate::long_form().map_or(BOUNCES, |kills| kills.div_ceil(10));
    let mut left = bounces;
    for _ in 0..ATTEMPTS {
        left -= bounce(stage, left);
        if left == 0 {
            return;
        }
        println!("the broker has left a transaction that hangs: {left} bounces are left");
    }
    panic!("a transaction hangs again and again");
}

/// Up to so many; how many came before the broker left a transaction that hangs.
fn bounce(stage: &Stage, bounces: usize) -> usize {
    let mut victim = Victim::new(stage, "bounced");
    let mut agent = victim.start(None);
    let recovery = Recovery::after_warming_up(&mut victim, &mut agent);
    let mut value = 0_u128;
    for series in (0..bounces).step_by(SERIES) {
        let length = SERIES.min(bounces - series);
        for _ in 0..length {
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
        if recovery.wait(&victim, &mut agent, &format!("{length} bounces")) == Answers::Hidden {
            return series;
        }
    }
    assert_eq!(victim.leave(agent), Ended::Left, "{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(in_order(&victim));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
    bounces
}
