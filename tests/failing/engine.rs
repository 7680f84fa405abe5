//! The engine itself: it is killed and starts again, and a node that drains.

use crate::case::{Before, Case, good, sleeper, start, state, update_of, web};
use crate::support::{Engine, Gate, Held, Lanes, Running, Stage};
use axion_agent::domain::{Action, Code};
use serde_json::{Value, json};

const SLEEP: &str = "sleep, '1000'";
/// In MiB: the managers' log takes half of it from the beginning.
const DISK: u32 = 128;

/// What holds a request up.
type Hold = fn(&Gate, &Lanes) -> Held;
/// At which requests of a deploy it is killed.
const POINTS: [(&str, Hold); 2] = [
    ("before a service is written", |gate, lanes| gate.hold("POST", &update_of(lanes, "web"))),
    ("while tasks are looked at", |gate, _| gate.hold("GET", "up-to-date")),
];

/// Ends the engine while a request is held up, and lets that one meet a dead engine.
fn end(lanes: &Lanes, held: Held, signal: &str) {
    let held = held.reached();
    lanes.engine.kill(signal);
    drop(held);
}

pub fn killed_in_a_good_deploy(stage: &Stage) {
    ended_in_a_good_deploy(stage, "KILL");
}

/// As `systemctl restart docker` does: it ends its containers first.
pub fn stopped_in_a_good_deploy(stage: &Stage) {
    ended_in_a_good_deploy(stage, "TERM");
}

fn ended_in_a_good_deploy(stage: &Stage, signal: &str) {
    for (what, hold) in POINTS {
        let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
        let case = Case::of(web(SLEEP, ", environment: {V: two}", ""), Code::CRASH_LOOP, "", 0);
        case.begin(&lanes);
        let held = hold(&gate, &lanes);
        let running = start(&lanes, case.request(&lanes));
        end(&lanes, held, signal);
        let told = running.end().completed();
        println!("    ended {what}: completed after {:.1} s", told.certain_after.as_secs_f64());
        let now = state(&lanes);
        assert_eq!(now["tasks"].as_array().unwrap().len(), 3, "{now:#}");
        assert_eq!(now["services"][lanes.stack.scoped("web")]["TaskTemplate"]["ContainerSpec"]["Env"], json!(["V=two"]));
    }
}

pub fn killed_in_a_bad_deploy(stage: &Stage) {
    for (what, hold) in POINTS {
        let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
        let (case, before) = bad(&lanes);
        let held = hold(&gate, &lanes);
        let running = start(&lanes, case.request(&lanes));
        end(&lanes, held, "KILL");
        println!("    killed {what}:");
        went_back(&lanes, &case, &before, running);
    }
}

pub fn killed_on_the_way_back(stage: &Stage) {
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let (case, before) = bad(&lanes);
    // The first one writes the update that fails.
    let held = gate.hold_after(1, "POST", &update_of(&lanes, "web"));
    let running = start(&lanes, case.request(&lanes));
    end(&lanes, held, "KILL");
    went_back(&lanes, &case, &before, running);
}

fn bad(lanes: &Lanes) -> (Case<'static>, Before) {
    let case = Case::of(web("sh, -c, exit 7", "", ""), Code::CRASH_LOOP, "non-zero exit (7)", 60);
    let before = case.begin(lanes);
    (case, before)
}

fn went_back(lanes: &Lanes, case: &Case, before: &Before, running: Running) {
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    before.compare_specs(lanes);
}

/// No container can be made, neither a new one nor the old one again; the way back waits until there is room.
pub fn full_disk(stage: &Stage) {
    let engine = Engine::with_disk(&stage.directory().join("small"), DISK).unwrap();
    let (lanes, gate) = Lanes::behind_a_gate(&engine, stage.directory());
    let case = Case::of(web(SLEEP, ", environment: {V: two}", ""), Code::TASK_REJECTED, "no space left on device", 5);
    let before = case.begin(&lanes);
    let held = gate.hold("POST", &update_of(&lanes, "web"));
    let mut running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    engine.fill_disk();
    drop(held);
    running.until("rollback");
    engine.clear_disk();
    let told = case.check_verdict(running.end());
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    before.compare_specs(&lanes);
}

/// A global service has nowhere to run while the only node drains; it is said, and the way back waits for the node.
pub fn drained(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let everywhere = sleeper("", ", mode: global");
    lanes.run(Action::Deploy(good(&lanes, &web(SLEEP, "", "")))).completed();
    let before = Before::of(&lanes);
    let node = lanes.call("GET", "/nodes", &Value::Null)[0].clone();
    let availability = |word: &str| {
        let node = lanes.call("GET", &format!("/nodes/{}", node["ID"].as_str().unwrap()), &Value::Null);
        let mut spec = node["Spec"].clone();
        spec["Availability"] = json!(word);
        let path = format!("/nodes/{}/update?version={}", node["ID"].as_str().unwrap(), node["Version"]["Index"]);
        lanes.call("POST", &path, &spec);
    };
    availability("drain");
    let services = [("everywhere", everywhere.as_str()), ("side", &sleeper("", "")), ("web", &web(SLEEP, "", ""))];
    let mut running = start(&lanes, crate::case::deploy(&lanes, &services, "", "one"));
    running.until("rollback");
    availability("active");
    let told = running.end().failed(Code::NO_SUITABLE_NODE, "no node");
    assert_eq!(told.detail("rolled_back"), true, "{:#?}", told.outcome);
    before.compare_specs(&lanes);
}
