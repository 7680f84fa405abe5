//! The local socket: what those who ask and listen hear.

use super::*;
use crate::domain::CommandState;
use crate::ipc::{self, EAR, Heard, Read};
use crossbeam_channel::TryRecvError;

impl Desk {
    fn ask(&mut self, command: Command) -> Receiver<Heard> {
        let (ear, heard) = bounded(EAR);
        self.state.on_ipc(ipc::Event::Command(Box::new(Read::Command(command)), ear));
        self.state.settle();
        heard
    }

    fn listen(&mut self, n: u128) -> Receiver<Heard> {
        let (ear, heard) = bounded(EAR);
        self.state.on_ipc(ipc::Event::Listen(id(n), ear));
        heard
    }
}

fn kinds(heard: &Receiver<Heard>) -> Vec<String> {
    let name = |heard| match heard {
        Heard::Event(event) => format!("{:?}", event.kind),
        Heard::No(code, _) => code.to_string(),
        Heard::Lost(count) => format!("lost {count}"),
    };
    heard.try_iter().map(name).collect()
}

fn is_closed(heard: &Receiver<Heard>) -> bool {
    matches!(heard.try_recv(), Err(TryRecvError::Disconnected))
}

/// Without brokers: nobody else is owed anything.
fn alone() -> Desk {
    let folder = Folder(std::env::temp_dir().join(format!("axion-desk-{}", Uuid::new_v4())));
    let mut desk = Desk::with(folder, DependencyState::Off);
    desk.state.ports.producer = None;
    desk
}

#[test]
fn a_command_is_heard_from_its_acceptance_to_its_end_and_is_reported_then() {
    let mut desk = alone();
    let heard = desk.ask(removal(1, "s"));
    assert_eq!(kinds(&heard), ["CommandAccepted"]);
    assert_eq!(desk.running(), [1]);
    assert_eq!(desk.recent.newest().get(id(1)).unwrap().state, CommandState::Running);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(kinds(&heard), ["CommandCompleted"]);
    assert!(is_closed(&heard));
    assert_eq!(desk.recent.newest().get(id(1)).unwrap().state, CommandState::Done);
    let desk = desk.crash();
    assert_eq!(desk.health.newest().events_unreported, 0, "nobody is owed its end");
    assert!(desk.journal.knows(id(1)).unwrap());
}

#[test]
fn where_there_is_a_topic_it_is_told_too() {
    let mut desk = Desk::new();
    let heard = desk.ask(removal(1, "s"));
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(kinds(&heard), ["CommandAccepted", "CommandCompleted"]);
    assert_eq!(desk.out().0, [EventKind::CommandAccepted, EventKind::CommandCompleted]);
}

#[test]
fn a_refusal_is_heard_and_nothing_is_done() {
    let mut desk = alone();
    let late = Command { expires_at: Some(Timestamp::from_millis(1)), ..removal(1, "s") };
    let heard = desk.ask(late);
    assert_eq!(kinds(&heard), ["CommandRejected"]);
    assert_eq!(desk.running(), [] as [u128; 0]);
    assert_eq!(desk.recent.newest().get(id(1)).unwrap().state, CommandState::Rejected);
    desk.state.agent = None;
    assert_eq!(kinds(&desk.ask(removal(2, "s"))), ["agent.not_enrolled"]);
}

#[test]
fn one_that_is_sent_again_is_carried_out_once_and_both_hear_its_end() {
    let mut desk = alone();
    let first = desk.ask(removal(1, "s"));
    let again = desk.ask(removal(1, "s"));
    assert_eq!(desk.running(), [1]);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(kinds(&first), ["CommandAccepted", "CommandCompleted"]);
    assert_eq!(kinds(&again), ["CommandCompleted"]);
    assert_eq!(kinds(&desk.ask(removal(1, "s"))), ["CommandCompleted"], "also when it is over");
    assert_eq!(kinds(&desk.listen(1)), ["CommandCompleted"]);
    assert_eq!(kinds(&desk.listen(2)), ["command.not_found"]);
}

