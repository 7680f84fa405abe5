//! The coordinator by transcript: events in, requests and journal lines out, no worker threads.

mod cancelling;
mod exactly_once;
mod jumping;
mod leaving;
mod local;
mod losing;
mod pausing;
mod refusing;
mod reloading;
mod search;
mod sessions;
mod watched;

use super::rules;
use super::state::{Ports, Shown, State};
use super::*;
use crate::docker::Job;
use crate::domain::{
    Action, AgentId, Code, Command, CommandId, Context, DependencyState, Deploy, EventKind, GetStatus, Health, Ledger as _, LinkState,
    Note, Outcome, Position, Progress, ProjectId, Recent, Refusal, Remove, Sensitive, StackName, Step, Target, Timestamp,
};
use crate::journal::{self, Journal};
use crate::kafka::{DeadLetter, Event, Inbound, Receipt, Request, Side};
use crate::telemetry::Metrics;
use crate::threads::{Published, Thread, Waited, stop_pair};
use crossbeam_channel::bounded;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// A coordinator whose ports end in the test.
struct Desk {
    folder: Folder,
    state: State,
    journal: Journal,
    writer: Thread,
    jobs: Receiver<Job>,
    queries: Receiver<Job>,
    published: Receiver<Request>,
    said: Receiver<control_plane::SessionRequest>,
    health: Published<Health>,
    recent: Published<Recent>,
}

/// A state directory that goes with its desk, or with the last of those that come after a crash.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Desk {
    fn new() -> Self {
        Self::over(Folder(std::env::temp_dir().join(format!("axion-desk-{}", Uuid::new_v4()))))
    }

    fn over(folder: Folder) -> Self {
        Self::with(folder, DependencyState::Connecting)
    }

    fn with(folder: Folder, kafka: DependencyState) -> Self {
        let (exits, _) = bounded(1);
        let (journal, recovered, writer) = journal::open(&folder.0, exits).unwrap();
        let (jobs_in, jobs) = bounded(2);
        let (queries_in, queries) = bounded(docker::QUERIES);
        let (producer, published) = bounded(1000);
        let (session, said) = bounded(control_plane::SESSION_REQUESTS);
        let (follows, _) = docker::Follows::unread();
        let (producer, session) = (Some(producer), Some(session));
        let ports = Ports { jobs: jobs_in, queries: queries_in, producer, commits: None, session, follows, updates: None };
        let rules = rules::tests::open(2);
        let configured = Configured { kafka, control_plane: DependencyState::Off, local_socket: DependencyState::Off };
        let health = Published::new(initial_health(configured, LinkState::Up, rules::tests::open(2).patience(), Timestamp::from_millis(0)));
        let shown = Shown { health: health.clone(), recent: Published::new(Recent::default()) };
        let recent = shown.recent.clone();
        let agent = Some(AgentId::new("a").unwrap());
        let metrics = Arc::new(Metrics::default());
        let mut state = State::new(agent, rules, ports, journal.clone(), metrics, shown, recovered);
        state.resume();
        Self { folder, state, journal, writer, jobs, queries, published, said, health, recent }
    }

    /// Ends as after kill -9: what is on disk is all that is left.
    fn crash(self) -> Self {
        drop((self.state, self.journal));
        self.writer.join();
        Self::over(self.folder)
    }

    fn read(&mut self, offset: i64, inbound: Inbound) {
        self.state.on_kafka(Event::Read(position(offset), Box::new(inbound)));
        self.state.settle();
    }

    fn finish(&mut self, n: u128, outcome: Outcome) {
        self.state.on_docker(docker::Event::Finished(id(n), outcome));
        self.state.settle();
    }

    fn deliver(&mut self, receipt: Receipt) {
        self.state.on_kafka(Event::Delivered(receipt));
        self.state.settle();
    }

    /// The kinds of the events that were handed to the producer, with the receipt of the terminal one.
    fn out(&self) -> (Vec<EventKind>, Option<Receipt>) {
        let mut terminal = None;
        let kinds = self
            .published
            .try_iter()
            .filter_map(|request| match request {
                Request::Publish(receipt, event) => {
                    terminal = if event.terminal { Some(receipt) } else { terminal };
                    Some(event.kind)
                }
                Request::Bury(receipt, _) => {
                    terminal = Some(receipt);
                    None
                }
                Request::Mark(_) => None,
            })
            .collect();
        (kinds, terminal)
    }

    fn running(&self) -> Vec<u128> {
        self.jobs.try_iter().chain(self.queries.try_iter()).map(|job| job.command.id.0.as_u128()).collect()
    }

    fn mark(&self) -> Option<i64> {
        self.state.marks.confirmed(&position(0).topic, 0)
    }
}

