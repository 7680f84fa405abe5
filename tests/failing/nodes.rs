//! Swarms of several nodes: one drains, one is lost, the leader is lost.

use crate::case::{Before, Case, deploy, good, sleeper, start, web};
use crate::support::{Lanes, Stage, Swarm, until};
use axion_agent::domain::{Action, Code};
use serde_json::{Value, json};
use std::time::Duration;

const SLEEP: &str = "sleep, '1000'";
/// On the second node of two.
const BOUND: &str = ", placement: {constraints: [node.role == worker]}";
/// A node that does not answer is down after 16 s at most, and its tasks have then no node for 11 s.
const LOST: u64 = 27;
/// Until a leader is chosen, and the tasks of the node that is down are made elsewhere.
const LEADERLESS: u64 = 60;

/// The time of a deploy that has no leader.
const WITHOUT: u64 = 6;
/// How long a leader that lost the others may take to see it.
const LEADERLESS_AT_LAST: Duration = Duration::from_secs(120);

/// A global service runs where it still can.
pub fn drained(stage: &Stage) {
    let swarm = Swarm::start(&stage.directory().join("drained"), &["manager", "worker"]);
    let (lanes, gate) = Lanes::behind_a_gate(&swarm.engines[0], stage.directory());
    lanes.run(Action::Deploy(good(&lanes, &web(SLEEP, "", "")))).completed();
    let everywhere = sleeper("", ", mode: global");
    let held = gate.hold("GET", "up-to-date");
    let services = [("everywhere", everywhere.as_str()), ("side", &sleeper("", "")), ("web", &web(SLEEP, "", ""))];
    let running = start(&lanes, deploy(&lanes, &services, "", "one"));
    let held = held.reached();
    let node = swarm.node(1);
    swarm.set_availability(&node, "drain");
    drop(held);
    let told = running.end().completed();
    assert_eq!(told.service("everywhere")["replicas"], json!({"running": 1, "desired": 1}), "{:#?}", told.outcome);
    // Back, it gets a task again, and the next deploy waits for that one.
    swarm.set_availability(&node, "active");
    let told = lanes.run(Action::Deploy(deploy(&lanes, &services, "", "one"))).completed();
    assert_eq!(told.service("everywhere")["replicas"]["desired"], told.service("everywhere")["replicas"]["running"]);
}

/// Nothing can run there, and nothing can go back there either; once the node is here again, all is well.
pub fn lost(stage: &Stage) {
    let swarm = Swarm::start(&stage.directory().join("lost"), &["manager", "worker"]);
    let (lanes, gate) = Lanes::behind_a_gate(&swarm.engines[0], stage.directory());
    let bad = web(SLEEP, ", environment: {V: two}", BOUND);
    let case = Case { good: web(SLEEP, "", BOUND), ..Case::of(bad, Code::NO_SUITABLE_NODE, "no suitable node", LOST) };
    case.begin(&lanes);
    let node = swarm.node(1);
    let held = gate.hold("POST", "/update");
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    swarm.engines[1].lose();
    drop(held);
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), "partial", "{:#?}", told.outcome);
    assert!(told.detail("rollback").to_string().contains("web"), "{:#?}", told.outcome);
    swarm.until_node_is(0, &node, "down");
    swarm.engines[1].let_go();
    swarm.until_node_is(0, &node, "ready");
    lanes.run(Action::Deploy(good(&lanes, &case.good))).completed();
}

/// Of three managers first the leader is lost, and then the next one: the last one has none.
pub fn leader_in_a_good_deploy(stage: &Stage) {
    let swarm = three(stage, "good");
    let (lanes, gate) = Lanes::behind_a_gate(&swarm.engines[1], stage.directory());
    let case = Case::of(web(SLEEP, ", environment: {V: two}", ""), Code::CRASH_LOOP, "", 0);
    case.begin(&lanes);
    let held = gate.hold("POST", "/update");
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    swarm.engines[0].lose();
    drop(held);
    let told = running.end().completed();
    println!("    completed after {:.1} s", told.certain_after.as_secs_f64());
    let now = crate::case::state(&lanes);
    assert_eq!(now["tasks"].as_array().unwrap().len(), 3, "{now:#}");
    assert_eq!(now["services"][lanes.stack.scoped("web")]["TaskTemplate"]["ContainerSpec"]["Env"], json!(["V=two"]));

    swarm.engines[2].lose();
    until("the last manager knows that it has no leader", LEADERLESS_AT_LAST, || {
        match lanes.engine.call("GET", "/services", &Value::Null) {
            Ok(_) => Err("it still answers".to_owned()),
            Err(_) => Ok(()),
        }
    });
    let without = Case { timeout: Some(WITHOUT), ..Case::of(web(SLEEP, "", ""), Code::ENGINE_AWAY, "the engine stayed away", WITHOUT) };
    let told = without.check_verdict(lanes.run(Action::Deploy(without.request(&lanes))));
    // An engine from 28 on does not even say that it is a manager then: the coordinator says of such an end that nothing was changed.
    assert_ne!(told.outcome.details.get("changed"), Some(&json!(true)), "{:#?}", told.outcome);
    swarm.engines[2].let_go();
}

pub fn leader_in_a_bad_deploy(stage: &Stage) {
    let swarm = three(stage, "bad");
    let (lanes, gate) = Lanes::behind_a_gate(&swarm.engines[1], stage.directory());
    let case = Case::of(web("sh, -c, exit 7", "", ""), Code::CRASH_LOOP, "non-zero exit (7)", LEADERLESS);
    let before: Before = case.begin(&lanes);
    let held = gate.hold("GET", "up-to-date");
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    swarm.engines[0].lose();
    drop(held);
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    before.compare_specs(&lanes);
}

/// The agent waits for its own engine, which is back when others have chosen a leader.
pub fn leader_of_the_agent(stage: &Stage) {
    let swarm = three(stage, "own");
    let (lanes, gate) = Lanes::behind_a_gate(&swarm.engines[0], stage.directory());
    let case = Case::of(web("sh, -c, exit 7", "", ""), Code::CRASH_LOOP, "non-zero exit (7)", LEADERLESS);
    let before = case.begin(&lanes);
    let node = swarm.node(0);
    let held = gate.hold("POST", "/update");
    let running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    swarm.engines[0].lose();
    drop(held);
    swarm.until_node_is(1, &node, "down");
    swarm.engines[0].let_go();
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    before.compare_specs(&lanes);
}

/// Three managers, of which the first leads; the agent is with the second.
fn three(stage: &Stage, name: &str) -> Swarm {
    Swarm::start(&stage.directory().join(name), &["manager", "manager", "manager"])
}
