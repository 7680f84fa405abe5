//! The command line against a fake agent: exit codes, errors with their next steps, streams, Ctrl-C, terminals.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]
#![allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test, the fake agent has threads")]

#[path = "support/fake_ipc.rs"]
mod fake_ipc;
#[path = "support/schema.rs"]
mod schema;

use fake_ipc::{FakeIpc, Reply, Step};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axion-agent"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AXION_AGENT")) {
        command.env_remove(name);
    }
    command.env_remove("NO_COLOR").env_remove("DOCKER_CONFIG").env("HOME", folder).env("TERM", "xterm").current_dir(folder);
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(agent: &FakeIpc, arguments: &[&str]) -> Output {
    program(agent.folder(), arguments).env("AXION_AGENT_SOCKET", agent.socket()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn event(kind: &str, terminal: bool, message: &str, details: Value) -> Step {
    Step::Line(json!({
        "event_id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", "event_type": kind, "terminal": terminal, "causation_id": "COMMAND",
        "timestamp": "2026-01-31T12:00:00Z", "agent_id": "edge-7",
        "payload": {"stack_name": "shop", "project_id": "local", "command_type": "Deploy", "message": message, "details": details},
    }))
}

fn accepted() -> Step {
    event("CommandAccepted", false, "", json!({}))
}

/// An agent that answers each command with this end.
fn ending(kind: &str, details: Value) -> FakeIpc {
    let end = event(kind, true, "so it ended", details);
    let agent = FakeIpc::start(move |_| Reply::Lines(vec![accepted(), end.clone()]));
    fs::write(agent.folder().join("a.yml"), "services: {web: {image: web}}\n").unwrap();
    agent
}

#[test]
fn each_end_of_a_command_has_its_exit_code() {
    for (kind, details, code) in [
        ("DeployCompleted", json!({"changed": true, "revision": 1}), 0),
        ("DeployFailed", json!({"code": "task.crash_loop", "rolled_back": true, "changed": true}), 5),
        ("DeployFailed", json!({"code": "task.crash_loop", "rolled_back": "partial", "changed": true}), 6),
        ("DeployFailed", json!({"code": "task.crash_loop", "rolled_back": false, "changed": true}), 6),
        ("DeployFailed", json!({"code": "image.not_found", "rolled_back": false, "changed": false}), 1),
        ("DeployFailed", json!({"code": "stack.foreign_project", "rolled_back": false, "changed": false}), 7),
        ("DeployFailed", json!({"code": "command.timed_out", "rolled_back": false, "changed": true}), 8),
        ("CommandRejected", json!({"code": "command.not_allowed"}), 7),
        ("CommandRejected", json!({"code": "journal.full"}), 1),
    ] {
        let agent = ending(kind, details.clone());
        let told = run(&agent, &["deploy", "shop", "-c", "a.yml"]);
        assert_eq!(told.status.code(), Some(code), "{kind} {details}: {told:?}");
        if code == 0 {
            assert!(out(&told).ends_with("Done: so it ended\n") && err(&told).is_empty(), "{told:?}");
        } else {
            let expected = format!("axion-agent: so it ended [{}]\n", details["code"].as_str().unwrap());
            assert!(err(&told).starts_with(&expected) && err(&told).contains("\n  next: "), "{told:?}");
        }
        let json = run(&agent, &["deploy", "shop", "-c", "a.yml", "--json"]);
        assert_eq!(json.status.code(), Some(code));
        assert_eq!((schema::check_lines("event-line", &out(&json)), err(&json)), (2, String::new()));
    }
}

/// Each row: what is typed, what the agent answers, the exit code, the code, a part of the next step.
#[test]
fn every_error_ends_with_a_code_and_a_next_step() {
    let refusal = |status: u16, code: &str| {
        Reply::Document(status, json!({"error": {"code": code, "message": "the agent's words", "details": null}}))
    };
    let deploy = &["deploy", "shop", "-c", "a.yml"][..];
    let rows: Vec<(&[&str], Reply, i32, &str, &str)> = vec![
        (deploy, refusal(403, "stack.foreign_project"), 7, "stack.foreign_project", "--project"),
        (deploy, refusal(403, "stack.owned_elsewhere"), 7, "stack.owned_elsewhere", "deploy shop -c FILE --adopt"),
        (deploy, refusal(403, "command.not_allowed"), 7, "command.not_allowed", "security.allowed_commands"),
        (deploy, refusal(403, "policy.of_a_newer_agent"), 7, "policy.of_a_newer_agent", "axion-agent status"),
        (deploy, refusal(413, "command.too_large"), 1, "command.too_large", "limits.max_message_bytes"),
        (deploy, refusal(503, "engine.away"), 1, "engine.away", "systemctl status docker"),
        (deploy, refusal(400, "compose.invalid"), 1, "compose.invalid", "axion-agent render shop"),
        (deploy, refusal(503, "journal.full"), 1, "journal.full", "make room"),
        (&["plan", "shop", "-c", "a.yml"], refusal(409, "swarm.inactive"), 1, "swarm.inactive", "docker swarm init"),
        (&["services", "shop"], refusal(404, "stack.not_found"), 1, "stack.not_found", "axion-agent stacks"),
        (&["ps", "shop"], refusal(404, "stack.not_found"), 1, "stack.not_found", "axion-agent stacks"),
        (&["logs", "shop"], refusal(404, "stack.not_found"), 1, "stack.not_found", "axion-agent stacks"),
        (&["scale", "shop", "web=2"], refusal(404, "service.not_found"), 1, "service.not_found", "axion-agent services shop"),
        (&["rollback", "shop"], refusal(404, "revision.not_found"), 1, "revision.not_found", "axion-agent rollback shop --list"),
        (&["rollback", "shop", "--list"], refusal(404, "stack.not_found"), 1, "stack.not_found", "axion-agent stacks"),
        (
            &["rollback", "shop", "--dry-run"],
            refusal(404, "revision.not_found"),
            1,
            "revision.not_found",
            "axion-agent rollback shop --list",
        ),
        (
            &["logs", "shop", "--failed"],
            Reply::Document(200, json!({"name": "shop", "services": [], "tasks": [], "revisions": []})),
            1,
            "task.not_found",
            "axion-agent ps shop --all",
        ),
        (
            &["logs", "shop", "--task", "abc"],
            Reply::Document(200, json!({"name": "shop", "services": [], "tasks": [], "revisions": []})),
            1,
            "task.not_found",
            "axion-agent ps shop --all",
        ),
        (&["logs", "shop", "--failed", "--follow"], refusal(500, "x"), 2, "usage", "axion-agent logs --help"),
        (&["start", "shop"], refusal(404, "revision.not_found"), 1, "revision.not_found", "axion-agent rollback shop --list"),
        (&["restart", "shop", "web"], refusal(404, "service.not_found"), 1, "service.not_found", "axion-agent services shop"),
        (&["resume"], refusal(429, "agent.busy"), 1, "agent.busy", "axion-agent commands"),
        (&["log-level"], Reply::Document(200, json!({})), 1, "agent.answer", "one version"),
        (&["log-level", "louder"], refusal(500, "x"), 2, "usage", "axion-agent log-level --help"),
        (&["stop", "shop"], refusal(429, "ipc.busy"), 1, "ipc.busy", "axion-agent status"),
        (&["rm", "shop"], refusal(409, "swarm.not_manager"), 1, "swarm.not_manager", "docker node promote"),
        (&["rm", "shop", "--volumes"], refusal(500, "x"), 2, "confirmation.needed", "--yes"),
        (
            &["cancel", "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11"],
            refusal(409, "command.not_open"),
            1,
            "command.not_open",
            "axion-agent commands",
        ),
        (&["cancel", "8d0d"], Reply::Document(200, json!({"commands": []})), 1, "command.not_open", "axion-agent commands"),
        (
            &["commands", "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11"],
            refusal(404, "command.not_open"),
            1,
            "command.not_open",
            "axion-agent commands",
        ),
        (&["status"], Reply::Garbage("SSH-2.0-OpenSSH\r\n"), 1, "agent.answer", "one version"),
        (&["status"], Reply::Garbage(""), 4, "agent.lost", "systemctl status axion-agent"),
        (&["stacks"], Reply::Document(200, json!([1])), 1, "agent.answer", "one version"),
        (&["stacks"], Reply::Document(500, json!({})), 1, "agent.answer", "one version"),
        (&["events"], Reply::Lines(vec![Step::Cut]), 4, "agent.lost", "axion-agent events"),
        (&["pause"], refusal(503, "journal.unavailable"), 1, "journal.unavailable", "state directory"),
        // Nobody is asked.
        (&["deploy", "shop", "-c", "none.yml"], refusal(500, "x"), 1, "file.unreadable", "see that the file is there"),
        (&["deploy", "shop", "-c", "bad.yml"], refusal(500, "x"), 1, "compose.invalid", "axion-agent render shop"),
        (&["deploy", "shop", "-c", "variable.yml"], refusal(500, "x"), 1, "compose.interpolation", "--env-file"),
        (&["deploy", "shop", "-c", "named.yml"], refusal(500, "x"), 1, "compose.file_missing", "the folder of the first Compose file"),
        (&["plan", "shop", "-c", "a.yml", "--env-file", "none.env"], refusal(500, "x"), 1, "file.unreadable", "see that the file is there"),
        (&["render", "shop", "-c", "bad.yml"], refusal(500, "x"), 1, "compose.invalid", "axion-agent render shop"),
        (&["render", "shop", "-c", "a.yml", "--api-version", "x"], refusal(500, "x"), 2, "usage", "docker version"),
        (
            &["deploy", "shop", "-c", "private.yml", "--with-registry-auth"],
            refusal(500, "x"),
            1,
            "registry_auth.store",
            "docker.registries",
        ),
        (&["update", "check"], refusal(403, "update.disabled"), 7, "update.disabled", "update.public_keys"),
        (&["update", "status"], refusal(503, "agent.leaving"), 1, "agent.leaving", "systemctl status axion-agent"),
        (&["keys", "generate", "ops-1", "-o", "/none/k"], refusal(500, "x"), 1, "file.unwritable", "a folder that you may write to"),
        (&["update", "apply"], refusal(501, "update.managed_elsewhere"), 1, "update.managed_elsewhere", "docs/update.md"),
        (&["update", "rollback"], refusal(404, "update.no_previous"), 1, "update.no_previous", "update status"),
        (&["update", "helper", "--config", "none.toml"], refusal(500, "x"), 3, "config.invalid", "config check"),
        (&["keys", "sign", "a.yml", "--key", "a.yml"], refusal(500, "x"), 1, "file.unreadable", "axion-agent keys generate"),
        (&["keys", "verify", "a.yml", "--config", "local.toml"], refusal(500, "x"), 3, "config.invalid", "--public-key"),
        (&["config", "check", "--config", "none.toml"], refusal(500, "x"), 3, "config.invalid", "config check"),
        (&["config", "example", "more"], refusal(500, "x"), 2, "usage", "axion-agent config example --help"),
        (&["config", "show", "--config", "none.toml"], refusal(500, "x"), 3, "config.invalid", "config check"),
        (&["run", "--config", "none.toml"], refusal(500, "x"), 3, "config.invalid", "config check"),
        (&["enroll", "--config", "local.toml"], refusal(500, "x"), 1, "enrolment.failed", "token"),
        (&["unenroll", "--config", "local.toml"], refusal(500, "x"), 1, "enrolment.failed", "--local"),
        (&["doctor", "shop"], refusal(500, "x"), 2, "usage", "axion-agent doctor --help"),
        (&["support-bundle", "-o", "/none/a.tar"], refusal(500, "x"), 1, "file.unwritable", "in a folder that you may write to"),
        (&["schema", "none"], refusal(500, "x"), 2, "usage", "axion-agent schema"),
        (&["completions", "tcsh"], refusal(500, "x"), 2, "usage", "axion-agent completions --help"),
        (&["man", "--folder", "/none"], refusal(500, "x"), 1, "file.unwritable", "the folder is there"),
        (&["frobnicate"], refusal(500, "x"), 2, "usage", "axion-agent --help"),
        (&["scale", "shop"], refusal(500, "x"), 2, "usage", "axion-agent scale --help"),
    ];
    let (mut typed, mut codes) = (Vec::new(), BTreeSet::from(SEEN_ELSEWHERE));
    for (arguments, reply, exit, code, next) in rows {
        typed.push(arguments.join(" "));
        codes.insert(code);
        let agent = FakeIpc::start(move |_| reply.clone());
        let write = |name: &str, text: &str| fs::write(agent.folder().join(name), text).unwrap();
        write("a.yml", "services: {web: {image: web}}\n");
        write("bad.yml", "services:\n  web: {imag: web}\n");
        write("variable.yml", "services: {web: {image: \"web:${TAG_OF_NOBODY:?which one?}\"}}\n");
        write("named.yml", "services: {web: {image: web, configs: [a]}}\nconfigs: {a: {file: ./none.txt}}\n");
        write("private.yml", "services: {web: {image: registry.example.com/web}}\n");
        write("local.toml", &format!("[agent]\nstate_dir = \"{}/state\"\n", agent.folder().display()));
        fs::create_dir_all(agent.folder().join(".docker")).unwrap();
        write(".docker/config.json", "{\"auths\": {\"registry.example.com\": {}}, \"credsStore\": \"desktop\"}");
        let told = run(&agent, arguments);
        assert_eq!(told.status.code(), Some(exit), "{arguments:?}: {told:?}");
        let text = err(&told);
        let (_, step) = text.rsplit_once(&format!("[{code}]\n  next: ")).unwrap_or_else(|| panic!("{arguments:?}: {text}"));
        assert!(step.contains(next), "{arguments:?}: {step}");
        assert!(text.starts_with("axion-agent: ") && out(&told).is_empty(), "{arguments:?}: {told:?}");
        // With --json the same is a document, alone.
        let takes_json = !matches!(arguments[0], "run" | "man" | "schema" | "completions" | "support-bundle")
            && !matches!(arguments.get(1), Some(&"example" | &"helper"));
        if takes_json {
            let told = run(&agent, &[arguments, &["--json"]].concat());
            let document: Value = serde_json::from_str(&out(&told)).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told:?}"));
            schema::check("error", &document);
            let error = &document["error"];
            assert_eq!((error["code"].as_str(), error["exit"].as_i64(), told.status.code()), (Some(code), Some(exit.into()), Some(exit)));
            assert!(err(&told).is_empty(), "{arguments:?}: {told:?}");
        }
    }
    // No command and no code of the command line is left out.
    let agent = FakeIpc::start(|_| Reply::Garbage(""));
    let overview = out(&run(&agent, &["--help"]));
    let named = overview.lines().skip_while(|line| !line.ends_with(':')).take_while(|line| *line != "Options:");
    for name in named.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' ')) {
        let name = name.split("  ").next().unwrap();
        assert!(typed.iter().any(|line| line.starts_with(name)), "{name} is not seen to fail");
    }
    let page = include_str!("../docs/cli.md").split("\n## Errors").nth(1).unwrap().split("\n## ").next().unwrap();
    for code in page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
        assert!(codes.contains(code), "{code} is not seen");
    }
}