fn id(n: u128) -> CommandId {
    CommandId(Uuid::from_u128(n))
}

fn position(offset: i64) -> Position {
    Position { topic: "runner.commands.a".into(), partition: 0, offset }
}

fn command(n: u128, action: Action) -> Command {
    Command { id: id(n), action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() }
}

fn removal(n: u128, stack: &str) -> Command {
    let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new(stack).unwrap() };
    command(n, Action::Remove(Remove { target, volumes: false }))
}

fn remove(n: u128, stack: &str) -> Inbound {
    Inbound::Command(removal(n, stack))
}

fn deployment(n: u128, stack: &str) -> Command {
    let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new(stack).unwrap() };
    command(n, Action::Deploy(Deploy::of(target, String::new())))
}

fn status(n: u128) -> Command {
    command(n, Action::GetStatus(GetStatus { target: None }))
}

#[test]
fn a_command_is_accepted_carried_out_and_reported_once() {
    let mut desk = Desk::new();
    desk.read(5, remove(1, "s"));
    assert_eq!(desk.running(), [1]);
    assert_eq!(desk.out().0, [EventKind::CommandAccepted]);
    assert_eq!(desk.mark(), Some(5));

    desk.finish(1, Outcome::completed("gone"));
    let (kinds, receipt) = desk.out();
    assert_eq!(kinds, [EventKind::CommandCompleted]);
    assert_eq!(desk.mark(), Some(5), "the mark waits for the broker's word");
    desk.deliver(receipt.unwrap());
    assert_eq!(desk.mark(), Some(6));
    assert_eq!(desk.health.newest().events_unreported, 0);

    desk.read(6, remove(1, "s"));
    assert_eq!(desk.running(), [] as [u128; 0], "a duplicate has no effect");
    assert_eq!(desk.out().0, [] as [EventKind; 0]);
    assert_eq!(desk.mark(), Some(7));
}

#[test]
fn after_a_crash_what_was_accepted_goes_on_and_what_was_finished_is_sent_again() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    desk.read(1, remove(2, "t"));
    desk.finish(1, Outcome::failed(Code::TIMED_OUT, "too slow"));
    let sent = desk.published.try_iter().last();

    let mut desk = desk.crash();
    let job = desk.jobs.try_recv().unwrap();
    assert_eq!((job.command.id, job.entry), (id(2), crate::domain::Entry::Resumed));
    let again = desk.published.try_recv().unwrap();
    let event = |request: &Request| match request {
        Request::Publish(_, event) => (event.id, event.kind, event.terminal),
        Request::Bury(..) | Request::Mark(_) => panic!("an event was expected"),
    };
    assert_eq!(event(&again), event(&sent.unwrap()), "the same event with the same id");

    // The topic is read again from the low-water mark: both records are known.
    desk.read(0, remove(1, "s"));
    desk.read(1, remove(2, "t"));
    assert_eq!(desk.running(), [] as [u128; 0]);
    assert_eq!(desk.mark(), Some(0), "neither is reported");
    let Request::Publish(receipt, _) = again else { panic!("an event was expected") };
    desk.deliver(receipt);
    assert_eq!(desk.mark(), Some(1));
}

