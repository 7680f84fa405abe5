//! What the log of a real agent says of a command, and the levels that clients set.

use super::client::{Alone, answer};
use super::support::{Agent, IMAGE, Launch, Stage, free_port, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CORRELATION: &str = "0190a5f0-0000-7000-8000-000000000002";
const COMMAND: &str = "0190a5f0-0000-7000-8000-000000000001";

fn log(alone: &Alone) -> Vec<Value> {
    let text = std::fs::read_to_string(alone.directory.join("agent.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn headers() -> String {
    format!("x-command-id: {COMMAND}\r\nx-correlation-id: {CORRELATION}\r\ntraceparent: {TRACE}\r\n")
}

/// The lines about the command, and the threads that have written them. Each says all that is known of it.
fn of_command(alone: &Alone) -> (usize, BTreeSet<String>) {
    // Who asks about it, and the Cancel that ends it, are not it.
    let names_it = |text: &str| text.contains(COMMAND) && !text.starts_with("GET ") && !text.starts_with("Cancel ");
    let lines: Vec<Value> = log(alone).into_iter().filter(|line| names_it(line["message"].as_str().unwrap_or_default())).collect();
    for line in &lines {
        assert_eq!((&line["command_id"], &line["traceparent"]), (&json!(COMMAND), &json!(TRACE)), "{line}");
        assert_eq!((&line["correlation_id"], &line["stack"]), (&json!(CORRELATION), &json!(alone.name)), "{line}");
    }
    let about: Vec<Value> = log(alone).into_iter().filter(|line| line["command_id"] == COMMAND).collect();
    assert!(about.iter().all(|line| line["traceparent"] == TRACE), "{about:?}");
    (lines.len(), about.iter().map(|line| line["thread"].as_str().unwrap_or_default().to_owned()).collect())
}

fn service(command: &str, more: &str) -> String {
    let services = format!(
        "services:\n  web:\n    image: {IMAGE}\n    command: {command}\n    stop_grace_period: 0s\n    deploy: {{endpoint_mode: dnsrr}}\n{more}"
    );
    json!({"docker_stack_yml": services, "resolve_image": "never", "timeout_seconds": 60}).to_string()
}

pub fn traced(stage: &Stage) {
    let mut alone = Alone::start(stage, Some(stage.engine()));
    let path = format!("/v1/stacks/{}/deploy", alone.name);
    // It never becomes healthy: it is open when the agent is killed.
    let ill = service("[sleep, '600']", "    healthcheck: {test: [CMD, 'false'], interval: 60s, start_period: 600s}\n");
    let accepted = alone.ask("POST", &format!("{path}?detach=true"), &headers(), &ill);
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let one = format!("/v1/commands/{COMMAND}");
    until("it waits for its tasks", SOON, || match alone.ask("GET", &one, "", "").json()["state"].as_str() {
        Some("running") if of_command(&alone).1.len() > 1 => Ok(()),
        state => Err(format!("{state:?}")),
    });
    let (before, threads) = of_command(&alone);
    assert!(threads.contains("main") || threads.contains("axion-agent"), "{threads:?}");

    // kill -9: what comes after it belongs to the same trace.
    drop(alone.agent.take());
    let port = free_port();
    let file = alone.directory.join("agent.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text: String =
        text.lines().map(|line| if line.starts_with("port = ") { format!("port = {port}\n") } else { format!("{line}\n") }).collect();
    std::fs::write(&file, text).unwrap();
    alone.agent = Some(Agent::start(Launch::Direct, &file, port, &alone.directory.join("agent.log")));
    let listening = alone.send(&format!("GET {one}?follow=true HTTP/1.1\r\nHost: agent\r\n\r\n"));
    until("it goes on", SOON, || if of_command(&alone).0 > before { Ok(()) } else { Err(format!("{before} lines, as before")) });
    let cancelled = alone.ask("POST", &format!("{one}/cancel"), "", "");
    assert_eq!(cancelled.end()["event_type"], "CommandCompleted", "{cancelled:?}");
    let heard = answer(listening);
    assert_eq!(heard.end()["payload"]["details"]["code"], "cancelled", "{heard:?}");
    for event in heard.lines() {
        assert_eq!((&event["traceparent"], &event["correlation_id"]), (&json!(TRACE), &json!(CORRELATION)), "{event}");
    }
    assert_eq!(alone.ask("GET", &one, "", "").json()["terminal_event"]["traceparent"], TRACE);
    let (_, threads) = of_command(&alone);
    assert!(threads.iter().any(|thread| thread.starts_with("docker-lane-")), "{threads:?}");
    let refused = alone.ask("POST", &path, "traceparent: 00-NONE\r\n", "{}");
    assert_eq!(refused.status, 400, "for its body, not for its trace");
    assert!(refused.body.contains("docker_stack_yml"), "{refused:?}");
    alone.ask("DELETE", &format!("/v1/stacks/{}", alone.name), "", "");
}

pub fn set(stage: &Stage) {
    let alone = Alone::start(stage, None);
    let levels = || alone.get("/v1/logging").json();
    assert_eq!(levels(), json!({"level": "debug", "configured": "debug", "changed": null}));
    let put = |body: Value| alone.ask("PUT", "/v1/logging", "", &body.to_string());

    // Each request that fails is a line of level debug of its own.
    let said = |marker: &str| log(&alone).iter().filter(|line| line["message"].as_str().unwrap_or_default().contains(marker)).count();
    let ask = |marker: &str| assert_eq!(alone.get(&format!("/v1/stacks/{marker}/none")).status, 404);
    ask("while-debug");
    until("it is said", SOON, || if said("while-debug") == 1 { Ok(()) } else { Err("not yet".to_owned()) });
    let set = put(json!({"level": "warn"}));
    assert_eq!((&set.json()["level"], &set.json()["configured"], set.status), (&json!("warn"), &json!("debug"), 200));
    assert_eq!(set.json()["changed"]["by"], "uid:0");
    assert_eq!(said("the log shows warn from now on"), 1);
    ask("while-warn");
    put(json!({"level": "warn,axion_agent::ipc=debug", "seconds": 3600}));
    ask("while-mixed");
    until("it is said", SOON, || if said("while-mixed") == 1 { Ok(()) } else { Err("not yet".to_owned()) });
    assert_eq!(said("while-warn"), 0, "and what came before it is not");
    assert!(levels()["changed"]["until"].is_string(), "{}", levels());

    let refused = put(json!({"level": "info,axion_agent::dokcer=debug"}));
    assert_eq!((refused.status, refused.code().as_str()), (400, "command.malformed"));
    assert!(refused.body.contains("it has agent, bundle"), "{refused:?}");
    assert_eq!(levels()["level"], "warn,axion_agent::ipc=debug", "a mistake changes nothing");

    // Both ways back, and the command line.
    assert_eq!(alone.ask("DELETE", "/v1/logging", "", "").json()["level"], "debug");
    let socket = alone.directory.join("agent.sock");
    let command_line = |words: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_axion-agent")).arg("log-level").args(words).arg("--socket").arg(&socket).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text, _) = command_line(&["error", "--for", "5m"]);
    assert!(code == Some(0) && text.starts_with("error\n  set ") && text.contains("the configuration says debug"), "{text}");
    let (code, _, problem) = command_line(&["ureq=trace"]);
    assert!(code == Some(2) && problem.contains("with it secrets"), "{code:?} {problem}");
    alone.agent.as_ref().unwrap().reload();
    until("a reload ends it", SOON, || if levels()["level"] == "debug" { Ok(()) } else { Err(levels().to_string()) });
    assert_eq!(levels()["changed"], Value::Null);
    let (code, text, _) = command_line(&["--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&text).unwrap()), (Some(0), levels()));
}

pub fn journal(stage: &Stage) {
    let directory = stage.directory().join("journal-stream");
    std::fs::create_dir_all(&directory).unwrap();
    let (place, port) = (directory.display(), free_port());
    let text = format!(
        "[agent]\nstate_dir = \"{place}/state\"\n[docker]\nhost = \"unix://{place}/none\"\n[health]\nport = {port}\nfailure_threshold = 1\n\
         [local]\nipc_socket_path = \"{place}/agent.sock\"\n"
    );
    let (file, log) = (directory.join("agent.toml"), directory.join("agent.log"));
    std::fs::write(&file, text).unwrap();
    std::fs::write(&log, "").unwrap();
    let about = std::fs::metadata(&log).unwrap();
    let stream = format!("{}:{}", about.dev(), about.ino());
    let read = || std::fs::read_to_string(&log).unwrap();
    let agent = Agent::launch(Launch::Direct, &file, port, &log, &[("JOURNAL_STREAM", &stream)]);
    until("an engine that is away is a warning", SOON, || if read().contains("\n<4>{") { Ok(()) } else { Err(read()) });
    drop(agent);
    for line in read().lines() {
        let (priority, object) = line.split_at(3);
        let object: Value = serde_json::from_str(object).unwrap_or_else(|error| panic!("{error}: {line}"));
        let expected = match object["level"].as_str() {
            Some("ERROR") => "<3>",
            Some("WARN") => "<4>",
            Some("INFO") => "<6>",
            _ => "<7>",
        };
        assert_eq!(priority, expected, "{line}");
    }
    // The journal is another file: nobody takes priorities off.
    std::fs::write(&log, "").unwrap();
    let other = format!("{}:{}", about.dev(), about.ino() + 1);
    let agent = Agent::launch(Launch::Direct, &file, port, &log, &[("JOURNAL_STREAM", &other)]);
    until("it logs", SOON, || if read().lines().count() > 2 { Ok(()) } else { Err(read()) });
    drop(agent);
    assert!(read().lines().all(|line| line.starts_with('{')), "{}", read());
}
