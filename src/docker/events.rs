//! The engine's event stream, and with it the knowledge whether the engine answers.
//!
//! Owns the thread `docker-events`. It follows `GET /events`, wakes the rooms whose stack changed and
//! tells the coordinator when the engine or its swarm role changes. It comes back after every break.
//! Its read ends when [`Engine::close`] closes the socket under it; it never decides about a stack.

use super::changes::{Changes, Message};
use super::client::{CALL, Client, Request};
use super::containers::Known;
use super::error::EngineError;
use super::types::Info;
use super::{EngineState, Event, Probe, Settings, SwarmRole};
use crate::threads::{Backoff, Deadline, Published, Stop, Waited, alive_by, at_rest};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::json;
use std::convert::Infallible;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first wait after a break …
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// … and the longest: an engine that comes back is noticed within 3 s.
const LONGEST_RETRY: Duration = Duration::from_millis(2500);
/// The longest event that is read, in bytes: labels may be long, a line of this length is no event.
const MAX_EVENT: u64 = 1024 * 1024;
/// A manager that has just started is `pending` for a moment: how often to ask again …
const PENDING_LOOKS: u32 = 20;
/// … and after which time.
const PENDING_WAIT: Duration = Duration::from_millis(500);
/// Events that follow each other as closely are read together: a deploy of fifty services makes as many within some 150 ms, and a
/// wake-up for each costs more than the reading. The first after a silence is read at once; who waits for a verdict
/// waits this much longer at most.
const BURST: Duration = Duration::from_millis(30);
/// How the line begins that says that a service was made, in every version. Who makes one knows it, and others wait for its tasks: of
/// fifty that a deploy makes, none is read further.
const SERVICE_MADE: &[u8] = br#"{"Type":"service","Action":"create","#;
/// The longest look: at an engine that is pending and answers each question at the last moment.
const LOOK: Duration = CALL.saturating_add(PENDING_WAIT).saturating_mul(PENDING_LOOKS + 2);

/// What all threads of the room know of the engine.
pub(super) struct Engine {
    /// Its own connections: closing them must not touch the calls of the lanes.
    stream: Client,
    pub(super) changes: Changes,
    /// What runs on this node.
    pub(super) containers: Known,
    settings: Published<Settings>,
    state: Mutex<Option<EngineState>>,
    events: Sender<Event>,
    /// Rung when the engine, its role or one of its nodes has changed.
    bell: (Sender<()>, Receiver<()>),
}

impl Engine {
    pub(super) fn new(stream: Client, settings: Published<Settings>, events: Sender<Event>) -> Self {
        Self { stream, changes: Changes::default(), containers: Known::new(), settings, state: Mutex::new(None), events, bell: bounded(1) }
    }

    /// Ready when the engine, its role or one of its nodes has changed since it was received from last.
    pub(super) fn news(&self) -> &Receiver<()> {
        &self.bell.1
    }

    fn ring(&self) {
        // Full: whoever listens is to look anyway.
        let _full = self.bell.0.try_send(());
    }

    fn probe(&self) -> Probe {
        self.settings.newest().probe
    }

    /// The next sign of life of the thread comes by then: it reads no longer than until the stream is quiet, asks
    /// twice whether the engine lives, and looks at it.
    fn turn(&self) -> Deadline {
        let Probe { interval, timeout, .. } = self.probe();
        Deadline::after(LOOK + interval + timeout * 3)
    }

    /// The engine's role in a swarm, as it was seen last.
    pub(super) fn role(&self) -> Option<SwarmRole> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(EngineState::Up { swarm, .. }) => Some(*swarm),
            _ => None,
        }
    }

    /// Ends the read of the event stream. Called by each thread of the room that leaves.
    pub(super) fn close(&self) {
        self.stream.shutdown();
    }

    /// Tells the coordinator if this is news.
    fn tell(&self, state: EngineState) {
        // ORDER: held while it sends, so that the coordinator hears last what was true last.
        let mut known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let news = match (&*known, &state) {
            // Another reason for the same absence is none.
            (Some(EngineState::Away(_)), EngineState::Away(_)) => false,
            (Some(before), now) => before != now,
            (None, _) => true,
        };
        if news {
            *known = Some(state.clone());
            // It may wait for room; nobody listens any more only once the process leaves.
            let _gone = self.events.send(Event::Engine(state));
            self.ring();
        }
    }

    fn is_known_to_manage(&self) -> bool {
        let known = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(&*known, Some(EngineState::Up { swarm: SwarmRole::Manager, .. }))
    }

    /// The engine said this of itself: tells the coordinator if it is news.
    pub(super) fn seen(&self, client: &Client, info: &Info) {
        if let Ok(api) = client.api() {
            self.tell(EngineState::Up { version: info.server_version.clone(), api: api.to_string(), swarm: role(info) });
        }
    }

    #[cfg(test)]
    pub(super) fn seen_as(&self, swarm: SwarmRole) {
        self.tell(EngineState::Up { version: String::new(), api: String::new(), swarm });
    }
}

/// The engine's role in its swarm.
pub(super) fn role(info: &Info) -> SwarmRole {
    match info.swarm.local_node_state.as_str() {
        "active" if info.swarm.control_available => SwarmRole::Manager,
        "active" => SwarmRole::Worker,
        _ => SwarmRole::Inactive,
    }
}

