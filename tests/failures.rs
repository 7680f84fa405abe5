//! What happens when parts go away: the agent itself, the engine, the broker, the control plane.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod support;

use serde_json::json;
use std::time::Duration;
use support::{AGENT, Bed, COMMAND, Need, Plan, READY, Stage, Test, run, until};
use uuid::Uuid;

const TESTS: &[Test] = &[
    Test { name: "forty_commands_sent_while_the_agent_is_away_run_in_order", needs: AGENT, body: backlog },
    Test { name: "a_kill_in_the_middle_of_a_deploy_ends_in_one_terminal_event", needs: AGENT, body: killed },
    Test { name: "sigterm_ends_the_agent_and_no_container", needs: AGENT, body: sigterm },
    Test { name: "the_agent_has_no_child_processes", needs: AGENT, body: no_children },
    Test { name: "a_control_plane_that_is_away_is_shown_and_found_again", needs: AGENT, body: control_plane_away },
    Test { name: "a_broker_that_is_away_is_shown_and_found_again", needs: &[Need::Engine, Need::BrokerToStop], body: broker_away },
    Test { name: "an_engine_that_is_away_is_shown_and_found_again", needs: &[Need::EngineToStop, Need::Broker], body: engine_away },
    Test {
        name: "an_engine_that_dies_in_the_middle_of_a_deploy_ends_in_one_terminal_event",
        needs: &[Need::EngineToStop, Need::Broker],
        body: engine_dies,
    },
];

/// Everything that was lost must be back within this (contract of `/readyz`).
const RECOVERY: Duration = Duration::from_secs(10);
/// A loss must show within this.
const NOTICE: Duration = Duration::from_secs(20);

fn main() -> std::process::ExitCode {
    run("failures", TESTS)
}

/// A service that starts at once, or one that becomes healthy only after seconds. New tasks are watched for
/// one second instead of Swarm's five.
fn service(speed: &str) -> String {
    let slow = "    healthcheck: {test: [CMD, /bin/test, -e, /tmp/up], interval: 1s, retries: 30}\n";
    let (shell, more) = match speed {
        "slow" => ("sleep 4; touch /tmp/up; exec sleep 1000", slow),
        _ => ("exec sleep 1000", ""),
    };
    format!(
        "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    \
         deploy: {{update_config: {{monitor: 1s}}}}\n    environment: {{TURN: \"${{TURN:-0}}\"}}\n    \
         command: [\"/bin/sh\", \"-c\", \"{shell}\"]\n{more}"
    )
}

/// How many commands wait for the agent; `make soak` asks for more.
fn backlog_size() -> usize {
    std::env::var("AXION_TEST_SOAK").ok().and_then(|size| size.parse().ok()).unwrap_or(40)
}

fn backlog(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Configured);
    let stacks = ["a", "b"].map(|letter| format!("{}-{letter}", bed.stack));
    let mut sent: Vec<(String, Uuid)> = Vec::new();
    for number in 0..backlog_size() {
        let stack = &stacks[number % 2];
        let turn = number / 2;
        let draft = match turn % 4 {
            0 => bed.deploy(&service("quick")).with("env_vars", json!({"TURN": turn.to_string()})),
            1 => bed.deploy(&service("quick")).with("env_vars", json!({"TURN": (turn - 1).to_string()})),
            2 => bed.draft("Scale").with("services", json!({"app": 2})),
            _ => bed.draft("Scale").with("services", json!({"app": 1})),
        };
        sent.push((stack.clone(), bed.send(draft.with("stack_name", stack.as_str()))));
    }
    bed.start_agent();
    for (_, id) in &sent {
        let end = bed.terminal(*id);
        assert!(end.event_type.ends_with("Completed"), "{end:?}");
    }
    bed.settle();
    for stack in &stacks {
        let expected: Vec<Uuid> = sent.iter().filter(|(name, _)| name == stack).map(|(_, id)| *id).collect();
        assert_eq!(bed.terminals(stack), expected, "the order of {stack}");
        bed.carry_out(bed.draft("Remove").with("stack_name", stack.as_str()));
    }
}

