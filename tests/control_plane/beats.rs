//! Heartbeats: their rhythm, and what they cost.

#![allow(clippy::print_stdout, reason = "tests that measure say what they found, one of them to the other")]

use crate::agents::Sighting;
use crate::bed::*;
use crate::mischief::Mischief;
use crate::reports::Errands;
use crate::session::{Hearing, Sessions};
use axion_agent::control_plane::{Reporting, Settings};
use axion_agent::domain::{
    CommandId, Dependency, DependencyState, Health, LastCommand, ProjectId, ServiceCount, StackBrief, StackName, SwarmCount, Timestamp,
    Weight,
};
use axion_agent::threads::Published;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What the development control plane asks for.
const PERIOD: Duration = Duration::from_secs(5);

#[test]
fn a_server_that_hangs_does_not_change_the_rhythm() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    room.up();
    server.beat("the first beat", |_| true);
    server.imp.mischief.publish(Mischief::Hang);
    room.down("control_plane.slow");
    let mut last = Instant::now();
    for _ in 0..2 {
        room.down("control_plane.slow");
        let since = last.elapsed();
        last = Instant::now();
        assert!((PERIOD.mul_f64(0.75)..=PERIOD.mul_f64(1.35)).contains(&since), "a beat failed after {since:?}, the period is {PERIOD:?}");
    }
    server.imp.mischief.publish(Mischief::None);
    let asked = Instant::now();
    room.up();
    assert!(asked.elapsed() < 2 * PERIOD, "{:?}", asked.elapsed());
    assert!(room.stop() < Duration::from_secs(2));
}

#[test]
fn a_stop_does_not_wait_for_a_server_that_hangs() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    room.up();
    server.imp.mischief.publish(Mischief::Hang);
    // The farewell is the one call that is still made, and it has a second.
    let took = room.stop();
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[test]
fn stacks_are_told_at_first_and_when_they_change() {
    let (state, server) = (Folder::new(), Server::start(|_| {}));
    let with = |revision| {
        let brief = StackBrief { project: ProjectId::new("p").unwrap(), revision };
        let stacks = Arc::new(BTreeMap::from([(StackName::new("shop").unwrap(), brief)]));
        Health { stacks, ..Room::healthy() }
    };
    let published = Published::new(with(1));
    let counted = Published::new(None);
    let room = Room::start_with(settings(server.port(), &state, None), to_enrol(), published.clone(), counted.clone());
    room.enrolled();
    assert_eq!(server.beat("the first beat", |_| true).stacks, Some(vec!["shop p 1".to_owned()]));
    assert_eq!(server.beat("the second beat", |_| true).stacks, None, "nothing has changed");
    published.publish(with(2));
    assert_eq!(server.beat("a beat with the change", |beat| beat.stacks.is_some()).stacks, Some(vec!["shop p 2".to_owned()]));
    let count = |running| {
        let (stack, name) = (Some("shop".to_owned()), "shop_web".to_owned());
        let service = ServiceCount { stack, name, mode: "replicated", running, desired: 2, update: None };
        SwarmCount { at: Timestamp::from_millis(0), services: vec![service], tasks: BTreeMap::new(), nodes: BTreeMap::new() }
    };
    for running in [1, 2] {
        counted.publish(Some(count(running)));
        let expected = Some(vec![format!("shop p 2: {running} of 2 tasks of 1 services")]);
        assert_eq!(server.beat("a beat with the count", |beat| beat.stacks.is_some()).stacks, expected);
    }
    room.stop();
}

#[test]
fn a_server_that_was_never_told_the_details_asks_for_them() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let port = server.port();
    let room = Room::start(settings(port, &state, None), to_enrol());
    room.enrolled();
    assert!(server.beat("the first beat", |_| true).stacks.is_some());
    // Between two beats: gRPC connects again, and the agent sees no break.
    drop(server);
    let server = Server::start(|serve| serve.listen = format!("127.0.0.1:{port}"));
    let beats: Vec<_> = (0..2).map(|_| server.beat("a beat to the new server", |_| true).stacks.is_some()).collect();
    assert!(beats.contains(&true), "{beats:?}");
    room.stop();
}

/// A month of beats every 120 s.
const BEATS_A_MONTH: u64 = 30 * 86_400 / 120;
const BYTES_A_MONTH: u64 = 20_000_000;
/// Of fifty containers three numbers each are reported.
const BYTES_A_MONTH_WITH_CONTAINERS: u64 = 65_000_000;

