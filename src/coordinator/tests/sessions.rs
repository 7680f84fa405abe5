//! Actions of a session by transcript: acknowledged, carried out once, their ends owed until they are confirmed.

use super::*;
use crate::control_plane::{Answer, Read, SessionEvent, SessionRequest};
use crate::domain::{Event as Told, EventId};

impl Desk {
    fn hear(&mut self, event: SessionEvent) {
        self.state.on_session(event);
        self.state.settle();
    }

    fn act(&mut self, inbound: Inbound) {
        let Inbound::Command(command) = inbound else { panic!("a command was expected") };
        self.hear(SessionEvent::Action(Box::new(Read::Command(command))));
    }

    /// What went up the session: answers, and the events with whether they are terminal.
    fn up(&self) -> (Vec<(u128, Answer)>, Vec<Arc<Told>>) {
        let (mut answers, mut events) = (Vec::new(), Vec::new());
        for request in self.said.try_iter() {
            match request {
                SessionRequest::Acknowledge { command, answer, .. } => {
                    answers.push((command.map_or(0, |id| id.0.as_u128()), answer));
                }
                SessionRequest::Tell(event) => events.push(event),
            }
        }
        (answers, events)
    }

    /// The terminal events that went up: whose, and their ids.
    fn ends(&self) -> Vec<(u128, EventId)> {
        let events = self.up().1;
        events.iter().filter(|event| event.terminal).map(|event| (event.causation_id.unwrap().0.as_u128(), event.id)).collect()
    }
}

fn opened() -> Desk {
    let mut desk = Desk::new();
    desk.hear(SessionEvent::Opened);
    desk
}

#[test]
fn an_action_is_reported_once_both_readers_have_its_end() {
    let mut desk = opened();
    desk.act(remove(1, "s"));
    assert_eq!(desk.running(), [1]);
    let (answers, events) = desk.up();
    assert_eq!(answers, [(1, Answer::Accepted)]);
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::CommandAccepted]);
    desk.out();
    desk.finish(1, Outcome::completed("gone"));
    let (kinds, receipt) = desk.out();
    assert_eq!(kinds, [EventKind::CommandCompleted], "the topic has it too");
    let ends = desk.ends();
    assert_eq!(ends.len(), 1);

    desk.deliver(receipt.unwrap());
    assert_eq!(desk.health.newest().events_unreported, 1, "the session has not confirmed it");
    let mut desk = desk.crash();
    assert_eq!(desk.out().0, [] as [EventKind; 0], "the topic has it already");
    desk.hear(SessionEvent::Opened);
    assert_eq!(desk.ends(), ends, "the same event with the same id");
    desk.hear(SessionEvent::Received(ends[0].1));
    assert_eq!(desk.health.newest().events_unreported, 0);

    desk.act(remove(1, "s"));
    assert_eq!((desk.running(), desk.up().0), (vec![], vec![(1, Answer::Duplicate)]));
    let mut desk = desk.crash();
    desk.hear(SessionEvent::Opened);
    assert_eq!((desk.ends(), desk.out().0), (vec![], vec![]), "nobody is owed anything");
}

#[test]
fn the_session_may_confirm_before_the_topic() {
    let mut desk = opened();
    desk.act(Inbound::Command(status(1)));
    desk.finish(1, Outcome::completed("all of it"));
    let end = desk.ends()[0].1;
    desk.hear(SessionEvent::Received(end));
    desk.hear(SessionEvent::Received(end));
    assert_eq!(desk.health.newest().events_unreported, 1);
    let mut desk = desk.crash();
    desk.hear(SessionEvent::Opened);
    assert_eq!(desk.ends(), [], "the session has it");
    let (_, receipt) = desk.out();
    desk.deliver(receipt.unwrap());
    assert_eq!(desk.health.newest().events_unreported, 0);
    assert!(desk.journal.knows(id(1)).unwrap());
}

#[test]
fn without_kafka_the_session_is_the_only_reader() {
    let folder = Folder(std::env::temp_dir().join(format!("axion-desk-{}", Uuid::new_v4())));
    let mut desk = Desk::with(folder, DependencyState::Off);
    desk.hear(SessionEvent::Opened);
    desk.act(Inbound::Command(status(1)));
    desk.finish(1, Outcome::completed("all of it"));
    assert_eq!(desk.published.len(), 0);
    let end = desk.ends()[0].1;
    desk.hear(SessionEvent::Received(end));
    assert_eq!(desk.health.newest().events_unreported, 0);
}

