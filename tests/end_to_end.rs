//! From a record on the command topic to a running stack and back: the agent's own binary between a real
//! engine, a broker and a control plane.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod support;

use axion_agent::signing::{KeyId, PrivateKey};
use serde_json::{Value, json};
use std::time::Duration;
use support::agents::Sighting;
use support::{AGENT, Bed, COMMAND, Draft, READY, Record, Stage, Test, free_port, run, until};
use uuid::Uuid;

const TESTS: &[Test] = &[
    Test { name: "a_stack_is_deployed_scaled_reported_and_removed", needs: AGENT, body: whole_life },
    Test { name: "a_second_deploy_of_the_same_file_changes_nothing", needs: AGENT, body: no_change },
    Test { name: "a_changed_file_updates_and_prunes", needs: AGENT, body: update_and_prune },
    Test { name: "shipped_files_become_configs_and_secrets", needs: AGENT, body: shipped_files },
    Test { name: "a_dry_run_only_plans", needs: AGENT, body: dry_run },
    Test { name: "a_missing_image_fails_with_the_engines_reason", needs: AGENT, body: missing_image },
    Test { name: "a_crash_loop_fails_with_the_exit_code", needs: AGENT, body: crash_loop },
    Test { name: "an_unhealthy_service_fails", needs: AGENT, body: unhealthy },
    Test { name: "a_service_that_fits_no_node_fails", needs: AGENT, body: no_suitable_node },
    Test { name: "a_bad_compose_file_is_answered", needs: AGENT, body: bad_compose },
    Test { name: "a_malformed_record_is_kept_and_the_next_command_runs", needs: AGENT, body: malformed },
    Test { name: "a_record_with_an_id_that_is_no_command_is_rejected", needs: AGENT, body: rejected },
    Test { name: "a_command_sent_twice_is_carried_out_once", needs: AGENT, body: duplicate },
    Test { name: "an_expired_command_is_rejected", needs: AGENT, body: expired },
    Test { name: "only_what_a_known_key_has_signed_is_carried_out", needs: AGENT, body: signed },
    Test { name: "a_paused_agent_lets_a_deploy_wait_also_over_a_restart", needs: AGENT, body: paused },
    Test { name: "the_control_plane_sees_the_agent_come_and_go", needs: AGENT, body: heartbeats },
];

fn main() -> std::process::ExitCode {
    run("end_to_end", TESTS)
}

