//! `axion-agent doctor` as an operator calls it: in local mode with and without an agent, against a broker from which one
//! permission after the other is taken, with certificates that do not do, and at a control plane.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

#[path = "../support/mod.rs"]
mod support;

use axion_agent::agent::diagnosis;
use axion_agent::config::{Sources, salvage};
use axion_agent::threads::Deadline;
use axion_agent::{doctor, kafka};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};
use support::acl::{Permission, documented};
use support::{AGENT, Bed, Listeners, Need, Plan, READY, Stage, Test, free_port, run, schema};

const CLOSED: &[Need] = &[Need::Engine, Need::Broker, Need::SecureBroker, Need::ClosedBroker];
const ISSUED: &[Need] = &[Need::Engine, Need::Broker, Need::ControlPlane];

const TESTS: &[Test] = &[
    Test { name: "local_mode_is_looked_at_without_an_agent_with_one_and_after_its_crash", needs: AGENT, body: local_mode },
    Test { name: "mistakes_of_the_configuration_hide_nothing_else", needs: AGENT, body: mistakes },
    Test { name: "each_permission_that_is_withheld_is_named_by_its_check", needs: CLOSED, body: permissions },
    Test { name: "a_live_agent_is_not_disturbed", needs: CLOSED, body: live_agent },
    Test { name: "logins_and_certificates_that_do_not_do_are_told_without_secrets", needs: CLOSED, body: certificates },
    Test { name: "a_control_plane_is_reached_and_called_in_the_agents_name", needs: ISSUED, body: control_plane },
    Test { name: "a_service_that_publishes_the_health_port_is_named", needs: AGENT, body: clash },
    Test { name: "what_never_answers_ends_within_the_bound", needs: AGENT, body: black_hole },
];

/// The program's own bound, and its start on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

fn main() -> std::process::ExitCode {
    run("doctor", TESTS)
}

/// The program under test, with the bed's configuration.
fn program(bed: &Bed) -> Command {
    let program = std::env::var_os("AXION_TEST_AGENT").unwrap_or_else(|| env!("CARGO_BIN_EXE_axion-agent").into());
    #[allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test")]
    let mut command = Command::new(program);
    command.env("AXION_AGENT_CONFIG", bed.directory().join("agent.toml")).env_remove("DOCKER_HOST").env_remove("CREDENTIALS_DIRECTORY");
    command
}

/// What the doctor said.
struct Verdict {
    code: i32,
    text: String,
    json: Value,
}

impl Verdict {
    /// Looks with the bed's configuration.
    fn of(bed: &Bed) -> Self {
        let started = Instant::now();
        let output = program(bed).args(["doctor", "--json"]).output().unwrap();
        assert!(started.elapsed() < BOUND, "it took {:?}", started.elapsed());
        let text = String::from_utf8(output.stdout).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        schema::check("doctor", &json);
        Self { code: output.status.code().unwrap(), text, json }
    }

    fn all(&self, id: &str) -> Vec<&Value> {
        self.json["checks"].as_array().unwrap().iter().filter(|check| check["id"] == id).collect()
    }

    /// The worst state of a check.
    fn state(&self, id: &str) -> &str {
        let states: Vec<&str> = self.all(id).iter().map(|check| check["state"].as_str().unwrap()).collect();
        let worst = ["fail", "warn", "skipped", "ok"].into_iter().find(|state| states.contains(state));
        worst.unwrap_or_else(|| panic!("no check {id} in {}", self.text))
    }

    fn is(&self, id: &str, state: &str, part: &str) {
        let found = self.all(id).into_iter().any(|check| check["state"] == state && check["summary"].as_str().unwrap().contains(part));
        assert!(found, "{id} is not {state} with {part:?}: {:#?}", self.all(id));
    }

    /// The running agent was asked, and sees nothing worse.
    fn agent_answers(&self) {
        let agent = &self.json["agent"];
        assert_eq!(agent["answers"], true, "{agent}");
        let worse = agent["checks"].as_array().unwrap().iter().filter(|check| check["state"] == "fail").collect::<Vec<_>>();
        assert!(worse.is_empty(), "{worse:#?}");
    }

