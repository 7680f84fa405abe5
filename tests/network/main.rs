//! How the agent finds its broker and its control plane, and what it believes of them: a name server,
//! `/etc/hosts`, IPv6, TLS by the machine's CA bundle, compressed records. Each agent has an `/etc`
//! of its own. `make test-static` runs them with the static binary, whose resolver and TLS are its own.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod name_server;
#[path = "../support/mod.rs"]
mod support;

use name_server::NameServer;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::sync::OnceLock;
use std::time::Duration;
use support::agents::{Sighting, Tls};
use support::{AGENT, Bed, COMMAND, Forward, Listeners, Need, Plan, READY, Stage, TOKEN, Test, run, until};

const TESTS: &[Test] = &[
    Test { name: "names_are_asked_of_the_name_server", needs: NAMES, body: name_server },
    Test { name: "names_in_etc_hosts_lead_over_ipv6", needs: IPV6, body: hosts_and_ipv6 },
    Test { name: "the_machines_ca_bundle_is_found_and_trusted", needs: SECURE, body: machine_bundle },
    Test { name: "a_server_whose_ca_is_not_in_the_bundle_is_not_trusted", needs: SECURE, body: other_bundle },
    Test { name: "commands_are_read_in_every_compression", needs: AGENT, body: compressions },
];

const NAMES: &[Need] = &[AGENT[0], AGENT[1], Need::OtherEtc];
const IPV6: &[Need] = &[AGENT[0], AGENT[1], Need::OtherEtc, Need::Ipv6];
const SECURE: &[Need] = &[AGENT[0], Need::SecureBroker, Need::OtherEtc, Need::Ipv6];

/// Names that no other name server knows (RFC 6761).
const CONTROL_PLANE: &str = "control.axion.test";
const BROKER: &str = "kafka.axion.test";
/// The first of the places where Debian and its kin are looked at for a bundle.
const BUNDLE: &str = "ssl/certs/ca-certificates.crt";
/// glibc would ask a machine's own resolver first.
const FILES_THEN_DNS: (&str, &[u8]) = ("nsswitch.conf", b"hosts: files dns\n");
/// For a heartbeat, which comes every five seconds.
const BEAT: Duration = Duration::from_secs(20);
const SEND: Duration = Duration::from_secs(10);

fn main() -> std::process::ExitCode {
    run("network", TESTS)
}

/// The configuration of an agent that enrols at `url` and keeps the brokers that it is given here.
fn identity(bed: &Bed, url: &str, brokers: &str, kafka: &str) -> String {
    let id = &bed.id;
    format!("id = \"{id}\"\ntoken = \"{TOKEN}\"\n[control_plane]\ngrpc_url = \"{url}\"\n[kafka]\nbrokers = [\"{brokers}\"]\n{kafka}")
}

/// The agent is at work: it carries out a command, and the control plane hears that it is ready.
fn works(bed: &Bed) {
    bed.agent().wait_ready(READY);
    let answer = bed.carry_out(bed.query());
    assert_eq!(answer.event_type, "StatusReport", "{answer:?}");
    until("a heartbeat with READY", BEAT, || {
        let seen = bed.sightings();
        let ready = seen.iter().any(|one| matches!(one, Sighting::Beat(beat) if beat.state == "READY"));
        ready.then_some(()).ok_or_else(|| format!("{seen:?}"))
    });
}

fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("an address with a port")
}

fn listeners(stage: &Stage) -> Listeners {
    stage.supply().secure().expect("the test said that it needs a secure broker")
}

fn name_server(stage: &Stage) {
    let names = NameServer::start(&[CONTROL_PLANE, BROKER]);
    let mut bed = Bed::prepare(stage, Plan::Configured);
    bed.lay_over_etc(&[("resolv.conf", names.resolv_conf().as_bytes()), ("hosts", b"127.0.0.1 localhost\n"), FILES_THEN_DNS]);
    let control_plane = bed.start_control_plane_at("127.0.0.1", None);
    let broker = port_of(&bed.broker.brokers());
    let url = format!("http://{CONTROL_PLANE}:{control_plane}");
    bed.configure_as(&identity(&bed, &url, &format!("{BROKER}:{broker}"), ""));
    bed.start_agent();
    works(&bed);
    for name in [CONTROL_PLANE, BROKER] {
        assert!(names.was_asked(name), "{name} was found without the name server");
    }
}

fn hosts_and_ipv6(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Configured);
    let hosts = format!("127.0.0.1 localhost\n::1 {CONTROL_PLANE} {BROKER}\n");
    bed.lay_over_etc(&[("resolv.conf", b""), ("hosts", hosts.as_bytes()), FILES_THEN_DNS]);
    let control_plane = bed.start_control_plane_at("[::1]", None);
    let broker = Forward::start(0, port_of(&bed.broker.brokers()));
    let url = format!("http://{CONTROL_PLANE}:{control_plane}");
    bed.configure_as(&identity(&bed, &url, &format!("{BROKER}:{}", broker.port), ""));
    bed.start_agent();
    works(&bed);
    assert!(broker.connections() > 0, "the broker was found without IPv6");
}