#[test]
fn progress_after_a_restart_is_no_repeat_of_progress_before_it() {
    let mut desk = Desk::new();
    desk.read(0, Inbound::Command(deployment(1, "s")));
    let told = |desk: &mut Desk, phase| {
        desk.out();
        desk.state.on_docker(docker::Event::Progress(id(1), Progress::new(phase, "it goes on")));
        let Request::Publish(_, event) = desk.published.try_recv().unwrap() else { panic!("an event was expected") };
        event.id
    };
    let before = ["plan", "apply"].map(|phase| told(&mut desk, phase));
    let (_source, never) = stop_pair();
    assert_eq!(never.wait(Duration::from_millis(20)), Waited::Elapsed);
    let mut desk = desk.crash();
    let after = ["plan", "rollback"].map(|phase| told(&mut desk, phase));
    assert!(after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");
}

#[test]
fn an_id_is_known_until_its_command_has_expired() {
    let mut desk = Desk::new();
    let expires_at = Some(Timestamp::from(std::time::SystemTime::now()).plus(7 * desk.state.rules.max_command_age));
    desk.read(0, Inbound::Command(Command { expires_at, ..status(1) }));
    desk.read(1, Inbound::Command(status(2)));
    let age = desk.state.rules.max_command_age;
    // The sender's clock is ahead: the record is timely for longer than its age allows.
    let issued_at = Some(Timestamp::from(std::time::SystemTime::now()).plus(7 * age));
    desk.read(2, Inbound::Command(Command { issued_at, ..status(3) }));
    for n in [1, 2, 3] {
        desk.finish(n, Outcome::completed("all of it"));
        let (_, receipt) = desk.out();
        desk.deliver(receipt.unwrap());
    }
    let later = Timestamp::from(std::time::SystemTime::now()).plus(2 * desk.state.rules.max_command_age);
    desk.journal.forget_known(later).unwrap();
    assert_eq!([1, 2, 3].map(|n| desk.journal.knows(id(n)).unwrap()), [true, false, true]);
}

#[test]
fn a_refusal_is_the_commands_one_terminal_event() {
    let mut desk = Desk::new();
    let expired = Command { expires_at: Some(Timestamp::from_millis(1)), ..status(1) };
    desk.read(0, Inbound::Command(expired));
    let (kinds, receipt) = desk.out();
    assert_eq!(kinds, [EventKind::CommandRejected]);
    let refusal = Refusal {
        command_id: id(2),
        command_type: None,
        context: Context::default(),
        timely_until: None,
        code: Code::UNSUPPORTED,
        message: "no such command".into(),
    };
    desk.read(1, Inbound::Refused(refusal.clone()));
    desk.read(2, Inbound::Refused(refusal));
    assert_eq!(desk.out().0, [EventKind::CommandRejected], "a duplicate of a refusal is not answered twice");
    desk.deliver(receipt.unwrap());
    assert_eq!(desk.mark(), Some(1));
    assert!(desk.journal.knows(id(1)).unwrap());
}

#[test]
fn an_old_command_without_an_expiry_is_stale() {
    let mut desk = Desk::new();
    desk.read(0, Inbound::Command(Command { issued_at: Some(Timestamp::from_millis(1)), ..status(1) }));
    let Request::Publish(_, event) = desk.published.try_recv().unwrap() else { panic!("an event was expected") };
    assert_eq!(event.payload.pointer("/details/code").unwrap(), Code::STALE.as_str());
    assert!(event.terminal);
}

#[test]
fn a_deploy_that_its_lane_did_not_begin_says_that_it_has_changed_nothing() {
    let mut desk = Desk::new();
    let details = |desk: &mut Desk, n: u128, begun: &[Step]| {
        desk.read(n as i64, Inbound::Command(deployment(n, "s")));
        desk.journal.note(vec![Note::Intend(id(n), begun.to_vec())]).unwrap();
        desk.out();
        desk.finish(n, Outcome::failed(Code::SWARM_INACTIVE, "the engine is in no swarm"));
        let ends = desk.published.try_iter().filter_map(|request| match request {
            Request::Publish(_, event) if event.terminal => Some(event.payload["details"].clone()),
            _ => None,
        });
        ends.last().unwrap()
    };
    let told = details(&mut desk, 1, &[]);
    assert_eq!((&told["changed"], &told["rolled_back"]), (&json!(false), &json!(false)));
    let begun = [Step { operation: "service.update".into(), object: "s_web".into() }];
    let told = details(&mut desk, 2, &begun);
    assert_eq!((&told["changed"], &told["rolled_back"]), (&json!(true), &json!(false)), "an earlier process may have changed something");
}

#[test]
fn a_command_that_expired_before_its_turn_does_not_start() {
    let mut desk = Desk::new();
    let soon = Some(Timestamp::from(std::time::SystemTime::now()).plus(Duration::from_millis(200)));
    desk.read(0, remove(1, "s"));
    for n in [2, 3] {
        let Inbound::Command(second) = remove(n, "s") else { panic!("a command was expected") };
        desk.read(n as i64, Inbound::Command(Command { expires_at: soon, ..second }));
    }
    assert_eq!(desk.running(), [1]);
    // 3 was begun by an earlier process.
    let step = Step { operation: "service.remove".into(), object: "s_web".into() };
    desk.journal.note(vec![Note::Intend(id(3), vec![step])]).unwrap();
    let (_source, never) = stop_pair();
    assert_eq!(never.wait(Duration::from_millis(300)), Waited::Elapsed);
    desk.out();
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.running(), [3]);
    let answers: Vec<_> = desk.published.try_iter().collect();
    let codes = answers.iter().map(|request| match request {
        Request::Publish(_, event) => (event.kind, event.payload.pointer("/details/code").cloned().unwrap_or_default()),
        Request::Bury(..) | Request::Mark(_) => panic!("an event was expected"),
    });
    let expected = [(EventKind::CommandCompleted, serde_json::Value::Null), (EventKind::CommandFailed, Code::EXPIRED.as_str().into())];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
}

