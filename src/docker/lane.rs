//! A lane takes one command after another and runs each in a room of its own.
//!
//! Owns the bodies of the threads `docker-lane-N` and `docker-query`. Jobs come from the coordinator,
//! events go back to it. Between two commands a lane waits for the next or for the stop, on nothing else.

use super::client::Client;
use super::events::{Engine, is_pending, role};
use super::follow::Running;
use super::notebook::Notebook;
use super::room::{End, Halt, Lane, Room};
use super::types::{Info, SwarmInfo};
use super::{Entry, Event, Job, Settings, SwarmRole, Swarmless, deploy, logs, prune, remove, scale, status, swarm};
use crate::domain::{Action, Code, Command, CommandId, Ledger, Outcome, Scope, Timestamp};
use crate::stack::Veil;
use crate::threads::{Deadline, Errand, Published, Stop, at_rest};
use crossbeam_channel::{Receiver, Sender, select_biased};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// No command runs for longer, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// A query that has not ended by then finds an engine that does not answer.
const QUERY: Duration = Duration::from_secs(60);
/// An engine gives up joining after 20 s, and leaves when its containers have ended.
const SWARM: Duration = Duration::from_secs(180);
/// How long to wait before an engine that is joining its swarm is asked again.
const PENDING_WAIT: Duration = Duration::from_millis(500);

/// What the lanes and the query thread share.
pub(super) struct Work {
    pub(super) settings: Published<Settings>,
    pub(super) client: Client,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) engine: Arc<Engine>,
    pub(super) events: Sender<Event>,
    pub(super) stop: Stop,
    /// The logs that are followed.
    pub(super) following: Arc<Running>,
}

impl Work {
    /// Some threads wait in a read: whoever leaves closes their sockets.
    pub(super) fn close(&self) {
        self.engine.close();
        self.following.close();
    }
}

/// The body of a lane and of the query thread.
pub(super) fn run(work: &Work, jobs: &Receiver<Job>) -> Result<(), Infallible> {
    loop {
        select_biased! {
            recv(work.stop.receiver()) -> _ => break,
            recv(jobs) -> job => match job {
                Ok(job) => carry_out(work, &job),
                Err(_) => break,
            },
        }
    }
    work.close();
    Ok(())
}

fn carry_out(work: &Work, job: &Job) {
    let command = &*job.command;
    let veil = Arc::new(veil(command));
    let of_words = Arc::clone(&veil);
    let _errand = Errand::of(command.errand()).behind(move |text| of_words.text(text)).begin();
    let watch = work.engine.changes.watch(command.id, command.action.target().map(|target| &target.stack));
    let settings = work.settings.newest();
    let ledger = Notebook::over(&*work.ledger);
    let lane = Lane { client: &work.client, ledger: &ledger, settings: &settings, events: &work.events, stop: &work.stop, veil: &veil };
    let deadline = Deadline::after(time_of(command, &settings));
    let room = Room::new(&lane, job, deadline, &watch);
    let end = dispatch(work, &room);
    let event = match end {
        End::Finished(outcome) => {
            ledger.hand_in();
            Event::Finished(command.id, veiled(&veil, outcome))
        }
        End::Suspended => suspended(command.id, &ledger),
    };
    // It may wait for room; nobody listens any more only once the process leaves.
    let _gone = work.events.send(event);
    at_rest();
}

/// It goes on at the next start, from what is on disk by then.
fn suspended(id: CommandId, ledger: &Notebook<'_>) -> Event {
    if let Err(error) = ledger.flush() {
        log::warn!("what command {id} did last is not written down, and is looked at when it goes on: {error}");
    }
    Event::Suspended(id)
}

/// What must not be said of a command: the engine's words repeat what its variables have brought into a spec.
fn veil(command: &Command) -> Veil {
    match &command.action {
        Action::Deploy(deploy) => Veil::over(deploy.env.reveal()),
        _ => Veil::default(),
    }
}

fn veiled(veil: &Veil, mut outcome: Outcome) -> Outcome {
    veil.fields(&mut outcome.details);
    Outcome { message: veil.text(outcome.message), ..outcome }
}

/// A command's time counts from its lane, again after a restart.
fn time_of(command: &Command, settings: &Settings) -> Duration {
    let seconds = match &command.action {
        Action::Deploy(deploy) => deploy.timeout_seconds,
        Action::Scale(scale) => scale.timeout_seconds,
        Action::Restart(services) | Action::Stop(services) | Action::Start(services) => services.timeout_seconds,
        Action::Rollback(rollback) => rollback.timeout_seconds,
        Action::Remove(_) | Action::Prune(_) => None,
        Action::SwarmInit(_) | Action::SwarmJoin(_) | Action::SwarmLeave(_) => return SWARM,
        Action::GetStatus(_) | Action::Logs(_) => return QUERY,
        Action::Cancel(_) | Action::Pause | Action::Resume | Action::HealthCheck | Action::Update(_) => return QUERY,
    };
    seconds.map_or(settings.deploy_timeout, Duration::from_secs).min(LONGEST)
}