#[test]
fn an_action_that_was_cut_off_goes_on_and_its_end_is_owed_to_the_next_stream() {
    let mut desk = opened();
    desk.act(remove(1, "s"));
    desk.hear(SessionEvent::Closed);
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.ends(), [], "nobody hears it");
    desk.hear(SessionEvent::Opened);
    let end = desk.ends();
    assert_eq!(end.len(), 1);
    // The control plane was away when it would have confirmed it: it sends the action again.
    desk.hear(SessionEvent::Closed);
    desk.hear(SessionEvent::Opened);
    assert_eq!(desk.ends(), end);
    desk.act(remove(1, "s"));
    let (answers, events) = desk.up();
    assert_eq!((answers, events.len(), events[0].id), (vec![(1, Answer::Duplicate)], 1, end[0].1), "and is told again");
}

#[test]
fn a_command_of_the_topic_is_told_to_a_session_that_sends_it_too() {
    let mut desk = opened();
    desk.read(0, remove(1, "s"));
    desk.act(remove(1, "s"));
    assert_eq!((desk.running(), desk.up().0), (vec![1], vec![(1, Answer::Duplicate)]));
    desk.out();
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(desk.ends().len(), 1);
    let (_, receipt) = desk.out();
    desk.deliver(receipt.unwrap());
    assert_eq!(desk.mark(), Some(1), "the mark waits for the broker alone");

    // The other way round the record has no effect either.
    desk.act(remove(2, "s"));
    desk.read(1, remove(2, "s"));
    assert_eq!((desk.running(), desk.mark()), (vec![2], Some(2)));
}

#[test]
fn what_cannot_be_carried_out_is_answered() {
    let mut desk = opened();
    let Inbound::Command(late) = remove(1, "s") else { panic!("a command was expected") };
    desk.act(Inbound::Command(Command { expires_at: Some(Timestamp::from_millis(1)), ..late }));
    let refusal = Refusal {
        command_id: id(2),
        command_type: None,
        context: Context::default(),
        timely_until: None,
        code: Code::UNSUPPORTED,
        message: "what?".into(),
    };
    desk.hear(SessionEvent::Action(Box::new(Read::Refused(refusal))));
    desk.hear(SessionEvent::Action(Box::new(Read::Unreadable { code: Code::MALFORMED, message: "no JSON".into() })));
    let (answers, events) = desk.up();
    assert_eq!(answers, [(1, Answer::Rejected), (2, Answer::Rejected), (0, Answer::Unreadable)]);
    assert!(events.iter().all(|event| event.terminal && event.kind == EventKind::CommandRejected), "{events:?}");
    assert_eq!(events.len(), 2);
    assert_eq!(desk.running(), [] as [u128; 0]);
}

#[test]
fn actions_beyond_the_bound_are_to_be_sent_again_but_a_cancel_gets_through() {
    let mut desk = opened();
    let mut n = 0;
    let refused = loop {
        n += 1;
        assert!(n < 200, "there is no bound");
        desk.act(remove(n, "s"));
        if desk.up().0 == [(n, Answer::Busy)] {
            break n;
        }
    };
    assert_eq!(refused, 65);
    assert!(!desk.journal.knows(id(refused)).unwrap(), "it was not taken");
    desk.act(remove(refused - 1, "s"));
    assert_eq!(desk.up().0, [(refused - 1, Answer::Duplicate)], "one that is known is answered");
    desk.act(Inbound::Command(command(1000, Action::Cancel(crate::domain::Cancel { command: id(refused - 1) }))));
    assert_eq!(desk.ends().iter().map(|(n, _)| *n).collect::<Vec<_>>(), [refused - 1, 1000]);
}

