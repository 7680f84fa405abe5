//! The road of a command that came over the local socket, on a real engine.

use super::client::{Alone, Lines, answer};
use super::support::{IMAGE, Stage, until};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn compose(services: &str) -> Value {
    json!({"docker_stack_yml": services, "resolve_image": "never", "timeout_seconds": 60})
}

/// A service that prints a word every second.
fn talker(name: &str, word: &str) -> String {
    format!(
        "  {name}:\n    image: {IMAGE}\n    command: [sh, -c, 'while true; do echo {word}; sleep 1; done']\n    stop_grace_period: 0s\n    deploy: {{endpoint_mode: dnsrr}}\n"
    )
}

fn stack_of(services: &[String]) -> Value {
    compose(&format!("services:\n{}", services.concat()))
}

pub fn life(stage: &Stage) {
    let engine = stage.engine();
    let alone = Alone::start(stage, Some(engine));
    let (stack, path) = (alone.name.clone(), format!("/v1/stacks/{}", alone.name));
    let one = stack_of(&[talker("web", "one")]);

    let plan = alone.post(&format!("{path}/plan"), &one);
    assert_eq!(plan.end()["payload"]["details"]["dry_run"], true, "{plan:?}");
    assert!(engine.services(&stack).unwrap().is_empty(), "a plan changes nothing");

    let deployed = alone.post(&format!("{path}/deploy"), &one);
    let kinds: Vec<String> = deployed.lines().iter().map(|event| event["event_type"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!((kinds[0].as_str(), kinds[1].as_str()), ("CommandAccepted", "DeployStarted"));
    assert_eq!(deployed.end()["event_type"], "DeployCompleted", "{deployed:?}");
    assert!(deployed.head.to_ascii_lowercase().contains("x-command-id: "));

    let two = stack_of(&[talker("web", "two"), talker("db", "three")]);
    assert_eq!(alone.post(&format!("{path}/deploy"), &two).end()["event_type"], "DeployCompleted");
    let told = alone.get(&path).json();
    assert_eq!((told["project_id"].as_str(), told["revisions"][0]["revision"].as_u64()), (Some("local"), Some(2)), "{told}");
    let running = told["tasks"].as_array().unwrap().iter().filter(|task| task["state"] == "running").count();
    assert_eq!(running, 2, "{told}");

    assert_eq!(alone.post(&format!("{path}/scale"), &json!({"services": {"db": 2}})).end()["event_type"], "CommandCompleted");
    assert_eq!(alone.post(&format!("{path}/rollback"), &json!({})).end()["event_type"], "RollbackCompleted");
    assert_eq!(engine.services(&stack).unwrap().len(), 1);
    assert_eq!(alone.post(&format!("{path}/stop"), &json!({})).end()["event_type"], "CommandCompleted");
    assert_eq!(alone.post(&format!("{path}/start"), &json!({})).end()["event_type"], "CommandCompleted");
    assert_eq!(alone.post(&format!("{path}/restart"), &json!({"services": ["web"]})).end()["event_type"], "CommandCompleted");
    let stacks = alone.get("/v1/stacks").json();
    assert!(stacks["stacks"].as_array().unwrap().iter().any(|one| one["name"] == stack.as_str()), "{stacks}");

    assert_eq!(alone.ask("DELETE", &path, "", "").end()["event_type"], "CommandCompleted");
    assert_eq!(alone.get(&path).code(), "stack.not_found");
    let commands = alone.get("/v1/commands").json();
    assert_eq!(commands["commands"][0]["command_type"], "Remove", "{commands}");
    assert!(commands["commands"].as_array().unwrap().iter().all(|one| one["user"] == "uid:0" && one["way"] == "local"));
}

pub fn cancelled(stage: &Stage) {
    let engine = stage.engine();
    let alone = Alone::start(stage, Some(engine));
    let path = format!("/v1/stacks/{}/deploy?detach=true", alone.name);
    // It never becomes healthy.
    let ill = format!(
        "services:\n  web:\n    image: {IMAGE}\n    command: [sleep, '600']\n    stop_grace_period: 0s\n    deploy: {{endpoint_mode: dnsrr}}\n    healthcheck: {{test: [CMD, 'false'], interval: 60s, start_period: 600s}}\n"
    );
    let headers = "x-command-id: 11111111-2222-3333-4444-555555555555\r\n";
    let body = compose(&ill).to_string();
    let accepted = alone.ask("POST", &path, headers, &body);
    assert_eq!((accepted.status, accepted.json()["command_id"].as_str()), (202, Some("11111111-2222-3333-4444-555555555555")));
    let one = "/v1/commands/11111111-2222-3333-4444-555555555555";
    until("it runs", SOON, || {
        let told = alone.get(one).json();
        if told["state"] == "running" { Ok(()) } else { Err(told.to_string()) }
    });
    // The same again is the same command.
    assert_eq!(alone.ask("POST", &path, headers, &body).status, 202);
    assert_eq!(alone.get("/v1/commands").json()["commands"].as_array().unwrap().len(), 1);
    let listener = alone.send(&format!("GET {one}?follow=true HTTP/1.1\r\n\r\n"));
    let cancel = alone.post(&format!("{one}/cancel"), &json!({}));
    assert_eq!(cancel.end()["event_type"], "CommandCompleted", "{cancel:?}");
    let heard = answer(listener);
    assert_eq!(heard.end()["payload"]["details"]["code"], "cancelled", "{heard:?}");
    let told = alone.get(one).json();
    assert_eq!((told["state"].as_str(), told["code"].as_str()), (Some("failed"), Some("cancelled")), "{told}");
    assert_eq!(told["terminal_event"]["event_type"], "DeployFailed");
    alone.ask("DELETE", &format!("/v1/stacks/{}", alone.name), "", "");
}

pub fn logs(stage: &Stage) {
    let alone = Alone::start(stage, Some(stage.engine()));
    let path = format!("/v1/stacks/{}", alone.name);
    let deployed = alone.post(
        &format!("{path}/deploy"),
        &stack_of(&[talker("a", "apple"), talker("b", "berry"), talker("c", "cherry"), talker("d", "date"), talker("e", "elder")]),
    );
    assert_eq!(deployed.end()["event_type"], "DeployCompleted", "{deployed:?}");
    let said = |lines: &[Value]| -> Vec<String> {
        let mut words: Vec<String> =
            lines.iter().map(|line| format!("{} {}", line["service"].as_str().unwrap(), line["text"].as_str().unwrap())).collect();
        words.sort();
        words.dedup();
        words
    };
    let all = ["a apple", "b berry", "c cherry", "d date", "e elder"];
    assert_eq!(said(&alone.get(&format!("{path}/logs?tail=3")).lines()), all);
    assert_eq!(said(&alone.get(&format!("{path}/logs?service=a&service=b")).lines()), all[..2]);
    assert_eq!(alone.get(&format!("{path}/logs?service=nope")).code(), "service.not_found");
    let mut lines = Lines::of(alone.send(&format!("GET {path}/logs?follow=true&tail=0 HTTP/1.1\r\n\r\n")));
    let mut heard = Vec::new();
    while said(&heard) != all {
        heard.push(lines.next().expect("they go on"));
        assert!(heard.len() < 500, "{:?}", said(&heard));
    }
    drop(lines);
    alone.ask("DELETE", &path, "", "");
}

pub fn leaving(stage: &Stage) {
    let mut alone = Alone::start(stage, None);
    // Without an engine it waits for it.
    let waiting = alone.send(&format!(
        "POST /v1/stacks/{}/deploy HTTP/1.1\r\nContent-Length: 61\r\n\r\n{{\"docker_stack_yml\": \"services: {{web: {{image: box}}}}\", \"a\": 1}}",
        alone.name
    ));
    let mut lines = Lines::of(waiting);
    assert_eq!(lines.next().unwrap()["event_type"], "CommandAccepted");
    let agent = alone.agent.take().unwrap();
    let (status, _) = agent.terminate();
    assert!(status.success());
    let mut last = Value::Null;
    while let Some(line) = lines.next() {
        last = line;
    }
    assert_eq!(last["error"]["code"], "agent.leaving", "{last}");
    assert!(!alone.directory.join("agent.sock").exists());
}
