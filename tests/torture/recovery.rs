//! What a disturbance may cost: how long until all is answered once it is over, and how much memory stays.

use crate::support::{Agent, READY};
use crate::victim::{Answers, Victim};
use std::time::{Duration, Instant};

/// From the end of a disturbance to the last answer.
const ALL_ANSWERED: Duration = Duration::from_secs(30);
/// The same on a machine that runs other tests beside this one.
const ALL_ANSWERED_HERE: Duration = Duration::from_secs(60);
/// What may be left of it in memory: librdkafka's buffers of new connections, and what the allocator keeps.
const GROWTH_KB: u64 = 10 * 1024;
/// How many questions fill caches and buffers before the first look.
const WARM_UP: usize = 200;

/// The memory of an agent before it was disturbed.
pub struct Recovery {
    before_kb: u64,
}

impl Recovery {
    pub fn after_warming_up(victim: &mut Victim<'_>, agent: &mut Agent) -> Self {
        agent.wait_ready(READY);
        victim.ask(WARM_UP);
        assert_eq!(victim.answers(agent), Answers::All, "{}", victim.log_tail());
        Self { before_kb: agent.resident_kb() }
    }

    /// Waits until all is answered; the disturbance was over just now. Where the broker hides the answers nothing can be said.
    pub fn wait(&self, victim: &Victim<'_>, agent: &mut Agent, disturbance: &str) -> Answers {
        let over = Instant::now();
        match victim.answers(agent) {
            Answers::All => {}
            Answers::Died => panic!("the agent died:\n{}", victim.log_tail()),
            Answers::Hidden => return Answers::Hidden,
        }
        let (took, after_kb) = (over.elapsed(), agent.resident_kb());
        let count = victim.sent.len();
        println!("{disturbance}: {count} commands, all answered {took:.1?} later; memory {} KiB, then {after_kb}", self.before_kb);
        let bound = if crate::long_form().is_some() { ALL_ANSWERED } else { ALL_ANSWERED_HERE };
        assert!(took <= bound, "{}", victim.log_tail());
        self.check_growth(after_kb);
        Answers::All
    }

    pub fn check_growth(&self, now_kb: u64) {
        assert!(now_kb <= self.before_kb + GROWTH_KB, "{} KiB, then {now_kb}", self.before_kb);
    }
}
