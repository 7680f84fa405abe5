//! SIGTERM while the brokers, the control plane and the engine are all black holes, and while all is well.

use crate::random::{deploy, moment};
use crate::support::agents::{AgentServer, Settings};
use crate::support::network::{self, Drops};
use crate::support::session::{Hearing, Sessions};
use crate::support::{READY, Stage, TOKEN, free_port};
use crate::victim::Victim;
use crossbeam_channel::bounded;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Of each kind, in the short form.
const STOPS: usize = 1;
/// The budget.
const LIMIT: Duration = Duration::from_secs(10);
/// The budget where all is well: for the one in the middle, on a machine that may be busy.
const IDLE: Duration = Duration::from_millis(300);
const IDLE_STOPS: usize = 5;
/// The longest time that the agent is left in the hole.
const FALL: Duration = Duration::from_secs(5);
/// Heartbeats that nobody looks at.
const SIGHTINGS: usize = 1024;

/// When the hole opens.
#[derive(Debug, Clone, Copy)]
enum Hole {
    /// Before the agent starts.
    FromTheStart,
    /// While deploys are under way, and an end has not been written yet.
    AtWork,
}

pub fn stops(stage: &Stage) {
    let stops = crate::long_form().map_or(4 * STOPS, |kills| kills.div_ceil(20));
    let kinds = [
        (Hole::FromTheStart, Drops::Answers),
        (Hole::FromTheStart, Drops::Everything),
        (Hole::AtWork, Drops::Answers),
        (Hole::AtWork, Drops::Everything),
    ];
    let mut took: Vec<Duration> = Vec::new();
    for (hole, drops) in kinds.into_iter().cycle().take(stops) {
        network::of_its_own(|| {
            let time = match hole {
                Hole::FromTheStart => from_the_start(stage, drops),
                Hole::AtWork => at_work(stage, drops),
            };
            println!("{hole:?}, without {drops:?}: {} ms", time.as_millis());
            took.push(time);
        });
    }
    show("in a black hole", &mut took);
    assert!(took.iter().all(|time| *time < LIMIT), "{took:?}");
}

pub fn idle(stage: &Stage) {
    let mut took = Vec::new();
    network::of_its_own(|| {
        for _ in 0..IDLE_STOPS {
            let (victim, _control_plane) = well(stage);
            let agent = victim.start(None);
            agent.wait_ready(READY);
            took.push(agent.terminate().1);
        }
    });
    show("idle", &mut took);
    assert!(took[took.len() / 2] < IDLE, "{took:?}");
}

fn show(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_millis();
    println!("{} stops {what}: p0 {}, p50 {}, p90 {}, p100 {} ms", took.len(), at(0), at(50), at(90), at(100));
}

/// An agent beside brokers, a control plane with a session, and an engine.
fn well(stage: &Stage) -> (Victim<'_>, AgentServer) {
    let port = free_port();
    let mut victim = Victim::beside_a_mock(stage, "black-hole", &control_plane_at(port));
    victim.token = Some(TOKEN);
    let (sightings, _unseen) = bounded(SIGHTINGS);
    let sessions = Sessions::open(&victim.directory().join("sessions"), Hearing::Good).unwrap();
    let settings =
        Settings { listen: format!("127.0.0.1:{port}"), token: TOKEN.to_owned(), sessions: Some(sessions), ..Settings::default() };
    (victim, AgentServer::start(settings, sightings).unwrap())
}

fn control_plane_at(port: u16) -> String {
    format!("[control_plane]\ngrpc_url = \"http://127.0.0.1:{port}\"\n")
}

fn at_work(stage: &Stage, drops: Drops) -> Duration {
    let (mut victim, control_plane) = well(stage);
    victim.swarm.lock().unwrap().preparing = Some("");
    let agent = victim.start(None);
    agent.wait_ready(READY);
    for (id, stack) in [(1, "a"), (2, "b"), (3, "c")] {
        victim.send(id, deploy(stack, id));
    }
    victim.until_swarm("two deploys are under way", |swarm| swarm.services.len() == 2);
    let port = |address: &str| address.rsplit_once(':').unwrap().1.parse().unwrap();
    network::close(&[port(&victim.broker.brokers()), port(&control_plane.address())], drops);
    // One of them ends, and nobody hears of it.
    victim.swarm.lock().unwrap().preparing = Some("b_");
    victim.until_logged("completed: ");
    victim.silence.store(true, Ordering::Relaxed);
    moment(FALL);
    let (status, took) = agent.terminate();
    assert!(status.success(), "{status}: {}", victim.log_tail());
    took
}

fn from_the_start(stage: &Stage, drops: Drops) -> Duration {
    let [brokers, control_plane] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let victim = Victim::beside_a_mock(stage, "black-hole", &control_plane_at(port(&control_plane)));
    if drops == Drops::Everything {
        network::close(&[port(&brokers), port(&control_plane)], drops);
    }
    let engine = DeafEngine::new(victim.directory().join("engine.sock"), drops);
    victim.reach(&format!("127.0.0.1:{}", port(&brokers)), &engine.socket);
    let mut agent = victim.start(None);
    agent.wait_alive();
    moment(FALL);
    let (status, took) = agent.terminate();
    assert!(status.success(), "{status}: {}", victim.log_tail());
    took
}

/// A socket that nobody takes connections from.
struct DeafEngine {
    socket: PathBuf,
    _listener: UnixListener,
    /// They fill its queue, where not even a connection is to be had.
    _waiting: Vec<UnixStream>,
}

impl DeafEngine {
    fn new(socket: PathBuf, drops: Drops) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let mut waiting = Vec::new();
        if drops == Drops::Everything {
            // SAFETY: the descriptor is open; a second listen(2) only changes the length of the queue.
            assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
            waiting.push(UnixStream::connect(&socket).unwrap());
        }
        Self { socket, _listener: listener, _waiting: waiting }
    }
}
