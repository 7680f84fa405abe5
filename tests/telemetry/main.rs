//! The metrics of a real host and of real containers: beside what the engine says of the same ones, by Prometheus' own
//! judgement, and without a question to the engine.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod costs;
mod page;
#[path = "../support/mod.rs"]
mod support;

use page::Page;
use serde_json::{Value, json};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;
use support::{AGENT, Agent, Bed, Gate, IMAGE, Launch, Need, Plan, Prometheus, READY, Stage, Test, free_port, promtool, run, until};

const TESTS: &[Test] = &[
    Test { name: "what_containers_used_is_what_the_engine_says", needs: &[Need::Engine], body: agrees },
    Test { name: "a_limit_a_throttle_and_a_kill_are_seen", needs: &[Need::Engine], body: limits },
    Test { name: "the_engine_is_asked_nothing_from_one_look_to_the_next", needs: &[Need::Engine], body: quiet },
    Test { name: "containers_come_and_go_with_their_events", needs: &[Need::Engine], body: come_and_go },
    Test { name: "what_ends_is_let_go_at_once", needs: &[Need::Engine], body: let_go },
    Test { name: "the_event_topic_has_what_is_measured", needs: AGENT, body: events },
    Test { name: "promtool_likes_every_family", needs: &[Need::Engine, Need::Promtool], body: well_made },
    Test { name: "prometheus_reads_the_host_and_its_containers", needs: &[Need::Engine, Need::Prometheus], body: scraped },
    Test {
        name: "a_look_and_a_scrape_beside_docker_stats",
        needs: &[Need::Engine, Need::DockerCli, Need::QuietMachine],
        body: costs::beside_docker_stats,
    },
];

/// When the newest look was.
const LOOKED: &str = "axion_agent_telemetry_sample_time_seconds";
/// From its start until it is ready, engine included; and from an event to the look that shows it.
const SOON: Duration = Duration::from_secs(30);
/// From an event to the next look, and much less than the thirty looks after which limits are read without one.
const UPDATED: Duration = Duration::from_secs(12);
/// The kernel charges memory ahead, 64 pages at a time, and takes back what was not used.
const CHARGED_AHEAD: f64 = 256.0 * 1024.0;
/// Between two looks, in seconds: an event is heard long before.
const SELDOM: u32 = 10;
/// So many more looks.
const LOOKS: usize = 3;

fn main() -> std::process::ExitCode {
    run("telemetry", TESTS)
}

/// An agent that looks once a second.
struct Local {
    folder: PathBuf,
    port: u16,
    agent: Agent,
}

impl Local {
    fn start(stage: &Stage, name: &str, host: &str) -> Self {
        Self::that_looks_every(1, stage, name, host)
    }

    fn that_looks_every(seconds: u32, stage: &Stage, name: &str, host: &str) -> Self {
        let folder = stage.directory().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (config, port) = (folder.join("agent.toml"), free_port());
        let text = format!(
            "[agent]\nid = \"{name}\"\nstate_dir = \"{0}/state\"\n[docker]\nhost = \"{host}\"\n[health]\nport = {port}\n[local]\n\
             ipc_socket_path = \"{0}/s\"\n[telemetry]\ninterval_seconds = {seconds}\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let agent = Agent::start(Launch::Direct, &config, port, &folder.join("log"));
        agent.wait_ready(SOON);
        Self { folder, port, agent }
    }

    fn text(&self) -> String {
        self.agent.page("/metrics").unwrap().body
    }

    fn page(&self) -> Page {
        Page::of(&self.text())
    }

    /// What it has open.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.agent.pid())).unwrap().flatten();
        // One may be closed while they are read.
        entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
    }

    /// When it has looked last.
    fn looked(&self) -> f64 {
        self.page().value(LOOKED, "").unwrap_or_default()
    }

