//! Secrets through everything that leaves an agent: a dozen canaries in its configuration and in commands over Kafka and the socket, deploys
//! whose engine repeats them in its words, plans that change them; then every event, page, answer, line of the log, and a support bundle.

use super::canaries::Seen;
use super::support::{Bed, Draft, Plan, READY, Request, Stage, over_unix};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const REGISTRY: &str = "canary-21-registry-of-the-configuration";
const KEY_PASSWORD: &str = "canary-22-ssl-key-password";
const PROXY: &str = "canary-23-proxy-login";
const FIRST: &str = "canary-24-variable-of-the-first-deploy";
const SECOND: &str = "canary-25-variable-of-the-second-deploy";
const LITERAL: &str = "canary-26-literal-environment";
const SECRET_FILE: &str = "canary-27-content-of-a-secret";
const CONFIG_FILE: &str = "canary-28-content-of-a-config";
const LOGIN: &str = "canary-29-login-of-a-command";
const JOIN_TOKEN: &str = "canary-30-join-token";
const MALFORMED: &str = "canary-31-in-a-malformed-body";
const TLS_KEY: &str = "canary-32-of-a-private-key";

const ALL: [&str; 12] =
    [REGISTRY, KEY_PASSWORD, PROXY, FIRST, SECOND, LITERAL, SECRET_FILE, CONFIG_FILE, LOGIN, JOIN_TOKEN, MALFORMED, TLS_KEY];

/// Every option of a service in which the engine, or the agent, may repeat what a variable has brought there.
const REPEATED: [&str; 9] = [
    "entrypoint: [\"/${PW}\"]",
    "user: \"${PW}\"",
    "volumes: [\"/${PW}:/x\"]",
    "logging: {driver: \"${PW}\"}",
    "deploy: {placement: {constraints: [\"node.labels.a==${PW}\"]}}",
    "networks: [\"${PW}\"]",
    "working_dir: \"${PW}\"",
    "healthcheck: {test: [CMD, \"${PW}\"], interval: 1s, retries: 1}",
    "sysctls: {\"${PW}\": 1}",
];

/// A stack with a secret wherever there is a place for one. `more` are further options of its service.
fn stack(more: &str) -> String {
    format!(
        "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 0s\n    command: [\"/bin/sh\", \"-c\", \"exec sleep 1000\", \"${{PW}}\"]\n    \
         environment:\n      PASSWORD: {LITERAL}\n      OTHER: ${{PW}}\n    labels: {{secret: \"${{PW}}\"}}\n    secrets: [word]\n    configs: [page]\n    {more}\n\
         secrets:\n  word: {{file: ./word.txt}}\nconfigs:\n  page: {{file: ./page.txt}}\n"
    )
}

fn filled(draft: Draft, stack_name: &str, password: &str) -> Draft {
    let mut draft = draft.with("env_vars", json!({"PW": password})).with("stack_name", stack_name).with("resolve_image", "never");
    draft = draft.with("registry_auth", json!({"127.0.0.1:1": {"username": "u", "password": LOGIN}}));
    draft.ship("word.txt", SECRET_FILE.as_bytes());
    draft.ship("page.txt", CONFIG_FILE.as_bytes());
    draft
}

