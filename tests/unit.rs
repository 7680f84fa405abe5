//! The package's systemd unit, run by a real systemd in namespaces of its own: its account, its sandbox,
//! its watchdog, and the agent at work inside them.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

#[path = "update/release.rs"]
#[allow(dead_code, reason = "the update's own tests use the rest")]
mod release;
#[path = "update/server.rs"]
mod server;
mod support;

use openssl::base64::encode_block;
use openssl::pkey::PKey;
use release::Release;
use serde_json::json;
use server::{Files, serve};
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;
use support::authority::{Authority, ServerCertificate};
use support::{AGENT, Agent, Bed, Need, Plan, READY, Stage, Test, run, until};

const TESTS: &[Test] = &[
    Test { name: "the_agent_works_inside_the_units_sandbox", needs: UNIT, body: sandbox },
    Test { name: "the_doctor_sees_the_sandbox_and_what_is_inside", needs: UNIT, body: doctor },
    Test { name: "the_agent_goes_over_to_another_version_and_comes_back_from_a_bad_one", needs: UNIT, body: update },
    Test { name: "a_loop_that_hangs_is_ended_by_the_watchdog_and_started_again", needs: UNIT, body: hang },
];

const UNIT: &[Need] = &[Need::Systemd, AGENT[0], AGENT[1]];
/// The unit may take this long to stop: the agent's own bound.
const STOP: Duration = Duration::from_secs(10);

fn main() -> std::process::ExitCode {
    run("unit", TESTS)
}

/// A bed whose agent runs under the unit, with these lines over it. Its token is a credential: without it
/// the agent would not be enrolled.
fn bed<'a>(stage: &'a Stage, drop_in: &str) -> Bed<'a> {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    bed.under_the_unit(drop_in);
    bed.hide_token();
    bed.start_agent();
    bed.agent().wait_ready(READY);
    bed
}

/// A line of `/proc/PID/status`.
fn status(agent: &Agent, name: &str) -> String {
    let pid = agent.under_systemd().expect("the unit runs");
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("the kernel shows it").split_whitespace().next().unwrap_or_default().to_owned()
}

fn property_is(agent: &Agent, name: &str, wanted: &str) {
    until(&format!("{name} is {wanted}"), READY, || match agent.unit_property(name)? {
        found if found == wanted => Ok(()),
        found => Err(format!("it is {found}")),
    });
}

fn sandbox(stage: &Stage) {
    let mut bed = bed(stage, "");
    // Type=notify: it is active because READY=1 came.
    property_is(bed.agent(), "ActiveState", "active");
    property_is(bed.agent(), "StatusText", "ready");
    assert_ne!(status(bed.agent(), "Uid"), "0", "it runs as root");
    for (name, wanted) in [("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000"), ("NoNewPrivs", "1"), ("Seccomp", "2")] {
        assert_eq!(status(bed.agent(), name), wanted, "{name}");
    }

    // The unit is reloading until the agent says that it is ready again; then systemctl returns.
    bed.agent().systemctl(&["reload"]).expect("the unit reloads");
    property_is(bed.agent(), "ActiveState", "active");
    property_is(bed.agent(), "StatusText", "ready");
    assert!(bed.agent().log_tail().contains("SIGHUP: the configuration was read again; changed: nothing"), "{}", bed.agent().log_tail());

    let compose = "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    \
                   deploy: {update_config: {monitor: 1s}}\n    command: [sleep, infinity]\n";
    let end = bed.carry_out(bed.deploy(compose));
    assert_eq!(end.event_type, "DeployCompleted", "{end:?}");
    assert_eq!(bed.running("app"), 1);
    let end = bed.carry_out(bed.draft("Remove"));
    assert_eq!(end.event_type, "CommandCompleted", "{end:?}");

    let (status, took) = bed.take_agent().terminate();
    assert!(status.success(), "{status}");
    assert!(took < STOP, "{took:?}");
}

/// As root on the unit's host: the rights that count are the agent's.
fn doctor(stage: &Stage) {
    let bed = bed(stage, "");
    let said = bed.agent().inside(&["sh", "-c", "axion-agent doctor --json || test $? = 1"]).expect("the doctor looks");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let is = |id: &str, state: &str, part: &str| {
        let found: Vec<_> = json["checks"].as_array().unwrap().iter().filter(|check| check["id"] == id).collect();
        let fits = |check: &&&serde_json::Value| check["state"] == state && check["summary"].as_str().unwrap().contains(part);
        assert!(found.iter().any(|check| fits(&check)), "{id} is not {state} with {part:?}: {found:#?}");
    };
    is("agent.running", "ok", "axion-agent (pid ");
    is("agent.sandbox", "ok", "no capabilities, no new privileges and filtered system calls");
    is("state.directory", "ok", "mode 0700, writable for user ");
    is("docker.permissions", "ok", "of axion-agent (pid ");
    is("host.descriptors", "ok", "at most 4096");
    is("host.init", "ok", "systemd");
    // The unit's credential, which only its user and root may see.
    is("config.secrets", "ok", "agent.token");
    is("control_plane.identity", "ok", &bed.id);
    // From inside: what it alone may not see is skipped, and nothing that it needs is hidden.
    assert_eq!((&json["agent"]["answers"], &json["counts"]["fail"]), (&true.into(), &0.into()), "{json:#}");
}

