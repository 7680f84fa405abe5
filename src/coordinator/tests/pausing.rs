//! Pause and Resume by transcript.

use super::*;
use crate::domain::{Cancel, Note, StepOutcome};

fn pause(n: u128) -> Inbound {
    Inbound::Command(command(n, Action::Pause))
}

fn resume(n: u128) -> Inbound {
    Inbound::Command(command(n, Action::Resume))
}

#[test]
fn while_paused_only_what_reads_starts_and_what_runs_goes_on() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "a"));
    assert_eq!(desk.running(), [1]);
    desk.read(1, pause(2));
    assert!(desk.health.newest().paused_since.is_some());
    desk.read(2, remove(3, "b"));
    desk.read(3, Inbound::Command(status(4)));
    assert_eq!(desk.running(), [4]);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.running(), [] as [u128; 0]);
    let (kinds, _) = desk.out();
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::CommandCompleted).count(), 2, "the pause, and what ran: {kinds:?}");
    desk.read(4, Inbound::Command(command(5, Action::HealthCheck)));
    desk.read(5, Inbound::Command(command(6, Action::Cancel(Cancel { command: id(3) }))));
    assert!(!desk.state.open.contains_key(&id(3)) && !desk.state.open.contains_key(&id(6)), "what waits can be cancelled");
    desk.read(6, remove(7, "b"));
    desk.read(7, resume(8));
    assert_eq!((desk.running(), desk.health.newest().paused_since), (vec![7], None));
}

#[test]
fn a_pause_outlives_the_process_and_what_was_begun_goes_on() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "a"));
    desk.read(1, remove(2, "b"));
    desk.read(2, remove(3, "c"));
    assert_eq!(desk.running(), [1, 2]);
    let step = Step { operation: "service.remove".into(), object: "a_web".into() };
    let (intent, end) = (Note::Intend(id(1), vec![step.clone()]), Note::Settle(id(1), vec![(step, StepOutcome::Done(None))]));
    desk.journal.note(vec![intent, end]).unwrap();
    desk.read(3, pause(4));
    let since = desk.health.newest().paused_since;
    let mut desk = desk.crash();
    assert_eq!(desk.running(), [1], "2 had changed nothing, 3 had not begun");
    assert_eq!(desk.health.newest().paused_since, since);
    desk.read(4, pause(5));
    assert_eq!(desk.health.newest().paused_since, since, "a second pause changes nothing");
    desk.read(5, Inbound::Command(command(6, Action::Cancel(Cancel { command: id(2) }))));
    assert!(!desk.state.open.contains_key(&id(2)), "nothing of it was begun");
    desk.read(6, resume(7));
    assert_eq!(desk.running(), [3]);
    let desk = desk.crash();
    assert_eq!(desk.health.newest().paused_since, None);
}