    fn failed(&self) -> Vec<&str> {
        let checks = self.json["checks"].as_array().unwrap().iter();
        checks.filter(|check| check["state"] == "fail").map(|check| check["id"].as_str().unwrap()).collect()
    }
}

fn local_mode(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Configured);
    bed.configure_as("");
    let before = Verdict::of(&bed);
    assert_eq!((before.code, before.failed()), (0, vec![]), "{}", before.text);
    before.is("agent.running", "warn", "no agent runs");
    before.is("docker.swarm", "ok", "manager");
    before.is("docker.nodes", "ok", "1 node,");
    before.is("network.port", "ok", "is free");
    before.is("kafka.settings", "skipped", "");

    bed.start_agent();
    bed.agent().wait_ready(READY);
    let pid = bed.agent().pid().to_string();
    let during = Verdict::of(&bed);
    assert_eq!((during.code, during.failed()), (0, vec![]), "{}", during.text);
    during.is("agent.running", "ok", &pid);
    during.is("state.lock", "ok", &pid);
    during.is("network.port", "ok", "the agent listens");
    during.is("agent.socket", "ok", "takes connections");
    during.agent_answers();
    assert_ne!(during.state("agent.sandbox"), "fail");

    let bundle = bed.directory().join("bundle.tar");
    let output = program(&bed).args(["support-bundle", "-o"]).arg(&bundle).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&std::fs::read(&bundle).unwrap()).into_owned();
    for part in [
        "/metrics.txt\0",
        "process_resident_memory_bytes",
        "/readyz.json\0",
        "/status.json\0",
        "/commands.json\0",
        "/process-limits.txt\0",
        "Max open files",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }

    bed.take_agent().kill();
    let after = Verdict::of(&bed);
    assert_eq!(after.code, 0, "{}", after.text);
    after.is("state.lock", "ok", "nobody");
    after.is("state.journal", "ok", "its agent is local-");

    bed.reconfigure(&bed.configuration().replace("host = \"unix://", "host = \"unix:///gone"));
    let gone = Verdict::of(&bed);
    assert_eq!((gone.code, gone.failed()), (1, vec!["docker.socket"]), "{}", gone.text);
}

fn mistakes(stage: &Stage) {
    let bed = Bed::prepare(stage, Plan::Configured);
    bed.reconfigure(&(bed.configuration() + "[limits]\nmax_mesage_bytes = 5\n"));
    let verdict = Verdict::of(&bed);
    assert_eq!((verdict.code, verdict.failed()), (1, vec!["config.valid"]), "{}", verdict.text);
    verdict.is("config.valid", "fail", "did you mean limits.max_message_bytes?");
    verdict.is("docker.answers", "ok", "Docker");
    verdict.is("kafka.brokers", "ok", "lets the agent in");
}

fn listeners(stage: &Stage) -> Listeners {
    stage.supply().secure().unwrap()
}

fn login(listeners: &Listeners, password: &str) -> String {
    format!(
        "security_protocol = \"sasl_ssl\"\nssl_ca_location = \"{}\"\nsasl_mechanism = \"PLAIN\"\nsasl_username = \"agent\"\nsasl_password = \"{password}\"",
        listeners.certificates.join("ca.pem").display()
    )
}

/// An agent that may do what docs/kafka.md asks for.
fn granted<'a>(stage: &'a Stage) -> (Bed<'a>, Vec<Permission>) {
    let listeners = listeners(stage);
    let bed = Bed::prepare(stage, Plan::Configured);
    let permissions = documented(&bed.id);
    let administrator = stage.supply().administrator().unwrap();
    permissions.iter().for_each(|permission| administrator.grant(permission, "User:agent"));
    bed.reach(&listeners.sasl, &login(&listeners, "agent-secret"));
    (bed, permissions)
}

const ACLS: [&str; 6] = ["kafka.commands", "kafka.events", "kafka.readback", "kafka.dead_letters", "kafka.group", "kafka.transactions"];

