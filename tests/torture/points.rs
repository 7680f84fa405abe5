//! A crash at each step, once and again in the recovery; then all must be as without one.

use crate::fake_swarm::Change;
use crate::history::{self, Cancelled};
use crate::random::send_to_be_cancelled;
use crate::support::{Draft, Stage};
use crate::victim::{Ended, Victim, about};
use axion_agent::threads::CrashPoint;
use serde_json::json;
use uuid::Uuid;

/// Deploys that have settled as soon as their tasks run.
pub fn deploy(stack: &str, value: &str) -> Draft {
    let file = format!(
        "services:\n  web:\n    image: box:1\n    environment: [VALUE={value}]\n    deploy: {{replicas: 2, update_config: {{monitor: 1ms}}}}\n  \
         db:\n    image: box:2\n    deploy: {{update_config: {{monitor: 1ms}}}}\n"
    );
    about("Deploy", stack).with("docker_stack_yml", file).with("resolve_image", "never")
}

/// Every kind of road: what makes, changes, removes, reads, what is refused, what is no command, and what is to be
/// cancelled. The long form has those too that watch their tasks for seconds.
fn send_all(victim: &mut Victim<'_>) -> Vec<Cancelled> {
    victim.send(1, deploy("a", "1"));
    victim.send(2, deploy("b", "1"));
    victim.send(3, deploy("a", "2"));
    if crate::long_form().is_some() {
        victim.send(4, about("Scale", "a").with("services", json!({"web": 3})));
        victim.send(5, about("Restart", "a").with("services", json!(["db"])));
    }
    victim.send_nonsense();
    let cancelled = [1, 2].map(|number| send_to_be_cancelled(victim, number));
    victim.send(6, about("Remove", "b"));
    victim.send(7, about("GetStatus", "a"));
    victim.send(8, about("Scale", "a").with("services", "none"));
    // The same record twice: the second is a duplicate.
    victim.send(3, deploy("a", "2"));
    victim.sent.pop();
    cancelled.to_vec()
}

/// What is wrong with a run that has ended; `expected` are the changes of an undisturbed one, but for what was to be
/// cancelled.
fn faults(victim: &Victim<'_>, cancelled: &[Cancelled], expected: Option<&[Change]>) -> Vec<String> {
    let (events, changes) = (victim.events(), victim.changes());
    let mut wrong = history::ends(&victim.sent, &events);
    wrong.extend(history::cancels(cancelled, &events));
    let targets: Vec<Uuid> = cancelled.iter().map(|one| one.target).collect();
    wrong.extend(history::values("cancelled_web", &targets, &events, &changes));
    wrong.extend(expected.into_iter().flat_map(|expected| history::effects(expected, &certain(changes.clone()))));
    let reports = events.iter().filter(|event| event.event_type == "ErrorReport").count();
    if (reports, victim.letters() > 0) != (1, true) {
        wrong.push(format!("a dead letter was to be told once: {reports} reports, {} letters", victim.letters()));
    }
    wrong
}

/// The changes that do not depend on when a Cancel comes.
fn certain(changes: Vec<Change>) -> Vec<Change> {
    changes.into_iter().filter(|change| !change.object.starts_with("cancelled_")).collect()
}

pub fn every_step(stage: &Stage) {
    let mut undisturbed = Victim::new(stage, "each-step");
    let cancelled = send_all(&mut undisturbed);
    assert_eq!(undisturbed.live(None), Ended::Left, "{}", undisturbed.log_tail());
    let expected = certain(undisturbed.changes());
    assert_eq!(faults(&undisturbed, &cancelled, None), [] as [String; 0]);
    assert!(expected.len() >= 9, "the scenario changes something: {expected:#?}");

    let (passes, again) = if crate::long_form().is_some() { (3, true) } else { (1, false) };
    let mut runs = 0;
    // Nothing of this is gone: `gaps.rs` has a topic of which something is.
    let points: Vec<CrashPoint> = CrashPoint::ALL.iter().copied().filter(|point| *point != CrashPoint::GapSeen).collect();
    for (number, point) in points.iter().enumerate() {
        for pass in 1..=passes {
            let crash = format!("{}:{pass}", point.name());
            // In the recovery another point, a different one each time.
            let second = points[(number * 5 + pass) % points.len()];
            let recoveries = [None, again.then(|| format!("{}:1", second.name()))];
            for recovery in recoveries.iter().take(1 + usize::from(again)) {
                run(stage, &crash, recovery.as_deref(), &expected);
                runs += 1;
            }
        }
    }
    println!("{runs} runs with a crash");
}

fn run(stage: &Stage, crash: &str, recovery: Option<&str>, expected: &[Change]) {
    let mut victim = Victim::new(stage, "each-step");
    let cancelled = send_all(&mut victim);
    let mut ended = victim.live(Some(crash));
    assert!(ended == Ended::Killed || !crash.ends_with(":1"), "{crash} was never passed");
    if ended == Ended::Killed && recovery.is_some() {
        ended = victim.live(recovery);
    }
    if ended == Ended::Killed {
        ended = victim.live(None);
    }
    assert_eq!(ended, Ended::Left, "{crash}, {recovery:?}:\n{}", victim.log_tail());
    let wrong = faults(&victim, &cancelled, Some(expected));
    assert!(wrong.is_empty(), "{crash}, {recovery:?}: {wrong:#?}\n{}", victim.log_tail());
}
