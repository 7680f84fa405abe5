//! What fails, and how that is told.

use crate::agent::{Local, QUICK};
use crate::schema;
use crate::support::{Stage, until};
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn file(command: &str, more: &str) -> String {
    format!("services:\n  app: {{{QUICK}, command: [sh, -c, '{command}'], {more} deploy: {{restart_policy: {{delay: 0s}}}}}}\n")
}

pub fn why(stage: &Stage) {
    let local = Local::start(stage, "why", "");
    local.write("good.yml", &file("exec sleep 1000", ""));
    local.write("bad.yml", &file("exit 3", ""));
    local.write("never.yml", &file("exec sleep 1000", "healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 60},"));
    let deploy = |name: &'static str, more: &[&'static str]| {
        local.run(&[&["deploy", "STACK", "-c", name, "--resolve-image", "never"], more].concat())
    };
    assert_eq!(deploy("good.yml", &[]).code(), 0);

    let told = deploy("bad.yml", &[]);
    told.fails(5, "task.crash_loop");
    assert!(told.err().contains("The stack was rolled back: it is at its last good revision."), "{}", told.err());
    let told = local.run(&["deploy", "STACK", "-c", "bad.yml", "--resolve-image", "never", "--json"]);
    assert_eq!(told.code(), 5);
    assert!(schema::check_lines("event-line", &told.out()) > 3 && told.err().is_empty(), "{told:?}");

    deploy("bad.yml", &["--on-failure", "leave"]).fails(6, "task.crash_loop");
    let services = local.good(&["services", "STACK"]);
    assert!(services.contains("task: non-zero exit (3)"), "{services}");
    assert!(local.good(&["stacks"]).contains("non-zero exit (3)"));
    let tasks = local.good(&["ps", "STACK"]);
    assert!(tasks.contains("failed") && tasks.contains("non-zero exit (3)"), "{tasks}");
    assert!(local.good(&["ps", "STACK", "--all"]).lines().count() > tasks.lines().count());

    deploy("never.yml", &["--timeout", "6s"]).fails(8, "command.timed_out");

    // One that no node takes.
    let nowhere = format!(
        "services:\n  lost: {{{QUICK}, command: [sleep, '1000'], deploy: {{placement: {{constraints: [node.labels.zone == moon]}}}}}}\n"
    );
    local.write("nowhere.yml", &nowhere);
    deploy("nowhere.yml", &["--prune", "--on-failure", "leave"]).fails(6, "task.no_suitable_node");
    let services = local.good(&["services", "STACK"]);
    assert!(services.contains("not running\n") && services.contains("no suitable node"), "{services}");
    let tasks = local.good(&["ps", "STACK"]);
    assert!(tasks.contains("pending") && tasks.contains("no suitable node"), "{tasks}");
    local.good(&["rm", "STACK"]);
}

pub fn not_allowed(stage: &Stage) {
    let local = Local::start(stage, "allowed", "[security]\nallowed_commands = [\"GetStatus\", \"Cancel\"]\n");
    local.write("a.yml", &file("exec sleep 1000", ""));
    local.run(&["deploy", "STACK", "-c", "a.yml"]).fails(7, "command.not_allowed");
    local.run(&["pause"]).fails(7, "command.not_allowed");
}

pub fn cancelled(stage: &Stage) {
    let local = Local::start(stage, "cancel", "");
    local.write("never.yml", &file("exec sleep 1000", "healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 60},"));
    let mut events = local.begin(&["events", "--json"]);
    let mut heard = BufReader::new(events.stdout.take().unwrap()).lines();
    let accepted = local.document("accepted", &["deploy", "STACK", "-c", "never.yml", "--resolve-image", "never", "--detach"]);
    let id = accepted["command_id"].as_str().unwrap().to_owned();
    until("it runs", SOON, || {
        let told = local.document("command", &["commands", &id]);
        if told["state"] == "running" { Ok(()) } else { Err(told.to_string()) }
    });
    let list = local.good(&["commands"]);
    assert!(list.lines().any(|line| line.starts_with(&id[..8]) && line.contains("running")), "{list}");
    assert!(local.good(&["commands", "-q"]).lines().any(|line| line == id));
    local.document("commands", &["commands"]);

    let follow = local.begin(&["commands", &id[..13], "--follow"]);
    assert!(local.good(&["cancel", &id[..13]]).contains("Done: "));
    let ended = follow.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(matches!(ended.status.code(), Some(5 | 6)) && err.contains("[cancelled]\n"), "{ended:?}");
    local.run(&["cancel", &id]).fails(1, "command.not_open");
    assert!(local.good(&["commands", &id]).contains("Deploy failed"));
    // The events were heard beside it, in their form.
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind: &String| kind != "DeployFailed") {
        let line: serde_json::Value = serde_json::from_str(&heard.next().expect("it goes on").unwrap()).unwrap();
        schema::check("event-line", &line);
        kinds.push(line["event_type"].as_str().unwrap_or_default().to_owned());
    }
    events.kill().unwrap();
    events.wait().unwrap();

    assert!(local.good(&["pause"]).contains("Done: "));
    assert!(local.good(&["status"]).contains("axion-agent resume lets it go on"));
    local.write("good.yml", &file("exec sleep 1000", ""));
    let waiting = local.good(&["deploy", "STACK", "-c", "good.yml", "--resolve-image", "never", "-d"]);
    let list = local.good(&["commands"]);
    assert!(list.lines().any(|line| line.starts_with(&waiting[..8]) && line.contains("waiting")), "{list}");
    assert!(local.good(&["resume"]).contains("Done: "));
    local.good(&["commands", waiting.trim(), "-f"]);
    local.good(&["rm", "STACK"]);
}
