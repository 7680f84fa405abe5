//! What an idle pair costs, and how soon it sees a command.

use crate::bed::{Bed, PATIENCE, command, report, up};
use crate::support::Stage;
use rdkafka::producer::{BaseRecord, Producer as _};
use serde_json::json;
use std::time::{Duration, Instant};

pub fn idle_pair(stage: &Stage) {
    const IDLE: Duration = Duration::from_secs(30);
    let bed = Bed::any(stage);
    let (intake, output) = (bed.consume(Vec::new()), bed.produce());
    intake.until("the consumer's link", up);
    output.until("the producer's link", up);
    output.publish(1, report(json!({})));
    output.delivered(1);
    assert!(intake.events.recv_timeout(Duration::from_secs(5)).is_err(), "nothing happens");
    let (switches, cpu) = (context_switches(), cpu_time());
    assert!(intake.events.recv_timeout(IDLE).is_err(), "nothing happens");
    let switches = (context_switches() - switches) as f64 / IDLE.as_secs_f64();
    let cpu = (cpu_time() - cpu).as_secs_f64() / IDLE.as_secs_f64() * 100.0;

    let sender = bed.sender();
    let mut latencies: Vec<Duration> = (0..300)
        .map(|n| {
            let value = serde_json::to_vec(&command(n)).unwrap();
            let sent = Instant::now();
            sender.send(BaseRecord::to(&bed.settings.command_topic).key("p").payload(&value)).map_err(|(error, _)| error).unwrap();
            intake.offsets(1);
            let seen = sent.elapsed();
            sender.flush(PATIENCE).unwrap();
            seen
        })
        .collect();
    latencies.sort_unstable();
    let (p50, p99) = (latencies[latencies.len() / 2], latencies[latencies.len() * 99 / 100]);
    println!("idle: {switches:.1} context switches/s, {cpu:.2} % of a core; a command is seen after p50 {p50:?}, p99 {p99:?}");
    assert!(switches <= 16.0 && p99 <= Duration::from_millis(50));
}

/// Of all threads of this process.
fn context_switches() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |status: String| -> u64 {
        status
            .lines()
            .filter(|line| line.contains("ctxt_switches"))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum()
    };
    tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok()).map(of).sum()
}

/// Of this process, user and system.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |stat: String| stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).map(Duration::from_nanos);
    tasks.filter_map(|task| of(std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?)).sum()
}