fn dispatch(work: &Work, room: &Room<'_>) -> End {
    // Only queries wait here for their turn.
    let waited = room.command.action.changes() == Scope::Nothing;
    if let Some(outcome) = Outcome::expired(room.command, Timestamp::from(SystemTime::now())).filter(|_| waited) {
        return End::Finished(outcome);
    }
    // What was begun before may have changed something: its verb decides what a cancellation means.
    let uncancelled = (room.entry == Entry::Resumed).then(|| room.extended(room.deadline));
    let info = match settled_info(work, uncancelled.as_ref().unwrap_or(room)) {
        Ok(info) => info,
        Err(end) => return end,
    };
    let info = match make_swarm(work, room, info) {
        Ok(info) => info,
        Err(end) => return end,
    };
    let role = role(&info);
    match (&room.command.action, role) {
        (Action::SwarmInit(request), _) => swarm::init(room, request, &info),
        (Action::SwarmJoin(request), _) => swarm::join(room, request, &info),
        (Action::SwarmLeave(request), _) => swarm::leave(room, *request, &info),
        (Action::Prune(request), role) => prune::run(room, request, role),
        (Action::GetStatus(query), _) => status::run(room, query, role),
        (Action::Logs(request), SwarmRole::Manager) => logs::run(room, request),
        (Action::Cancel(_) | Action::Pause | Action::Resume | Action::HealthCheck | Action::Update(_), _) => {
            refused(Code::UNSUPPORTED, "no lane has a part in this command")
        }
        (_, SwarmRole::Inactive) => refused(Code::SWARM_INACTIVE, &inactive(&info.swarm)),
        (_, SwarmRole::Worker) => refused(
            Code::NOT_MANAGER,
            "this node is a worker: send the command to the agent of a manager, or run `docker node promote` for this node on one",
        ),
        (Action::Deploy(request), SwarmRole::Manager) => deploy::run(room, request),
        (Action::Remove(request), SwarmRole::Manager) => remove::run(room, request),
        (Action::Scale(request), SwarmRole::Manager) => scale::run(room, request),
        (Action::Restart(request), SwarmRole::Manager) => deploy::restart(room, request),
        (Action::Stop(request), SwarmRole::Manager) => deploy::stop(room, request),
        (Action::Start(request), SwarmRole::Manager) => deploy::start(room, request),
        (Action::Rollback(request), SwarmRole::Manager) => deploy::roll_back(room, request),
    }
}

/// A command for a stack makes a swarm of an engine that is in none, where the configuration wants that.
fn make_swarm(work: &Work, room: &Room<'_>, info: Info) -> Result<Info, End> {
    let is_for_a_stack = matches!(room.command.action.changes(), Scope::Stack(_));
    if room.settings.swarmless == Swarmless::Refused || !is_for_a_stack || !swarm::is_out(&info) {
        return Ok(info);
    }
    swarm::make_one(room)?;
    settled_info(work, room)
}

fn refused(code: Code, message: &str) -> End {
    End::Finished(Outcome::failed(code, message))
}

/// Why the engine takes part in no swarm, with the next step.
fn inactive(swarm: &SwarmInfo) -> String {
    match swarm.local_node_state.as_str() {
        "locked" => "the swarm is locked since the engine started: run `docker swarm unlock` on this host".to_owned(),
        "error" => format!("the engine cannot take part in its swarm: {}; see its log, or leave the swarm and join again", swarm.error),
        "pending" => "the engine is still joining its swarm: see that its managers can be reached".to_owned(),
        _ => "the engine is in no swarm: run `docker swarm init` on this host, or join it to a swarm as a manager (docker.swarm_auto_init \
              makes a swarm of one)"
            .to_owned(),
    }
}

/// Looks at the engine itself: what the event stream saw last may be older than this command.
fn settled_info(work: &Work, room: &Room<'_>) -> Result<Info, End> {
    loop {
        let info = room.observe(Client::info)?;
        work.engine.seen(&room.client, &info);
        if !is_pending(&info) {
            return Ok(info);
        }
        match room.wait_for_change(PENDING_WAIT) {
            Ok(()) => {}
            // It is still joining: that is its role for this command.
            Err(Halt::TimedOut) => return Ok(info),
            Err(halt) => return Err(halt.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_being_in_no_swarm_has_its_next_step() {
        for (state, error, words) in [
            ("inactive", "", "docker swarm init"),
            ("locked", "", "docker swarm unlock"),
            ("error", "certificate has expired", "certificate has expired"),
            ("pending", "", "managers can be reached"),
        ] {
            let swarm = SwarmInfo { local_node_state: state.into(), control_available: false, error: error.into(), node_id: String::new() };
            assert!(inactive(&swarm).contains(words), "{}", inactive(&swarm));
        }
    }
}
