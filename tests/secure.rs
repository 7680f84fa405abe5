//! The whole agent over TLS and SASL, with the permissions that `docs/kafka.md` asks for and no others: its own
//! binary, a real engine, a real broker that denies what nobody has granted.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod support;

use std::time::{Duration, Instant};
use support::acl::{Permission, documented, message_without};
use support::commands::CommandSender;
use support::events::{Start, TopicReader};
use support::{Bed, COMMAND, Listeners, Need, Plan, READY, Record, Stage, Test, run};

const NEEDS: &[Need] = &[Need::Engine, Need::Broker, Need::SecureBroker, Need::ClosedBroker];

const TESTS: &[Test] = &[
    Test { name: "a_stack_is_deployed_over_tls", needs: NEEDS, body: over_tls },
    Test { name: "a_stack_is_deployed_over_mutual_tls", needs: NEEDS, body: over_mutual_tls },
    Test {
        name: "a_stack_is_deployed_over_mutual_tls_with_the_certificate_of_the_enrolment",
        needs: &[Need::Engine, Need::Broker, Need::SecureBroker, Need::ClosedBroker, Need::ControlPlane],
        body: over_issued,
    },
    Test { name: "a_stack_is_deployed_over_sasl_plain_and_tls", needs: NEEDS, body: over_plain },
    Test { name: "a_stack_is_deployed_over_scram_sha_256_and_tls", needs: NEEDS, body: over_scram_256 },
    Test { name: "a_stack_is_deployed_over_scram_sha_512_and_tls", needs: NEEDS, body: over_scram_512 },
    Test { name: "each_documented_permission_is_needed_and_its_absence_told_as_documented", needs: NEEDS, body: permissions },
    Test { name: "a_wrong_password_is_on_the_health_page_and_in_the_log_but_not_repeated", needs: NEEDS, body: wrong_password },
    Test { name: "a_password_that_was_mended_is_taken_over_by_a_reload", needs: NEEDS, body: mended_password },
    Test { name: "a_missing_dead_letter_topic_holds_no_command_up", needs: NEEDS, body: no_dead_letter_topic },
];

/// An agent that finds what is wrong, or that it was mended: looks are at most seconds apart.
const NOTICE: Duration = Duration::from_secs(30);

fn main() -> std::process::ExitCode {
    run("secure", TESTS)
}

fn listeners(stage: &Stage) -> Listeners {
    stage.supply().secure().unwrap()
}

fn ca(listeners: &Listeners) -> String {
    format!("ssl_ca_location = \"{}\"", listeners.certificates.join("ca.pem").display())
}

fn login(listeners: &Listeners, mechanism: &str, password: &str) -> String {
    format!(
        "security_protocol = \"sasl_ssl\"\n{}\nsasl_mechanism = \"{mechanism}\"\nsasl_username = \"agent\"\nsasl_password = \"{password}\"",
        ca(listeners)
    )
}

fn grant(stage: &Stage, permissions: &[Permission], principal: &str) {
    let administrator = stage.supply().administrator().unwrap();
    permissions.iter().for_each(|permission| administrator.grant(permission, principal));
}

/// An agent that is configured, not started, and may do what the page says.
fn agent<'a>(stage: &'a Stage, address: &str, lines: &str, principal: &str) -> Bed<'a> {
    let bed = Bed::prepare(stage, Plan::Configured);
    grant(stage, &documented(&bed.id), principal);
    bed.reach(address, lines);
    bed
}

fn deploys(bed: &Bed) {
    let compose =
        "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    command: [sleep, infinity]\n";
    let end = bed.carry_out(bed.deploy(compose));
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    assert_eq!(bed.running("app"), 1);
}

fn over(stage: &Stage, address: &str, lines: &str, principal: &str) {
    let mut bed = agent(stage, address, lines, principal);
    bed.start_agent();
    bed.agent().wait_ready(READY);
    deploys(&bed);
}

fn over_tls(stage: &Stage) {
    let listeners = listeners(stage);
    let lines = format!("security_protocol = \"ssl\"\n{}", ca(&listeners));
    over(stage, &listeners.tls, &lines, "User:ANONYMOUS");
}

fn over_mutual_tls(stage: &Stage) {
    let listeners = listeners(stage);
    let file = |name: &str| listeners.certificates.join(name).display().to_string();
    let lines = format!(
        "security_protocol = \"ssl\"\n{}\nssl_certificate_location = \"{}\"\nssl_key_location = \"{}\"",
        ca(&listeners),
        file("client.pem"),
        file("client.key")
    );
    over(stage, &listeners.mutual_tls, &lines, "User:CN=agent");
}

/// The control plane's CA is the one that the brokers know.
fn over_issued(stage: &Stage) {
    let listeners = listeners(stage);
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let folder = bed.directory().join("ca");
    std::fs::create_dir(&folder).unwrap();
    for file in ["ca.pem", "ca.key"] {
        std::fs::copy(listeners.certificates.join(file), folder.join(file)).unwrap();
    }
    let _control_plane = bed.start_issuing_control_plane("1h");
    grant(stage, &documented(&bed.id), &format!("User:CN={}", bed.id));
    let kafka = format!("[kafka]\nbrokers = [\"{}\"]\nsecurity_protocol = \"ssl\"\n{}\n", listeners.mutual_tls, ca(&listeners));
    bed.reconfigure(&(bed.configuration() + &kafka));
    bed.start_agent();
    bed.agent().wait_ready(READY);
    deploys(&bed);
}

