//! Kills at random moments, while commands keep coming.

use crate::history;
use crate::support::{Draft, Stage};
use crate::victim::{Ended, QUERIES, Victim, about};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::Duration;
use uuid::Uuid;

/// In the short form.
const KILLS: usize = 5;
/// The process lives at most this long before it is killed: a start takes a part of it.
const LIFE: Duration = Duration::from_millis(2500);
/// Two stacks, so that two lanes are at work.
const STACKS: [&str; 2] = ["a", "b"];

pub fn kills(stage: &Stage) {
    let kills = crate::long_form().unwrap_or(KILLS);
    let mut victim = Victim::new(stage, "any-moment");
    let mut random = RandomState::new().hash_one("kills") | 1;
    let mut value = 0_u128;
    println!("{kills} kills, random from {random}");
    for _ in 0..kills {
        for stack in STACKS {
            value += 1;
            victim.send(value, deploy(stack, value));
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let agent = victim.start(None);
        // This is the one wait for time alone: the moment of the kill.
        let moment = LIFE * u32::try_from(random % 1000).unwrap() / 1000;
        crossbeam_channel::after(moment).recv().unwrap();
        agent.kill();
    }
    assert_eq!(victim.live(None), Ended::Left, "{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(in_order(&victim));
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}

pub fn deploy(stack: &str, value: u128) -> Draft {
    let file =
        format!("services:\n  web:\n    image: box:1\n    environment: [VALUE={value}]\n    deploy: {{update_config: {{monitor: 1ms}}}}\n");
    about("Deploy", stack).with("docker_stack_yml", file).with("resolve_image", "never")
}

/// Waits for up to `longest`: a moment at random.
pub fn moment(longest: Duration) {
    let part = u32::try_from(RandomState::new().hash_one(longest) % 1000).unwrap();
    crossbeam_channel::after(longest * part / 1000).recv().unwrap();
}

/// Each service must have had each of its values once, in the order in which they were sent.
pub fn in_order(victim: &Victim<'_>) -> Vec<String> {
    let objects = history::by_object(&victim.changes());
    let mut wrong = Vec::new();
    for (index, stack) in STACKS.iter().enumerate() {
        let deploys = victim.sent.iter().map(Uuid::as_u128).filter(|value| *value < QUERIES);
        let sent = deploys.filter(|value| (value + 1) % 2 == index as u128);
        let expected: Vec<String> = sent.map(|value| format!("VALUE={value}")).collect();
        let changes = objects.get(&format!("{stack}_web")).cloned().unwrap_or_default();
        let found: Vec<String> =
            changes.iter().filter_map(|change| change.split('"').find(|word| word.starts_with("VALUE="))).map(str::to_owned).collect();
        if found != expected {
            wrong.push(format!("{stack}_web: sent {expected:?}, found {found:?}"));
        }
    }
    wrong
}
