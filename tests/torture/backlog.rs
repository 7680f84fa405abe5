//! A backlog that is far larger than what the agent takes in: the topic is the queue, not its memory.

use crate::history;
use crate::recovery::Recovery;
use crate::support::{Agent, Stage};
use crate::victim::{Answers, Ended, Victim};
use std::time::Instant;

const BACKLOG: usize = 2_000;
const LONG_BACKLOG: usize = 100_000;
/// Its memory is looked at so often.
const EVENTS_PER_LOOK: usize = 100;

pub fn backlog(stage: &Stage) {
    let size = if crate::long_form().is_some() { LONG_BACKLOG } else { BACKLOG };
    let mut victim = Victim::new(stage, "backlog");
    victim.whisper();
    let mut agent = victim.start(None);
    let recovery = Recovery::after_warming_up(&mut victim, &mut agent);
    victim.ask(size);
    let (began, mut events, mut largest) = (Instant::now(), 0, 0);
    let look = |agent: &Agent| {
        if events % EVENTS_PER_LOOK == 0 {
            largest = largest.max(agent.resident_kb());
        }
        events += 1;
    };
    assert_eq!(victim.answers_while(&mut agent, look), Answers::All, "{}", victim.log_tail());
    println!("{size} commands in {:.1?}, with at most {largest} KiB of memory", began.elapsed());
    recovery.check_growth(largest);
    assert_eq!(victim.leave(agent), Ended::Left, "{}", victim.log_tail());
    let wrong = history::ends(&victim.sent, &victim.events());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}
