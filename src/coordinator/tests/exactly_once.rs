//! What the event topic says of commands, and what a process does that was fenced.

use super::*;
use crate::coordinator::on_topic::Standing;

/// A desk whose producer writes in transactions and has not read the topic yet.
fn behind() -> Desk {
    let mut desk = Desk::new();
    desk.state.standing = Standing::CatchingUp;
    desk
}

impl Desk {
    fn hears(&mut self, event: Event) {
        self.state.on_kafka(event);
        self.state.settle();
    }

    /// The marks that were handed over.
    fn handed(&self) -> Vec<i64> {
        let offset = |request| if let Request::Mark(mark) = request { Some(mark.offset) } else { None };
        self.published.try_iter().filter_map(offset).collect()
    }

    fn crash_behind(self) -> Self {
        let mut desk = self.crash();
        // As after a start: what was recovered is handed over only now.
        desk.published.try_iter().for_each(drop);
        desk.state.standing = Standing::CatchingUp;
        desk
    }
}

#[test]
fn nothing_is_taken_in_or_sent_before_the_topic_was_read() {
    let mut desk = behind();
    assert!(!desk.state.wants_commands());
    desk.state.on_kafka(Event::Read(position(0), Box::new(remove(1, "s"))));
    desk.state.settle();
    assert_eq!(desk.running(), [1], "what is accepted goes on, with or without brokers");
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.out().0, [] as [EventKind; 0]);
    desk.hears(Event::CaughtUp);
    assert!(desk.state.wants_commands());
    assert_eq!(desk.out().0, [EventKind::CommandCompleted]);
}

#[test]
fn an_end_that_is_on_the_topic_is_not_sent_again() {
    let mut desk = behind();
    desk.read(0, remove(1, "s"));
    desk.finish(1, Outcome::completed("gone"));
    desk.hears(Event::Answered(vec![id(1)]));
    desk.hears(Event::CaughtUp);
    assert_eq!(desk.out().0, [] as [EventKind; 0]);
    assert_eq!(desk.mark(), Some(1));
    let desk = desk.crash_behind();
    assert_eq!(desk.health.newest().events_unreported, 0, "the journal knows");
}

#[test]
fn a_command_that_goes_on_though_its_end_is_told_ends_in_silence_also_after_a_crash() {
    let mut desk = behind();
    desk.read(0, remove(1, "s"));
    desk.hears(Event::Answered(vec![id(1)]));
    desk.hears(Event::CaughtUp);
    assert_eq!(desk.mark(), Some(1));
    let mut desk = desk.crash();
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.out().0, [] as [EventKind; 0]);
    assert_eq!(desk.state.open.len(), 0);
}

#[test]
fn with_a_lost_journal_the_topic_tells_which_commands_are_over() {
    let mut desk = behind();
    desk.hears(Event::Answered(vec![id(1)]));
    desk.hears(Event::CaughtUp);
    desk.read(0, remove(1, "s"));
    assert_eq!((desk.running(), desk.out().0, desk.mark()), (vec![], vec![], Some(1)));
}

#[test]
fn one_that_was_fenced_begins_nothing_until_it_has_caught_up_again() {
    let mut desk = behind();
    desk.hears(Event::CaughtUp);
    desk.read(0, remove(1, "s"));
    desk.read(1, remove(2, "s"));
    assert_eq!(desk.running(), [1]);
    desk.hears(Event::Fenced);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.running(), [] as [u128; 0], "2 waits");
    assert!(!desk.state.wants_commands());
    desk.out();
    // The other one has ended the first meanwhile.
    desk.hears(Event::Answered(vec![id(1)]));
    desk.hears(Event::CaughtUp);
    assert_eq!((desk.running(), desk.out().0), (vec![2], vec![]));
}

#[test]
fn what_another_process_has_ended_and_this_one_not_begun_is_left_alone() {
    let mut desk = behind();
    desk.hears(Event::CaughtUp);
    desk.read(0, remove(1, "s"));
    desk.read(1, remove(2, "s"));
    desk.hears(Event::Fenced);
    desk.hears(Event::Answered(vec![id(1), id(2)]));
    desk.hears(Event::CaughtUp);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!((desk.running(), desk.mark()), (vec![1], Some(2)), "1 had begun, 2 had not");
    desk.read(2, remove(2, "s"));
    assert_eq!(desk.running(), [] as [u128; 0], "it is known");
}

#[test]
fn each_end_takes_the_mark_along_that_follows_from_it() {
    let mut desk = behind();
    desk.hears(Event::CaughtUp);
    for n in 0..3 {
        desk.read(n, remove(u128::try_from(n).unwrap() + 1, &format!("s{n}")));
    }
    desk.finish(2, Outcome::completed("gone"));
    assert_eq!(desk.handed(), [0], "1 has no end yet");
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.handed(), [2]);
    assert_eq!(desk.mark(), Some(0), "no broker has confirmed anything");
}

#[test]
fn the_place_up_to_which_the_topic_is_known_is_kept() {
    let mut desk = behind();
    desk.hears(Event::Reached(Position { topic: "runner.events.a".into(), partition: 0, offset: 9 }));
    desk.hears(Event::CaughtUp);
    drop((desk.state, desk.journal));
    desk.writer.join();
    let (exits, _) = bounded(1);
    let (_, recovered, _) = journal::open(&desk.folder.0, exits).unwrap();
    assert_eq!(recovered.positions, [Position { topic: "runner.events.a".into(), partition: 0, offset: 9 }]);
}