/// The broker's port for TLS, on the IPv6 loopback too: one for all tests, since the broker knows one port.
fn tls_over_ipv6(listeners: &Listeners) -> &'static Forward {
    static FORWARD: OnceLock<Forward> = OnceLock::new();
    let port = port_of(&listeners.tls);
    FORWARD.get_or_init(|| Forward::start(port, port))
}

/// A bed whose agent finds `localhost` over IPv6 alone, and whose machine trusts the CA in this file of the
/// broker's certificates.
fn trusting<'a>(stage: &'a Stage, ca: &str) -> Bed<'a> {
    let mut bed = Bed::prepare(stage, Plan::Configured);
    let bundle = std::fs::read(listeners(stage).certificates.join(ca)).expect("a CA of the broker's");
    bed.lay_over_etc(&[("resolv.conf", b""), ("hosts", b"::1 localhost\n"), FILES_THEN_DNS, (BUNDLE, &bundle)]);
    bed
}

/// The control plane shows a certificate of the same CA as the broker's.
fn shown(listeners: &Listeners) -> Option<Tls> {
    let file = |name: &str| listeners.certificates.join(name);
    Some(Tls { certificate: file("server.pem"), key: file("server.key") })
}

fn machine_bundle(stage: &Stage) {
    let listeners = listeners(stage);
    let broker = tls_over_ipv6(&listeners);
    let mut bed = trusting(stage, "ca.pem");
    let control_plane = bed.start_control_plane_at("[::1]", shown(&listeners));
    let url = format!("https://localhost:{control_plane}");
    bed.configure_as(&identity(&bed, &url, &listeners.tls, "security_protocol = \"ssl\"\n"));
    bed.start_agent();
    works(&bed);
    assert!(broker.connections() > 0, "the broker was found without IPv6");
    let compose = "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    \
                   deploy: {update_config: {monitor: 1s}}\n    command: [sleep, infinity]\n";
    let end = bed.carry_out(bed.deploy(compose));
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    let end = bed.carry_out(bed.draft("Remove"));
    assert_eq!(end.event_type, "CommandCompleted", "{end:?}");
}

fn other_bundle(stage: &Stage) {
    let listeners = listeners(stage);
    tls_over_ipv6(&listeners);
    let kafka = format!("[kafka]\nbrokers = [\"{}\"]\nsecurity_protocol = \"ssl\"\n", listeners.tls);
    let mut bed = trusting(stage, "other-ca.pem");
    bed.configure_as(&format!("id = \"{}\"\n{kafka}", bed.id));
    bed.start_agent();
    bed.agent().wait_dependency("kafka_consumer", "not_ready", READY);
    let page = bed.agent().page("/readyz").expect("it is alive").body;
    assert!(page.contains("certificate"), "{page}");

    let mut bed = trusting(stage, "other-ca.pem");
    let control_plane = bed.start_control_plane_at("[::1]", shown(&listeners));
    bed.configure_as(&format!("token = \"{TOKEN}\"\n[control_plane]\ngrpc_url = \"https://localhost:{control_plane}\"\n"));
    bed.start_agent();
    bed.agent().wait_dependency("control_plane", "not_ready", READY);
    assert!(bed.sightings().is_empty(), "an untrusted control plane saw the agent");
}

fn compressions(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Configured);
    let brokers = bed.broker.brokers();
    let events = "[kafka.librdkafka]\n\"compression.type\" = \"zstd\"\n";
    bed.configure_as(&format!("id = \"{}\"\n[kafka]\nbrokers = [\"{}\"]\n{events}", bed.id, brokers.replace(',', "\", \"")));
    bed.start_agent();
    bed.agent().wait_ready(READY);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        // A record is only compressed where that makes it smaller.
        let record = bed.query().with("note", "over and over ".repeat(100)).record();
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", &brokers).set("compression.type", codec);
        let producer: BaseProducer = settings.create().expect("a producer");
        let topic = format!("runner.commands.{}", bed.id);
        let message = BaseRecord::<str, [u8]>::to(&topic).payload(&record.body);
        producer.send(message).map_err(|(error, _)| error).expect("it is queued");
        producer.flush(SEND).expect("the broker takes it");
        let id = record.command_id.expect("a draft has an id");
        let answer = bed.event(codec, COMMAND, |event| event.causation_id == Some(id) && event.terminal);
        assert_eq!(answer.event_type, "StatusReport", "{codec}: {answer:?}");
    }
}
