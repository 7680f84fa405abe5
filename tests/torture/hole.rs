//! A black hole on the way to the broker, while commands keep coming: a forwarder of ours that lets nothing pass, says
//! nothing, and delivers late what it had. The agent reaches its broker through it alone, over TLS.

use crate::history;
use crate::random::{deploy, in_order};
use crate::recovery::Recovery;
use crate::support::{Forward, Stage};
use crate::victim::{Answers, Ended, Victim};
use std::time::{Duration, Instant};

/// In the short form: longer than a transaction is waited for.
const HOLE: Duration = Duration::from_secs(25);
/// In the long form: longer than the brokers themselves wait for it.
const LONG_HOLE: Duration = Duration::from_secs(600);
/// What comes before it and is not answered when it begins.
const OPEN: usize = 100;
/// While it lasts a question comes this often, and every tenth time a deploy.
const PACE: Duration = Duration::from_millis(500);
const QUESTIONS_PER_DEPLOY: usize = 10;
const STACKS: [&str; 2] = ["a", "b"];

pub fn hole(stage: &Stage) {
    let length = if crate::long_form().is_some() { LONG_HOLE } else { HOLE };
    let listeners = stage.supply().secure().unwrap();
    let (_, port) = listeners.tls.rsplit_once(':').unwrap();
    let port = port.parse().unwrap();
    let way = Forward::start(port, port);
    let mut victim = Victim::over_ipv6(stage, "black-hole", &listeners);
    let mut agent = victim.start(None);
    let recovery = Recovery::after_warming_up(&mut victim, &mut agent);
    assert!(way.connections() > 0, "the agent has another way to its broker");

    victim.ask(OPEN);
    way.cut();
    let (began, mut value) = (Instant::now(), 0_u128);
    for turn in 0.. {
        if began.elapsed() >= length {
            break;
        }
        if turn % QUESTIONS_PER_DEPLOY == 0 {
            value += 1;
            victim.send(value, deploy(STACKS[(value as usize + 1) % 2], value));
        }
        victim.ask(1);
        crossbeam_channel::after(PACE).recv().unwrap();
    }
    way.mend();
    let answers = recovery.wait(&victim, &mut agent, &format!("a black hole of {} s", length.as_secs()));
    assert_eq!(answers, Answers::All, "{}", victim.log_tail());
    assert_eq!(victim.leave(agent), Ended::Left, "{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(in_order(&victim));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}