/// A web service on `port` that says `text`, and a worker.
fn two_services(port: u16, text: &str) -> String {
    format!(
        r#"
services:
  web:
    image: axion-test/box:1
    init: true
    command: ["/bin/sh", "-c", "echo {text} > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_grace_period: 1s
    ports: [{{target: 8080, published: {port}, mode: host}}]
    deploy: {{update_config: {{order: stop-first}}}}
  worker:
    image: axion-test/box:1
    init: true
    command: [sleep, infinity]
    stop_grace_period: 1s
"#
    )
}

/// One service that runs `shell`, with more lines of its own.
fn one_service(shell: &str, more: &str) -> String {
    format!(
        "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    \
         command: [\"/bin/sh\", \"-c\", \"{shell}\"]\n{more}"
    )
}

fn whole_life(stage: &Stage) {
    let bed = Bed::start(stage);
    let port = free_port();
    let id = bed.send(bed.deploy(&two_services(port, "hello")));
    let end = bed.terminal(id);
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    let fetched = until("the published port answers", Duration::from_secs(10), || bed.engine().fetch(port));
    assert_eq!(fetched.trim(), "hello");
    assert_eq!((bed.running("web"), bed.running("worker")), (1, 1));

    let events = bed.all_of(id);
    let kinds: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(&kinds[..2], ["CommandAccepted", "DeployStarted"], "{kinds:?}");
    assert!(kinds[2..kinds.len() - 1].iter().all(|kind| *kind == "DeployProgress"), "{kinds:?}");
    assert_eq!(events.iter().filter(|event| event.terminal).count(), 1, "{kinds:?}");
    let payload = &end.payload;
    assert_eq!(
        (&payload["status"], &payload["stack_name"], &payload["project_id"]),
        (&json!("Completed"), &json!(bed.stack), &json!(bed.id))
    );
    let services = payload["details"]["services"].as_array().cloned().unwrap_or_default();
    assert_eq!(services.len(), 2, "{payload}");
    assert!(services.iter().all(|service| service["action"] == "create"), "{payload}");

    let scaled = bed.carry_out(bed.draft("Scale").with("services", json!({"worker": 3})));
    assert_eq!(scaled.event_type, "CommandCompleted", "{scaled:?}");
    assert_eq!(bed.running("worker"), 3);

    let report = bed.carry_out(bed.draft("GetStatus"));
    assert_eq!(report.event_type, "StatusReport", "{report:?}");
    assert!(report.payload.to_string().contains("worker"), "{report:?}");

    let removed = bed.carry_out(bed.draft("Remove"));
    assert_eq!(removed.event_type, "CommandCompleted", "{removed:?}");
    assert_eq!(bed.engine().remains(&bed.stack).unwrap(), Vec::<String>::new());
}

fn no_change(stage: &Stage) {
    let bed = Bed::start(stage);
    let compose = one_service("exec sleep 1000", "");
    assert_eq!(bed.carry_out(bed.deploy(&compose)).event_type, "DeployCompleted");
    let version = |bed: &Bed| bed.engine().services(&bed.stack).unwrap()[0]["Version"]["Index"].clone();
    let before = version(&bed);
    let again = bed.carry_out(bed.deploy(&compose));
    assert_eq!(again.event_type, "DeployCompleted", "{again:?}");
    assert_eq!(version(&bed), before, "the service was touched: {again:?}");
    assert_eq!(again.payload["details"]["services"][0]["action"], "unchanged", "{again:?}");
}

fn update_and_prune(stage: &Stage) {
    let bed = Bed::start(stage);
    let port = free_port();
    assert_eq!(bed.carry_out(bed.deploy(&two_services(port, "one"))).event_type, "DeployCompleted");
    let only_web: String = two_services(port, "two").split("  worker:").next().unwrap_or_default().to_owned();
    let end = bed.carry_out(bed.deploy(&only_web));
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    let fetched = until("the new task answers", Duration::from_secs(10), || bed.engine().fetch(port));
    assert_eq!(fetched.trim(), "two");
    let services = bed.engine().services(&bed.stack).unwrap();
    assert_eq!(services.len(), 1, "the worker is still there");
}

fn shipped_files(stage: &Stage) {
    let bed = Bed::start(stage);
    let port = free_port();
    let compose = format!(
        r#"
services:
  web:
    image: axion-test/box:1
    init: true
    stop_grace_period: 1s
    command: ["/bin/sh", "-c", "cat /page /run/secrets/word > /www/index.html; exec httpd -f -p 8080 -h /www"]
    ports: [{{target: 8080, published: {port}, mode: host}}]
    configs: [{{source: page, target: /page}}]
    secrets: [word]
configs:
  page: {{file: ./page.txt}}
secrets:
  word: {{file: ./word.txt}}
"#
    );
    let mut draft = bed.deploy(&compose);
    draft.ship("page.txt", b"from a config\n");
    draft.ship("word.txt", b"and a secret\n");
    let end = bed.carry_out(draft);
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    let fetched = until("the published port answers", Duration::from_secs(10), || bed.engine().fetch(port));
    assert_eq!(fetched, "from a config\nand a secret\n");
}

fn dry_run(stage: &Stage) {
    let bed = Bed::start(stage);
    let end = bed.carry_out(bed.deploy(&one_service("exec sleep 1000", "")).with("dry_run", true));
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    assert_eq!(end.payload["details"]["dry_run"], true, "{end:?}");
    assert_eq!(bed.engine().remains(&bed.stack).unwrap(), Vec::<String>::new());
}

/// Deploys what cannot work; the one terminal event must be DeployFailed with this code, and its text or
/// details must hold the engine's own words.
fn fails(stage: &Stage, compose: &str, code: &str, words: &str) {
    let bed = Bed::start(stage);
    let id = bed.send(bed.deploy(compose));
    let end = bed.terminal(id);
    assert_eq!(end.event_type, "DeployFailed", "{end:?}");
    assert_eq!(end.code(), Some(code), "{end:?}");
    assert!(end.payload.to_string().contains(words), "{words:?} is not in {end:?}");
    assert_eq!(bed.all_of(id).iter().filter(|event| event.terminal).count(), 1);
}

fn missing_image(stage: &Stage) {
    fails(stage, "services:\n  app:\n    image: 127.0.0.1:1/axion-test/nothing:1\n", "image.pull", "127.0.0.1:1");
}

fn crash_loop(stage: &Stage) {
    fails(stage, &one_service("exit 7", ""), "task.crash_loop", "7");
}

fn unhealthy(stage: &Stage) {
    let check = "    healthcheck: {test: [CMD, /bin/false], interval: 1s, timeout: 1s, retries: 1}\n";
    fails(stage, &one_service("exec sleep 1000", check), "task.unhealthy", "unhealthy");
}

fn no_suitable_node(stage: &Stage) {
    let placement = "    deploy: {placement: {constraints: [node.labels.moon == yes]}}\n";
    fails(stage, &one_service("exec sleep 1000", placement), "task.no_suitable_node", "no suitable node");
}

fn bad_compose(stage: &Stage) {
    fails(stage, &one_service("exec sleep 1000", "    deploy: {replicas: many}\n"), "compose.invalid", "replicas");
}

fn malformed(stage: &Stage) {
    let bed = Bed::start(stage);
    bed.send_record(&Record::raw(b"{\"command_type\": \"Deploy\", no json".to_vec()));
    let next = bed.carry_out(bed.query());
    assert_eq!(next.event_type, "StatusReport", "{next:?}");
    assert_eq!(bed.dead_letter().body, b"{\"command_type\": \"Deploy\", no json");
    let report = bed.event("the report", COMMAND, |event| event.event_type == "ErrorReport");
    assert_eq!((report.causation_id, report.terminal), (None, false), "{report:?}");
}

fn rejected(stage: &Stage) {
    let bed = Bed::start(stage);
    let end = bed.carry_out(bed.draft("Paint"));
    assert_eq!((end.event_type.as_str(), end.code()), ("CommandRejected", Some("command.unsupported")), "{end:?}");
    let id = Uuid::new_v4();
    bed.send_record(&Record::raw(json!({"command_id": id, "command_type": "Scale", "payload": 5}).to_string().into_bytes()));
    let end = bed.terminal(id);
    assert_eq!((end.event_type.as_str(), end.code()), ("CommandRejected", Some("command.malformed")), "{end:?}");
}

fn duplicate(stage: &Stage) {
    let bed = Bed::start(stage);
    let record = bed.deploy(&one_service("exec sleep 1000", "")).record();
    let id = bed.send_record(&record).unwrap();
    bed.send_record(&record);
    assert_eq!(bed.terminal(id).event_type, "DeployCompleted");
    bed.send_record(&record);
    let events = bed.all_of(id);
    let ends: Vec<_> = events.iter().filter(|event| event.terminal).collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(events.iter().filter(|event| event.event_type == "DeployStarted").count(), 1, "{events:?}");
}

fn expired(stage: &Stage) {
    let bed = Bed::start(stage);
    let draft = Draft { expires_in: Some(Duration::ZERO), ..bed.deploy(&one_service("exec sleep 1000", "")) };
    let end = bed.carry_out(draft);
    assert_eq!((end.event_type.as_str(), end.code()), ("CommandRejected", Some("command.expired")), "{end:?}");
    assert_eq!(bed.engine().remains(&bed.stack).unwrap(), Vec::<String>::new());
}

fn signed(stage: &Stage) {
    let bed = Bed::start(stage);
    let [key, next] = ["ops-1", "ops-2"].map(|id| PrivateKey::generate(KeyId::parse(id).unwrap()).unwrap());
    let text = bed.configuration();
    let trust = |keys: &[&PrivateKey]| {
        let keys: Vec<String> = keys.iter().map(|key| key.public().unwrap().to_string()).collect();
        bed.reconfigure(&format!("{text}[security]\ncommand_public_keys = {keys:?}\n"));
        bed.agent().reload();
    };
    let end_of = |record: &Record| {
        let end = bed.terminal(bed.send_record(record).unwrap());
        (end.event_type.clone(), end.code().unwrap_or_default().to_owned())
    };
    let is = |kind: &str, code: &str| (kind.to_owned(), code.to_owned());
    trust(&[&key]);

    assert_eq!(end_of(&bed.query().record()), is("CommandRejected", "signature.missing"));
    let deploy = bed.deploy(&one_service("exec sleep 1000", "")).signed_for(&bed.id, &key);
    assert_eq!(end_of(&deploy).0, "DeployCompleted");
    assert_eq!(end_of(&bed.query().signed_for("another", &key)), is("CommandRejected", "signature.wrong_agent"));

    // A forged record is buried, and uses up nothing: the true one with its id comes behind it, twice.
    let scale = bed.draft("Scale").with("services", json!({"app": 2})).signed_for(&bed.id, &key);
    let mut forged: Value = serde_json::from_slice(&scale.body).unwrap();
    forged["signatures"][0]["sig"] = json!(format!("{}==", "A".repeat(86)));
    bed.send_record(&Record { body: forged.to_string().into_bytes(), ..scale.clone() });
    bed.send_record(&scale);
    assert_eq!(end_of(&scale).0, "CommandCompleted");
    assert_eq!(bed.dead_letter().body, forged.to_string().into_bytes());
    let report = bed.event("the report", COMMAND, |event| event.event_type == "ErrorReport");
    assert_eq!((report.code(), report.terminal, report.causation_id), (Some("signature.invalid"), false, None), "{report:?}");

    // Another key takes its place, and what only the old one has signed is not believed any more.
    trust(&[&key, &next]);
    assert_eq!(end_of(&bed.query().signed_for(&bed.id, &next)).0, "StatusReport");
    trust(&[&next]);
    bed.send_record(&bed.query().signed_for(&bed.id, &key));
    bed.event("the report", COMMAND, |event| event.event_type == "ErrorReport" && event.code() == Some("signature.unknown_key"));

    // Beside keys unsigned commands are taken where that is wanted.
    let keys = [next.public().unwrap().to_string()];
    bed.reconfigure(&format!("{text}[security]\ncommand_public_keys = {keys:?}\nrequire_signed_commands = false\n"));
    bed.agent().reload();
    assert_eq!(end_of(&bed.query().signed_for(&bed.id, &next)).0, "StatusReport");
    assert_eq!(bed.all_of(scale.command_id.unwrap()).iter().filter(|event| event.terminal).count(), 1);
}

fn paused(stage: &Stage) {
    let mut bed = Bed::start(stage);
    let pause = |command_type: &str| Draft { command_type: command_type.to_owned(), ..Draft::default() };
    assert_eq!(bed.carry_out(pause("Pause")).event_type, "CommandCompleted");
    let deploy = bed.send(bed.deploy(&one_service("exec sleep 1000", "")));
    bed.event("it is accepted", COMMAND, |event| event.causation_id == Some(deploy) && event.event_type == "CommandAccepted");
    // Queries are answered meanwhile.
    bed.settle();
    let since = bed.agent().page("/readyz").unwrap().json()["paused_since"].clone();
    assert!(since.is_string(), "{since}");
    assert!(bed.agent().page("/metrics").unwrap().body.contains("axion_agent_paused 1"));

    until("a heartbeat tells it", READY, || {
        match bed.sightings().into_iter().any(|seen| matches!(seen, Sighting::Beat(beat) if beat.paused)) {
            true => Ok(()),
            false => Err("none so far".to_owned()),
        }
    });

    bed.take_agent().kill();
    bed.start_agent();
    bed.agent().wait_ready(READY);
    assert_eq!(bed.agent().page("/readyz").unwrap().json()["paused_since"], since);
    bed.settle();
    assert!(bed.terminal_so_far(deploy).is_none());
    assert!(bed.engine().services(&bed.stack).unwrap().is_empty());

    assert_eq!(bed.carry_out(pause("Resume")).event_type, "CommandCompleted");
    assert_eq!(bed.terminal(deploy).event_type, "DeployCompleted");
}

fn heartbeats(stage: &Stage) {
    let mut bed = Bed::start(stage);
    let mut sightings = Vec::new();
    let mut sees = |state: &str| {
        until(&format!("a heartbeat with {state}"), Duration::from_secs(15), || {
            sightings.extend(bed.sightings());
            let found = sightings.iter().any(|seen| matches!(seen, Sighting::Beat(beat) if beat.state == state));
            found.then_some(()).ok_or_else(|| format!("{sightings:?}"))
        });
        sightings.clone()
    };
    let first = sees("READY");
    assert!(matches!(&first[0], Sighting::Enrolled { agent, .. } if *agent == bed.id), "{first:?}");
    let page: Value = bed.agent().health();
    assert_eq!(page["version"], env!("CARGO_PKG_VERSION"), "{page}");
    let (status, _) = bed.take_agent().terminate();
    assert!(status.success(), "{status}");
    until("a heartbeat with STOPPING", Duration::from_secs(5), || {
        let seen = bed.sightings();
        let found = seen.iter().any(|seen| matches!(seen, Sighting::Beat(beat) if beat.state == "STOPPING"));
        found.then_some(()).ok_or_else(|| format!("{seen:?}"))
    });
}
