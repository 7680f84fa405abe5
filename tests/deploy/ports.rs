//! Ports of the node that move between services of a stack in one deploy. (Ports of the swarm need IPVS, which not every
//! kernel has: those move between services of a scripted engine, in `src/docker/deploy/tests`.)

use super::{deploy, quick, sleeper};
use crate::support::{Lanes, Stage, free_port, until};
use axion_agent::domain::{Action, Code, Rollback, Scale};
use serde_json::{Value, json};
use std::time::Duration;

/// A service that publishes these ports of its node.
pub fn publishing(ports: &[u16], order: &str) -> String {
    let ports: Vec<String> = ports.iter().map(|port| format!("{{target: 80, published: {port}, mode: host}}")).collect();
    let update = format!("deploy: {{endpoint_mode: dnsrr, update_config: {{order: {order}}}}}");
    quick("sleep, '1000'", &format!(", ports: [{}], {update}", ports.join(", ")))
}

/// The ports that the running tasks of the stack have, sorted, by service.
pub fn published(lanes: &Lanes, service: &str) -> Vec<u64> {
    let id = lanes.service(service)["ID"].clone();
    let runs = |task: &&Value| task["ServiceID"] == id && task["Status"]["State"] == "running" && task["DesiredState"] == "running";
    let tasks = lanes.list("tasks");
    let ports = tasks.iter().filter(runs).flat_map(|task| task["Status"]["PortStatus"]["Ports"].as_array().cloned().unwrap_or_default());
    let mut ports: Vec<u64> = ports.filter_map(|port| port["PublishedPort"].as_u64()).collect();
    ports.sort_unstable();
    // The engine names one for each of its addresses.
    ports.dedup();
    ports
}

/// The new tasks come before the old ones go: a port that its holder still has would never become free.
pub fn moving(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (one, two) = (free_port(), free_port());
    for order in ["start-first", "stop-first"] {
        deploy(&lanes, &[("a", &publishing(&[], order)), ("b", &publishing(&[one], order))]).completed();
        let told = deploy(&lanes, &[("a", &publishing(&[one], order)), ("b", &publishing(&[two], order))]).completed();
        assert!(!told.detail("warnings").to_string().contains("exchanges"), "{:#?}", told.outcome);
        assert_eq!((published(&lanes, "a"), published(&lanes, "b")), (vec![one.into()], vec![two.into()]), "{order}");
    }
}

pub fn exchanged(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (one, two) = (free_port(), free_port());
    for order in ["start-first", "stop-first"] {
        deploy(&lanes, &[("a", &publishing(&[one], order)), ("b", &publishing(&[two], order))]).completed();
        let told = deploy(&lanes, &[("a", &publishing(&[two], order)), ("b", &publishing(&[one], order))]).completed();
        let name = lanes.stack.scoped("a");
        assert!(told.detail("warnings").to_string().contains(&format!("service {name} exchanges")), "{:#?}", told.outcome);
        assert_eq!((published(&lanes, "a"), published(&lanes, "b")), (vec![two.into()], vec![one.into()]), "{order}");
    }
}

/// Swarm alone would let the task go on with the old port, as its node still fits.
pub fn with_the_placement(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let (one, two) = (free_port(), free_port());
    deploy(&lanes, &[("web", &publishing(&[one], "stop-first"))]).completed();
    let moved = publishing(&[two], "stop-first").replace("deploy: {", "deploy: {placement: {constraints: [node.role == manager]}, ");
    let told = deploy(&lanes, &[("web", &moved)]).completed();
    assert_eq!(told.service("web")["tasks"], "replaced", "{:#?}", told.outcome);
    assert_eq!(published(&lanes, "web"), [u64::from(two)]);
    assert_eq!(deploy(&lanes, &[("web", &moved)]).completed().detail("changed"), false);
}

/// A second task for a port of the only node, and one that ends again and again.
pub fn scaled(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let crashing = quick(
        "sh, -c, 'test $$SLOT = 1 && exec sleep 1000; exit 5'",
        ", environment: {SLOT: '{{.Task.Slot}}'}, deploy: {endpoint_mode: dnsrr, restart_policy: {delay: 0s}}",
    );
    deploy(&lanes, &[("port", &publishing(&[free_port()], "stop-first")), ("slots", &crashing)]).completed();
    let scale = |service: &str, replicas: u64| {
        let services = [(service.to_owned(), replicas)].into();
        lanes.run(Action::Scale(Scale { target: lanes.target(), services, timeout_seconds: None }))
    };
    for (service, code, words) in [("port", Code::PORT_CLASH, "host-mode port"), ("slots", Code::CRASH_LOOP, "non-zero exit (5)")] {
        scale(service, 2).failed(code, words);
        scale(service, 1).completed();
    }
}

pub fn half_way(stage: &Stage) {
    let lanes = Lanes::start(stage);
    let port = free_port();
    deploy(&lanes, &[("web", &publishing(&[port], "stop-first"))]).completed();
    deploy(&lanes, &[("web", &sleeper(""))]).completed();
    let name = format!("{}-guest", lanes.stack);
    let guest = |mode: Value| {
        json!({
            "Name": name, "Mode": mode,
            "EndpointSpec": {"Mode": "dnsrr", "Ports": [{"TargetPort": 80, "PublishedPort": port, "PublishMode": "host"}]},
            "TaskTemplate": {"ContainerSpec": {"Image": "axion-test/box:1", "Command": ["sleep", "1000"], "Init": true}},
        })
    };
    let back = |dry_run: bool| Rollback { target: lanes.target(), to_revision: Some(1), timeout_seconds: None, dry_run };
    lanes.call("POST", "/services/create", &guest(json!({"Replicated": {"Replicas": 1}})));
    for dry_run in [true, false] {
        let told = lanes.run(Action::Rollback(back(dry_run))).failed(Code::PORT_CLASH, &name);
        assert_eq!(told.detail("changed"), false, "{:#?}", told.outcome);
    }
    lanes.call("DELETE", &format!("/services/{name}"), &Value::Null);

    // A job ends, and its port is free again: that it has it is no reason to refuse.
    lanes.call("POST", "/services/create", &guest(json!({"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}})));
    let tasks = format!("/tasks?filters=%7B%22service%22%3A%5B%22{name}%22%5D%7D");
    until("the guest has the port", Duration::from_secs(30), || {
        let tasks = lanes.call("GET", &tasks, &Value::Null);
        let runs = tasks.as_array().is_some_and(|tasks| tasks.iter().any(|task| task["Status"]["State"] == "running"));
        if runs { Ok(()) } else { Err(tasks.to_string()) }
    });
    let told = lanes.run(Action::Rollback(back(false))).failed(Code::PORT_CLASH, "host-mode port");
    lanes.call("DELETE", &format!("/services/{name}"), &Value::Null);
    assert_eq!((told.detail("changed"), told.detail("to_revision")), (&json!(true), &json!(1)), "{:#?}", told.outcome);
}