/// Of the codes, those that the tests below see.
const SEEN_ELSEWHERE: [&str; 2] = ["agent.unreachable", "interrupted"];

#[test]
fn the_status_does_not_wait_for_an_engine_that_hangs() {
    let agent = FakeIpc::start(|line| match line {
        "GET /v1/stacks" => Reply::Lines(vec![Step::Wait(10 * PATIENCE)]),
        "GET /v1/commands" => Reply::Document(200, json!({"commands": []})),
        _ => Reply::Document(
            200,
            json!({"version": "0.1.0", "phase": "READY", "dependencies": [{"name": "docker", "state": "ready"}],
                "swarm": {"counted_at": "2026-01-31T12:00:00Z", "stacks": [{"running": 1, "desired": 1}]}}),
        ),
    });
    let asked = Instant::now();
    let told = run(&agent, &["status"]);
    assert!(asked.elapsed() < PATIENCE, "{:?}", asked.elapsed());
    assert!(told.status.success() && out(&told).contains("the engine does not answer now\n"), "{told:?}");
}

#[test]
fn an_agent_that_is_not_there_is_exit_code_4_with_the_way_to_start_it() {
    let agent = FakeIpc::start(|_| Reply::Garbage(""));
    let left_over = agent.folder().join("left-over");
    drop(UnixListener::bind(&left_over).unwrap());
    for (socket, part) in [(agent.folder().join("none"), "systemctl start axion-agent"), (left_over, "journalctl -u axion-agent")] {
        for arguments in [&["stacks"][..], &["deploy", "shop", "-c", "a.yml"], &["status", "--json"], &["logs", "shop", "-f"], &["events"]]
        {
            fs::write(agent.folder().join("a.yml"), "services: {web: {image: web}}\n").unwrap();
            let told = program(agent.folder(), &[arguments, &["--socket", socket.to_str().unwrap()]].concat()).output().unwrap();
            let text = out(&told) + &err(&told);
            assert!(told.status.code() == Some(4) && text.contains("agent.unreachable") && text.contains(part), "{arguments:?}: {told:?}");
        }
    }
}