pub fn every_way_out(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let key = bed.directory().join("client.key");
    std::fs::write(&key, format!("-----BEGIN PRIVATE KEY-----\n{TLS_KEY}\n-----END PRIVATE KEY-----\n")).unwrap();
    let more = format!(
        "[docker.registries.\"127.0.0.1:1\"]\nusername = \"u\"\npassword = \"{REGISTRY}\"\n\
         [kafka.librdkafka]\n\"ssl.key.password\" = \"{KEY_PASSWORD}\"\n[network]\nhttps_proxy = \"http://u:{PROXY}@127.0.0.1:9\"\n"
    );
    bed.reconfigure(&format!("{}{more}", bed.configuration().replace("level = \"debug\"", "level = \"trace\"")));
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let socket = bed.directory().join("agent.sock");
    let mut seen = Seen::default();

    // What works, a plan that changes every secret, and that change.
    let whole = filled(bed.deploy(&stack("")), &bed.stack, FIRST);
    assert_eq!(bed.carry_out(whole).event_type, "DeployCompleted");
    let changed = |dry: bool| filled(bed.deploy(&stack("")), &bed.stack, SECOND).with("dry_run", dry);
    let plan = bed.carry_out(changed(true));
    assert_eq!(plan.payload["details"]["services"][0]["action"], "update", "{plan:?}");
    assert_eq!(bed.carry_out(changed(false)).event_type, "DeployCompleted");
    seen.add("a stack", answer(&socket, "GET", &format!("/v1/stacks/{}", bed.stack), &Value::Null));

    // What the engine refuses, or fails at, in its own words. Each is a stack of its own, and goes with it.
    let mut shown = Vec::new();
    for (number, option) in REPEATED.iter().enumerate() {
        let name = format!("{}-{number}", bed.stack);
        let draft = filled(bed.deploy(&stack(option)), &name, SECOND).with("timeout_seconds", 20);
        let end = bed.carry_out(draft);
        assert_eq!(end.event_type, "DeployFailed", "{option}: {end:?}");
        shown.extend(end.payload.to_string().contains("${PW}").then_some(*option));
        bed.carry_out(bed.draft("Remove").with("stack_name", name.as_str()));
    }
    // It is the variable's name that stands there.
    assert!(shown.len() >= 4, "the words of too few: {shown:?}");
    // The same over the socket, which answers with the events.
    for (body, path) in [
        (json!({"docker_stack_yml": stack(REPEATED[0]), "env_vars": {"PW": FIRST}, "files": {}}), "deploy"),
        (json!({"docker_stack_yml": stack("cap_add: ${PW}"), "env_vars": {"PW": FIRST}}), "plan"),
        (json!({"docker_stack_yml": [MALFORMED], "registry_auth": {"r": MALFORMED}}), "deploy"),
        (json!({"services": {"app": MALFORMED}}), "scale"),
        (json!({"to_revision": MALFORMED}), "rollback"),
        (json!({"to_revision": 1, "dry_run": true}), "rollback"),
    ] {
        seen.add(format!("the answer to {path}"), answer(&socket, "POST", &format!("/v1/stacks/{}/{path}", bed.stack), &body));
    }
    seen.add("the answer to a level", answer(&socket, "PUT", "/v1/logging", &json!({"level": MALFORMED.replace("canary", "x")})));
    bed.carry_out(bed.draft("SwarmJoin").with("remote_addrs", json!(["127.0.0.1:1"])).with("join_token", JOIN_TOKEN));

    // A key that is none, and a login in a place where none belongs: a reload that is refused.
    let whole = bed.configuration();
    bed.reconfigure(&format!("{whole}[security]\nmin_tls_version = \"{MALFORMED}-no\"\n").replace(MALFORMED, "9.9"));
    bed.agent().reload();
    bed.reconfigure(&whole.replace(
        "[kafka.librdkafka]\n",
        &format!("[kafka]\nssl_key_location = {key:?}\nssl_certificate_location = {key:?}\n[kafka.librdkafka]\n"),
    ));
    bed.agent().reload();

    seen.pages(bed.agent());
    let paths = ["/v1/status", "/v1/stacks", "/v1/commands", "/v1/doctor", "/v1/logging"];
    for path in paths {
        seen.add(path, answer(&socket, "GET", path, &Value::Null));
    }
    let commands: Value = serde_json::from_str(&answer(&socket, "GET", "/v1/commands", &Value::Null)).unwrap();
    for command in commands["commands"].as_array().unwrap() {
        let path = format!("/v1/commands/{}", command["command_id"].as_str().unwrap());
        seen.add(path.clone(), answer(&socket, "GET", &path, &Value::Null));
    }
    let bundle = bed.directory().join("bundle.tar");
    for words in [
        &["stacks"] as &[&str],
        &["services", &bed.stack],
        &["ps", &bed.stack],
        &["status"],
        &["commands"],
        &["config", "show"],
        &["doctor"],
    ] {
        seen.add(words.join(" "), said(&bed, words));
    }
    seen.add("what support-bundle says", said(&bed, &["support-bundle", "-o", &bundle.display().to_string()]));
    seen.add("the support bundle", String::from_utf8_lossy(&std::fs::read(&bundle).unwrap()));
    let last = bed.send(bed.query());
    bed.terminal(last);
    for (number, event) in super::canaries::events(&bed, last).into_iter().enumerate() {
        seen.add(format!("event {number}"), event);
    }
    seen.add("the log", bed.whole_log());
    assert!(seen.count() > 90, "only {} texts were looked through", seen.count());
    let credential = super::canaries::credential(&bed);
    seen.holds_none_of(ALL.into_iter().chain(["test-token", credential.as_str()]));
}

fn answer(socket: &Path, method: &str, path: &str, body: &Value) -> String {
    over_unix(socket, &Request { method, path, headers: &[], body }).unwrap().body
}

/// What the command line says.
fn said(bed: &Bed, words: &[&str]) -> String {
    let file = bed.directory().join("agent.toml");
    let output =
        Command::new(env!("CARGO_BIN_EXE_axion-agent")).args(words).arg("--config").arg(file).env_remove("DOCKER_HOST").output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