fn killed(stage: &Stage) {
    let mut bed = Bed::start(stage);
    let id = bed.send(bed.deploy(&service("slow")));
    bed.event("the deploy begins", COMMAND, |event| event.event_type == "DeployStarted");
    until("the service is made", COMMAND, || {
        bed.engine().services(&bed.stack).and_then(|all| all.first().cloned().ok_or("none".to_owned()))
    });
    bed.take_agent().kill();
    bed.start_agent();
    let end = bed.terminal(id);
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    assert_eq!(bed.all_of(id).iter().filter(|event| event.terminal).count(), 1);
    assert_eq!(bed.engine().services(&bed.stack).unwrap().len(), 1);
}

fn sigterm(stage: &Stage) {
    let mut bed = Bed::start(stage);
    assert_eq!(bed.carry_out(bed.deploy(&service("quick"))).event_type, "DeployCompleted");
    let (status, took) = bed.take_agent().terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(bed.running("app"), 1);

    // Once more with a deploy under way: it stays open and is finished by the next process.
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let id = bed.send(bed.deploy(&service("slow")));
    bed.event("the deploy begins", COMMAND, |event| event.causation_id == Some(id) && event.event_type == "DeployStarted");
    let (status, took) = bed.take_agent().terminate();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    bed.start_agent();
    assert_eq!(bed.terminal(id).event_type, "DeployCompleted");
    assert_eq!(bed.all_of(id).iter().filter(|event| event.terminal).count(), 1);
}

fn no_children(stage: &Stage) {
    let bed = Bed::start(stage);
    let id = bed.send(bed.deploy(&service("slow")));
    bed.event("the deploy begins", COMMAND, |event| event.event_type == "DeployStarted");
    let kept = until("the deploy has ended", COMMAND, || {
        assert_eq!(bed.agent().children(), Vec::<String>::new());
        bed.terminal_so_far(id).ok_or_else(|| "it goes on".to_owned())
    });
    assert_eq!(kept.event_type, "DeployCompleted", "{kept:?}");
}

fn control_plane_away(stage: &Stage) {
    let mut bed = Bed::start(stage);
    bed.stop_control_plane();
    bed.agent().wait_dependency("control_plane", "not_ready", NOTICE);
    // Commands come over Kafka and go on: it is degraded, and ready.
    let page = bed.agent().page("/readyz").unwrap();
    assert_eq!((page.status, page.json()["phase"].as_str(), page.json()["ready"].as_bool()), (200, Some("DEGRADED"), Some(true)));
    assert_eq!(bed.carry_out(bed.deploy(&service("quick"))).event_type, "DeployCompleted");
    bed.start_control_plane();
    bed.agent().wait_ready(RECOVERY);
}

fn broker_away(stage: &Stage) {
    let bed = Bed::start(stage);
    let id = bed.send(bed.deploy(&service("slow")));
    bed.event("the deploy begins", COMMAND, |event| event.event_type == "DeployStarted");
    bed.broker.down();
    bed.agent().wait_dependency("kafka_consumer", "not_ready", NOTICE);
    let page = bed.agent().page("/readyz").unwrap();
    assert_eq!((page.status, page.json()["phase"].as_str()), (200, Some("DEGRADED")), "it may be a blink");
    until("the deploy goes on without the broker", COMMAND, || match bed.engine().running(&bed.stack, "app") {
        Ok(1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    bed.broker.up();
    bed.agent().wait_ready(RECOVERY);
    assert_eq!(bed.terminal(id).event_type, "DeployCompleted");
    assert_eq!(bed.all_of(id).iter().filter(|event| event.terminal).count(), 1);
}

fn engine_away(stage: &Stage) {
    let bed = Bed::start(stage);
    bed.engine().stop();
    bed.agent().wait_dependency("docker", "not_ready", NOTICE);
    assert_eq!(bed.agent().page("/readyz").unwrap().status, 503);
    bed.engine().let_go();
    bed.agent().wait_ready(RECOVERY);
    assert_eq!(bed.carry_out(bed.deploy(&service("quick"))).event_type, "DeployCompleted");
}

fn engine_dies(stage: &Stage) {
    let bed = Bed::start(stage);
    let id = bed.send(bed.deploy(&service("slow")));
    bed.event("the deploy begins", COMMAND, |event| event.event_type == "DeployStarted");
    bed.engine().kill("KILL");
    let end = bed.terminal(id);
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    assert_eq!(bed.all_of(id).iter().filter(|event| event.terminal).count(), 1);
    bed.agent().wait_ready(RECOVERY);
}