/// The check that a permission is for.
fn check_of(permission: &Permission, agent: &str) -> &'static str {
    let (commands, events) = (format!("runner.commands.{agent}"), format!("runner.events.{agent}"));
    match (permission.operation.as_str(), permission.object.as_str()) {
        ("Read", object) if object == commands => "kafka.commands",
        ("Write", object) if object == events => "kafka.events",
        ("Read", object) if object == events => "kafka.readback",
        ("Write", object) if object == format!("{commands}.dlq") => "kafka.dead_letters",
        ("Read", object) if object == format!("runner-agent-{agent}") => "kafka.group",
        ("Write", object) if object == format!("runner-agent-{agent}") => "kafka.transactions",
        other => panic!("no check for {other:?}"),
    }
}

fn permissions(stage: &Stage) {
    let (bed, permissions) = granted(stage);
    let administrator = stage.supply().administrator().unwrap();
    let whole = Verdict::of(&bed);
    for id in ACLS {
        whole.is(id, "ok", "is allowed");
    }
    assert_eq!((whole.code, whole.failed()), (0, vec![]), "{}", whole.text);
    // Nothing was joined, committed or taken over: the brokers have never heard of either.
    let known = administrator.groups_and_transactional_ids();
    assert!(!known.contains(&format!("runner-agent-{}", bed.id)), "{known}");
    assert_eq!(permissions.len(), ACLS.len());
    for permission in &permissions {
        let check = check_of(permission, &bed.id);
        administrator.revoke(permission, "User:agent");
        let verdict = Verdict::of(&bed);
        assert_eq!((verdict.code, verdict.failed()), (1, vec![check]), "{permission:?}: {}", verdict.text);
        verdict.is(check, "fail", &format!("grant this client's principal {}", permission.operation));
        administrator.grant(permission, "User:agent");
    }
}

fn live_agent(stage: &Stage) {
    let (mut bed, _) = granted(stage);
    bed.start_agent();
    bed.agent().wait_ready(READY);
    bed.settle();
    for _ in 0..3 {
        let verdict = Verdict::of(&bed);
        assert_eq!((verdict.code, verdict.failed()), (0, vec![]), "{}", verdict.text);
        verdict.is("kafka.transactions", "ok", "the running agent writes");
        verdict.agent_answers();
        bed.settle();
    }
    // Even asking for the live id fences nobody, though the program does not do that.
    kafka::transactions(&settings(&bed), Deadline::after(BOUND)).unwrap();
    bed.settle();
    let log = bed.whole_log();
    assert!(!log.contains("identity_in_use") && !log.contains("fenced"), "{log}");
    assert!(bed.take_agent().terminate().0.success());
    // The id was asked for while nobody had it: the next start takes it, and nothing hangs.
    Verdict::of(&bed).is("kafka.transactions", "ok", "is allowed");
    bed.start_agent();
    bed.agent().wait_ready(READY);
    bed.settle();
}

/// Kafka as the bed's agent reaches it.
fn settings(bed: &Bed) -> kafka::Settings {
    let sources = Sources { file: Some(bed.directory().join("agent.toml")), ..Sources::default() };
    let settings = diagnosis::of_operator(&salvage(&sources));
    match settings.kafka {
        doctor::Kafka::Reached(kafka) => *kafka,
        other => panic!("{other:?}"),
    }
}

fn certificates(stage: &Stage) {
    const PASSWORD: &str = "hunter2-canary";
    let listeners = listeners(stage);
    let (bed, _) = granted(stage);
    bed.reconfigure(&bed.configuration().replace("agent-secret", PASSWORD));
    let refused = Verdict::of(&bed);
    refused.is("kafka.brokers", "fail", "kafka.login_refused: ");
    assert!(refused.code == 1 && !refused.text.contains(PASSWORD), "{}", refused.text);

    let other = listeners.certificates.join("other-ca.pem").display().to_string();
    let mine = listeners.certificates.join("ca.pem").display().to_string();
    bed.reconfigure(&bed.configuration().replace(PASSWORD, "agent-secret").replace(&mine, &other));
    let untrusted = Verdict::of(&bed);
    untrusted.is("kafka.brokers", "fail", "kafka.tls_untrusted: ");
    untrusted.is("kafka.commands", "skipped", "kafka.tls_untrusted");

    let bed = Bed::prepare(stage, Plan::Configured);
    let pair = |name: &str| {
        let file = |suffix: &str| listeners.certificates.join(format!("{name}.{suffix}")).display().to_string();
        format!(
            "security_protocol = \"ssl\"\nssl_ca_location = \"{mine}\"\nssl_certificate_location = \"{}\"\nssl_key_location = \"{}\"",
            file("pem"),
            file("key")
        )
    };
    bed.reach(&listeners.mutual_tls, &pair("expired"));
    let expired = Verdict::of(&bed);
    expired.is("tls.certificates", "fail", "it ended on");
    expired.is("kafka.brokers", "fail", "kafka.certificate_expired: ");
    bed.reconfigure(&bed.configuration().replace("/expired.", "/client."));
    let sound = Verdict::of(&bed);
    sound.is("kafka.brokers", "ok", "lets the agent in");
    assert_ne!(sound.state("tls.servers"), "skipped", "{}", sound.text);
    assert_ne!(sound.state("tls.certificates"), "fail", "{}", sound.text);
}

