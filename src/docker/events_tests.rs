//! How often an engine must fail to count as away, against one that fails on demand.

use super::*;
use crate::docker::fake_engine::{FakeEngine, Reply};
use crate::domain::{CommandId, StackName};
use crate::threads::{ThreadName, spawn, stop_pair};
use crossbeam_channel::{Receiver, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

/// Far longer than some tries take.
const SOON: Duration = Duration::from_secs(20);

/// What is told of an engine whose first `failures` tries fail, each with the question for its version and a ping.
fn told(failures: usize, threshold: u32) -> Vec<EngineState> {
    let pings = AtomicUsize::new(0);
    let fake = FakeEngine::start(move |asked| {
        let fails = asked.line.ends_with("/_ping") && pings.fetch_add(1, Ordering::SeqCst) < failures * 2;
        fails.then_some(Reply::Hangup)
    });
    let settings = Settings::of(fake.socket().to_owned());
    let settings = Published::new(Settings { probe: Probe { failures: threshold, ..settings.probe }, ..settings });
    let (events, inbox) = bounded(8);
    let (exits, _) = bounded(1);
    let engine = Arc::new(Engine::new(Client::connect(fake.socket()), settings, events));
    let (source, stop) = stop_pair();
    let follower = Arc::clone(&engine);
    let thread = spawn(ThreadName::new("docker-events"), exits, move || run(&follower, &stop)).unwrap();
    let told = until_up(&inbox);
    drop(source);
    engine.close();
    thread.join();
    told
}

fn until_up(inbox: &Receiver<Event>) -> Vec<EngineState> {
    let mut told = Vec::new();
    while !matches!(told.last(), Some(EngineState::Up { .. })) {
        if let Event::Engine(state) = inbox.recv_timeout(SOON).expect("the engine is told") {
            told.push(state);
        }
    }
    told
}

#[test]
fn an_engine_is_away_after_so_many_failures_in_a_row() {
    for (failures, threshold, away) in [(0, 1, 0), (1, 1, 1), (1, 2, 0), (2, 3, 0), (3, 3, 1), (4, 3, 1)] {
        let told = told(failures, threshold);
        assert_eq!(told.len(), away + 1, "{failures} failures of {threshold}: {told:?}");
    }
}

#[test]
fn a_service_that_is_made_wakes_nobody_and_one_that_changes_does() {
    let fake = FakeEngine::start(|_| None);
    let (events, _inbox) = bounded(8);
    let engine = Engine::new(Client::connect(fake.socket()), Published::new(Settings::of(fake.socket().to_owned())), events);
    let (_source, stop) = stop_pair();
    let watch = engine.changes.watch(CommandId(Uuid::from_u128(1)), Some(&StackName::new("st").unwrap()));
    let wakes = |action: &str| {
        let line =
            format!(r#"{{"Type":"service","Action":"{action}","Actor":{{"ID":"x","Attributes":{{"name":"st_web"}}}},"scope":"swarm"}}"#);
        on_line(&engine, &stop, line.as_bytes()).unwrap();
        watch.receiver().try_recv().is_ok()
    };
    assert_eq!(["create", "update", "remove"].map(wakes), [false, true, true]);
}
