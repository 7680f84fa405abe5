//! Heartbeats while a deploy takes long, since its engine is slow, and while the control plane hangs.

use crate::fake_engine::FakeEngine;
use crate::fake_swarm::Swarm;
use crate::points::deploy;
use crate::support::agents::{AgentServer, Settings, Sighting};
use crate::support::mischief::{Imp, Mischief};
use crate::support::session::book::Book;
use crate::support::session::{Hearing, Sessions};
use crate::support::{Agent, Launch, READY, Stage, TOKEN, free_port, until};
use crossbeam_channel::{Receiver, bounded};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What the control plane asks for, give or take a tenth; and what a busy machine may add.
const PERIOD: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_secs(1);
/// A call of the engine. A deploy has more than ten.
const SLOW: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);

pub fn during_a_deploy(stage: &Stage) {
    let directory = stage.directory().join("beats");
    std::fs::create_dir_all(directory.join("state")).unwrap();
    // Each call of the deploy is slow, until the other end of this is dropped.
    let (hurry, patience) = bounded::<()>(0);
    let swarm = Mutex::new(Swarm::default());
    let engine = FakeEngine::start(move |asked| {
        if !["/_ping", "/info", "/version", "/events"].iter().any(|quick| asked.line.contains(quick)) {
            let _elapsed = patience.recv_timeout(SLOW);
        }
        swarm.lock().unwrap().answer(asked)
    });
    let (imp, sessions) = (Imp::default(), Sessions::open(&directory.join("sessions"), Hearing::Good).unwrap());
    let settings = Settings { token: TOKEN.to_owned(), imp: imp.clone(), sessions: Some(sessions.clone()), ..Settings::default() };
    let (sender, seen) = bounded(1024);
    let control_plane = AgentServer::start(settings, sender).unwrap();
    let (file, port) = (directory.join("agent.toml"), free_port());
    let text = format!(
        "[agent]\ntoken = \"{TOKEN}\"\nname = \"beats\"\nstate_dir = \"{}/state\"\n[control_plane]\ngrpc_url = \"http://{}\"\n\
         [docker]\nhost = \"unix://{}\"\n[local]\nipc_socket_path = \"{}/agent.sock\"\n[health]\nport = {port}\n[logging]\nlevel = \"debug\"\n",
        directory.display(),
        control_plane.address(),
        engine.socket().display(),
        directory.display(),
    );
    std::fs::write(&file, text).unwrap();
    let agent = Agent::launch(Launch::Direct, &file, port, &directory.join("agent.log"), &[]);
    agent.wait_ready(READY);

    let record = deploy("a", "1").record();
    let command = String::from_utf8(record.body).unwrap();
    sessions.change(|book| book.add_action("beats", record.command_id.unwrap(), command)).unwrap();
    let id = record.command_id.unwrap();
    while beat(&seen).1 == 0 {}
    let beats: Vec<_> = (0..4).map(|_| beat(&seen)).collect();
    assert!(beats.iter().all(|(_, open)| *open == 1), "the deploy goes on: {beats:?}");
    in_time("a beat during the deploy", &beats.iter().map(|(at, _)| *at).collect::<Vec<_>>());

    // Each call is taken and none is answered: it is given up before the next is due.
    imp.mischief.publish(Mischief::Hang);
    let mut hung = Vec::new();
    until("three beats hang", PATIENCE, || {
        let count = imp.hanging();
        if count > hung.len() {
            hung.resize(count, Instant::now());
        }
        if count >= 3 { Ok(()) } else { Err(format!("{count} calls hang")) }
    });
    in_time("a beat that hangs", &hung);
    agent.wait_trouble("control_plane", "control_plane.slow", PATIENCE);
    imp.mischief.publish(Mischief::None);
    agent.wait_dependency("control_plane", "ready", 2 * PERIOD);
    let ended = |book: &Book| book.events_of(id, 0).filter(|(_, over)| *over);
    assert!(sessions.await_news(Duration::ZERO, ended).is_none(), "the deploy was not so long");
    drop(hurry);
    let (events, _) = sessions.await_news(PATIENCE, ended).expect("the deploy ends");
    assert_eq!(events.last().unwrap()["event_type"], "DeployCompleted", "{events:?}");
    assert!(agent.terminate().0.success());
}

/// When the next beat came, and how many commands the agent had open.
fn beat(seen: &Receiver<Sighting>) -> (Instant, u32) {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Sighting::Beat(beat) = seen.recv_deadline(end).expect("a beat") {
            return (Instant::now(), beat.commands_open);
        }
    }
}

fn in_time(what: &str, moments: &[Instant]) {
    for pair in moments.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((PERIOD.mul_f64(0.9) - LATE..=PERIOD.mul_f64(1.1) + LATE).contains(&gap), "{what} after {gap:?}");
    }
}
