//! Certificates that end, are renewed, replaced or revoked.

use crate::agents::{Clients, Issuing, Shown};
use crate::authority::ServerCertificate;
use crate::bed::*;
use axion_agent::control_plane::{Event, Identity, Settings};
use axion_agent::domain::{AgentId, LinkState};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The development control plane asks for a beat every 5 s: renewal falls on one, or comes early for it.
const SHORT: Duration = Duration::from_secs(9);

#[test]
fn certificates_of_seconds_are_renewed_and_no_beat_fails() {
    let ((_ca, authority), state) = (authority(SHORT), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let room = Room::start(settings(server.port(), &state, Some(&authority.ca_file())), to_enrol());
    room.enrolled();
    let file = state.0.join("control-plane.pem");
    let mut seen = vec![fs::read(&file).unwrap()];
    let end = Instant::now() + 4 * SHORT;
    while seen.len() < 4 {
        assert!(Instant::now() < end, "only {} certificates in {:?}", seen.len(), 4 * SHORT);
        let beat = server.beat("a beat", |_| true);
        assert_eq!(beat.shown, Shown::Certificate, "{beat:?}");
        let now = fs::read(&file).unwrap();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let downs: Vec<_> = room.events.try_iter().filter(|event| matches!(event, Event::Link(LinkState::Down(_)))).collect();
    assert!(downs.is_empty(), "{downs:?}");
    room.stop();
}

#[test]
fn an_agent_whose_certificate_ended_while_it_was_away_comes_back_with_its_credential() {
    let ((_ca, authority), state) = (authority(Duration::from_secs(3)), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let settings = settings(server.port(), &state, Some(&authority.ca_file()));
    let room = Room::start(settings.clone(), to_enrol());
    let (agent, credential) = room.enrolled();
    room.up();
    room.stop();
    let ended = SystemTime::now() + Duration::from_secs(4);
    until("the certificate is over", || SystemTime::now() > ended);
    let room = Room::start(settings, Identity::Enrolled(agent, credential));
    let beat = server.beat("a beat of the next process", |beat| beat.state == "READY" && beat.sequence == 1 && beat.asked);
    assert_eq!(beat.shown, Shown::Credential);
    server.beat("and then with the next certificate", |beat| beat.shown == Shown::Certificate);
    room.stop();
}

#[test]
fn a_certificate_that_an_operator_replaces_is_taken_up_without_a_restart() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let issuing = Issuing { authority: Arc::clone(&authority), server: ServerCertificate::Right, clients: Clients::Must };
    let server = Server::start(|serve| serve.issuing = Some(issuing));
    let files = (state.0.join("own.pem"), state.0.join("own.key"));
    let replace = |agent: &str, from: SystemTime, until: SystemTime| {
        let issued = authority.client(agent, from, until).unwrap();
        fs::write(&files.1, issued.key).unwrap();
        fs::write(&files.0, issued.certificate).unwrap();
    };
    let now = SystemTime::now();
    let settings =
        Settings { client_certificate: Some(files.clone()), token: None, ..settings(server.port(), &state, Some(&authority.ca_file())) };
    let room = Room::start(settings, Identity::Configured(AgentId::new("edge-7").unwrap(), None));
    // Each mistake is told from the last, and the right one is taken up.
    room.down("control_plane.files");
    replace("edge-7", now - 2 * LONG, now - LONG);
    room.down("control_plane.certificate_expired");
    replace("edge-8", now - LONG, now + LONG);
    let reason = room.down("control_plane.unauthenticated");
    assert!(reason.contains("edge-8"), "{reason}");
    replace("edge-7", now - LONG, now + LONG);
    room.up();
    assert_eq!(server.beat("a beat", |_| true).shown, Shown::Certificate);
    // Also while the link is up: the next connection shows the new one.
    replace("edge-8", now - LONG, now + LONG);
    room.down("control_plane.unauthenticated");
    room.stop();
}

#[test]
fn a_revoked_agent_is_told_so_and_let_in_again_when_it_asks_anew() {
    let ((ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let room = Room::start(settings(server.port(), &state, Some(&authority.ca_file())), to_enrol());
    room.enrolled();
    room.up();
    fs::write(ca.0.join("revoked"), "edge-7\n").unwrap();
    let reason = room.down("control_plane.unauthenticated");
    assert!(reason.contains("edge-7 was revoked") && reason.contains("let it in there"), "{reason}");
    fs::remove_file(ca.0.join("revoked")).unwrap();
    // The next try is minutes away; a reload of the configuration is heard at once.
    room.running.as_ref().unwrap().wake.try_send(()).unwrap();
    room.up();
    room.stop();
}
