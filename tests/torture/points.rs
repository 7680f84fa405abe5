//! A crash at each step, once and again in the recovery; then all must be as without one.

use crate::history;
use crate::support::{Draft, Stage};
use crate::victim::{Ended, Victim, about};
use axion_agent::threads::CrashPoint;
use serde_json::json;

/// Deploys that have settled as soon as their tasks run.
pub fn deploy(stack: &str, value: &str) -> Draft {
    let file = format!(
        "services:\n  web:\n    image: box:1\n    environment: [VALUE={value}]\n    deploy: {{replicas: 2, update_config: {{monitor: 1ms}}}}\n  \
         db:\n    image: box:2\n    deploy: {{update_config: {{monitor: 1ms}}}}\n"
    );
    about("Deploy", stack).with("docker_stack_yml", file).with("resolve_image", "never")
}

/// Every kind of road: what makes, changes, removes, reads, and what is refused. The long form has those too that
/// watch their tasks for seconds.
fn send_all(victim: &mut Victim<'_>) {
    victim.send(1, deploy("a", "1"));
    victim.send(2, deploy("b", "1"));
    victim.send(3, deploy("a", "2"));
    if crate::long_form().is_some() {
        victim.send(4, about("Scale", "a").with("services", json!({"web": 3})));
        victim.send(5, about("Restart", "a").with("services", json!(["db"])));
    }
    victim.send(6, about("Remove", "b"));
    victim.send(7, about("GetStatus", "a"));
    victim.send(8, about("Scale", "a").with("services", "none"));
    // The same record twice: the second is a duplicate.
    victim.send(3, deploy("a", "2"));
    victim.sent.pop();
}

pub fn every_step(stage: &Stage) {
    let mut undisturbed = Victim::new(stage, "each-step");
    send_all(&mut undisturbed);
    assert_eq!(undisturbed.live(None), Ended::Left, "{}", undisturbed.log_tail());
    let expected = undisturbed.changes();
    assert_eq!(history::ends(&undisturbed.sent, &undisturbed.events()), [] as [String; 0]);
    assert!(expected.len() >= 9, "the scenario changes something: {expected:#?}");

    let (passes, again) = if crate::long_form().is_some() { (3, true) } else { (1, false) };
    let mut runs = 0;
    for (number, point) in CrashPoint::ALL.iter().enumerate() {
        for pass in 1..=passes {
            let crash = format!("{}:{pass}", point.name());
            // In the recovery another point, a different one each time.
            let second = CrashPoint::ALL[(number * 5 + pass) % CrashPoint::ALL.len()];
            let recoveries = [None, again.then(|| format!("{}:1", second.name()))];
            for recovery in recoveries.iter().take(1 + usize::from(again)) {
                run(stage, &crash, recovery.as_deref(), &expected);
                runs += 1;
            }
        }
    }
    println!("{runs} runs with a crash");
}

fn run(stage: &Stage, crash: &str, recovery: Option<&str>, expected: &[crate::fake_swarm::Change]) {
    let mut victim = Victim::new(stage, "each-step");
    send_all(&mut victim);
    let mut ended = victim.live(Some(crash));
    assert!(ended == Ended::Killed || !crash.ends_with(":1"), "{crash} was never passed");
    if ended == Ended::Killed && recovery.is_some() {
        ended = victim.live(recovery);
    }
    if ended == Ended::Killed {
        ended = victim.live(None);
    }
    assert_eq!(ended, Ended::Left, "{crash}, {recovery:?}:\n{}", victim.log_tail());
    let mut wrong = history::ends(&victim.sent, &victim.events());
    wrong.extend(history::effects(expected, &victim.changes()));
    assert!(wrong.is_empty(), "{crash}, {recovery:?}: {wrong:#?}\n{}", victim.log_tail());
}
