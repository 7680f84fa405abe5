//! What the host takes at all: its policy and its room decide before the journal does.

use super::*;
use crate::coordinator::Unsigned;
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
fn a_command_that_nobody_has_signed_is_refused_where_that_is_wanted() {
    let mut desk = Desk::new();
    desk.state.rules.unsigned = Unsigned::Refused;
    desk.read(0, restart(1));
    assert_eq!(refusal(&desk).as_deref(), Some("signature.missing"));
    let signed = |inbound| match inbound {
        Inbound::Command(command) => Inbound::Command(Command { signed_by: Some("ops-1".to_owned()), ..command }),
        other => other,
    };
    desk.read(1, signed(remove(2, "s")));
    assert_eq!((refusal(&desk), desk.running()), (None, vec![2]));
    // A refused id is used up, whoever has used it.
    desk.read(2, signed(restart(1)));
    assert_eq!((refusal(&desk), desk.running()), (None, vec![]));
}

#[test]
fn a_command_whose_key_was_taken_away_while_it_ran_is_no_dead_letter() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    desk.read(1, remove(2, "t"));
    desk.finish(2, Outcome::completed("gone"));
    // The next process reads both again, and can read neither.
    let mut desk = desk.crash();
    desk.published.try_iter().for_each(drop);
    desk.read(0, letter(0, 1));
    desk.read(1, letter(1, 1));
    desk.read(2, letter(2, 1));
    let buried: Vec<i64> = desk
        .published
        .try_iter()
        .filter_map(|request| match request {
            Request::Bury(_, letter) => Some(letter.position.offset),
            _ => None,
        })
        .collect();
    assert_eq!((buried, desk.mark()), (vec![2], Some(0)));
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
