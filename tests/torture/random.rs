//! Kills at random moments, while commands keep coming.

use crate::history::{self, Cancelled};
use crate::support::{Draft, Stage};
use crate::victim::{Ended, Victim, about};
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
/// The numbers of the commands that are to be cancelled begin here …
const TARGETS: u128 = 1 << 32;
/// … and those of their Cancels here.
const CANCELS: u128 = 2 << 32;

pub fn kills(stage: &Stage) {
    let kills = crate::long_form().unwrap_or(KILLS);
    let mut victim = Victim::new(stage, "any-moment");
    let mut random = RandomState::new().hash_one("kills") | 1;
    let (mut value, mut cancelled) = (0_u128, Vec::new());
    println!("{kills} kills, random from {random}");
    for _ in 0..kills {
        for stack in STACKS {
            value += 1;
            victim.send(value, deploy(stack, value));
        }
        cancelled.push(send_to_be_cancelled(&mut victim, value));
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
    let events = victim.events();
    let mut wrong = history::ends(&victim.sent, &events);
    wrong.extend(in_order(&victim));
    wrong.extend(history::cancels(&cancelled, &events));
    let targets: Vec<Uuid> = cancelled.iter().map(|one| one.target).collect();
    wrong.extend(history::values("cancelled_web", &targets, &events, &victim.changes()));
    let came_through = events.iter().filter(|event| event.terminal && event.code() == Some("cancelled")).count();
    println!("{came_through} of {} commands were cancelled", cancelled.len());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", victim.log_tail());
}

/// A deploy, and a Cancel of it right behind: with what lies in the topic before them it waits, runs or is over then.
pub fn send_to_be_cancelled(victim: &mut Victim<'_>, number: u128) -> Cancelled {
    let (target, cancel) = (TARGETS + number, CANCELS + number);
    victim.send(target, slow_deploy("cancelled", target));
    let draft = Draft { command_type: "Cancel".to_owned(), ..Draft::default() };
    victim.send(cancel, draft.with("project_id", "p").with("command_id", Uuid::from_u128(target).to_string()));
    Cancelled { target: Uuid::from_u128(target), cancel: Uuid::from_u128(cancel) }
}

/// One that watches its task for a moment, and leaves it as it is if it is cancelled then.
fn slow_deploy(stack: &str, value: u128) -> Draft {
    let file = compose(value, "300ms");
    about("Deploy", stack).with("docker_stack_yml", file).with("resolve_image", "never").with("on_failure", "leave")
}

fn compose(value: u128, monitor: &str) -> String {
    format!(
        "services:\n  web:\n    image: box:1\n    environment: [VALUE={value}]\n    deploy: {{update_config: {{monitor: {monitor}}}}}\n"
    )
}

/// Waits for up to `longest`: a moment at random.
pub fn moment(longest: Duration) {
    let part = u32::try_from(RandomState::new().hash_one(longest) % 1000).unwrap();
    crossbeam_channel::after(longest * part / 1000).recv().unwrap();
}

pub fn deploy(stack: &str, value: u128) -> Draft {
    about("Deploy", stack).with("docker_stack_yml", compose(value, "1ms")).with("resolve_image", "never")
}

/// Each service must have had each of its values once, in the order in which they were sent.
pub fn in_order(victim: &Victim<'_>) -> Vec<String> {
    let objects = history::by_object(&victim.changes());
    let mut wrong = Vec::new();
    for (index, stack) in STACKS.iter().enumerate() {
        let sent = victim.sent.iter().map(Uuid::as_u128).filter(|value| *value < TARGETS && (value + 1) % 2 == index as u128);
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
