//! What the host takes at all: its policy and its room decide before the journal does.

use super::*;
use crate::domain::{Selection, Target};
use std::collections::BTreeSet;

fn restart(n: u128) -> Inbound {
    let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("s").unwrap() };
    Inbound::Command(command(n, Action::Restart(Selection { target, services: BTreeSet::new(), timeout_seconds: None })))
}

fn state_of(desk: &Desk, name: &str) -> DependencyState {
    desk.health.newest().dependencies.iter().find(|part| part.name == name).unwrap().state
}

/// The code of the refusal, if the last record was refused.
fn refusal(desk: &Desk) -> Option<String> {
    desk.published.try_iter().find_map(|request| match request {
        Request::Publish(_, event) if event.kind == EventKind::CommandRejected => {
            Some(event.payload["details"]["code"].as_str().unwrap().to_owned())
        }
        _ => None,
    })
}

#[test]
fn a_command_that_is_not_listed_is_refused() {
    let mut desk = Desk::new();
    desk.state.rules.allowed_commands = Some(BTreeSet::from(["Remove"]));
    desk.read(0, restart(1));
    assert_eq!(refusal(&desk).as_deref(), Some("command.not_allowed"));
    desk.read(1, remove(2, "s"));
    assert_eq!((refusal(&desk), desk.running()), (None, vec![2]));
}

#[test]
fn without_room_new_commands_are_refused_and_health_says_so() {
    let mut desk = Desk::new();
    assert_eq!(state_of(&desk, "journal"), DependencyState::Ready);
    desk.state.rules.min_free_disk = u64::MAX;
    desk.read(0, restart(1));
    assert_eq!(refusal(&desk).as_deref(), Some("journal.full"));
    assert_eq!(state_of(&desk, "journal"), DependencyState::NotReady);
    // What makes room, and what only reads, goes on.
    desk.read(1, remove(2, "s"));
    desk.read(2, Inbound::Command(status(3)));
    assert_eq!((refusal(&desk), desk.running()), (None, vec![2, 3]));

    desk.state.rules.min_free_disk = 0;
    desk.read(3, restart(4));
    assert_eq!(refusal(&desk), None);
    assert_eq!(state_of(&desk, "journal"), DependencyState::Ready);

    desk.state.rules.journal_size = 0;
    desk.read(4, restart(5));
    assert_eq!(refusal(&desk).as_deref(), Some("journal.full"));
}