#[test]
fn the_socket_is_found_by_option_variable_and_configuration() {
    let agent = FakeIpc::start(|_| Reply::Document(200, json!({"swarm": "manager", "stacks": []})));
    let (socket, file) = (agent.socket(), agent.folder().join("c.toml"));
    fs::write(&file, format!("[agent]\ntoken_file = \"/not/readable\"\n[local]\nipc_socket_path = \"{}\"\n", socket.display())).unwrap();
    let succeeds = |command: &mut Command| assert!(command.output().unwrap().status.success(), "{command:?}");
    succeeds(&mut program(agent.folder(), &["stacks", "--socket", socket.to_str().unwrap()]));
    succeeds(program(agent.folder(), &["stacks"]).env("AXION_AGENT_SOCKET", &socket));
    succeeds(program(agent.folder(), &["stacks"]).env("AXION_AGENT_CONFIG", &file));
    succeeds(program(agent.folder(), &["stacks"]).env("AXION_AGENT__LOCAL__IPC_SOCKET_PATH", &socket));
    succeeds(program(agent.folder(), &["stacks", "--config", "c.toml"]).env("AXION_AGENT_SOCKET", "/none"));
}

/// What a deploy that goes well tells on its way.
fn deploying() -> Vec<Step> {
    let service = |state: &str, running: u64| json!([{"name": "web", "action": "create", "image": "web:1", "state": state, "replicas": {"running": running, "desired": 2}, "errors": []}]);
    vec![
        accepted(),
        event("DeployStarted", false, "", json!({})),
        event(
            "DeployProgress",
            false,
            "to do: create 1",
            json!({"phase": "plan", "services": [{"name": "web", "action": "create", "replicas": {"desired": 2}}]}),
        ),
        event("DeployProgress", false, "0 of 2 tasks", json!({"phase": "converge", "services": service("pulling", 0)})),
        event("DeployProgress", false, "1 of 2 tasks", json!({"phase": "converge", "services": service("starting", 1)})),
        event(
            "DeployCompleted",
            true,
            "the stack shop runs as the file says (revision 1)",
            json!({"changed": true, "revision": 1, "services": service("healthy", 2), "warnings": ["mind the gap"]}),
        ),
    ]
}