#[test]
fn a_heartbeat_every_two_minutes_costs_less_than_20_mb_a_month() {
    let month = in_a_namespace("of_a_host_alone");
    assert!(month.is_none_or(|month| month <= BYTES_A_MONTH), "{month:?}");
}

#[test]
fn what_fifty_containers_cost_is_told() {
    let month = in_a_namespace("of_fifty_containers");
    assert!(month.is_none_or(|month| month <= BYTES_A_MONTH_WITH_CONTAINERS), "{month:?}");
}

/// Runs a test in a network namespace of its own, where what goes over the loopback is this link's alone. The bytes that it found,
/// unless this machine gives no namespace.
fn in_a_namespace(test: &str) -> Option<u64> {
    let own = std::env::current_exe().unwrap();
    let inside = format!("ip link set lo up && exec {} --exact beats::{test} --ignored --nocapture", own.display());
    #[allow(clippy::disallowed_methods, reason = "the agent has no children, its tests have")]
    let run = std::process::Command::new("unshare").args(["--net", "--", "sh", "-c", &inside]).output();
    let output = match run {
        Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("unshare failed") => output,
        other => {
            println!("skipped: needs root for a network namespace ({other:?})");
            return None;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    let line = text.lines().find_map(|line| line.split_once(MONTH)).expect("it says what it found");
    Some(line.1.trim().parse().expect("a number"))
}

/// What stands before the number.
const MONTH: &str = "bytes a month:";

#[test]
#[ignore = "run by a test above, in a network namespace of its own"]
fn of_a_host_alone() {
    measure(0);
}

#[test]
#[ignore = "run by a test above, in a network namespace of its own"]
fn of_fifty_containers() {
    measure(50);
}

fn measure(containers: usize) {
    // Two reports, of ten moments each.
    const MEASURED: u64 = 20;
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let sessions = Sessions::open(&state.0.join("sessions"), Hearing::Good).unwrap();
    let server = Server::start(|serve| {
        serve.issuing = Some(issuing(&authority));
        serve.sessions = Some(sessions);
        serve.errands = Some(Errands::default());
        // The rhythm is the agent's own, and here a quick one.
        serve.interval_seconds = 0;
    });
    let at = Timestamp::from_millis(1_769_853_600_250);
    let dependency = |name| Dependency::new(name, DependencyState::Ready, Weight::Shown, at);
    let names = ["configuration", "docker", "kafka_consumer", "kafka_producer", "control_plane", "session"];
    let last = LastCommand { id: CommandId(Uuid::new_v4()), command_type: "Deploy", result: "DeployCompleted", finished_at: at };
    let health = Health { dependencies: names.map(dependency).to_vec(), last_command: Some(last), ..Room::healthy() };
    // With each beat.
    let (sample_interval, send_timeout) = (Duration::from_millis(500), Duration::from_secs(1));
    let reporting = Some(Reporting { sample_interval, batch_size: 500, send_timeout });
    let settings = Settings { reporting, ..settings(server.port(), &state, Some(&authority.ca_file())) };
    let room = Room::start_measuring(settings, to_enrol(), (Published::new(health), Published::new(None)), samples(containers));
    room.enrolled();
    room.up();
    // What a connection costs at its beginning is no part of a beat.
    server.beat("the first beat", |_| true);
    server.beat("the second beat", |_| true);
    let before = loopback();
    let mut seen = Vec::new();
    for _ in 0..MEASURED {
        server.sight("a beat", |sighting| {
            seen.push(sighting.clone());
            matches!(sighting, Sighting::Beat(_)).then_some(())
        });
    }
    let (bytes, packets) = (loopback().0 - before.0, loopback().1 - before.1);
    room.stop();
    let reports: Vec<_> =
        seen.iter().filter_map(|one| if let Sighting::Report(report) = one { Some(report.at.len()) } else { None }).collect();
    // With containers a report is full after two moments.
    assert!(
        if containers == 0 { reports == [10, 10] } else { reports.iter().sum::<usize>() >= 18 },
        "each moment is reported: {reports:?}"
    );
    let month = bytes / MEASURED * BEATS_A_MONTH;
    println!(
        "a heartbeat over TLS and its part of the reports: {} bytes in {:.1} packets, IP headers included; every 120 s that is {:.1} MB a month",
        bytes / MEASURED,
        packets as f64 / MEASURED as f64,
        month as f64 / 1e6
    );
    println!("{MONTH} {month}");
}

/// Bytes and packets that loopback has carried, each counted once (proc_net_dev(5)).
fn loopback() -> (u64, u64) {
    let table = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:")).unwrap();
    let mut numbers = line.split_whitespace().map(|number| number.parse::<u64>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
