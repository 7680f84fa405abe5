//! The way out, in phases: stop intake · running work to its checkpoint · flush reports · say goodbye ·
//! drop the rest · collect exits, name the stragglers. Containers keep running.
//!
//! A second signal leaves at once, from any phase. What is not done by a phase's deadline is safe in
//! the journal and goes on at the next start.

use super::exit::{ExitReason, is_vital};
use super::on_topic::Standing;
use super::state::State;
use super::{Closed, Inbox, Reload, Signal};
use crate::domain::{LinkState, Phase, Position};
use crate::journal::Identity;
use crate::kafka;
use crate::telemetry::{ThreadState, Word};
use crate::threads::{Deadline, StopSource, Thread, ThreadName};
use crossbeam_channel::{Sender, select_biased};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// The whole way out: below the 10 s of the budget also on a machine that is busy, and far below systemd's 90 s.
const WHOLE: Duration = Duration::from_secs(8);
/// A lane is between two steps or waits for convergence: it answers at once unless the engine hangs.
const CHECKPOINT: Duration = Duration::from_secs(4);
/// A broker that answers confirms in milliseconds.
const REPORTS: Duration = Duration::from_millis(2500);
/// The last heartbeat.
const FAREWELL: Duration = Duration::from_millis(1200);

/// Threads that are stopped together.
#[derive(Debug, Default)]
pub struct Group {
    /// Dropping these is the stop.
    pub stops: Vec<StopSource>,
    /// The threads.
    pub threads: Vec<Thread>,
}

/// The Kafka clients, started once the agent knows who it is.
#[derive(Debug)]
pub struct KafkaClients {
    /// The consumer.
    pub intake: Group,
    /// The producer.
    pub reports: Group,
    /// To the producer.
    pub producer: Sender<kafka::Request>,
    /// To the consumer.
    pub commits: Sender<Position>,
    /// What they promise.
    pub events: kafka::EventMode,
}

/// Starts the Kafka clients for an identity; nothing where no brokers are configured.
pub type StartKafka = Box<dyn FnMut(&Identity) -> Result<Option<KafkaClients>, String>>;

/// Every worker by the phase in which it is stopped.
pub struct Workers {
    /// The consumer.
    pub intake: Group,
    /// Lanes, query thread, engine events.
    pub work: Group,
    /// The producer.
    pub reports: Group,
    /// The control plane: heartbeats and session.
    pub farewell: Group,
    /// The health pages and the local socket.
    pub rest: Group,
    /// The journal's thread: it ends with the last handle, after the loop.
    pub journal: Option<Thread>,
    /// How Kafka is started.
    pub start_kafka: StartKafka,
    /// Whose Kafka could not be started, because a setting was wrong.
    pub without_kafka: Option<Identity>,
    /// How the configuration is read again.
    pub reload: Reload,
}

/// How the loop ended.
#[derive(Debug)]
pub struct Departure {
    /// Why.
    pub reason: ExitReason,
    /// Threads that had not ended by the deadline: the process must not wait for them.
    pub stragglers: Vec<&'static str>,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.names()).finish_non_exhaustive()
    }
}

impl Workers {
    /// Starts Kafka in the name of an identity that was just learnt, or known from the start.
    pub fn start_kafka(&mut self, state: &mut State, identity: &Identity) {
        match (self.start_kafka)(identity) {
            Ok(Some(clients)) => {
                state.on_kafka_starting();
                state.ports.producer = Some(clients.producer);
                state.ports.commits = Some(clients.commits);
                state.standing = match clients.events {
                    kafka::EventMode::AtLeastOnce => Standing::Free,
                    kafka::EventMode::ExactlyOnce => Standing::CatchingUp,
                };
                (self.intake, self.reports) = (clients.intake, clients.reports);
            }
            Ok(None) => log::info!("no Kafka brokers are configured: commands come from elsewhere"),
            Err(reason) => {
                self.without_kafka = Some(identity.clone());
                for side in [kafka::Side::Consumer, kafka::Side::Producer, kafka::Side::DeadLetters] {
                    state.on_kafka_link(side, LinkState::Down(reason.clone()));
                }
            }
        }
    }

    /// Takes over what the configuration says now.
    pub(super) fn reload(&mut self, state: &mut State) {
        state.on_reload((self.reload)());
        if let Some(identity) = self.without_kafka.take() {
            self.start_kafka(state, &identity);
        }
    }

    fn groups(&self) -> [&Group; 5] {
        [&self.intake, &self.work, &self.reports, &self.farewell, &self.rest]
    }

    /// Every thread, the journal's too.
    fn all(&self) -> impl Iterator<Item = &Thread> {
        self.groups().into_iter().flat_map(|group| &group.threads).chain(&self.journal)
    }

