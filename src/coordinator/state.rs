//! What the coordinator knows: admitted commands, positions, events on their way, the dependencies.

use super::ExitReason;
use super::book::Book;
use super::marks::Marks;
use super::on_docker::Ending;
use super::on_ipc::Listeners;
use super::on_link::Links;
use super::on_report::{Ended, Reports};
use super::on_session::Upstream;
use super::on_topic::Standing;
use super::rules::Rules;
use crate::docker::{Follows, Job, QUERIES};
use crate::domain::{
    Action, Admission, Admitted, AgentId, Command, CommandId, Event, EventKind, Health, LastCommand, Outcome, Phase, Position, Reader,
    Recent, StackBrief, StackName, Stage, Timestamp, UpdateOffer, WINDOW, Way,
};
use crate::journal::{Entry, Journal, Recovered};
use crate::telemetry::Metrics;
use crate::threads::{Published, Stop, StopSource, stop_pair};
use crate::{control_plane, kafka, update};
use crossbeam_channel::Sender;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Events that the broker has not confirmed; beyond it no further command is read. They are in the
/// journal, so this bounds memory, not safety: an answer about many stacks takes some ten times its length, and when brokers
/// come back to a backlog there are as many at once as may be. More than a transaction takes, so that the next one is ready.
const MAX_UNCONFIRMED: usize = 384;
/// The same in bytes: a dead letter, or the state of many stacks, may take a megabyte. One more may come on top.
const MAX_UNCONFIRMED_BYTES: usize = 16 << 20;
/// What one command takes of the queue to the producer, at most, before the next one is read: its `CommandAccepted`, its end
/// if it is refused, and a mark.
const REQUESTS_OF_ONE: usize = 3;

/// Where the coordinator hands work to.
#[derive(Debug, Clone)]
pub struct Ports {
    /// To the deploy lanes.
    pub jobs: Sender<Job>,
    /// To the query thread.
    pub queries: Sender<Job>,
    /// To the producer, once there is one.
    pub producer: Option<Sender<kafka::Request>>,
    /// Low-water marks to the consumer, which commits them for people's tools.
    pub commits: Option<Sender<Position>>,
    /// To the control plane's session, if there is one.
    pub session: Option<Sender<control_plane::SessionRequest>>,
    /// Where logs are followed.
    pub follows: Follows,
    /// To the thread that updates the agent, if there is one.
    pub updates: Option<Sender<update::Request>>,
}

/// What everybody may look at.
#[derive(Debug, Clone)]
pub struct Shown {
    /// How the agent is.
    pub health: Published<Health>,
    /// The commands of late.
    pub recent: Published<Recent>,
}

/// A command that is admitted and has no terminal event yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) command: Arc<Command>,
    pub(super) way: Way,
    /// Who is owed its end.
    pub(super) readers: BTreeSet<Reader>,
    pub(super) entry: crate::domain::Entry,
    /// When this process took it up.
    pub(super) since: Timestamp,
    /// The number of its next progress event.
    pub(super) progress: u32,
    /// Dropped, it cancels the command.
    pub(super) cancel: Option<StopSource>,
    /// What the command hears of it.
    pub(super) cancelled: Stop,
}

/// The state. Built by the wiring, changed by the loop alone.
pub struct State {
    pub(super) agent: Option<AgentId>,
    pub(super) rules: Rules,
    pub(super) ports: Ports,
    pub(super) journal: Box<dyn Book>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) admission: Admission,
    pub(super) open: HashMap<CommandId, Open>,
    pub(super) marks: Marks,
    pub(super) standing: Standing,
    pub(super) reports: Reports,
    pub(super) session: Upstream,
    pub(super) listeners: Listeners,
    pub(super) links: Links,
    pub(super) last_command: Option<LastCommand>,
    pub(super) update_offered: Option<UpdateOffer>,
    /// The stacks that have an owner, as the journal has them.
    pub(super) stacks: Arc<BTreeMap<StackName, StackBrief>>,
    /// The Cancel commands that wait for the end of another, by that one.
    pub(super) cancels: BTreeMap<CommandId, Vec<CommandId>>,
    /// Since when nothing starts that changes something.
    pub(super) paused: Option<Timestamp>,
    /// When a broker has last confirmed something, or the agent has begun.
    pub(super) delivered_at: Instant,
    /// Commands that were taken in and are not on disk yet: only within a burst.
    pub(super) accepting: Vec<Entry>,
    /// Commands that have ended, where that is not on disk yet: only within a burst.
    pub(super) ending: Vec<Ending>,
    health: Published<Health>,
    failure: Option<ExitReason>,
    recovered: Vec<Entry>,
}