fn letter(offset: i64, length: usize) -> Inbound {
    Inbound::Unreadable(DeadLetter {
        position: position(offset),
        key: None,
        value: vec![b'{'; length],
        length,
        sha256: String::new(),
        code: Code::MALFORMED,
        message: "no JSON".into(),
        context: Context::default(),
    })
}

#[test]
fn a_dead_letter_moves_the_mark_once_it_is_buried() {
    let mut desk = Desk::new();
    desk.read(0, letter(0, 1));
    desk.read(1, Inbound::Command(status(1)));
    assert_eq!(desk.running(), [1], "the next command runs");
    let requests: Vec<Request> = desk.published.try_iter().collect();
    let [Request::Publish(report, event), Request::Bury(letter, _), Request::Publish(..)] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(event.kind, EventKind::ErrorReport);
    for (receipt, mark) in [(letter, 0), (report, 1)] {
        assert_eq!(desk.mark(), Some(0));
        desk.deliver(*receipt);
        assert_eq!(desk.mark(), Some(mark), "both must be confirmed");
    }
}

#[test]
fn large_dead_letters_that_nobody_confirms_do_not_pile_up() {
    let mut desk = Desk::new();
    let mut offset = 0;
    while desk.state.wants_commands() {
        assert!(offset < 17, "further ones are read");
        desk.read(offset, letter(offset, 1 << 20));
        offset += 1;
    }
    let buried: Vec<_> = desk.published.try_iter().collect();
    let receipts = buried.iter().filter_map(|request| match request {
        Request::Bury(receipt, _) | Request::Publish(receipt, _) => Some(*receipt),
        Request::Mark(_) => None,
    });
    for receipt in receipts {
        desk.deliver(receipt);
    }
    assert!(desk.state.wants_commands());
    assert_eq!(desk.mark(), Some(offset));
}

#[test]
fn no_command_is_read_whose_acceptance_would_be_shed() {
    let mut desk = Desk::new();
    let (producer, published) = bounded(16);
    desk.state.ports.producer = Some(producer);
    let (mut offset, mut accepted) = (0, 0);
    for _ in 0..3 {
        // As within a burst: they are taken in together.
        while desk.state.wants_commands() {
            desk.state.on_kafka(Event::Read(position(offset), Box::new(Inbound::Command(status(offset as u128 + 1)))));
            offset += 1;
        }
        desk.state.settle();
        let is_acceptance = |request: &Request| matches!(request, Request::Publish(_, event) if event.kind == EventKind::CommandAccepted);
        accepted += published.try_iter().filter(is_acceptance).count();
    }
    assert!(offset > 3, "{offset} were read");
    assert_eq!(accepted, usize::try_from(offset).unwrap());
}

#[test]
fn a_terminal_event_that_is_too_large_is_sent_in_short() {
    let mut desk = Desk::new();
    desk.read(0, Inbound::Command(status(1)));
    desk.finish(1, Outcome::completed("all of it").with("stacks", "x".repeat(100)));
    let (_, receipt) = desk.out();
    desk.state.on_kafka(Event::Undeliverable(receipt.unwrap(), "too large".into()));
    desk.state.settle();
    let Request::Publish(receipt, event) = desk.published.try_recv().unwrap() else { panic!("an event was expected") };
    assert!(event.terminal && event.payload.pointer("/details/stacks").is_none());
    desk.deliver(receipt);
    assert_eq!(desk.mark(), Some(1));
}