    /// The page of a look that was begun later.
    fn later(&self) -> Page {
        let before = self.looked();
        until("another look", SOON, || {
            let page = self.page();
            if page.value(LOOKED, "")? > before { Ok(page) } else { Err(format!("still {before}")) }
        })
    }
}

/// A container that a test has made; dropped, it is gone.
struct Container<'a> {
    stage: &'a Stage,
    id: String,
}

impl<'a> Container<'a> {
    /// Runs a script, as the task of a stack does, with these fields more of the engine's `HostConfig`.
    fn start(stage: &'a Stage, name: &str, script: &str, host: Value) -> Self {
        let labels = json!({
            "com.docker.stack.namespace": name, "com.docker.swarm.service.name": format!("{name}_web"),
            "com.docker.swarm.task.name": format!("{name}_web.1.x7q"), "com.docker.swarm.task.id": "x7q"
        });
        let body = json!({"Image": IMAGE, "Cmd": ["sh", "-c", script], "Labels": labels, "HostConfig": host});
        let made = stage.engine().call("POST", "/containers/create", &body).unwrap();
        let container = Self { stage, id: made["Id"].as_str().unwrap().to_owned() };
        container.order("start");
        container
    }

    fn order(&self, what: &str) {
        self.stage.engine().call("POST", &format!("/containers/{}/{what}", self.id), &Value::Null).unwrap();
    }

    /// What `docker stats` reads.
    fn stats(&self) -> Value {
        self.stage.engine().call("GET", &format!("/containers/{}/stats?stream=false", self.id), &Value::Null).unwrap()
    }

    fn label(&self) -> String {
        format!("container=\"{}\"", &self.id[..12])
    }

    /// Waits until it is shown.
    fn shown(&self, local: &Local) -> Page {
        until("the container is measured", SOON, || {
            let page = local.page();
            page.value("axion_container_cpu_seconds_total", &self.label()).map(|_| page)
        })
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // It may have been removed.
        let _gone = self.stage.engine().ask("DELETE", &format!("/containers/{}?force=true", self.id));
    }
}

fn name(test: &str) -> String {
    format!("tele{test}{}", std::process::id())
}

/// A container that stands still is the same for both, whenever they look.
fn agrees(stage: &Stage) {
    let local = Local::start(stage, "agrees", &stage.engine().host());
    let script = "dd if=/dev/zero of=/tmp/x bs=1k count=4000 2>/dev/null; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 1000";
    let container = Container::start(stage, &name("agrees"), script, json!({}));
    container.shown(&local);
    until("it has worked", SOON, || {
        let spent = local.page().value("axion_container_cpu_seconds_total", &container.label())?;
        if spent > 0.02 { Ok(()) } else { Err(format!("{spent} s")) }
    });
    container.order("pause");
    let before = container.stats();
    local.later();
    let page = local.later();
    let after = container.stats();
    let ours = |family: &str| page.value(family, &container.label()).unwrap();
    let theirs = |stats: &Value, path: &str| stats.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {stats}"));
    let cpu = theirs(&after, "/cpu_stats/cpu_usage/total_usage") / 1e9;
    assert!((ours("axion_container_cpu_seconds_total") - cpu).abs() < 1e-3, "{cpu} and {}", ours("axion_container_cpu_seconds_total"));
    let split = ours("axion_container_cpu_user_seconds_total") + ours("axion_container_cpu_system_seconds_total");
    assert!((split - cpu).abs() < 0.05, "{split} of {cpu}");
    for (family, path) in [
        ("axion_container_network_receive_bytes_total", "/networks/eth0/rx_bytes"),
        ("axion_container_network_transmit_packets_total", "/networks/eth0/tx_packets"),
        ("axion_container_pids", "/pids_stats/current"),
    ] {
        // The network of a container that stands still hears its neighbours.
        let (before, found, after) = (theirs(&before, path), ours(family), theirs(&after, path));
        assert!((before..=after).contains(&found), "{family}: {found}, and between {before} and {after}");
    }
    let inactive = ["/memory_stats/stats/total_inactive_file", "/memory_stats/stats/inactive_file"];
    let inactive = inactive.iter().find_map(|path| after.pointer(path)?.as_f64()).unwrap();
    let usage = theirs(&after, "/memory_stats/usage");
    for (family, theirs) in [("axion_container_memory_usage_bytes", usage), ("axion_container_memory_working_set_bytes", usage - inactive)]
    {
        assert!((ours(family) - theirs).abs() <= CHARGED_AHEAD, "{family}: {} and {theirs}", ours(family));
    }
    container.order("unpause");
}