#[test]
fn a_deploy_that_is_piped_is_told_in_lines() {
    let agent = FakeIpc::start(|_| Reply::Lines(deploying()));
    fs::write(agent.folder().join("page.html"), "<p>").unwrap();
    fs::write(
        agent.folder().join("a.yml"),
        "services: {web: {image: \"web:${TAG}\", configs: [p], volumes: ['./d:/d']}}\nconfigs: {p: {file: page.html}}\n",
    )
    .unwrap();
    let mut command = program(agent.folder(), &["deploy", "shop", "-c", "-", "--prune", "--timeout", "2m", "--project", "p"]);
    let mut child = command
        .env("AXION_AGENT_SOCKET", agent.socket())
        .env("TAG", "7")
        .stdin(File::open(agent.folder().join("a.yml")).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = finished(&mut child);
    assert_eq!(
        (told.status.code(), out(&told).as_str(), err(&told).as_str()),
        (
            Some(0),
            " 0:00  accepted\n 0:00  started\n 0:00  plan: to do: create 1\n 0:00  web: waiting 0/2\n 0:00  waiting: 0 of 2 tasks\n \
             0:00  web: pulling 0/2\n 0:00  waiting: 1 of 2 tasks\n 0:00  web: starting 1/2\nDone: the stack shop runs as the file says (revision 1)\n",
            "warning: mind the gap\n"
        )
    );
    let asked = &agent.asked()[0];
    assert_eq!(asked.line, "POST /v1/stacks/shop/deploy");
    assert_eq!(asked.header("x-project-id"), Some("p"));
    assert!(asked.header("x-command-id").is_some());
    schema::check("ipc-deploy", &asked.body);
    let folder = agent.folder().display().to_string();
    assert_eq!(asked.body["files"], json!({format!("{folder}/page.html"): "PHA+"}));
    let text = asked.body["docker_stack_yml"].as_str().unwrap();
    assert!(text.contains(r#""image":"web:7""#) && text.contains(&format!(r#""source":"{folder}/d""#)), "{text}");
    assert_eq!((&asked.body["prune"], &asked.body["timeout_seconds"], &asked.body["env_vars"]), (&json!(true), &json!(120), &json!({})));
}

fn finished(child: &mut Child) -> Output {
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut stdout).unwrap();
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_end(&mut stderr).unwrap();
    }
    Output { status, stdout, stderr }
}

#[test]
fn a_variable_that_is_not_set_is_told_where_it_stands_before_anything_is_sent() {
    let agent = FakeIpc::start(|_| Reply::Document(202, json!({"command_id": "COMMAND"})));
    fs::write(agent.folder().join("a.yml"), "services:\n  web:\n    image: web:1$SUFFIX_UNSET\n    hostname: a$SUFFIX_UNSET\n").unwrap();
    let told = run(&agent, &["deploy", "shop", "-c", "a.yml", "--detach"]);
    assert!(told.status.success(), "{told:?}");
    let said = err(&told);
    assert!(said.starts_with("warning: a.yml:3:12: services.web: the variable SUFFIX_UNSET is not set and counts as empty"), "{said}");
    assert_eq!(said.matches("SUFFIX_UNSET is not set").count(), 1, "{said}");
}

#[test]
fn other_commands_ask_for_what_was_typed() {
    let agent = FakeIpc::start(|_| Reply::Lines(vec![accepted(), event("CommandCompleted", true, "done", json!({}))]));
    for (arguments, line, body) in [
        (&["scale", "shop", "web=3"][..], "POST /v1/stacks/shop/scale", json!({"services": {"web": 3}})),
        (
            &["rollback", "shop", "--to", "4", "--timeout", "60"],
            "POST /v1/stacks/shop/rollback",
            json!({"to_revision": 4, "timeout_seconds": 60}),
        ),
        (&["rollback", "shop"], "POST /v1/stacks/shop/rollback", json!({})),
        (&["stop", "shop"], "POST /v1/stacks/shop/stop", json!({"services": []})),
        (&["start", "shop", "web"], "POST /v1/stacks/shop/start", json!({"services": ["web"]})),
        (&["restart", "my stack", "web"], "POST /v1/stacks/my%20stack/restart", json!({"services": ["web"]})),
        (&["rm", "shop"], "DELETE /v1/stacks/shop", Value::Null),
        (&["rm", "shop", "--volumes", "--yes"], "DELETE /v1/stacks/shop?volumes=true", Value::Null),
        (&["pause"], "POST /v1/pause", json!({})),
        (&["resume"], "POST /v1/resume", json!({})),
        (&["cancel", "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11"], "POST /v1/commands/8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11/cancel", json!({})),
    ] {
        let told = run(&agent, arguments);
        assert_eq!((told.status.code(), out(&told).lines().last()), (Some(0), Some("Done: done")), "{arguments:?}: {told:?}");
        let asked = agent.asked().pop().unwrap();
        assert_eq!((asked.line.as_str(), &asked.body), (line, &body), "{arguments:?}");
        if line.starts_with("POST /v1/stacks") {
            schema::check("ipc-change", &body);
        }
    }
}

#[test]
fn a_command_that_is_detached_leaves_its_id() {
    let agent = FakeIpc::start(|_| Reply::Document(202, json!({"command_id": "COMMAND"})));
    let told = run(&agent, &["stop", "shop", "--detach"]);
    let asked = agent.asked().pop().unwrap();
    assert_eq!(
        (out(&told).trim_end(), asked.line.as_str()),
        (asked.header("x-command-id").unwrap(), "POST /v1/stacks/shop/stop?detach=true")
    );
    let json = run(&agent, &["stop", "shop", "-d", "--json"]);
    assert_eq!(schema::check_lines("accepted", &out(&json)), 1);
}

#[test]
fn a_plan_is_a_diff_or_its_event() {
    let services = json!([{"name": "web", "action": "update", "tasks": "replaced", "image": "web:2",
        "changes": [{"field": "TaskTemplate.ContainerSpec.Image", "old": "web:1", "new": "web:2"}]}]);
    let agent = ending(
        "DeployCompleted",
        json!({"dry_run": true, "services": services, "networks": [], "secrets": [], "configs": [], "warnings": []}),
    );
    let expected = "~ service web  every task is replaced\n    image  web:1 → web:2\n\nPlan for shop: change 1.\n";
    for arguments in [&["plan", "shop", "-c", "a.yml"][..], &["deploy", "shop", "-c", "a.yml", "--dry-run"]] {
        let told = run(&agent, arguments);
        assert_eq!((told.status.code(), out(&told).as_str(), err(&told).as_str()), (Some(0), expected, ""));
        assert_eq!(agent.asked().pop().unwrap().line, "POST /v1/stacks/shop/plan");
        let json = run(&agent, &[arguments, &["--json"]].concat());
        assert_eq!(schema::check_lines("event", &out(&json)), 1);
    }
}

#[test]
fn an_agent_that_restarts_in_the_middle_is_waited_for() {
    let agent = FakeIpc::start(|line| match line {
        line if line.starts_with("POST") => Reply::Lines(vec![
            accepted(),
            Step::Line(json!({"error": {"code": "agent.leaving", "message": "it goes on at the next start", "details": {}}})),
            Step::Cut,
        ]),
        _ => Reply::Lines(deploying()),
    });
    fs::write(agent.folder().join("a.yml"), "services: {web: {image: web}}\n").unwrap();
    let told = run(&agent, &["deploy", "shop", "-c", "a.yml"]);
    assert!(told.status.success() && err(&told).contains("waiting for it"), "{told:?}");
    let (first, second) = (agent.asked()[0].clone(), agent.asked()[1].clone());
    assert_eq!(second.line, format!("GET /v1/commands/{}?follow=true", first.header("x-command-id").unwrap()));
}

#[test]
fn without_a_terminal_ctrl_c_leaves_the_command_running() {
    let agent = FakeIpc::start(|_| Reply::Lines(vec![accepted(), Step::Wait(PATIENCE)]));
    let mut command = program(agent.folder(), &["stop", "shop"]);
    let mut child = command.env("AXION_AGENT_SOCKET", agent.socket()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the command is given", || !agent.asked().is_empty());
    // The signals are listened for before the events are read.
    let mut first = [0; 1];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    interrupt(&child);
    let told = finished(&mut child);
    let id = agent.asked()[0].header("x-command-id").unwrap().to_owned();
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(
        err(&told).contains("goes on [interrupted]") && err(&told).contains(&format!("axion-agent commands {id} --follow")),
        "{told:?}"
    );
}

fn interrupt(child: &Child) {
    // SAFETY: no memory is involved; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGINT) }, 0);
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited for too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A terminal of 60 columns with the program on it.
struct Terminal {
    master: File,
    child: Child,
    seen: String,
}

impl Terminal {
    fn start(agent: &FakeIpc, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (mut master, mut slave) = (0, 0);
        let size = libc::winsize { ws_row: 24, ws_col: 60, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both descriptors are written by the call, the size is read by it.
        let made = unsafe { libc::openpty(&raw mut master, &raw mut slave, std::ptr::null_mut(), std::ptr::null(), &raw const size) };
        assert_eq!(made, 0);
        // SAFETY: both are open, and nobody else has them.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        // SAFETY: no memory is involved.
        unsafe { libc::fcntl(master.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        let mut command = program(agent.folder(), arguments);
        command.env("AXION_AGENT_SOCKET", agent.socket()).envs(environment.iter().copied());
        let end = || Stdio::from(slave.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { master, child, seen: String::new() }
    }

    fn look(&mut self) -> &str {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = self.master.read(&mut bytes) {
            self.seen += &String::from_utf8_lossy(&bytes[..read]);
        }
        &self.seen
    }

    fn shows(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.look().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not shown: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ends(&mut self) -> i32 {
        let status = finished(&mut self.child).status;
        self.look();
        status.code().unwrap_or(-1)
    }
}

#[test]
fn a_terminal_shows_a_picture_in_colours_that_fits() {
    let agent = FakeIpc::start(|_| Reply::Lines(deploying()));
    fs::write(agent.folder().join("a.yml"), "services: {web: {image: web}}\n").unwrap();
    let mut terminal = Terminal::start(&agent, &["deploy", "shop", "-c", "a.yml"], &[]);
    assert_eq!(terminal.ends(), 0, "{:?}", terminal.seen);
    assert!(terminal.seen.contains("web  \x1b[33mstarting\x1b[0m  1/2") && terminal.seen.contains("\x1b[2A\r"), "{:?}", terminal.seen);
    assert!(terminal.seen.contains("\x1b[32mDone\x1b[0m: the stack shop runs"), "{:?}", terminal.seen);
    let mut plain = Terminal::start(&agent, &["deploy", "shop", "-c", "a.yml"], &[("NO_COLOR", "1")]);
    assert_eq!(plain.ends(), 0);
    assert!(plain.seen.contains("web  starting  1/2") && !plain.seen.contains("\x1b[3"), "{:?}", plain.seen);
    let mut dumb = Terminal::start(&agent, &["deploy", "shop", "-c", "a.yml"], &[("TERM", "dumb")]);
    assert_eq!(dumb.ends(), 0);
    assert!(dumb.seen.contains("web: starting 1/2") && !dumb.seen.contains('\x1b'), "{:?}", dumb.seen);
}

#[test]
fn on_a_terminal_ctrl_c_asks() {
    let agent = FakeIpc::start(|line| match line {
        line if line.contains("/cancel") => Reply::Document(202, json!({"command_id": "9d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11"})),
        _ => Reply::Lines(vec![
            accepted(),
            Step::Wait(Duration::from_secs(3)),
            event("CommandFailed", true, "cancelled by you", json!({"code": "cancelled"})),
        ]),
    });
    let question = "[c]ancel, [l]eave";
    let mut leaves = Terminal::start(&agent, &["stop", "shop"], &[]);
    leaves.shows("accepted");
    interrupt(&leaves.child);
    leaves.shows(question);
    leaves.master.write_all(b"what\n").unwrap();
    leaves.shows("\"what\" is none of them: c cancels the command, l leaves it running, Enter goes on watching.");
    leaves.master.write_all(b"l\n").unwrap();
    assert_eq!(leaves.ends(), 0);
    assert!(leaves.seen.contains("goes on.") && agent.asked().len() == 1, "{:?}", leaves.seen);

    let mut twice = Terminal::start(&agent, &["stop", "shop"], &[]);
    twice.shows("accepted");
    interrupt(&twice.child);
    twice.shows(question);
    interrupt(&twice.child);
    assert_eq!(twice.ends(), 0, "a second one leaves it running: {:?}", twice.seen);

    let mut cancels = Terminal::start(&agent, &["stop", "shop"], &[]);
    cancels.shows("accepted");
    interrupt(&cancels.child);
    cancels.shows(question);
    cancels.master.write_all(b"c\n").unwrap();
    assert_eq!(cancels.ends(), 1);
    assert!(cancels.seen.contains("cancelling") && cancels.seen.contains("cancelled by you"), "{:?}", cancels.seen);
    assert!(agent.asked().iter().any(|asked| asked.line.ends_with("/cancel?detach=true")));
}

#[test]
fn logs_go_where_their_tasks_wrote_them() {
    let line = |service: &str, stream: &str, text: &str| {
        Step::Line(
            json!({"service": service, "task_id": "t", "slot": 1, "node_id": "n", "stream": stream, "at": "2026-01-31T12:00:00.5Z", "text": text}),
        )
    };
    let lines = vec![
        line("db", "stdout", "ready"),
        line("web", "stderr", "oh"),
        Step::Line(json!({"service": "db", "end": {"code": "service.not_found", "message": "it is gone"}})),
    ];
    let agent = FakeIpc::start(move |asked| match asked {
        asked if asked.contains("/logs") => Reply::Lines(lines.clone()),
        _ => Reply::Document(200, json!({"name": "shop", "services": [{"name": "db"}, {"name": "web"}]})),
    });
    let told = run(&agent, &["logs", "shop"]);
    assert_eq!(
        (out(&told).as_str(), err(&told).as_str(), told.status.code()),
        ("db.1  | ready\n", "web.1 | oh\nThe log of db has ended: it is gone\n", Some(0))
    );
    let told = run(&agent, &["logs", "shop", "web", "-f", "--tail", "5", "--since", "2026-01-31T11:00:00Z", "--json"]);
    assert_eq!(schema::check_lines("log-line", &out(&told)), 3);
    let asked = agent.asked().pop().unwrap().line;
    assert_eq!(asked, "GET /v1/stacks/shop/logs?tail=5&follow=true&since=2026-01-31T11%3A00%3A00Z&service=web");
    let told = run(&agent, &["logs", "shop", "wbe"]);
    assert!(
        told.status.code() == Some(1) && err(&told).contains("did you mean web? [service.not_found]\n  next: axion-agent services shop"),
        "{told:?}"
    );
}

#[test]
fn events_and_commands_are_shown_as_they_come() {
    let listed = json!({"commands": [{"command_id": "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11", "command_type": "Stop", "stack": "shop", "way": "local", "state": "running"}]});
    let agent = FakeIpc::start(move |line| match line.split_once(' ').unwrap().1 {
        "/v1/events?stack=shop" => {
            Reply::Lines(vec![event("DeployStarted", false, "", json!({})), Step::Line(json!({"lost": 3})), Step::Cut])
        }
        "/v1/commands" => Reply::Document(200, listed.clone()),
        path if path.ends_with("?follow=true") => {
            Reply::Lines(vec![accepted(), event("CommandFailed", true, "too late", json!({"code": "command.timed_out"}))])
        }
        _ => Reply::Document(200, listed["commands"][0].clone()),
    });
    let told = run(&agent, &["events", "--stack", "shop"]);
    assert!(out(&told).contains("DeployStarted shop") && out(&told).contains("(3 events were lost"), "{told:?}");
    assert!(out(&run(&agent, &["commands"])).contains("8d0d6c1e  Stop     shop"));
    assert_eq!(out(&run(&agent, &["commands", "-q"])), "8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11\n");
    schema::check("commands", &serde_json::from_str(&out(&run(&agent, &["commands", "--json"]))).unwrap());
    schema::check("command", &serde_json::from_str(&out(&run(&agent, &["commands", "8d0d", "--json"]))).unwrap());
    let told = run(&agent, &["commands", "8d", "--follow"]);
    assert!(told.status.code() == Some(8) && err(&told).contains("too late [command.timed_out]"), "{told:?}");
}

/// What the documentation shows is as the schema says, and the schema knows every command.
#[test]
fn records_of_commands_are_as_their_schema_says() {
    let readme = include_str!("../README.md");
    let shown = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    schema::check("command-record", &serde_json::from_str(shown).unwrap());
    for example in ["scale", "remove"] {
        let text = fs::read_to_string(format!("{}/examples/{example}.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let mut record: Value = serde_json::from_str(&text).unwrap();
        // `send` adds it.
        record["command_id"] = json!("8d0d6c1e-8c0f-4d7e-9a53-0f3c7a1c1f11");
        schema::check("command-record", &record);
    }
    let known: Vec<Value> = axion_agent::domain::Action::NAMES.iter().map(|name| json!(name)).collect();
    let mut listed = schema::published("command-record")["properties"]["command_type"]["enum"].as_array().unwrap().clone();
    listed.sort_by_key(ToString::to_string);
    let mut sorted = known;
    sorted.sort_by_key(ToString::to_string);
    assert_eq!(listed, sorted);
}

#[test]
fn schemas_are_printed_as_they_are_published() {
    let agent = FakeIpc::start(|_| Reply::Garbage(""));
    let list = out(&run(&agent, &["schema"]));
    let mut names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in &names {
        let printed: Value = serde_json::from_str(&out(&run(&agent, &["schema", name]))).unwrap();
        assert_eq!(&printed, schema::published(name));
        assert_eq!(printed["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
    }
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema")).unwrap();
    let mut published: Vec<String> =
        folder.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    published.sort_unstable();
    assert_eq!(names, published);
    let render = fs::write(agent.folder().join("a.yml"), "services: {web: {image: web}}\n")
        .map(|()| run(&agent, &["render", "shop", "-c", "a.yml"]));
    schema::check("render", &serde_json::from_str(&out(&render.unwrap())).unwrap());
    for (arguments, name) in [(&["config", "check", "--json"][..], "config-check"), (&["config", "show", "--json"], "config-show")] {
        schema::check(name, &serde_json::from_str(&out(&run(&agent, arguments))).unwrap());
    }
}