/// Whether the engine is still finding its place in the swarm.
pub(super) fn is_pending(info: &Info) -> bool {
    info.swarm.local_node_state == "pending"
}

/// The body of `docker-events`.
pub(super) fn run(engine: &Engine, stop: &Stop) -> Result<(), Infallible> {
    let mut backoff = Backoff::new(FIRST_RETRY, LONGEST_RETRY);
    let mut failures = 0;
    while !stop.is_stopped() {
        alive_by(engine.turn());
        let Err(error) = follow(engine, stop, || {
            backoff.reset();
            failures = 0;
        });
        if stop.is_stopped() {
            break;
        }
        log::debug!("the event stream broke: {error}");
        if let Some(absence) = absence(engine, error) {
            failures += 1;
            if failures >= engine.probe().failures {
                engine.tell(EngineState::Away(absence.to_string()));
            }
        }
        at_rest();
        if stop.wait(backoff.next()) == Waited::Stopped {
            break;
        }
    }
    Ok(())
}

/// Whether an engine whose stream broke is away, and why: a ping knows more than the end of a stream.
fn absence(engine: &Engine, error: EngineError) -> Option<EngineError> {
    match (engine.stream.ping_within(engine.probe().timeout), error) {
        (Err(away), _) => Some(away),
        // It answers: the stream alone is gone.
        (Ok(_), EngineError::Lost { .. }) => None,
        (Ok(_), refused) => Some(refused),
    }
}

/// Follows the stream until it breaks. `lives` is called with each sign of life.
fn follow(engine: &Engine, stop: &Stop, mut lives: impl FnMut()) -> Result<Infallible, EngineError> {
    let probe = engine.probe();
    // The stream first, the look second: nothing that happens in between is missed.
    let stream = engine.stream.stream(&events_request(probe.timeout), probe.interval)?;
    look(engine, stop)?;
    engine.containers.begin(&engine.stream.running_containers()?);
    engine.changes.tell_all();
    let mut stream = BufReader::new(stream);
    let (mut line, mut heard) = (Vec::new(), None::<Instant>);
    loop {
        alive_by(engine.turn());
        match (&mut stream).take(MAX_EVENT).read_until(b'\n', &mut line) {
            Ok(0) => return Err(broken("the engine closed the event stream")),
            Ok(_) => {
                on_line(engine, stop, &line)?;
                line.clear();
                let follows = heard.replace(Instant::now()).is_some_and(|before| before.elapsed() < BURST);
                if follows && stream.buffer().is_empty() {
                    // Whoever stops it closes the stream too.
                    let _stopped = stop.wait(BURST);
                }
            }
            // Nothing for a while; what was read of a line stays in `line`.
            Err(error) if is_quiet(&error) => on_quiet(engine, stop)?,
            Err(error) => return Err(broken(&error.to_string())),
        }
        // It lives: the next break is a new one.
        lives();
    }
}

fn on_line(engine: &Engine, stop: &Stop, line: &[u8]) -> Result<(), EngineError> {
    if line.starts_with(SERVICE_MADE) {
        return Ok(());
    }
    let Ok(message) = serde_json::from_slice::<Message>(line) else {
        log::warn!("an engine event of {} bytes cannot be read and is passed over", line.len());
        return Ok(());
    };
    engine.changes.tell(&message);
    message.tell_of_a_container(&engine.containers);
    if message.is_of_a_node() || message.is_of_the_ingress() {
        look(engine, stop)?;
        engine.ring();
    }
    Ok(())
}

/// After a silence: does it answer, and is it still what it was? Leaving a swarm makes no event.
fn on_quiet(engine: &Engine, stop: &Stop) -> Result<(), EngineError> {
    let manages = match engine.stream.check_swarm(engine.probe().timeout) {
        Ok(()) => true,
        Err(EngineError::Refused { .. }) => false,
        Err(error) => return Err(error),
    };
    if manages == engine.is_known_to_manage() { Ok(()) } else { look(engine, stop) }
}

/// Reads the engine's state and tells it.
fn look(engine: &Engine, stop: &Stop) -> Result<(), EngineError> {
    let mut info = engine.stream.info()?;
    for _ in 0..PENDING_LOOKS {
        if !is_pending(&info) || stop.wait(PENDING_WAIT) == Waited::Stopped {
            break;
        }
        info = engine.stream.info()?;
    }
    engine.seen(&engine.stream, &info);
    Ok(())
}

/// Only what may change a stack, or which containers run: the three exec events of every health probe are left at the engine.
fn events_request(time: Duration) -> Request {
    let filters = json!({
        "type": ["service", "node", "network", "secret", "config", "container"],
        "event": ["create", "update", "remove", "destroy", "start", "die", "oom", "rename", "health_status"],
    });
    Request::get("/events").query("filters", &filters.to_string()).within(time)
}

/// Whether a read of a stream has only waited for too long.
pub(super) fn is_quiet(error: &io::Error) -> bool {
    let timed_out = || error.get_ref()?.downcast_ref::<ureq::Error>();
    matches!(timed_out(), Some(ureq::Error::Timeout(_)))
}

fn broken(reason: &str) -> EngineError {
    EngineError::Lost { call: "GET /events".to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
