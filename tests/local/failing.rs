//! What fails, and how that is told.

use crate::support::{Local, QUICK, Stage, schema, until};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

fn file(command: &str, more: &str) -> String {
    format!("services:\n  app: {{{QUICK}, command: [sh, -c, '{command}'], {more} deploy: {{restart_policy: {{delay: 0s}}}}}}\n")
}

pub fn why(stage: &Stage) {
    let local = Local::start(stage, "why", "");
    local.write("good.yml", &file("exec sleep 1000", ""));
    local.write("bad.yml", &file("echo I cannot; exit 3", ""));
    local.write("never.yml", &file("exec sleep 1000", "healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 60},"));
    let deploy = |name: &'static str, more: &[&'static str]| {
        local.run(&[&["deploy", "STACK", "-c", name, "--resolve-image", "never"], more].concat())
    };
    assert_eq!(deploy("good.yml", &[]).code(), 0);

    let told = deploy("bad.yml", &[]);
    told.fails(5, "task.crash_loop");
    assert!(told.err().contains("The stack was rolled back: it is at its last good revision (1)."), "{}", told.err());
    assert!(told.err().contains(&format!("next: axion-agent logs {} --failed ", local.stack)), "{}", told.err());
    // What it wrote is there still, though the stack is back.
    let told = local.run(&["logs", "STACK", "app", "--failed"]);
    assert!(told.out().contains("| I cannot\n") && told.err().contains("failed") && told.err().contains("non-zero exit (3)"), "{told:?}");
    let tasks = local.good(&["ps", "STACK"]);
    assert!(tasks.contains("  failed (earlier)  "), "{tasks}");
    let hint = tasks.lines().find_map(|line| line.split_once("axion-agent ").filter(|_| line.starts_with("What a task wrote")));
    let words: Vec<&str> = hint.expect("it says how to see its lines").1.split(' ').collect();
    assert!(local.good(&words).contains("| I cannot\n"));
    for line in local.lines("log-line", &words) {
        assert_eq!(line["service"], "app");
    }
    let listed = local.good(&["commands"]);
    assert!(listed.contains("The stack was rolled back."), "{listed}");
    let commands = local.document("commands", &["commands"]);
    assert_eq!((&commands["commands"][0]["rolled_back"], &commands["commands"][0]["changed"]), (&true.into(), &true.into()));
    let told = local.run(&["deploy", "STACK", "-c", "bad.yml", "--resolve-image", "never", "--json"]);
    assert_eq!(told.code(), 5);
    assert!(schema::check_lines("event-line", &told.out()) > 3 && told.err().is_empty(), "{told:?}");

    deploy("bad.yml", &["--on-failure", "leave"]).fails(6, "task.crash_loop");
    let services = local.good(&["services", "STACK"]);
    assert!(services.contains("task: non-zero exit (3)"), "{services}");
    let status = local.good(&["status"]);
    assert!(status.contains("not as wanted: see below") && status.lines().any(|line| line.starts_with(&local.stack)), "{status}");
    let status = local.document("status", &["status"]);
    assert_eq!(
        (&status["last_command"]["stack"], &status["last_command"]["code"]),
        (&local.stack.as_str().into(), &"task.crash_loop".into())
    );
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

    // From nothing: what failed goes on the way back, and what fails before anything was changed is no 6.
    let told = deploy("bad.yml", &[]);
    told.fails(5, "task.crash_loop");
    assert!(told.err().contains("--on-failure leave, then axion-agent logs"), "{}", told.err());
    local.write("port.yml", &format!("services:\n  app: {{{QUICK}, ports: [{{target: 80, published: 70000, mode: host}}]}}\n"));
    let told = deploy("port.yml", &[]);
    told.fails(1, "compose.invalid");
    assert!(told.err().contains("Nothing was changed."), "{}", told.err());
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let taken = listener.local_addr().unwrap().port();
    let port =
        format!("services:\n  app: {{{QUICK}, command: [sleep, '1000'], ports: [{{target: 80, published: {taken}, mode: host}}]}}\n");
    local.write("taken.yml", &port);
    let told = deploy("taken.yml", &[]);
    told.fails(5, "task.port_clash");
    assert!(told.err().starts_with(&format!("axion-agent: port {taken} is taken on its node already, by a program")), "{}", told.err());
}

pub fn not_allowed(stage: &Stage) {
    let local = Local::start(stage, "allowed", "[security]\nallowed_commands = [\"GetStatus\", \"Cancel\"]\n");
    local.write("a.yml", &file("exec sleep 1000", ""));
    local.run(&["deploy", "STACK", "-c", "a.yml"]).fails(7, "command.not_allowed");
    local.run(&["pause"]).fails(7, "command.not_allowed");
}

pub fn cancelled(stage: &Stage) {
    let mut local = Local::start(stage, "cancel", "");
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

    // Another process knows them, too.
    let listed = local.document("commands", &["commands"]);
    assert_eq!(listed["commands"].as_array().unwrap().len(), 7, "two deploys, one removal, two to cancel, a pause and its end: {listed}");
    let one = local.document("command", &["commands", &id]);
    local.stop_agent();
    local.start_agent();
    assert_eq!(local.document("commands", &["commands"]), listed);
    assert_eq!(local.document("command", &["commands", &id]), one);
    assert_eq!(one["terminal_event"]["event_type"], "DeployFailed");
    let told = local.run(&["commands", &id, "--follow"]);
    assert!(matches!(told.code(), 5 | 6) && told.err().contains("[cancelled]\n"), "{told:?}");
}
