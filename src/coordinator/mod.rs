//! The loop that decides: it owns the state, takes one event after another and hands work out.
//!
//! It runs on the main thread. It blocks only on its channels and on the journal's answers (a synced
//! write of well under a millisecond in the usual case): nothing may be decided past a record that is
//! not on disk. Everything else it gives away with `try_send`; full is a decision.
//!
//! One file per subject: [`on_command`], [`on_session`], [`on_ipc`], [`on_cancel`], [`on_pause`], [`on_docker`], [`on_report`], [`on_loss`], [`on_link`],
//! [`on_space`], [`on_look`], [`on_reload`], [`on_update`]; what it sees of the journal is [`book`], what the host takes at all [`rules`], whether the clock can be believed [`wall_clock`], what the service manager hears [`pulse`], the end [`shutdown`].

mod book;
mod exit;
mod marks;
mod on_cancel;
mod on_command;
mod on_docker;
mod on_ipc;
mod on_link;
mod on_look;
mod on_loss;
mod on_measured;
mod on_pause;
mod on_reload;
mod on_report;
mod on_session;
mod on_space;
mod on_topic;
mod on_update;
mod pulse;
mod rules;
mod shutdown;
mod state;
mod wall_clock;

pub use exit::ExitReason;
pub use on_link::{Configured, enrolled_identity, initial_health};
pub use on_reload::{Fresh, Reload, Reloaded};
pub use pulse::Pulse;
pub use rules::{Rules, Unsigned};
pub use shutdown::{Departure, Group, KafkaClients, StartKafka, Workers};
pub use state::{Ports, Shown, State};

use crate::telemetry::Queue;
use crate::threads::Exit;
use crate::{control_plane, docker, ipc, kafka, memory, telemetry, update};
use crossbeam_channel::{Receiver, Sender, never, select_biased};
use std::time::{Duration, Instant};
use wall_clock::{Gait, WallClock};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Leave,
    /// SIGHUP.
    Reload,
}

/// Everything that the loop listens to.
#[derive(Debug)]
pub struct Inbox {
    /// Signals of the process.
    pub signals: Receiver<Signal>,
    /// Threads that have ended.
    pub exits: Receiver<Exit>,
    /// Lanes, the query thread and the engine's events.
    pub docker: Receiver<docker::Event>,
    /// Deliveries and the producer's link.
    pub reports: Receiver<kafka::Event>,
    /// Records and the consumer's link.
    pub commands: Receiver<kafka::Event>,
    /// Enrolment and the link to the control plane.
    pub control_plane: Receiver<control_plane::Event>,
    /// Actions, and what the control plane confirms.
    pub session: Receiver<control_plane::SessionEvent>,
    /// Commands and listeners of the local socket.
    pub ipc: Receiver<ipc::Event>,
    /// Looks at the host, where the event topic is told of them.
    pub looks: Receiver<telemetry::Event>,
    /// Updates of the agent itself.
    pub updates: Receiver<update::Event>,
}

/// A channel whose last sender has ended. It would be ready for ever, and hide those behind it.
enum Closed {
    Signals,
    Exits,
    Docker,
    Reports,
    ControlPlane,
    Session,
    Ipc,
    Looks,
    Updates,
}

impl Inbox {
    fn forget(&mut self, closed: Closed) {
        match closed {
            Closed::Signals => self.signals = never(),
            Closed::Exits => self.exits = never(),
            Closed::Docker => self.docker = never(),
            Closed::Reports => self.reports = never(),
            Closed::ControlPlane => self.control_plane = never(),
            Closed::Session => self.session = never(),
            Closed::Ipc => self.ipc = never(),
            Closed::Looks => self.looks = never(),
            Closed::Updates => self.updates = never(),
        }
    }
}

/// Ids whose time is over are forgotten this often.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// How many events of one kind are handled before the reports that they led to share one journal write.
const BURST: usize = 64;

/// Runs the agent until it has left. The workers are started already.
pub fn run(mut state: State, mut inbox: Inbox, mut workers: Workers, mut pulse: Pulse) -> Departure {
    state.resume();
    pulse.begin();
    let mut clock = Clock::new();
    let reason = loop {
        match step(&mut state, &inbox, &mut workers, &pulse, &clock) {
            Turn::Go => {}
            Turn::Beat => {
                let late = workers.late();
                pulse.beat(&late);
                state.on_late(&late);
            }
            Turn::Closed(closed) => inbox.forget(closed),
            Turn::Tidy => {
                clock.tidy(&mut state, &workers.late());
                state.metrics.threads(workers.states());
            }
            Turn::Leave(reason) => break reason,
        }
        state.settle();
        pulse.show(&state.health());
        state.show_turn(&inbox);
        if let Some(reason) = state.failure() {
            break reason;
        }
    };
    log::info!("leaving: {reason}");
    pulse.end(&reason);
    shutdown::run(state, inbox, workers, reason)
}

/// What is done when nothing comes.
struct Clock {
    forgetting: Instant,
    looking: Instant,
    wall: WallClock,
}