fn control_plane(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let before = Verdict::of(&bed);
    before.is("control_plane.identity", "warn", "not enrolled yet");
    before.is("control_plane.reach", "ok", "in clear");
    let _control_plane = bed.start_issuing_control_plane("1h");
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let during = Verdict::of(&bed);
    during.is("control_plane.reach", "ok", "TLSv1.3");
    during.is("control_plane.call", "ok", "it knows this agent");
    during.is("kafka.commands", "ok", "is allowed");
    during.agent_answers();
    assert!(bed.take_agent().terminate().0.success());
    let after = Verdict::of(&bed);
    after.is("control_plane.identity", "ok", &bed.id);
    after.is("control_plane.call", "ok", "it knows this agent");
    after.is("tls.certificates", "ok", "issued by the control plane");
    after.is("kafka.commands", "ok", "is allowed");
    assert_ne!(after.state("tls.servers"), "fail");

    let (ca, other) = (bed.directory().join("ca/ca.pem"), listeners_ca(&bed));
    bed.reconfigure(&bed.configuration().replace(&ca.display().to_string(), &other));
    let untrusted = Verdict::of(&bed);
    untrusted.is("control_plane.reach", "fail", "control_plane.unknown_ca: ");
    untrusted.is("control_plane.call", "skipped", "no connection");
    assert_eq!(untrusted.code, 1);
}

/// Another CA.
fn listeners_ca(bed: &Bed) -> String {
    let folder = bed.directory().join("other-ca");
    support::authority::Authority::open(&folder, Duration::from_secs(3600)).expect("a CA of its own");
    folder.join("ca.pem").display().to_string()
}

fn clash(stage: &Stage) {
    let mut bed = Bed::start(stage);
    let taken = free_port();
    let compose = format!(
        "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    command: [sleep, infinity]\n    \
         ports: [\"{taken}:80\"]\n"
    );
    let end = bed.carry_out(bed.deploy(&compose));
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    let beside = Verdict::of(&bed);
    beside.is("docker.ports", "ok", "nobody publishes");
    assert!(bed.take_agent().terminate().0.success());
    let line = bed.configuration().lines().find(|line| line.starts_with("port = ")).unwrap().to_owned();
    bed.reconfigure(&bed.configuration().replace(&line, &format!("port = {taken}")));
    let clash = Verdict::of(&bed);
    clash.is("docker.ports", "fail", &format!("service {}_app", bed.stack));
    assert_eq!(clash.code, 1);
}

fn black_hole(stage: &Stage) {
    let bed = Bed::prepare(stage, Plan::Configured);
    // Of RFC 5737: nobody answers there, or the network refuses at once.
    bed.reach("192.0.2.1:9092", "");
    bed.reconfigure(&(bed.configuration() + "[control_plane]\ngrpc_url = \"https://192.0.2.1:443\"\n"));
    let verdict = Verdict::of(&bed);
    assert_eq!(verdict.code, 1);
    verdict.is("kafka.brokers", "fail", "kafka.unreachable: ");
    verdict.is("control_plane.reach", "fail", "control_plane.away: ");
    verdict.is("docker.answers", "ok", "Docker");
}