impl State {
    /// Starts from what the journal held.
    #[must_use]
    pub fn new(
        agent: Option<AgentId>,
        rules: Rules,
        ports: Ports,
        journal: Journal,
        metrics: Arc<Metrics>,
        shown: Shown,
        recovered: Recovered,
    ) -> Self {
        Self::over(Box::new(journal), agent, rules, ports, (metrics, shown), recovered)
    }

    pub(super) fn over(
        journal: Box<dyn Book>,
        agent: Option<AgentId>,
        rules: Rules,
        ports: Ports,
        (metrics, Shown { health, recent }): (Arc<Metrics>, Shown),
        recovered: Recovered,
    ) -> Self {
        let mut admission = Admission::new(rules.lanes, QUERIES);
        if recovered.paused.is_some() {
            admission.pause();
        }
        metrics.observe_health(health.newest());
        Self {
            agent,
            admission,
            rules,
            ports,
            journal,
            metrics,
            open: HashMap::new(),
            marks: Marks::starting_at(recovered.positions),
            standing: Standing::default(),
            reports: Reports::default(),
            session: Upstream::default(),
            listeners: Listeners::new(recent, Recent::of(recovered.past)),
            links: Links::new(&health.newest()),
            last_command: None,
            update_offered: None,
            stacks: Arc::new(recovered.stacks),
            cancels: BTreeMap::new(),
            paused: recovered.paused,
            delivered_at: Instant::now(),
            accepting: Vec::new(),
            ending: Vec::new(),
            health,
            failure: None,
            recovered: recovered.entries,
        }
    }

    /// Takes in again what was accepted and not reported before the last end of the process.
    ///
    /// It waits for the identity: the events carry it.
    pub fn resume(&mut self) {
        if self.agent.is_none() {
            return;
        }
        let recovered = std::mem::take(&mut self.recovered);
        if let Some(since) = self.paused {
            log::warn!("paused since {since}: nothing starts that changes something, until a Resume comes");
        }
        if !recovered.is_empty() {
            log::info!("the journal holds {} commands without a confirmed end: they go on", recovered.len());
        }
        for entry in recovered {
            if let Some(position) = entry.way.position() {
                self.marks.hold(position);
            }
            match entry.terminal {
                Some(terminal) => {
                    let timely_until = self.timely_until(&entry.command);
                    let mut readers = entry.way.readers(self.has_topic());
                    readers.retain(|reader| !entry.heard.contains(reader));
                    self.report_terminal(Ended { command: entry.command.id, way: entry.way, readers, timely_until }, terminal);
                }
                None => {
                    let id = entry.command.id;
                    self.admit(Arc::new(entry.command), entry.way, entry.accepted_at, crate::domain::Entry::Resumed);
                    // A reader drops an event whose id it knows: what is told from here on must not have the number of
                    // something else that the process before has told. It told no more than one a millisecond.
                    let told = now().since(entry.accepted_at).as_millis();
                    if let Some(open) = self.open.get_mut(&id) {
                        open.readers.retain(|reader| !entry.heard.contains(reader));
                        open.progress = u32::try_from(told).unwrap_or(u32::MAX).min(u32::MAX / 2);
                    }
                }
            }
        }
        self.settle();
    }

    /// Whether a further record may be taken in.
    #[must_use]
    pub fn wants_commands(&self) -> bool {
        let has_window = !self.admission.is_full() && self.open.len() + self.accepting.len() < WINDOW;
        self.standing.is_open() && has_window && !self.is_backed_up(1) && self.can_tell_one_more()
    }

    /// Whether what is told of a further command finds room on its way to the producer: no `CommandAccepted` is shed because
    /// commands come faster than events go. It ends with the next delivery, which wakes the loop.
    fn can_tell_one_more(&self) -> bool {
        let Some(producer) = &self.ports.producer else { return true };
        let spoken_for = REQUESTS_OF_ONE * (self.accepting.len() + self.reports.waiting() + 1);
        producer.capacity().is_none_or(|capacity| producer.len() + spoken_for <= capacity)
    }

    /// Whether what the broker has not confirmed takes so many times the room that is meant for it.
    pub(super) fn is_backed_up(&self, times: usize) -> bool {
        self.reports.unconfirmed() >= times * MAX_UNCONFIRMED || self.reports.unconfirmed_bytes() >= times * MAX_UNCONFIRMED_BYTES
    }

