//! What the manager refuses is refused before anything is made, and nothing else is: `docker stack deploy` asks it.

use super::support::{Lanes, Stage};
use super::{QUICK, quick, request};
use axion_agent::domain::{Action, Code, Deploy, Sensitive, StackName};
use std::process::{Command, Output};

/// What is refused: the service's name, its settings, the rest of the file, a part of what is said.
fn refused() -> Vec<(&'static str, String, &'static str, &'static str)> {
    let deploy = |settings: &str| quick("sleep, '1000'", &format!(", deploy: {{{settings}}}"));
    let with = |settings: &str| quick("sleep, '1000'", &format!(", {settings}"));
    vec![
        ("a.b", deploy(""), "", "the service "),
        ("web", with("networks: [my.net]"), "networks: {my.net: {}}", "my.net would be refused: a name has"),
        ("web", with("networks: [n]"), "networks: {n: {driver: bridge}}", "its driver is bridge"),
        ("web", with("networks: [n]"), "networks: {n: {ipam: {config: [{subnet: 10.9.8.7}]}}}", "its subnet \"10.9.8.7\""),
        ("web", with("secrets: [x_]"), "secrets: {x_: {file: ./word}}", "the secret"),
        ("web", with("secrets: [x]"), "secrets: {x: {file: ./empty}}", "it has 0 bytes"),
        ("web", deploy("resources: {limits: {cpus: '0.0001'}}"), "", "limits.cpus must be at least 0.001"),
        ("web", deploy("resources: {reservations: {memory: 1M}}"), "", "reservations.memory must be at least 4M"),
        ("web", deploy("restart_policy: {condition: sometimes}"), "", "condition is \"sometimes\""),
        ("web", deploy("restart_policy: {delay: -5s}"), "", "restart_policy.delay"),
        ("web", deploy("update_config: {monitor: -5s}"), "", "update_config.monitor"),
        ("web", deploy("update_config: {max_failure_ratio: 1.5}"), "", "max_failure_ratio is 1.5"),
        ("web", deploy("update_config: {failure_action: explode}"), "", "failure_action is \"explode\""),
        ("web", with("healthcheck: {test: 'true', interval: 10us}"), "", "healthcheck.interval must be at least 1ms"),
        ("web", deploy("placement: {constraints: [node.role=manager]}"), "", "\"node.role=manager\""),
        ("web", deploy("placement: {constraints: [node.role==]}"), "", "\"node.role==\""),
        ("web", deploy("placement: {constraints: ['node.labels.zone == \"x\"']}"), "", "such as a quote"),
        ("web", deploy("placement: {constraints: ['node.labels.zone==a,b']}"), "", "such as a quote"),
        ("web", deploy("restart_policy: {condition: Any}"), "", "condition is \"Any\""),
        ("web", with("volumes: [{type: bind, source: /tmp, target: /t, bind: {propagation: foo}}]"), "", "bind mount is \"foo\""),
        ("web", with("volumes: ['/tmp:/t', '/var:/t']"), "", "to /t twice"),
        (
            "web",
            with("secrets: [{source: x, target: t}, {source: y, target: t}]"),
            "secrets: {x: {file: ./word}, y: {file: ./word}}",
            "has the target \"t\", which another one has",
        ),
        ("web", with("networks: [n]"), "networks: {n: {ipam: {config: [{}]}}}", "its subnet \"\""),
        ("web", deploy("endpoint_mode: foo"), "", "endpoint_mode is \"foo\""),
        ("web", with("ports: ['18080:80'], deploy: {endpoint_mode: dnsrr}"), "", "mode: host alone"),
        (
            "web",
            with("ports: [{target: 80, published: 18080, mode: host}, {target: 81, published: 18080, mode: host}]"),
            "",
            "18080/tcp twice",
        ),
        ("web", deploy("mode: replicated-job, update_config: {delay: 1s}"), "", "a job cannot have an update_config"),
    ]
}

/// What is at the edge of it and is taken.
fn taken() -> Vec<(&'static str, String, &'static str)> {
    let deploy = |settings: &str| format!("{QUICK}, deploy: {{replicas: 0, endpoint_mode: DNSrr, {settings}}}");
    let with = |settings: &str| format!("{QUICK}, deploy: {{replicas: 0, endpoint_mode: dnsrr}}, {settings}");
    vec![
        ("a-_b", deploy("resources: {limits: {cpus: '0.001', memory: 4M}}"), ""),
        ("web", deploy("restart_policy: {condition: on-failure, delay: 0s}"), ""),
        ("web", deploy("update_config: {max_failure_ratio: 1.0, delay: 0s}, rollback_config: {max_failure_ratio: 1.5, delay: -5s}"), ""),
        ("web", deploy("placement: {constraints: [' node.role == manager ', 'no.such!=a thing:/*(b)?+[c]^$$|-_.']}"), ""),
        ("web", with("healthcheck: {test: 'true', interval: 0s, timeout: 1ms}"), ""),
        ("web", with("volumes: [{type: bind, source: /tmp, target: /t, bind: {propagation: RSlave}}, '/tmp:/u:shared']"), ""),
        ("web", with("tmpfs: [/run], volumes: [{type: tmpfs, target: /run}]"), ""),
        ("web", with("secrets: [x.y]"), "secrets: {x.y: {file: ./word}}"),
        ("web", with("ports: [{target: 80, published: 18080, mode: host}, {target: 81, published: 18080, mode: host, protocol: udp}]"), ""),
    ]
}

pub fn by_the_manager(stage: &Stage) {
    let lanes = Lanes::start(stage);
    std::fs::write(lanes.folder.join("word"), "one").unwrap();
    std::fs::write(lanes.folder.join("empty"), "").unwrap();
    let with_files = |name: &str, settings: &str, rest: &str| {
        let request = request(&lanes, &[(name, settings)], rest);
        let files = [("word".to_owned(), b"one".to_vec()), ("empty".to_owned(), Vec::new())];
        Deploy { files: Sensitive::new(files.into()), ..request }
    };
    let theirs = StackName::new(format!("{}-cli", lanes.stack)).unwrap();
    for (name, settings, rest, words) in refused() {
        let request = with_files(name, &settings, rest);
        let said = cli(&lanes, &theirs, &request);
        assert!(!said.status.success(), "the manager takes {settings} {rest}");
        let told = lanes.run(Action::Deploy(request)).failed(Code::COMPOSE_INVALID, words);
        assert_eq!(told.detail("changed"), false, "{settings} {rest}");
    }
    for (name, settings, rest) in taken() {
        let request = with_files(name, &settings, rest);
        let said = cli(&lanes, &theirs, &request);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        docker(&lanes, &["stack", "rm", theirs.as_str()]);
        lanes.run(Action::Deploy(Deploy { prune: true, ..request })).completed();
    }
    docker(&lanes, &["stack", "rm", theirs.as_str()]);
}

fn cli(lanes: &Lanes, stack: &StackName, request: &Deploy) -> Output {
    std::fs::write(lanes.folder.join("stack.yml"), request.compose.reveal()).unwrap();
    docker(lanes, &["stack", "deploy", "--detach=true", "--resolve-image", "never", "-c", "stack.yml", stack.as_str()])
}

#[allow(clippy::disallowed_methods, reason = "the agent has no children, this is the program that asks the manager the same")]
fn docker(lanes: &Lanes, args: &[&str]) -> Output {
    Command::new("docker").arg("-H").arg(lanes.engine.host()).args(args).current_dir(&lanes.folder).output().unwrap()
}