fn limits(stage: &Stage) {
    let local = Local::start(stage, "limits", &stage.engine().host());
    // The shell stays; what it starts asks for more memory than there is, and then for all of a processor.
    let script = "tail /dev/zero; while :; do :; done";
    let host = json!({"Memory": 32 << 20, "MemorySwap": 32 << 20, "NanoCpus": 100_000_000, "PidsLimit": 50});
    let container = Container::start(stage, &name("limits"), script, host);
    let stack = name("limits");
    let seen = |page: &Page, family: &str| page.value(family, &container.label());
    let page = until("it is throttled, and something of it was killed", SOON, || {
        let page = local.page();
        let (kills, throttled) =
            (seen(&page, "axion_container_oom_kills_total")?, seen(&page, "axion_container_cpu_throttled_seconds_total")?);
        let periods = seen(&page, "axion_container_cpu_throttled_periods_total")?;
        if kills >= 1.0 && throttled > 0.0 && periods > 0.0 { Ok(page) } else { Err(format!("{kills} kills, {throttled} s")) }
    });
    assert_eq!(seen(&page, "axion_container_memory_limit_bytes"), Ok(f64::from(32 << 20)));
    assert_eq!(seen(&page, "axion_container_pids_limit"), Ok(50.0));
    let other = json!({"Memory": 48 << 20, "MemorySwap": 48 << 20});
    stage.engine().call("POST", &format!("/containers/{}/update", container.id), &other).unwrap();
    until("its new limit", UPDATED, || match seen(&local.page(), "axion_container_memory_limit_bytes")? {
        limit if limit == f64::from(48 << 20) => Ok(()),
        limit => Err(format!("{limit}")),
    });
    let of_it = format!("{},stack=\"{stack}\",service=\"{stack}_web\",task=\"{stack}_web.1\"}}", container.label());
    assert!(page.value("axion_container_cpu_seconds_total", &of_it).is_ok(), "{of_it}");
}

fn quiet(stage: &Stage) {
    let folder = stage.directory().join("quiet-gate");
    std::fs::create_dir_all(&folder).unwrap();
    let gate = Gate::before(stage.engine().socket(), &folder);
    let local = Local::start(stage, "quiet", &format!("unix://{}", gate.socket().display()));
    let container = Container::start(stage, &name("quiet"), "sleep 1000", json!({}));
    container.shown(&local);
    let asked = || gate.seen().into_iter().filter(|line| line.contains("/containers/")).collect::<Vec<_>>();
    assert_eq!(asked().len(), 1, "one list at the beginning: {:?}", gate.seen());
    for _ in 0..LOOKS {
        local.later();
    }
    assert_eq!(asked().len(), 1, "{:?}", gate.seen());
    // What other tests do on this engine makes the agent look at the engine itself, never at a container.
    assert!(gate.seen().iter().all(|line| !line.contains("stats")), "{:?}", gate.seen());
}