#[test]
fn health_follows_the_links() {
    let mut desk = Desk::new();
    let phase = |desk: &Desk| desk.health.newest().phase;
    assert_eq!(phase(&desk), crate::domain::Phase::Starting);
    let up = docker::EngineState::Up { version: "1".into(), api: "1.41".into(), swarm: docker::SwarmRole::Manager };
    desk.state.on_docker(docker::Event::Engine(up));
    for side in [Side::Consumer, Side::Producer, Side::DeadLetters] {
        desk.state.on_kafka(Event::Link(side, LinkState::Up));
    }
    desk.state.settle();
    assert_eq!(phase(&desk), crate::domain::Phase::Ready);
    desk.state.on_kafka(Event::Link(Side::Consumer, LinkState::Down("connection refused".into())));
    desk.state.settle();
    assert_eq!(phase(&desk), crate::domain::Phase::Degraded);
    let health = desk.health.newest();
    let consumer = health.dependencies.iter().find(|part| part.name == "kafka_consumer").unwrap();
    assert_eq!(consumer.last_error.as_deref(), Some("connection refused"));
}

#[test]
fn a_blink_is_degraded_and_ready_and_what_lasts_or_cannot_be_waited_for_is_not_ready() {
    let mut desk = Desk::new();
    let now = std::time::Instant::now();
    let patience = rules::tests::open(2).patience();
    let up = docker::EngineState::Up { version: "1".into(), api: "1.41".into(), swarm: docker::SwarmRole::Manager };
    let is_ready = |desk: &mut Desk, later: Duration| {
        desk.state.settle();
        let health = desk.health.newest();
        (health.phase, health.is_ready(now + later))
    };
    assert!(!is_ready(&mut desk, Duration::ZERO).1, "the engine was not reached yet");
    desk.state.on_docker(docker::Event::Engine(up.clone()));
    for side in [Side::Consumer, Side::Producer] {
        desk.state.on_kafka(Event::Link(side, LinkState::Up));
    }
    assert!(is_ready(&mut desk, Duration::ZERO).1, "dead letters are not waited for");
    desk.state.on_kafka(Event::Link(Side::DeadLetters, LinkState::Down("topic missing".into())));
    assert_eq!(is_ready(&mut desk, patience.time * 2), (crate::domain::Phase::Degraded, true));

    desk.state.on_kafka(Event::Link(Side::Consumer, LinkState::Down("connection refused".into())));
    assert_eq!(is_ready(&mut desk, Duration::ZERO), (crate::domain::Phase::Degraded, true), "a blink");
    assert!(!is_ready(&mut desk, patience.time + Duration::from_secs(5)).1, "it lasts");
    desk.state.on_kafka(Event::Link(Side::Consumer, LinkState::Up));
    assert!(is_ready(&mut desk, Duration::ZERO).1);

    desk.state.on_docker(docker::Event::Engine(docker::EngineState::Away("no answer".into())));
    assert!(!is_ready(&mut desk, Duration::ZERO).1, "the room has counted before it said so");
    desk.state.on_docker(docker::Event::Engine(up));
    desk.state.on_late(&["docker-lane-1"]);
    assert!(!is_ready(&mut desk, Duration::ZERO).1);
    desk.state.on_late(&[]);
    assert!(is_ready(&mut desk, Duration::ZERO).1);

    // Another process took the identity: for good, at once, and over a reload.
    desk.state.on_kafka(Event::Fenced);
    desk.state.on_kafka(Event::Link(Side::Producer, LinkState::Down("identity in use".into())));
    assert!(!is_ready(&mut desk, Duration::ZERO).1);
}

#[test]
fn a_backlog_that_nobody_takes_is_shown_and_one_that_goes_out_is_not() {
    let mut desk = Desk::new();
    desk.state.rules.check_interval = Duration::ZERO;
    let events = |desk: &mut Desk| {
        desk.state.look_at_backlog();
        desk.state.settle();
        desk.health.newest().dependencies.iter().find(|part| part.name == "events").unwrap().clone()
    };
    assert_eq!(events(&mut desk).state, DependencyState::Ready);
    for n in 0..400 {
        desk.read(n, letter(n, 10));
    }
    let found = events(&mut desk);
    assert_eq!(found.state, DependencyState::NotReady);
    assert!(found.last_error.unwrap().contains("no further command is taken in"));
    desk.state.rules.check_interval = Duration::from_secs(3600);
    let (_, receipt) = desk.out();
    let receipt = receipt.expect("something is on its way");
    desk.state.on_kafka(Event::Delivered(receipt));
    assert_eq!(events(&mut desk).state, DependencyState::Ready, "it moves");
}