#[test]
fn ends_go_up_a_window_at_a_time_and_each_once_per_stream() {
    let mut desk = opened();
    desk.hear(SessionEvent::Closed);
    for n in 1..=20 {
        desk.act(Inbound::Command(command(n, Action::HealthCheck)));
    }
    desk.hear(SessionEvent::Opened);
    let first = desk.ends();
    assert_eq!(first.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (1..=16).collect::<Vec<_>>());
    desk.hear(SessionEvent::Received(first[3].1));
    assert_eq!(desk.ends().iter().map(|(n, _)| *n).collect::<Vec<_>>(), [17]);
    for (_, end) in first {
        desk.hear(SessionEvent::Received(end));
    }
    assert_eq!(desk.ends().iter().map(|(n, _)| *n).collect::<Vec<_>>(), [18, 19, 20]);
}

#[test]
fn a_control_plane_that_does_not_read_costs_bounded_memory() {
    let mut desk = opened();
    for n in 1..=1000 {
        desk.act(Inbound::Command(command(n, Action::HealthCheck)));
    }
    assert!(desk.said.len() <= control_plane::SESSION_REQUESTS);
    assert!(desk.state.session.owed() <= 128, "{}", desk.state.session.owed());
}

#[test]
fn neither_refusals_nor_what_the_topic_does_not_take_pile_up() {
    let mut desk = opened();
    let refusal = |n| Refusal {
        command_id: id(n),
        command_type: None,
        context: Context::default(),
        timely_until: None,
        code: Code::UNSUPPORTED,
        message: String::new(),
    };
    for n in 1..=200 {
        desk.hear(SessionEvent::Action(Box::new(Read::Refused(refusal(n)))));
        desk.said.try_iter().for_each(drop);
    }
    assert_eq!(desk.state.session.owed(), 64);

    // What waits for the broker counts too.
    let mut desk = opened();
    let mut offset = 0;
    while desk.state.wants_commands() {
        assert!(offset < 17, "further ones are read");
        desk.read(offset, letter(offset, 1 << 20));
        offset += 1;
    }
    desk.act(Inbound::Command(status(1)));
    desk.act(Inbound::Command(command(2, Action::HealthCheck)));
    assert_eq!(desk.up().0, [(1, Answer::Busy), (2, Answer::Accepted)]);
}

#[test]
fn an_end_that_no_session_takes_is_told_in_short() {
    let mut desk = opened();
    desk.act(Inbound::Command(status(1)));
    desk.up();
    desk.finish(1, Outcome::completed("all of it").with("stacks", "x".repeat(2 << 20)));
    let (_, events) = desk.up();
    assert!(events[0].terminal && events[0].payload.pointer("/details/stacks").is_none());
    let Some(Request::Publish(_, whole)) = desk.published.try_iter().last() else { panic!("an event was expected") };
    assert!(whole.payload.pointer("/details/stacks").is_some(), "the topic has a limit of its own");
}

#[test]
fn a_log_is_followed_by_the_engine_s_room_until_somebody_ends_it() {
    use crate::domain::{Follow, FollowId, FollowPart};
    let (mut desk, (follows, begun)) = (opened(), docker::Follows::unread());
    desk.state.ports.follows = follows;
    let follow = |name: &str| {
        let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("s").unwrap() };
        let follow = Follow { id: FollowId::new(name).unwrap(), target, service: "web".into(), tail: 1, since: None };
        let ((parts, inbox), (bell, _)) = (bounded(1), bounded(1));
        (SessionEvent::Follow { follow, parts, bell }, inbox)
    };
    let mut inboxes = Vec::new();
    for n in 0..=docker::MAX_FOLLOWS {
        let (event, inbox) = follow(&n.to_string());
        desk.hear(event);
        inboxes.push(inbox);
    }
    let Some(Ok(FollowPart::End(code, _))) = inboxes.pop().map(|inbox| inbox.try_recv()) else { panic!("there is no thread for it") };
    assert_eq!(code, Code::TOO_MANY_FOLLOWS);
    assert!(inboxes.iter().all(|inbox| inbox.is_empty()));
    assert_eq!(begun.try_iter().count(), docker::MAX_FOLLOWS);
    desk.hear(SessionEvent::EndFollow(FollowId::new("0").unwrap()));
    let (event, inbox) = follow("one more");
    desk.hear(event);
    assert!(inbox.is_empty(), "there is room again");
}