    /// The threads that hang, of those that the agent cannot be without.
    pub(super) fn late(&self) -> Vec<&'static str> {
        self.all().filter(|thread| thread.is_late()).map(|thread| thread.name().as_str()).filter(|name| is_vital(name)).collect()
    }

    /// Every thread, whether it hangs.
    pub(super) fn states(&self) -> Vec<ThreadState> {
        let word = |thread: &Thread| if thread.is_late() { Word::Broken } else { Word::Kept };
        self.all().map(|thread| ThreadState { name: thread.name().as_str(), word: word(thread) }).collect()
    }

    fn names(&self) -> Vec<&'static str> {
        self.groups().iter().flat_map(|group| &group.threads).map(|thread| thread.name().as_str()).collect()
    }

    fn finished(&self) -> Ended {
        let threads = self.groups().into_iter().flat_map(|group| &group.threads);
        threads.filter(|thread| thread.is_finished()).map(Thread::name).collect()
    }

    fn running(&self, ended: &Ended) -> Vec<&'static str> {
        let threads = self.groups().into_iter().flat_map(|group| &group.threads);
        threads.map(Thread::name).filter(|name| !ended.contains(name)).map(ThreadName::as_str).collect()
    }
}

impl Group {
    fn stop(&mut self) {
        self.stops.clear();
    }

    /// ORDER: a thread's exit report comes after its last event, and events are handled before reports;
    /// so once this is true, nothing that the group said is unheard.
    fn has_ended(&self, ended: &Ended) -> bool {
        self.threads.iter().all(|thread| ended.contains(&thread.name()))
    }
}

/// The threads whose exit report has come.
type Ended = BTreeSet<ThreadName>;

/// Somebody signalled again.
struct AtOnce;

/// Leaves.
pub(super) fn run(mut state: State, mut inbox: Inbox, mut workers: Workers, reason: ExitReason) -> Departure {
    let whole = Deadline::after(WHOLE);
    state.publish_health(Some(Phase::Stopping));
    // The loop has taken the reports of those that ended before.
    let mut ended = workers.finished();
    if phases(&mut state, &mut inbox, &mut workers, &mut ended, whole).is_err() {
        log::warn!("a second signal: leaving at once");
    }
    let stragglers = workers.running(&ended);
    if !stragglers.is_empty() {
        log::warn!("left without waiting for {}", stragglers.join(", "));
    }
    Departure { reason, stragglers }
}

fn phases(state: &mut State, inbox: &mut Inbox, workers: &mut Workers, ended: &mut Ended, whole: Deadline) -> Result<(), AtOnce> {
    workers.intake.stop();
    workers.work.stop();
    let checkpoint = whole.or_after(CHECKPOINT);
    wait(state, inbox, ended, checkpoint, |_, ended| workers.work.has_ended(ended))?;
    let flushed = whole.or_after(REPORTS);
    // Without a broker, or without a session, there is nothing to wait for: the journal keeps the events.
    wait(state, inbox, ended, flushed, |state, _| !state.deliveries_are_near() && (state.session.owed() == 0 || !state.session.is_open()))?;
    workers.farewell.stop();
    workers.reports.stop();
    let farewell = whole.or_after(FAREWELL);
    wait(state, inbox, ended, farewell, |_, ended| workers.farewell.has_ended(ended))?;
    workers.rest.stop();
    wait(state, inbox, ended, whole, |_, ended| workers.groups().iter().all(|group| group.has_ended(ended)))
}

/// Handles what still comes in until `done`, the deadline or a second signal.
fn wait(
    state: &mut State,
    inbox: &mut Inbox,
    ended: &mut Ended,
    deadline: Deadline,
    done: impl Fn(&State, &Ended) -> bool,
) -> Result<(), AtOnce> {
    while !done(state, ended) && !deadline.has_passed() {
        let closed = select_biased! {
            recv(inbox.signals) -> signal => match signal {
                Ok(Signal::Leave) => return Err(AtOnce),
                Ok(Signal::Reload) => None,
                Err(_) => Some(Closed::Signals),
            },
            recv(inbox.docker) -> event => event.map_or(Some(Closed::Docker), |event| { state.on_docker(event); state.write_ends(); None }),
            recv(inbox.reports) -> event => event.map_or(Some(Closed::Reports), |event| { state.on_kafka(event); None }),
            recv(inbox.control_plane) -> event => event.map_or(Some(Closed::ControlPlane), |event| { drop(state.take_down(event)); None }),
            recv(inbox.session) -> event => event.map_or(Some(Closed::Session), |event| { state.on_session_while_leaving(event); None }),
            recv(inbox.ipc) -> event => event.map_or(Some(Closed::Ipc), |event| { state.on_ipc_while_leaving(event); None }),
            recv(inbox.updates) -> event => event.map_or(Some(Closed::Updates), |event| { state.on_update_while_leaving(event); None }),
            recv(inbox.exits) -> exit => exit.map_or(Some(Closed::Exits), |exit| { ended.insert(exit.thread); None }),
            recv(crossbeam_channel::at(deadline.instant())) -> _ => None,
        };
        if let Some(closed) = closed {
            inbox.forget(closed);
        }
        state.flush_reports();
    }
    Ok(())
}
