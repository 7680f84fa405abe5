//! The way out, with threads that behave and threads that do not.

use super::*;
use crate::threads::{Exit, StopSource, ThreadName, spawn, stop_pair};
use crossbeam_channel::Sender;
use std::time::Instant;

/// The senders of every channel that the loop listens to.
pub(super) struct Street {
    pub(super) signals: Sender<Signal>,
    docker: Sender<docker::Event>,
    reports: Sender<Event>,
    pub(super) exits: Sender<Exit>,
    _commands: Sender<Event>,
    control_plane: Sender<control_plane::Event>,
}

pub(super) fn street() -> (Street, Inbox) {
    let (signals, signal_inbox) = bounded(4);
    let (docker, docker_inbox) = bounded(4);
    let (reports, report_inbox) = bounded(4);
    let (exits, exit_inbox) = bounded(8);
    let (commands, command_inbox) = bounded(4);
    let (control_plane, control_plane_inbox) = bounded(4);
    let inbox = Inbox {
        signals: signal_inbox,
        exits: exit_inbox,
        docker: docker_inbox,
        reports: report_inbox,
        commands: command_inbox,
        control_plane: control_plane_inbox,
        session: never(),
        ipc: never(),
        looks: never(),
        updates: never(),
    };
    (Street { signals, docker, reports, exits, _commands: commands, control_plane }, inbox)
}

pub(super) fn nobody() -> Workers {
    let start_kafka: StartKafka = Box::new(|_| Ok(None));
    Workers {
        intake: Group::default(),
        work: Group::default(),
        reports: Group::default(),
        farewell: Group::default(),
        rest: Group::default(),
        journal: None,
        start_kafka,
        without_kafka: None,
        reload: Box::new(|| Reloaded::Refused("nobody reads it".to_owned())),
    }
}

/// A lane that hands its command back when it is stopped.
fn polite_lane(street: &Street, command: CommandId) -> Group {
    let (source, stop) = stop_pair();
    let events = street.docker.clone();
    let lane = spawn(ThreadName::new("docker-lane-1"), street.exits.clone(), move || {
        stop.wait_for_stop();
        events.send(docker::Event::Suspended(command))
    });
    Group { stops: vec![source], threads: vec![lane.unwrap()] }
}

impl Street {
    /// The sending ends of the lanes and of the producer are gone, as when their threads have ended.
    fn without_workers(self) -> (Sender<Signal>, Sender<Exit>) {
        (self.signals, self.exits)
    }
}

/// A thread that does not hear its stop; it ends with the returned source.
fn deaf_thread(street: &Street) -> (Group, StopSource) {
    let (real, stop) = stop_pair();
    let (unheard, _) = stop_pair();
    let thread = spawn(ThreadName::new("docker-lane-2"), street.exits.clone(), move || {
        stop.wait_for_stop();
        Ok::<(), std::convert::Infallible>(())
    });
    (Group { stops: vec![unheard], threads: vec![thread.unwrap()] }, real)
}

#[test]
fn a_running_command_is_left_at_its_checkpoint_and_goes_on_at_the_next_start() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    assert_eq!(desk.running(), [1]);
    let (street, inbox) = street();
    let workers = Workers { work: polite_lane(&street, id(1)), ..nobody() };
    street.signals.send(Signal::Leave).unwrap();
    let Desk { folder, state, journal, writer, .. } = desk;
    let departure = run(state, inbox, workers, Pulse::default());
    assert_eq!((departure.reason, departure.stragglers), (ExitReason::Asked, vec![]));
    drop(journal);
    writer.join();
    let desk = Desk::over(folder);
    assert_eq!(desk.running(), [1], "it is open in the journal");
}

#[test]
fn reports_are_flushed_before_the_producer_is_stopped() {
    let mut desk = Desk::new();
    desk.state.on_kafka(Event::Link(Side::Producer, LinkState::Up));
    desk.read(0, Inbound::Command(status(1)));
    desk.finish(1, Outcome::completed("all of it"));
    let (_, receipt) = desk.out();
    let (street, inbox) = street();
    street.signals.send(Signal::Leave).unwrap();
    street.reports.send(Event::Delivered(receipt.unwrap())).unwrap();
    let Desk { folder, state, journal, writer, .. } = desk;
    run(state, inbox, nobody(), Pulse::default());
    drop(journal);
    writer.join();
    let desk = Desk::over(folder);
    assert_eq!(desk.out(), (vec![], None), "nothing is sent again");
    assert!(desk.journal.knows(id(1)).unwrap());
}

#[test]
fn a_credential_that_comes_on_the_way_out_is_kept() {
    let desk = Desk::new();
    let (street, inbox) = street();
    let (source, stop) = stop_pair();
    let events = street.control_plane.clone();
    let beating = spawn(ThreadName::new("control-plane"), street.exits.clone(), move || {
        stop.wait_for_stop();
        events.send(control_plane::Event::Credential(Sensitive::new("new".to_owned())))
    });
    let farewell = Group { stops: vec![source], threads: vec![beating.unwrap()] };
    street.signals.send(Signal::Leave).unwrap();
    let departure = run(desk.state, inbox, Workers { farewell, ..nobody() }, Pulse::default());
    assert_eq!(departure.stragglers, [] as [&str; 0]);
    let kept = desk.journal.identity().unwrap().unwrap();
    assert_eq!((kept.agent_id.as_str(), kept.credential), ("a", Some(Sensitive::new("new".to_owned()))));
}

#[test]
fn channels_that_have_closed_hide_no_exit_report() {
    let desk = Desk::new();
    let (street, inbox) = street();
    let (source, stop) = stop_pair();
    let server = spawn(ThreadName::new("health-http"), street.exits.clone(), move || {
        stop.wait_for_stop();
        Ok::<(), std::convert::Infallible>(())
    });
    let rest = Group { stops: vec![source], threads: vec![server.unwrap()] };
    street.signals.send(Signal::Leave).unwrap();
    let _open = street.without_workers();
    let departure = run(desk.state, inbox, Workers { rest, ..nobody() }, Pulse::default());
    assert_eq!(departure.stragglers, [] as [&str; 0]);
}

#[test]
fn a_second_signal_leaves_at_once_and_names_who_still_runs() {
    let desk = Desk::new();
    let (street, inbox) = street();
    let (deaf, end) = deaf_thread(&street);
    let workers = Workers { work: deaf, ..nobody() };
    street.signals.send(Signal::Leave).unwrap();
    street.signals.send(Signal::Leave).unwrap();
    let started = Instant::now();
    let departure = run(desk.state, inbox, workers, Pulse::default());
    assert_eq!(departure.stragglers, ["docker-lane-2"]);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    drop(end);
}

#[test]
fn the_end_of_a_vital_thread_is_a_failure() {
    let desk = Desk::new();
    let (street, inbox) = street();
    let outcome = crate::threads::Outcome::Failed("no luck".into());
    street.exits.send(Exit { thread: ThreadName::new("kafka-producer"), outcome }).unwrap();
    let departure = run(desk.state, inbox, nobody(), Pulse::default());
    assert!(departure.reason.is_failure());
    assert!(departure.reason.to_string().contains("no luck"));
}