fn come_and_go(stage: &Stage) {
    // There before the agent, and without a stack.
    let early = Container::start(stage, &name("early"), "sleep 1000", json!({"NetworkMode": "host"}));
    let local = Local::start(stage, "comes", &stage.engine().host());
    let page = early.shown(&local);
    assert!(page.value("axion_container_network_receive_bytes_total", &early.label()).is_err(), "the network is the host's");
    let late = Container::start(stage, &name("late"), "sleep 1000", json!({}));
    late.shown(&local);
    late.order("restart?t=0");
    late.shown(&local);
    late.order("kill");
    until("it is shown no more", SOON, || match local.page().series().find(|series| series.contains(&late.label())) {
        None => Ok(()),
        Some(series) => Err(series.clone()),
    });
    early.shown(&local);
}

/// The files of a container stay open, and neither they nor its network are held when it has ended, though no look is due.
fn let_go(stage: &Stage) {
    let container = Container::start(stage, &name("letgo"), "sleep 1000", json!({}));
    let local = Local::that_looks_every(SELDOM, stage, "letgo", &stage.engine().host());
    container.shown(&local);
    let of_it = |path: &&PathBuf| path.to_string_lossy().contains(&container.id);
    let files = local.files();
    let file = files.iter().find(of_it).unwrap_or_else(|| panic!("no file of {} in {files:?}", container.id));
    let ours = std::fs::File::open(file).unwrap();
    local.later();
    let looked = local.looked();
    container.order("kill");
    until("nothing of it is open", SOON, || {
        let files = local.files();
        let left: Vec<_> = files.iter().filter(|path| of_it(path) || path.ends_with("net/dev") && !path.starts_with("/proc/1/")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    assert!((local.looked() - looked).abs() < f64::EPSILON, "it has looked again");
    // What the agent relies on where no event comes: who has its files open keeps no group, and hears that it is gone.
    until("its group is gone", SOON, || if file.exists() { Err(file.display().to_string()) } else { Ok(()) });
    assert_eq!(ours.read_at(&mut [0], 0).unwrap_err().raw_os_error(), Some(libc::ENODEV));
}

fn events(stage: &Stage) {
    let container = Container::start(stage, &name("events"), "sleep 1000", json!({}));
    let mut bed = Bed::prepare(stage, Plan::Configured);
    bed.reconfigure(&(bed.configuration() + "[telemetry]\ninterval_seconds = 1\nkafka = true\n"));
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let of_it =
        |sample: &Value| sample["labels"]["container"] == container.id[..12] && sample["name"] == "axion_container_cpu_seconds_total";
    let samples = |payload: &Value| payload["details"]["samples"].as_array().cloned().unwrap_or_default();
    let event = bed.event("a MetricsReport with the container", SOON, |event| {
        event.event_type == "MetricsReport" && samples(&event.payload).iter().any(of_it)
    });
    assert_eq!((event.terminal, event.causation_id, event.agent_id.as_str()), (false, None, bed.id.as_str()));
    assert!(samples(&event.payload).iter().any(|sample| sample["name"] == "axion_host_load1"), "{}", event.payload);
    println!("  a report of {} samples has {} bytes", samples(&event.payload).len(), event.payload.to_string().len());
}

fn well_made(stage: &Stage) {
    let local = Local::start(stage, "made", &stage.engine().host());
    let container = Container::start(stage, &name("made"), "sleep 1000", json!({"Memory": 32 << 20}));
    container.shown(&local);
    promtool(&local.text()).unwrap();
}

fn scraped(stage: &Stage) {
    let local = Local::start(stage, "scraped", &stage.engine().host());
    let container = Container::start(stage, &name("scraped"), "sleep 1000", json!({}));
    container.shown(&local);
    let prometheus = Prometheus::start(&local.folder, local.port);
    let id = &container.id[..12];
    for query in
        [format!("axion_container_memory_working_set_bytes%7Bcontainer=%22{id}%22%7D"), "axion_host_load1".to_owned(), "up==1".to_owned()]
    {
        let found = until(&query, SOON, || match prometheus.query(&query)? {
            found if found.len() == 1 => Ok(found),
            found => Err(format!("{found:?}")),
        });
        println!("  {query}: {}", found[0]["value"][1]);
    }
}
