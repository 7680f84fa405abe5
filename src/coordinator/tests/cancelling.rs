//! Cancel and HealthCheck by transcript.

use super::*;
use crate::domain::{Cancel, Event as Told, EventKind};

fn cancel(n: u128, target: u128) -> Inbound {
    Inbound::Command(command(n, Action::Cancel(Cancel { command: id(target) })))
}

/// The terminal events on their way: which command, its kind and its code.
fn ends(desk: &Desk) -> Vec<(u128, EventKind, Option<String>)> {
    let end = |event: Box<Told>| {
        let code = event.payload.pointer("/details/code").and_then(|code| code.as_str()).map(str::to_owned);
        event.terminal.then(|| (event.causation_id.unwrap().0.as_u128(), event.kind, code))
    };
    let published = desk.published.try_iter().filter_map(|request| match request {
        Request::Publish(_, event) => Some(event),
        Request::Bury(..) | Request::Mark(_) => None,
    });
    published.filter_map(end).collect()
}

fn cancelled() -> Option<String> {
    Some("cancelled".to_owned())
}

#[test]
fn what_waits_ends_at_once_and_its_cancel_after_it() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    desk.read(1, remove(2, "s"));
    desk.read(2, cancel(3, 2));
    assert_eq!(ends(&desk), [(2, EventKind::CommandFailed, cancelled()), (3, EventKind::CommandCompleted, None)]);
    assert_eq!(desk.running(), [1]);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.running(), [] as [u128; 0], "what was cancelled never starts");
    assert_eq!(desk.state.open.len(), 0);
}

#[test]
fn what_runs_hears_of_it_and_the_cancel_says_how_it_ended() {
    for (outcome, end) in [
        (Outcome::failed(Code::CANCELLED, "in the middle"), (3, EventKind::CommandCompleted, None)),
        (Outcome::completed("too late"), (3, EventKind::CommandFailed, Some("command.not_open".to_owned()))),
    ] {
        let mut desk = Desk::new();
        desk.read(0, remove(1, "s"));
        let job = desk.jobs.try_recv().unwrap();
        assert!(!job.cancelled.is_stopped());
        desk.read(1, cancel(3, 1));
        assert!(job.cancelled.is_stopped());
        assert_eq!(ends(&desk), [], "both wait for the lane");
        desk.finish(1, outcome);
        assert_eq!(ends(&desk)[1], end);
    }
}

#[test]
fn what_is_over_unknown_or_anothers_is_not_cancelled() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    let context = Context { project_id: Some(ProjectId::new("q").unwrap()), ..Context::default() };
    let foreign = Command { context, ..command(2, Action::Cancel(Cancel { command: id(1) })) };
    desk.read(1, Inbound::Command(foreign));
    for (n, target) in [(3, 9), (4, 4)] {
        desk.read(n, cancel(n as u128, target));
    }
    let codes: Vec<_> = ends(&desk).into_iter().map(|(n, _, code)| (n, code.unwrap())).collect();
    let code = |n, code: Code| (n, code.as_str().to_owned());
    assert_eq!(codes, [code(2, Code::FOREIGN_PROJECT), code(3, Code::NOT_OPEN), code(4, Code::NOT_OPEN)]);
    assert!(!desk.jobs.try_recv().unwrap().cancelled.is_stopped());
}

#[test]
fn after_a_crash_a_command_that_may_have_begun_is_left_to_its_lane() {
    let mut desk = Desk::new();
    desk.read(0, remove(1, "s"));
    desk.read(1, cancel(2, 1));
    let desk = desk.crash();
    let job = desk.jobs.try_recv().unwrap();
    assert_eq!((job.command.id, job.entry, job.cancelled.is_stopped()), (id(1), crate::domain::Entry::Resumed, true));
    assert_eq!(ends(&desk), []);
}

#[test]
fn a_health_check_says_what_the_health_page_shows() {
    let mut desk = Desk::new();
    desk.read(0, Inbound::Command(command(1, Action::HealthCheck)));
    let events: Vec<_> = desk.published.try_iter().collect();
    let Some(Request::Publish(_, event)) = events.last() else { panic!("an event was expected") };
    assert_eq!((event.kind, event.terminal), (EventKind::StatusReport, true));
    assert_eq!(event.payload["details"]["phase"], "STARTING");
    assert_eq!(event.payload["details"]["dependencies"][0]["name"], desk.health.newest().dependencies[0].name);
}