    /// Why the agent has to leave, if it has to.
    #[must_use]
    pub fn failure(&mut self) -> Option<ExitReason> {
        self.failure.take()
    }

    pub(super) fn fail(&mut self, reason: ExitReason) {
        self.failure.get_or_insert(reason);
    }

    /// Ends a turn of the loop: writes down what came in and what has ended, hands out what may start, sends what waits,
    /// publishes what is so.
    pub fn settle(&mut self) {
        self.let_in();
        self.write_ends();
        self.hand_out();
        self.flush_reports();
        self.publish_health(None);
        self.listeners.publish();
    }

    pub(super) fn admit(&mut self, command: Arc<Command>, way: Way, accepted_at: Timestamp, entry: crate::domain::Entry) {
        let ((cancel, cancelled), readers) = (stop_pair(), way.readers(self.has_topic()));
        let (since, cancel) = (now(), Some(cancel));
        self.listeners.note(|recent| recent.accepted(&command, &way, accepted_at));
        let open = Open { command: Arc::clone(&command), way, readers, entry, since, progress: 0, cancel, cancelled };
        self.open.insert(command.id, open);
        if entry == crate::domain::Entry::Fresh {
            let payload = self.acceptance(&command);
            self.tell(&command, EventKind::CommandAccepted, Stage::Accepted, payload);
        }
        match &command.action {
            Action::Cancel(cancel) => self.on_cancel(&command, cancel.command),
            Action::Pause => self.on_pause(command.id),
            Action::Resume => self.on_resume(command.id),
            Action::HealthCheck => self.on_health_check(command.id),
            // It is on trial, or was returned from: nothing waits for its end.
            Action::Update(_) if entry == crate::domain::Entry::Resumed && self.was_begun(command.id) => {
                self.hand_to_update(&command, entry)
            }
            _ if entry == crate::domain::Entry::Resumed && self.was_begun(command.id) => self.admission.admit_begun(command),
            _ => self.admission.admit(command),
        }
    }

    /// What is told of a command that was accepted, and what it waits for.
    fn acceptance(&self, command: &Command) -> Value {
        let mut payload = json!({"command_type": command.action.name()});
        let ahead = self.admission.ahead_of(command);
        if let Some(ahead) = ahead {
            payload["waits_for"] = json!(ahead);
        }
        let of_ahead = ahead.map(|ahead| format!("waits for command {ahead}, which came before it"));
        let of_pause = self.admission.holds_back(command).then(|| "waits until the agent is resumed".to_owned());
        let reasons: Vec<String> = of_ahead.into_iter().chain(of_pause).collect();
        if !reasons.is_empty() {
            payload["message"] = json!(reasons.join("; "));
        }
        payload
    }

    fn hand_out(&mut self) {
        let Some(agent) = self.agent.clone().filter(|_| self.standing != Standing::Fenced) else { return };
        while let Some(admitted) = self.admission.next() {
            let (Admitted::Changing(command) | Admitted::Reading(command)) = &admitted;
            if let Some(outcome) = self.too_late(command) {
                self.on_finished(command.id, &outcome);
                continue;
            }
            let (command, port) = match &admitted {
                Admitted::Changing(command) => (command, &self.ports.jobs),
                Admitted::Reading(command) => (command, &self.ports.queries),
            };
            let entry = self.open.get(&command.id).map_or(crate::domain::Entry::Fresh, |open| open.entry);
            if let Action::Update(_) = command.action {
                let command = Arc::clone(command);
                self.listeners.note(|recent| recent.started(command.id, now()));
                self.hand_to_update(&command, entry);
                continue;
            }
            let cancelled = self.open.get(&command.id).map_or_else(Stop::never, |open| open.cancelled.clone());
            let job = Job { command: Arc::clone(command), agent: agent.clone(), entry, cancelled };
            // Admission gives out no more than there are takers, and each port has room for all of them.
            if let Err(error) = port.try_send(job) {
                self.fail(ExitReason::Vital(format!("a command could not be handed to its thread: {error}")));
                return;
            }
            let command = Arc::clone(command);
            self.listeners.note(|recent| recent.started(command.id, now()));
            if let Some(begins) = EventKind::of_begin(&command.action) {
                self.tell(&command, begins, Stage::Started, started_payload(&command));
            }
        }
    }

    /// A command that expired while it waited must not start any more. One that was begun before the last end of
    /// the process goes on: it may have changed half of its stack.
    fn too_late(&mut self, command: &Command) -> Option<Outcome> {
        let outcome = Outcome::expired(command, now())?;
        (!self.was_begun(command.id)).then_some(outcome)
    }

