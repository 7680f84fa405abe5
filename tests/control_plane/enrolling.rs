//! How an agent comes to its identity and its certificate.

use crate::agents::{Shown, TokenUse};
use crate::bed::*;
use crate::mischief::Mischief;
use axion_agent::control_plane::{Event, Identity, Settings};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use uuid::Uuid;

#[test]
fn an_agent_enrols_over_tls_and_from_then_on_its_certificate_speaks_for_it() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let settings = settings(server.port(), &state, Some(&authority.ca_file()));
    let room = Room::start(settings.clone(), to_enrol());
    let (agent, credential) = room.enrolled();
    assert_eq!(agent.as_str(), "edge-7");
    assert!(credential.is_some());
    let beat = server.beat("the first beat", |_| true);
    assert_eq!((beat.agent.as_str(), beat.shown), ("edge-7", Shown::Certificate));
    room.up();
    let file = state.0.join("control-plane.pem");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = fs::read_to_string(&file).unwrap();
    assert!(pem.contains("BEGIN PRIVATE KEY") && pem.contains("BEGIN CERTIFICATE"), "key and chain are one file");
    assert!(room.stop() < Duration::from_secs(1));
    assert_eq!(server.beat("a farewell", |beat| beat.state == "STOPPING").shown, Shown::Certificate);

    // The next process has it from the disk, and a damaged one falls back on the credential and asks for another.
    let room = Room::start(settings.clone(), Identity::Enrolled(agent.clone(), credential.clone()));
    assert_eq!(server.beat("a beat of the next process", |beat| beat.state == "READY").shown, Shown::Certificate);
    room.stop();
    fs::write(&file, "nothing").unwrap();
    let room = Room::start(settings, Identity::Enrolled(agent, credential));
    let beat = server.beat("a beat without it", |beat| beat.shown == Shown::Credential);
    assert!(beat.asked, "{beat:?}");
    server.beat("a beat with the next one", |beat| beat.shown == Shown::Certificate && !beat.asked);
    room.stop();
}

#[test]
fn in_clear_there_is_no_certificate_and_the_credential_stays() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    let beat = server.beat("the first beat", |_| true);
    assert_eq!((beat.shown, beat.asked), (Shown::Credential, false));
    assert_eq!(fs::read_dir(&state.0).unwrap().count(), 0, "no key is made that nothing uses");
    room.stop();
}

#[test]
fn keys_for_commands_come_with_the_identity_and_without_one_that_can_be_read_there_is_none() {
    let good = "ops-1:6T4nqzplpfMGeCQJMMqlP+2oGG0g8/q9zy9A4+RQrVI=".to_owned();
    let keys = vec![good.clone(), "ops-2:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=;until=2099-01-01T00:00:00Z".to_owned()];
    let (state, server) = (Folder::new(), Server::start(|serve| serve.command_keys.clone_from(&keys)));
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    let came: Vec<String> = room.event("it is enrolled", |event| match event {
        Event::Enrolled(enrolment) => Some(enrolment.command_keys.iter().map(ToString::to_string).collect()),
        _ => None,
    });
    assert_eq!(came, keys);
    room.stop();
    for (bad, words) in [(vec![good.clone(), good], "two keys ops-1"), (vec!["ops-1:BASE64".to_owned()], "not the 44 characters")] {
        let server = Server::start(|serve| serve.command_keys = bad);
        let room = Room::start(settings(server.port(), &state, None), to_enrol());
        let reason = room.down("control_plane.answer");
        assert!(reason.contains("the answer to Enroll: command_public_keys: ") && reason.contains(words), "{reason}");
        room.stop();
    }
}

#[test]
fn a_lost_answer_does_not_use_up_the_token() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| {
        serve.issuing = Some(issuing(&authority));
        serve.token_use = TokenUse::Once;
    });
    server.imp.mischief.publish(Mischief::LoseAnswers);
    let settings = settings(server.port(), &state, Some(&authority.ca_file()));
    let salt = Uuid::new_v4();
    let room = Room::start(settings.clone(), Identity::ToEnrol { wish: None, salt });
    room.down("control_plane.away");
    room.stop();
    // Another process of the same host asks again, and is answered again.
    server.imp.mischief.publish(Mischief::None);
    let room = Room::start(settings.clone(), Identity::ToEnrol { wish: None, salt });
    room.enrolled();
    assert_eq!(server.beat("the first beat", |_| true).shown, Shown::Certificate);
    room.stop();
    // Another host finds the token used up.
    let other = Folder::new();
    let room = Room::start(Settings { state_dir: other.0.clone(), ..settings }, to_enrol());
    let reason = room.down("control_plane.unauthenticated");
    assert!(reason.contains("get a new one") && reason.contains("used already") && !reason.contains(TOKEN), "{reason}");
    room.stop();
}

#[test]
fn a_token_in_a_file_is_read_again_once_the_file_changes() {
    let (state, server) = (Folder::new(), Server::start(|_| {}));
    let file = state.0.join("token");
    let from_file = Settings { token: None, token_file: Some(file.clone()), ..settings(server.port(), &state, None) };
    let room = Room::start(from_file, to_enrol());
    room.down("control_plane.no_token");
    fs::write(&file, "wrong\n").unwrap();
    assert!(!room.down("control_plane.unauthenticated").contains("wrong"));
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    room.enrolled();
    room.up();
    room.stop();
}

#[test]
fn fields_that_the_agent_does_not_know_do_not_disturb_it() {
    let (state, server) = (Folder::new(), Server::start(|_| {}));
    server.imp.mischief.publish(Mischief::UnknownFields);
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    room.up();
    room.stop();
}
