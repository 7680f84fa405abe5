//! The agent ends in the middle of a deploy and starts again: in each phase what comes out is the same.

use crate::case::{Case, start, state, web};
use crate::support::{Lanes, Stage};
use axion_agent::domain::{Action, Code};

const SLEEP: &str = "sleep, '1000'";

/// At which request it ends, and after how many that look the same.
const PHASES: [(&str, usize, &str, &str); 7] = [
    ("looking at the swarm", 0, "GET", "/networks?"),
    ("making a network", 0, "POST", "/networks/create"),
    ("making a config", 0, "POST", "/configs/create"),
    ("making a service", 0, "POST", "/services/create"),
    ("the first update of a service", 0, "POST", "/update"),
    ("the second update of a service", 1, "POST", "/update"),
    ("looking at the tasks", 0, "GET", "up-to-date"),
];
/// Those that only a deploy that fails has.
const BACK: [(&str, usize, &str, &str); 2] =
    [("an update on the way back", 2, "POST", "/update"), ("removing on the way back", 0, "DELETE", "/services/")];

pub fn of_a_good_deploy(stage: &Stage) {
    for phase in PHASES {
        let case = Case { rest: "networks: {more: {}}\n", ..Case::of(changed(SLEEP), Code::CANCELLED, "", 0) };
        let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
        case.begin(&lanes);
        let (what, passes, method, path) = phase;
        let held = gate.hold_after(passes, method, path);
        let mut running = start(&lanes, case.request(&lanes));
        let held = held.reached();
        running.restart(|| drop(held));
        running.end().completed();
        let after = state(&lanes);
        assert_eq!(after["tasks"].as_array().unwrap().len(), 3, "{what}: {after:#}");
        // Whoever deploys it again finds it as it should be.
        let again = lanes.run(Action::Deploy(case.request(&lanes))).completed();
        assert_eq!(again.detail("changed"), false, "{what}: {:#?}", again.outcome);
        println!("    {what}: the deploy went on");
    }
}

pub fn of_a_bad_deploy(stage: &Stage) {
    PHASES.into_iter().for_each(|phase| bad(stage, phase));
}

pub fn on_the_way_back(stage: &Stage) {
    BACK.into_iter().for_each(|phase| bad(stage, phase));
}

fn bad(stage: &Stage, (what, passes, method, path): (&str, usize, &'static str, &str)) {
    let case = Case { rest: "networks: {more: {}}\n", ..Case::of(changed("sh, -c, exit 7"), Code::CRASH_LOOP, "non-zero exit (7)", 10) };
    let (lanes, gate) = Lanes::behind_a_gate(stage.engine(), stage.directory());
    let before = case.begin(&lanes);
    let held = gate.hold_after(passes, method, path);
    let mut running = start(&lanes, case.request(&lanes));
    let held = held.reached();
    println!("    {what}:");
    running.restart(|| drop(held));
    case.check(&lanes, running.end(), &before);
}

/// `web` on a network more.
fn changed(command: &str) -> String {
    // Swarm's own 5 s: an engine on a busy machine may tell late that a task on two networks has ended.
    web(command, ", networks: [default, more]", ", update_config: {monitor: 5s}")
}