impl Clock {
    /// The space is looked at now, and ids are forgotten later.
    fn new() -> Self {
        let steady = Instant::now();
        Self { forgetting: steady + HOUSEKEEPING, looking: steady, wall: WallClock::starting_at(state::now(), steady) }
    }

    fn next(&self) -> Instant {
        self.forgetting.min(self.looking)
    }

    /// Does what is due.
    fn tidy(&mut self, state: &mut State, late: &[&'static str]) {
        let now = Instant::now();
        if self.forgetting <= now {
            self.forgetting = now + HOUSEKEEPING;
            match self.wall.look(state::now(), now) {
                Gait::Steady => state.forget_old_ids(),
                Gait::Jumped => log::warn!("the clock of this machine was set, or it was asleep: no id is forgotten in this hour"),
            }
        }
        if self.looking <= now {
            self.looking = now + state.rules.check_interval;
            drop(state.look_at_space());
            state.on_late(late);
            state.look_at_backlog();
            // What the log has counted in place of writing it is said in time also where nothing else is.
            log::logger().flush();
            memory::give_back_pages();
        }
    }
}

enum Turn {
    Go,
    Beat,
    Closed(Closed),
    Tidy,
    Leave(ExitReason),
}

/// Waits for the next event and handles it, with those of its kind that have gathered behind it.
fn step(state: &mut State, inbox: &Inbox, workers: &mut Workers, pulse: &Pulse, clock: &Clock) -> Turn {
    // A full window closes the tap: the bounded channel fills, the consumer waits, the topic is the queue.
    let closed = never();
    let commands = if state.wants_commands() { &inbox.commands } else { &closed };
    select_biased! {
        recv(inbox.signals) -> signal => match signal {
            Ok(Signal::Leave) | Err(_) => return Turn::Leave(ExitReason::Asked),
            Ok(Signal::Reload) => {
                pulse.reload();
                workers.reload(state);
                pulse.begin();
            }
        },
        recv(inbox.exits) -> exit => if let Some(reason) = exit.ok().as_ref().and_then(exit::judge) {
            return Turn::Leave(reason);
        },
        // ORDER: before all that may come without end.
        recv(pulse.due()) -> _ => return Turn::Beat,
        recv(inbox.docker) -> event => match event {
            Ok(event) => burst(event, &inbox.docker, |event| state.on_docker(event)),
            Err(_) => return Turn::Closed(Closed::Docker),
        },
        recv(inbox.reports) -> event => match event {
            Ok(event) => burst(event, &inbox.reports, |event| state.on_kafka(event)),
            Err(_) => return Turn::Closed(Closed::Reports),
        },
        recv(inbox.control_plane) -> event => match event {
            Ok(event) => burst(event, &inbox.control_plane, |event| {
                if let Some(identity) = state.on_control_plane(event) {
                    workers.start_kafka(state, &identity);
                }
            }),
            Err(_) => return Turn::Closed(Closed::ControlPlane),
        },
        // ORDER: behind the enrolment that it may be the first to use, and before the topic, which may never be empty.
        recv(inbox.session) -> event => match event {
            Ok(event) => burst(event, &inbox.session, |event| state.on_session(event)),
            Err(_) => return Turn::Closed(Closed::Session),
        },
        recv(inbox.ipc) -> event => match event {
            Ok(event) => burst(event, &inbox.ipc, |event| state.on_ipc(event)),
            Err(_) => return Turn::Closed(Closed::Ipc),
        },
        recv(inbox.looks) -> event => match event {
            Ok(telemetry::Event::Looked) => state.on_measured(),
            Err(_) => return Turn::Closed(Closed::Looks),
        },
        recv(inbox.updates) -> event => match event {
            Ok(event) => state.on_update(event),
            Err(_) => return Turn::Closed(Closed::Updates),
        },
        recv(commands) -> event => if let Ok(event) = event {
            state.on_kafka(event);
            for _ in 1..BURST {
                if !state.wants_commands() {
                    break;
                }
                let Ok(event) = inbox.commands.try_recv() else { break };
                state.on_kafka(event);
            }
        },
        recv(crossbeam_channel::at(clock.next())) -> _ => return Turn::Tidy,
    }
    Turn::Go
}

impl State {
    /// Shows that the loop goes on, and what waits.
    fn show_turn(&self, inbox: &Inbox) {
        let waiting = [
            (Queue::Docker, inbox.docker.len()),
            (Queue::Deliveries, inbox.reports.len()),
            (Queue::Commands, inbox.commands.len()),
            (Queue::ControlPlane, inbox.control_plane.len()),
            (Queue::Session, inbox.session.len()),
            (Queue::Local, inbox.ipc.len()),
            (Queue::Events, self.ports.producer.as_ref().map_or(0, Sender::len)),
            (Queue::Jobs, self.ports.jobs.len()),
            (Queue::Queries, self.ports.queries.len()),
        ];
        waiting.into_iter().for_each(|(queue, waiting)| self.metrics.queue(queue, waiting));
        self.metrics.turned(state::now());
    }
}

fn burst<T>(first: T, rest: &Receiver<T>, mut handle: impl FnMut(T)) {
    handle(first);
    rest.try_iter().take(BURST - 1).for_each(handle);
}

#[cfg(test)]
mod tests;
