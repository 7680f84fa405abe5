//! What a session answers without asking anybody.

use super::super::access;
use super::*;
use crate::domain::{ProjectId, StackName, Target};
use crate::proto::agent::session_up::Message;

fn session() -> (Session, Receiver<Event>) {
    let ((_, requests), (events, inbox)) = (bounded(1), bounded(EVENTS));
    let settings = Settings { max_message_bytes: 1024, ..Settings::of_nowhere() };
    (Session::new((Published::new(settings), Published::default()), access::pair().1, requests, events, Stop::never()), inbox)
}

fn me() -> AgentId {
    AgentId::new("edge-7").unwrap()
}

fn follow(name: &str) -> Follow {
    let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("s").unwrap() };
    Follow { id: FollowId::new(name).unwrap(), target, service: "web".into(), tail: 1, since: None }
}

/// The logs that were ended, with their codes.
fn ends(session: &mut Session) -> Vec<(String, String)> {
    let ended = |up: SessionUp| match up.message {
        Some(Message::LogEnd(end)) => (end.follow_id, end.code),
        other => panic!("{other:?}"),
    };
    session.outbox.drain(..).map(ended).collect()
}

fn end(name: &str, code: &str) -> (String, String) {
    (name.to_owned(), code.to_owned())
}

#[test]
fn a_log_that_cannot_go_on_says_so() {
    let (mut session, inbox) = session();
    // An agent that was started anew does not know what an earlier one sent.
    assert!(session.on_follow(follow("a"), 5, 0).is_ok());
    assert_eq!(ends(&mut session), [end("a", "logs.lost")]);
    assert!(session.on_follow(follow("a"), 0, 0).is_ok());
    assert!(matches!(inbox.try_recv(), Ok(Event::Follow { .. })));
    assert!(session.on_follow(follow("a"), 0, 0).is_ok());
    assert!(inbox.is_empty(), "it goes on");
    assert!(session.on_follow(follow("a"), 7, 0).is_ok());
    assert_eq!(ends(&mut session), [end("a", "logs.lost")]);
    assert!(matches!(inbox.try_recv(), Ok(Event::EndFollow(_))), "and the engine is not read any more");
}

#[test]
fn only_so_many_logs_are_followed_and_answers_do_not_pile_up() {
    let (mut session, inbox) = session();
    for n in 0..follow::MAX_FOLLOWS {
        assert!(session.on_follow(follow(&n.to_string()), 0, 0).is_ok());
    }
    assert!(session.on_follow(follow("x"), 0, 0).is_ok());
    assert_eq!(ends(&mut session), [end("x", "logs.too_many")]);
    assert!(session.on_word(Word::EndFollow(FollowId::new("0").unwrap()), &me()).is_ok());
    assert!(session.on_follow(follow("x"), 0, 0).is_ok());
    assert_eq!((ends(&mut session), inbox.len()), (vec![], follow::MAX_FOLLOWS + 2));
    let asked = (0..100).take_while(|_| session.on_follow(follow("y"), 0, 0).is_ok()).count();
    assert_eq!(asked, OUTBOX, "a control plane that asks and does not read loses its stream");
}

#[test]
fn an_action_is_read_as_a_record_is() {
    let (mut session, inbox) = session();
    let mut read = |bytes: &[u8]| {
        assert!(session.on_word(Word::Action(bytes.to_vec()), &me()).is_ok());
        let Ok(Event::Action(read)) = inbox.try_recv() else { panic!("an action was expected") };
        *read
    };
    let id = "7e9f2f0a-4c0c-4f57-9d5b-3c62a1c7a001";
    assert!(matches!(read(format!(r#"{{"command_id": "{id}", "command_type": "HealthCheck"}}"#).as_bytes()), Read::Command(_)));
    assert!(matches!(read(b"{"), Read::Unreadable { code: Code::MALFORMED, .. }));
    // The session knows no keys: an envelope proves nothing, whatever stands beside it.
    let envelope = format!(
        r#"{{"command_id": "{id}", "payloadType": "application/vnd.axion.command+json", "payload": "", "signatures": [{{"keyid": "ops-1", "sig": ""}}]}}"#
    );
    assert!(matches!(read(envelope.as_bytes()), Read::Unreadable { code: Code::SIGNATURE_UNKNOWN_KEY, .. }));
    let long = format!(r#"{{"command_id": "{id}", "command_type": "HealthCheck", "x": "{}"}}"#, "x".repeat(1024));
    let Read::Refused(refusal) = read(long.as_bytes()) else { panic!("it is too large") };
    assert_eq!((refusal.code, refusal.command_id.to_string().as_str()), (Code::TOO_LARGE, id));
}

#[test]
fn what_cannot_be_followed_is_answered_in_short() {
    use crate::proto::agent::{FollowLogs, SessionDown, session_down};
    let (mut session, inbox) = session();
    let mut ask = |id: &str, project: &str, stack: &str, service: &str| {
        let (follow_id, project_id) = (id.to_owned(), project.to_owned());
        let (stack_name, service) = (stack.to_owned(), service.to_owned());
        let asked = FollowLogs { follow_id, project_id, stack_name, service, ..FollowLogs::default() };
        let message = Some(session_down::Message::FollowLogs(asked));
        assert!(session.on_word(wire::word(SessionDown { message, ..SessionDown::default() }), &me()).is_ok());
        ends(&mut session)
    };
    let long = "x".repeat(1 << 20);
    for (project, stack, service) in [("", "", "web"), (&long, "", "web"), ("p", &long, "web"), ("p", "", ""), ("p", "", &long)] {
        assert_eq!(ask("a", project, stack, service), [end("a", "command.malformed")]);
    }
    for id in ["", &long] {
        assert_eq!(ask(id, "p", "", "web"), [], "nobody could say which it was");
    }
    assert!(inbox.is_empty());
    assert_eq!(ask("a", "p", "", "web"), []);
    let Ok(Event::Follow { follow, .. }) = inbox.try_recv() else { panic!("a follow was expected") };
    assert_eq!((follow.target.stack.as_str(), follow.since), ("axion-p", None));
}
