//! Records that nobody can carry out: their reports are owed until a broker has them, also across crashes.

use super::*;
use crate::coordinator::on_topic::Standing;
use crate::domain::EventId;

impl Desk {
    fn misses(&mut self, wanted: i64, resumed: i64) {
        self.state.on_kafka(Event::Gap { wanted: position(wanted), resumed });
        self.state.settle();
    }

    /// The reports that were handed over.
    fn reports(&self) -> Vec<(Receipt, EventId)> {
        let report = |request| match request {
            Request::Publish(receipt, event) if event.kind == EventKind::ErrorReport => Some((receipt, event.id)),
            _ => None,
        };
        self.published.try_iter().filter_map(report).collect()
    }

    fn is_told(&mut self, ids: Vec<EventId>) {
        self.state.on_kafka(Event::Told(ids));
        self.state.settle();
    }
}

#[test]
fn a_gap_holds_the_mark_until_its_report_is_confirmed() {
    for resumed in [30, 0] {
        let mut desk = Desk::new();
        desk.misses(10, resumed);
        desk.read(resumed, Inbound::Command(status(1)));
        desk.finish(1, Outcome::completed("all of it"));
        let first = desk.published.try_iter().map(|request| match request {
            Request::Publish(receipt, event) => (receipt, event.kind),
            other => panic!("{other:?}"),
        });
        let sent: Vec<_> = first.collect();
        let (report, end) = (sent[0].0, sent[sent.len() - 1].0);
        assert_eq!(sent[0].1, EventKind::ErrorReport);
        desk.deliver(end);
        assert_eq!(desk.mark(), Some(10), "nobody was told yet");

        // After a crash it is noticed again, and told in the same words.
        let mut desk = desk.crash();
        desk.misses(10, resumed);
        let again = desk.reports();
        desk.read(resumed, Inbound::Command(status(1)));
        assert_eq!((again.len(), desk.running()), (1, vec![]));
        desk.deliver(again[0].0);
        assert_eq!(desk.mark(), Some(resumed + 1), "{report:?}");
        desk.misses(10, resumed);
        assert_eq!((desk.reports(), desk.mark()), (vec![], Some(resumed)), "the journal knows that it was told");
    }
}

#[test]
fn what_is_on_the_topic_already_is_not_told_again() {
    let mut desk = Desk::new();
    desk.misses(10, 30);
    let [(_, gap)] = desk.reports()[..] else { panic!("one report was expected") };
    desk.read(30, letter(30, 1));
    let [(_, bad)] = desk.reports()[..] else { panic!("one report was expected") };
    let mut desk = desk.crash();
    desk.state.standing = Standing::CatchingUp;
    // A new process reads the topic first; what it has noticed itself by then waits.
    desk.misses(10, 30);
    desk.is_told(vec![gap, bad]);
    desk.state.on_kafka(Event::CaughtUp);
    desk.read(30, letter(30, 1));
    let requests: Vec<Request> = desk.published.try_iter().collect();
    let [Request::Bury(receipt, _)] = requests[..] else { panic!("the letter alone was expected: {requests:?}") };
    assert_eq!(desk.mark(), Some(30));
    desk.deliver(receipt);
    assert_eq!(desk.mark(), Some(31));
    desk.read(30, letter(30, 1));
    assert_eq!((desk.published.try_iter().count(), desk.mark()), (0, Some(31)), "all of it is known");
}

#[test]
fn reports_are_not_shed_where_progress_is() {
    let mut desk = Desk::new();
    desk.state.standing = Standing::CatchingUp;
    desk.misses(10, 30);
    desk.read(30, letter(30, 1));
    desk.read(31, remove(1, "s"));
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.published.try_iter().count(), 0);
    desk.state.on_kafka(Event::CaughtUp);
    desk.state.settle();
    let (kinds, _) = desk.out();
    assert_eq!(kinds, [EventKind::ErrorReport, EventKind::ErrorReport, EventKind::CommandCompleted], "CommandAccepted was shed");
}

#[test]
fn a_look_is_told_with_its_samples_and_needs_no_answer() {
    let mut desk = Desk::new();
    desk.state.on_measured();
    desk.state.settle();
    let sent: Vec<_> = desk.published.try_iter().collect();
    let [Request::Publish(receipt, event)] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((event.kind, event.terminal, &event.causation_id), (EventKind::MetricsReport, false, &None));
    let samples = event.payload["details"]["samples"].as_array().unwrap();
    let finished = serde_json::json!({"name": "axion_agent_commands_finished_total", "labels": {"result": "failed"}, "value": 0.0});
    assert!(samples.contains(&finished), "{samples:?}");
    let receipt = *receipt;
    desk.deliver(receipt);
    assert_eq!(desk.mark(), None, "it moves no mark");
}