    /// Whether a command may have changed something.
    pub(super) fn was_begun(&mut self, command: CommandId) -> bool {
        match self.journal.has_begun(command) {
            Ok(begun) => begun,
            Err(error) => {
                self.fail(ExitReason::Journal(error.to_string()));
                true
            }
        }
    }

    /// Sends an event that may be shed: the terminal one says all that matters.
    pub(super) fn tell(&mut self, command: &Command, kind: EventKind, stage: Stage, payload: serde_json::Value) {
        let (Some(agent), Some(open)) = (&self.agent, self.open.get(&command.id)) else { return };
        let event = Arc::new(Event::of_command(agent, command, kind, stage, payload, now()));
        let readers = open.readers.clone();
        if self.listeners.hears(command.id) {
            self.listeners.tell(&event);
        }
        if readers.contains(&Reader::Session) {
            self.tell_session_lightly(&event);
        }
        if readers.contains(&Reader::Topic) {
            self.report_lightly(Arc::unwrap_or_clone(event));
        }
    }

    /// INVARIANT: no id is forgotten whose record could be read again after a restart.
    pub(super) fn forget_old_ids(&mut self) {
        if !self.marks.are_at_rest() {
            return;
        }
        if let Err(error) = self.journal.forget_known(now()) {
            self.fail(ExitReason::Journal(error.to_string()));
        }
    }

    /// The newest snapshot.
    pub(super) fn health(&self) -> Arc<Health> {
        self.health.newest()
    }

    /// Publishes the snapshot; `phase` overrides what follows from the dependencies.
    pub(super) fn publish_health(&mut self, phase: Option<Phase>) {
        let health = Health {
            phase: phase.unwrap_or_else(|| Health::phase_of(self.links.dependencies())),
            dependencies: self.links.dependencies().to_vec(),
            paused_since: self.paused,
            commands_open: self.admission.open(),
            events_unreported: self.reports.unconfirmed().max(self.session.owed()),
            last_command: self.last_command.clone(),
            update_offered: self.update_offered.clone(),
            stacks: Arc::clone(&self.stacks),
        };
        if *self.health.newest() != health {
            self.health.publish(health);
            self.metrics.observe_health(self.health.newest());
        }
    }
}

/// The clock of the events.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::from(SystemTime::now());
    #[cfg(test)]
    let now = Timestamp::from_millis(now.as_millis() + SKEW.get());
    now
}

#[cfg(test)]
thread_local! {
    static SKEW: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

/// The clock of this test's thread goes wrong by so many milliseconds.
#[cfg(test)]
pub(super) fn skew(millis: i64) {
    SKEW.set(millis);
}

fn started_payload(command: &Command) -> serde_json::Value {
    let target = command.action.target();
    json!({
        "project_id": target.map(|target| target.project.as_str()),
        "stack_name": target.map(|target| target.stack.as_str()),
        "status": "Started",
        "message": format!("the {} begins", command.action.name().to_lowercase()),
        "details": {},
    })
}

#[cfg(test)]
impl State {
    /// Another one that goes on from here, as if it had come here by itself.
    pub(super) fn fork(&self, journal: Box<dyn Book>) -> Self {
        let open = |open: &Open| {
            let (cancel, cancelled) = stop_pair();
            Open {
                command: Arc::clone(&open.command),
                way: open.way.clone(),
                readers: open.readers.clone(),
                cancel: Some(cancel),
                cancelled,
                ..*open
            }
        };
        Self {
            agent: self.agent.clone(),
            rules: self.rules.clone(),
            ports: self.ports.clone(),
            journal,
            metrics: Arc::clone(&self.metrics),
            admission: self.admission.clone(),
            open: self.open.iter().map(|(&id, command)| (id, open(command))).collect(),
            marks: self.marks.clone(),
            standing: self.standing,
            reports: self.reports.clone(),
            session: Upstream::default(),
            listeners: Listeners::new(Published::new(Recent::default()), Recent::default()),
            links: Links::new(&self.health()),
            last_command: self.last_command.clone(),
            update_offered: self.update_offered.clone(),
            stacks: Arc::clone(&self.stacks),
            cancels: self.cancels.clone(),
            paused: self.paused,
            delivered_at: self.delivered_at,
            // Both are empty between two turns.
            accepting: Vec::new(),
            ending: Vec::new(),
            health: self.health.clone(),
            failure: self.failure.clone(),
            recovered: self.recovered.clone(),
        }
    }
}
