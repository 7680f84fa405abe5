//! The broker goes away and comes back, again and again, while commands keep coming; every other time it has no
//! moment to leave in order.

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
    for bounce in 0..bounces {
        for stack in STACKS {
            value += 1;
            victim.send(value, deploy(stack, value));
        }
        victim.ask(QUESTIONS);
        moment(THERE);
        if bounce % 2 == 0 {
            victim.broker.down();
        } else {
            victim.broker.crash();
        }
        moment(AWAY);
        victim.broker.up();
    }
    recovery.wait(&victim, &mut agent, &format!("{bounces} bounces"));
    assert_eq!(victim.leave(agent), Ended::Left, "{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(in_order(&victim));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}