/// Its own units, its own account: the agent asks, root's helper installs, the manager starts again; and each `Update` ends
/// once on its topic, whichever version tells it.
fn update(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    bed.under_the_unit("[Service]\nRestartSec=100ms\n");
    bed.hide_token();
    let authority = Authority::open(&bed.directory().join("axion"), Duration::from_secs(3600)).unwrap();
    let issued = authority.server(ServerCertificate::Right).unwrap();
    let (key, files) = (PKey::generate_ed25519().unwrap(), Files::default());
    let port = serve(&issued.certificate, &issued.key, Arc::clone(&files));
    let publish = |release: &Release, name: &str| {
        let mut files = files.lock().unwrap();
        files.insert("/manifest.json".to_owned(), release.envelope(&format!("https://localhost:{port}/{name}"), &key));
        files.insert(format!("/{name}"), release.bytes());
    };
    let lines = format!(
        "[security]\ntls_ca_location = \"/etc/axion/ca.pem\"\n[update]\nenabled = true\nhealth_window = 2\n\
         manifest_url = \"https://localhost:{port}/manifest.json\"\npublic_keys = [\"release-1:{}\"]\n",
        encode_block(&key.raw_public_key().unwrap())
    );
    bed.reconfigure(&(bed.configuration() + &lines));
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let runs = |bed: &Bed<'_>| {
        let pid = bed.agent().under_systemd().expect("the unit runs");
        std::fs::read_link(format!("/proc/{pid}/exe")).expect("a program").display().to_string()
    };
    assert_eq!(runs(&bed), "/usr/bin/axion-agent");

    publish(&Release::agent("9.1.0"), "good");
    let end = bed.carry_out(bed.draft("Update").with("version", "9.1.0"));
    assert_eq!((end.event_type.as_str(), &end.payload["details"]["running_version"]), ("CommandCompleted", &json!("9.1.0")), "{end:?}");
    let installed = "/var/lib/axion-agent-versions/9.1.0/axion-agent";
    assert_eq!(runs(&bed), installed);
    assert_ne!(status(bed.agent(), "Uid"), "0", "it runs as root");
    property_is(bed.agent(), "NRestarts", "1");
    property_is(bed.agent(), "ActiveState", "active");
    let binary = std::fs::metadata(format!("/proc/{}/exe", bed.agent().under_systemd().unwrap())).unwrap();
    assert_eq!((binary.uid(), binary.mode() & 0o7777), (0, 0o755), "root's, and nobody else writes it");
    let helper = bed.agent().inside(&["systemctl", "show", "--value", "--property", "Result", "axion-agent-update.service"]);
    assert_eq!(helper.as_deref(), Ok("success"));

    publish(&Release::script("9.2.0", "exit 1"), "bad");
    let end = bed.carry_out(bed.draft("Update"));
    let details = &end.payload["details"];
    assert_eq!(
        (end.event_type.as_str(), &details["code"], &details["returned"]),
        ("CommandFailed", &json!("update.unhealthy"), &json!(true))
    );
    assert_eq!(runs(&bed), installed, "the version before, not the package's");

    let end = bed.carry_out(bed.draft("Update").with("rollback", true));
    assert_eq!(end.event_type, "CommandCompleted", "{end:?}");
    assert_eq!(runs(&bed), "/usr/bin/axion-agent");
    let (status, _) = bed.take_agent().terminate();
    assert!(status.success(), "{status}");
}

fn hang(stage: &Stage) {
    let bed = bed(stage, "[Service]\nWatchdogSec=2s\nRestartSec=100ms\n");
    let first = bed.agent().under_systemd().expect("the unit runs");
    let held = hold::Held::main_thread_of(first);
    until("the watchdog ends the process", READY, || held.has_ended());
    let second = until("the unit runs again", READY, || {
        bed.agent().under_systemd().and_then(|pid| if pid == first { Err(format!("it is still {pid}")) } else { Ok(pid) })
    });
    bed.agent().wait_ready(READY);
    property_is(bed.agent(), "NRestarts", "1");
    // While the loop runs, the watchdog lets it live: as long as it gave the one that hung.
    std::thread::park_timeout(Duration::from_secs(3));
    assert_eq!(bed.agent().under_systemd(), Ok(second));
}

/// One thread of another process made to hang, while all others run on.
mod hold {
    use std::ptr::null_mut;

    /// The thread; it hangs until this is dropped, on the thread that made it.
    pub struct Held(libc::pid_t);

    impl Held {
        pub fn main_thread_of(pid: u32) -> Self {
            let tid = libc::pid_t::try_from(pid).expect("a process id");
            for request in [libc::PTRACE_SEIZE, libc::PTRACE_INTERRUPT] {
                // SAFETY: these requests take no memory of ours: address and data are null.
                let result = unsafe { libc::ptrace(request, tid, null_mut::<libc::c_void>(), null_mut::<libc::c_void>()) };
                assert_eq!(result, 0, "ptrace: {}", std::io::Error::last_os_error());
            }
            Self(tid)
        }

        /// Whether it was ended. A tracer must take the end of a thread before its process is gone.
        pub fn has_ended(&self) -> Result<(), String> {
            let mut status = 0;
            // SAFETY: the status is a live integer of ours.
            let found = unsafe { libc::waitpid(self.0, &raw mut status, libc::__WALL | libc::WNOHANG) };
            if found == self.0 && (libc::WIFSIGNALED(status) || libc::WIFEXITED(status)) {
                return Ok(());
            }
            Err(format!("waitpid gave {found}, status {status:#x}"))
        }
    }
}
