//! What it costs to look at fifty containers and to be scraped, beside `docker stats --no-stream` in the same run.
//!
//! Run where measuring is asked for: `make telemetry-bench`. Processor time is the kernel's: `schedstat` of the agent's threads, and of
//! the engine and its client what their clocks and getrusage(2) say.

use super::support::{Stage, processor};
use super::{Container, Local, name};
use serde_json::json;
use std::time::Duration;

const CONTAINERS: usize = 50;
/// Of a container that has just begun all is read.
const FIRST_LOOKS: u32 = 4;
/// One a second.
const LOOKS: u32 = 10;
const SCRAPES: u32 = 400;
/// Of one look.
const LOOK: Duration = Duration::from_millis(10);
/// Of one scrape.
const SCRAPE: Duration = Duration::from_micros(100);
/// So much more `docker stats` takes, engine and client together.
const TIMES: f64 = 100.0;

pub fn beside_docker_stats(stage: &Stage) {
    let containers: Vec<Container<'_>> =
        (0..CONTAINERS).map(|n| Container::start(stage, &format!("{}n{n}", name("costs")), "sleep 1000", json!({}))).collect();
    let local = Local::start(stage, "costs", &stage.engine().host());
    containers.iter().for_each(|container| drop(container.shown(&local)));
    let pid = local.agent.pid();

    (0..FIRST_LOOKS).for_each(|_| drop(local.later()));
    let before = of_threads(pid, |thread| thread == "telemetry");
    (0..LOOKS).for_each(|_| drop(local.later()));
    let look = (of_threads(pid, |thread| thread == "telemetry") - before) / LOOKS;

    let before = of_threads(pid, |thread| thread != "telemetry");
    let bytes = (0..SCRAPES).map(|_| local.text().len()).max().unwrap_or_default();
    let scrape = (of_threads(pid, |thread| thread != "telemetry") - before) / SCRAPES;

    let engine = processor::listener(stage.engine().socket());
    let (client, server) = (processor::used_by(libc::RUSAGE_CHILDREN), processor::of_process(engine));
    docker_stats(&stage.engine().host());
    let stats = (processor::used_by(libc::RUSAGE_CHILDREN) - client) + (processor::of_process(engine) - server);
    let times = stats.as_secs_f64() / look.as_secs_f64();
    println!(
        "  {CONTAINERS} containers: a look {look:.1?} of processor time, docker stats --no-stream {stats:.1?} ({times:.0} times as much); \
         a scrape of {bytes} bytes {scrape:.1?}"
    );
    assert!(look <= LOOK && scrape <= SCRAPE && times >= TIMES, "beyond the budget");
}

/// What the threads of these names have run.
fn of_threads(pid: u32, wanted: impl Fn(&str) -> bool) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let ran = tasks.filter_map(|task| {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).ok();
        let nanos = read("schedstat")?.split(' ').next()?.parse().ok()?;
        wanted(read("comm")?.trim()).then_some(Duration::from_nanos(nanos))
    });
    ran.sum()
}

#[allow(clippy::disallowed_methods, reason = "the agent has no children, this is the program that it is compared with")]
fn docker_stats(host: &str) {
    let output = std::process::Command::new("docker").args(["-H", host, "stats", "--no-stream"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    assert!(lines > CONTAINERS, "{lines} lines");
}