#[test]
fn who_does_not_take_what_he_hears_in_time_is_told_how_much_he_missed_and_hears_the_end() {
    let mut desk = alone();
    let heard = desk.ask(deployment(1, "s"));
    for n in 0..2 * EAR {
        desk.state.on_docker(docker::Event::Progress(id(1), Progress::new("converge", n.to_string())));
    }
    desk.finish(1, Outcome::completed("runs"));
    let kinds = kinds(&heard);
    assert_eq!(kinds.len(), EAR);
    assert!(kinds[EAR - 2].starts_with("lost "), "{kinds:?}");
    assert_eq!(kinds[EAR - 1], "DeployCompleted");
}

#[test]
fn who_listens_to_everything_hears_of_every_way() {
    let mut desk = Desk::new();
    let (ear, heard) = bounded(EAR);
    desk.state.on_ipc(ipc::Event::Watch(ear));
    desk.read(0, remove(1, "s"));
    desk.finish(1, Outcome::completed("gone"));
    desk.ask(removal(2, "t"));
    assert_eq!(kinds(&heard), ["CommandAccepted", "CommandCompleted", "CommandAccepted"]);
    assert_eq!(desk.recent.newest().newest_first().map(|brief| brief.way.to_string()).collect::<Vec<_>>(), ["local", "kafka"]);
}

#[test]
fn the_list_outlives_a_crash_with_what_ended_what_was_refused_and_what_goes_on() {
    let mut desk = alone();
    desk.ask(removal(1, "s"));
    desk.finish(1, Outcome::completed("gone").with("removed", 3));
    desk.ask(Command { expires_at: Some(Timestamp::from_millis(1)), ..removal(2, "s") });
    desk.ask(status(3));
    desk.finish(3, Outcome::completed("all of it").with("stacks", "what was so then"));
    desk.ask(removal(4, "s"));
    let before = desk.recent.newest();
    let mut desk = desk.crash();
    let after = desk.recent.newest();
    for n in [1, 2, 3] {
        let (mut was, is) = (before.get(id(n)).unwrap().clone(), after.get(id(n)).unwrap());
        was.terminal = was.terminal.filter(|_| n != 3);
        assert_eq!(&was, is);
    }
    assert_eq!(after.newest_first().next().unwrap().command_id, id(4));
    assert_eq!(after.get(id(4)).unwrap().accepted_at, before.get(id(4)).unwrap().accepted_at);
    assert_eq!(after.get(id(4)).unwrap().state, CommandState::Running);
    assert_eq!(kinds(&desk.listen(1)), ["CommandCompleted"]);
    assert_eq!(kinds(&desk.listen(2)), ["CommandRejected"]);
    assert_eq!(kinds(&desk.listen(3)), ["command.not_open"], "what was so then is not written down");
    desk.finish(4, Outcome::completed("gone"));
    assert_eq!(desk.crash().recent.newest().newest_first().count(), 4);
}

#[test]
fn what_the_broker_has_not_confirmed_is_in_the_list_once() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    desk.finish(1, Outcome::completed("gone"));
    let refusal = Refusal {
        command_id: id(2),
        command_type: None,
        context: Context::default(),
        timely_until: None,
        code: Code::UNSUPPORTED,
        message: "unknown".to_owned(),
    };
    desk.read(1, Inbound::Refused(refusal.clone()));
    let ids = |desk: &Desk| desk.recent.newest().newest_first().map(|brief| brief.command_id.0.as_u128()).collect::<Vec<_>>();
    let mut desk = desk.crash();
    assert_eq!(ids(&desk), [1], "a refusal that nobody has confirmed is read again");
    desk.read(1, Inbound::Refused(refusal));
    let receipts: Vec<Receipt> = desk
        .published
        .try_iter()
        .filter_map(|request| match request {
            Request::Publish(receipt, _) => Some(receipt),
            Request::Bury(..) | Request::Mark(_) => None,
        })
        .collect();
    receipts.into_iter().for_each(|receipt| desk.deliver(receipt));
    assert_eq!(ids(&desk.crash()), [2, 1]);
}

#[test]
fn on_the_way_out_nothing_begins() {
    let mut desk = alone();
    let (ear, heard) = bounded(EAR);
    desk.state.on_ipc_while_leaving(ipc::Event::Command(Box::new(Read::Command(removal(1, "s"))), ear));
    assert_eq!(kinds(&heard), ["agent.leaving"]);
    assert_eq!(desk.running(), [] as [u128; 0]);
}
