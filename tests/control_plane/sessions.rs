//! The session's link: when it is opened, what is said of one that is not, and how it moves to another channel.

use crate::bed::*;
use crate::session::{Hearing, Sessions};
use axion_agent::control_plane::{Read, SessionEvent};
use axion_agent::domain::LinkState;
use std::fs;
use std::time::{Duration, Instant};
use uuid::Uuid;

fn sessions(folder: &Folder, hearing: Hearing) -> Sessions {
    Sessions::open(&folder.0.join("sessions"), hearing).unwrap()
}

/// An action that the control plane has for the agent.
fn give(sessions: &Sessions) -> Uuid {
    let id = Uuid::new_v4();
    let command = format!(r#"{{"command_id": "{id}", "command_type": "HealthCheck"}}"#);
    sessions.change(|book| book.add_action("edge-7", id, command)).unwrap();
    id
}

fn opened(room: &Room) {
    room.session("a stream begins", |event| matches!(event, SessionEvent::Opened).then_some(()));
}

/// The id of the next action.
fn action(room: &Room) -> Uuid {
    room.session("an action", |event| match event {
        SessionEvent::Action(read) => match &**read {
            Read::Command(command) => Some(command.id.0),
            _ => None,
        },
        _ => None,
    })
}

/// Why the session is not there.
fn down(room: &Room) -> String {
    room.session("why the session is not there", |event| match event {
        SessionEvent::Link(LinkState::Down(reason)) => Some(reason.clone()),
        _ => None,
    })
}

#[test]
fn an_action_without_an_end_comes_again_on_each_new_stream() {
    let state = Folder::new();
    let sessions = sessions(&state, Hearing::Good);
    let start = |port: Option<u16>| {
        Server::start(|serve| {
            serve.listen = format!("127.0.0.1:{}", port.unwrap_or(0));
            serve.sessions = Some(sessions.clone());
        })
    };
    let server = start(None);
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    opened(&room);
    let id = give(&sessions);
    assert_eq!(action(&room), id);
    let port = server.port();
    drop(server);
    room.session("the stream ends", |event| matches!(event, SessionEvent::Closed).then_some(()));
    let _server = start(Some(port));
    opened(&room);
    assert_eq!(action(&room), id);
    assert!(room.stop() < Duration::from_secs(2));
}

#[test]
fn a_control_plane_without_sessions_is_no_fault() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.up();
    room.session("it has none", |event| matches!(event, SessionEvent::Unavailable).then_some(()));
    assert!(room.stop() < Duration::from_secs(2));
}

#[test]
fn a_session_that_is_refused_says_so_at_once_and_is_mended_with_the_agent() {
    let ((ca, authority), state) = (authority(LONG), Folder::new());
    let sessions = sessions(&state, Hearing::Good);
    let start = |port: Option<u16>| {
        Server::start(|serve| {
            serve.listen = format!("127.0.0.1:{}", port.unwrap_or(0));
            serve.issuing = Some(issuing(&authority));
            serve.sessions = Some(sessions.clone());
        })
    };
    let server = start(None);
    let port = server.port();
    let room = Room::start(settings(port, &state, Some(&authority.ca_file())), to_enrol());
    opened(&room);
    drop(server);
    fs::write(ca.0.join("revoked"), "edge-7\n").unwrap();
    let _server = start(Some(port));
    room.session("it is refused", |event| match event {
        SessionEvent::Link(LinkState::Down(reason)) => reason.contains("edge-7 was revoked").then_some(()),
        _ => None,
    });
    room.down("control_plane.unauthenticated");
    fs::remove_file(ca.0.join("revoked")).unwrap();
    // The next try of either is minutes away; a reload of the configuration is heard at once.
    room.running.as_ref().unwrap().wake.try_send(()).unwrap();
    opened(&room);
    room.stop();
}

#[test]
fn a_session_moves_to_the_channel_of_the_next_certificate() {
    let ((_ca, authority), state) = (authority(Duration::from_secs(9)), Folder::new());
    let sessions = sessions(&state, Hearing::Good);
    let server = Server::start(|serve| {
        serve.issuing = Some(issuing(&authority));
        serve.sessions = Some(sessions.clone());
    });
    let room = Room::start(settings(server.port(), &state, Some(&authority.ca_file())), to_enrol());
    opened(&room);
    for _ in 0..2 {
        room.session("the old stream ends", |event| match event {
            SessionEvent::Link(LinkState::Down(reason)) => panic!("it was never away: {reason}"),
            SessionEvent::Closed => Some(Instant::now()),
            _ => None,
        });
        let moving = Instant::now();
        opened(&room);
        assert!(moving.elapsed() < Duration::from_secs(1), "{:?}", moving.elapsed());
    }
    // What is given meanwhile gets through, whichever stream it meets.
    let id = give(&sessions);
    assert_eq!(action(&room), id);
    room.stop();
}

#[test]
fn a_stream_without_a_welcome_is_given_up_and_tried_again() {
    let state = Folder::new();
    let server = Server::start(|serve| serve.sessions = Some(sessions(&state, Hearing::Absent)));
    let mut settings = settings(server.port(), &state, None);
    settings.timeout = Duration::from_secs(1);
    let room = Room::start(settings, to_enrol());
    for _ in 0..2 {
        let reason = down(&room);
        assert!(reason.contains("no welcome within 1 s"), "{reason}");
    }
    // Heartbeats do not care.
    server.beat("a beat", |beat| beat.sequence >= 2);
    let begin = Instant::now();
    room.stop();
    assert!(begin.elapsed() < Duration::from_secs(2));
}