fn over_sasl(stage: &Stage, mechanism: &str) {
    let listeners = listeners(stage);
    over(stage, &listeners.sasl, &login(&listeners, mechanism, "agent-secret"), "User:agent");
}

fn over_plain(stage: &Stage) {
    over_sasl(stage, "PLAIN");
}

fn over_scram_256(stage: &Stage) {
    over_sasl(stage, "SCRAM-SHA-256");
}

fn over_scram_512(stage: &Stage) {
    over_sasl(stage, "SCRAM-SHA-512");
}

fn permissions(stage: &Stage) {
    let (listeners, administrator) = (listeners(stage), stage.supply().administrator().unwrap());
    let mut bed = agent(stage, &listeners.sasl, &login(&listeners, "PLAIN", "agent-secret"), "User:agent");
    let permissions = documented(&bed.id);
    assert_eq!(permissions.len(), 6);
    for permission in &permissions {
        let (dependency, message) = message_without(permission, &bed.id).unwrap();
        administrator.revoke(permission, "User:agent");
        bed.start_agent();
        bed.agent().wait_trouble(&dependency, &message, NOTICE);
        administrator.grant(permission, "User:agent");
        bed.agent().wait_ready(NOTICE);
        assert!(bed.take_agent().terminate().0.success());
    }
    bed.start_agent();
    bed.agent().wait_ready(READY);
    deploys(&bed);
}

fn wrong_password(stage: &Stage) {
    const PASSWORD: &str = "hunter2-canary";
    let listeners = listeners(stage);
    let mut bed = Bed::prepare(stage, Plan::Configured);
    bed.reach(&listeners.sasl, &login(&listeners, "SCRAM-SHA-512", PASSWORD));
    bed.start_agent();
    for dependency in ["kafka_consumer", "kafka_producer", "kafka_dead_letters"] {
        bed.agent().wait_trouble(dependency, "kafka.login_refused: ", NOTICE);
    }
    let pages = ["/readyz", "/health", "/metrics", "/"].map(|page| bed.agent().page(page).unwrap().body);
    let log = bed.whole_log();
    assert!(log.contains("kafka.login_refused: "), "{log}");
    assert!(!log.contains(PASSWORD) && pages.iter().all(|page| !page.contains(PASSWORD)), "{log}\n{pages:?}");
}

fn mended_password(stage: &Stage) {
    let listeners = listeners(stage);
    let mut bed = agent(stage, &listeners.sasl, &login(&listeners, "SCRAM-SHA-512", "not-yet"), "User:agent");
    bed.start_agent();
    bed.agent().wait_trouble("kafka_consumer", "kafka.login_refused: ", NOTICE);
    bed.reconfigure(&bed.configuration().replace("not-yet", "agent-secret"));
    bed.agent().reload();
    bed.agent().wait_ready(NOTICE);
    deploys(&bed);

    // A file that librdkafka cannot use is noticed before anything is given up.
    let (whole, missing) = (bed.configuration(), listeners.certificates.join("missing.pem"));
    bed.reconfigure(&whole.replace(&listeners.certificates.join("ca.pem").display().to_string(), &missing.display().to_string()));
    bed.agent().reload();
    bed.agent().wait_trouble("configuration", "the one before holds on: kafka.setting: kafka.ssl_ca_location", NOTICE);
    assert_eq!(bed.agent().dependency("kafka_consumer"), Ok("ready".to_owned()));
    bed.reconfigure(&whole);
    bed.agent().reload();
    bed.agent().wait_ready(NOTICE);
    deploys(&bed);
}

fn no_dead_letter_topic(stage: &Stage) {
    let listeners = listeners(stage);
    let mut bed = Bed::prepare(stage, Plan::Configured);
    let missing = format!("runner.commands.{}.other", bed.id);
    let mut permissions = documented(&bed.id);
    permissions.iter_mut().for_each(|permission| permission.move_from(&format!("runner.commands.{}.dlq", bed.id), &missing));
    grant(stage, &permissions, "User:agent");
    bed.reach(&listeners.sasl, &format!("{}\ndead_letter_topic = \"{missing}\"", login(&listeners, "PLAIN", "agent-secret")));
    bed.start_agent();
    bed.agent().wait_trouble("kafka_dead_letters", "kafka.topic_missing: ", NOTICE);
    bed.agent().wait_dependency("kafka_producer", "ready", NOTICE);
    bed.send_record(&Record::raw(b"no command".to_vec()));
    let started = Instant::now();
    for _ in 0..10 {
        bed.settle();
    }
    assert!(started.elapsed() < Duration::from_secs(5), "ten answers took {:?}", started.elapsed());

    let brokers = stage.supply().administrator().unwrap().brokers;
    CommandSender::new(&brokers, &missing).unwrap().make_topic(&missing).unwrap();
    let reader = TopicReader::open(&brokers, &missing, Start::Beginning).unwrap();
    assert_eq!(reader.next(COMMAND).unwrap().unwrap().body, b"no command");
    bed.agent().wait_ready(NOTICE);
}
