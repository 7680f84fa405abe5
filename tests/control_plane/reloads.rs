//! Other settings for a running thread, as a reload brings them.

use crate::bed::*;
use axion_agent::control_plane::Settings;
use axion_agent::domain::Sensitive;
use std::time::{Duration, Instant};

/// A server that refuses is asked again after five minutes; a reload does not wait for that.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
fn a_token_and_a_ca_that_were_wrong_are_mended_without_a_restart() {
    let ((_ca, authority), (_other, other), state) = (authority(LONG), self::authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let wrong = Some(Sensitive::new("wrong".to_owned()));
    let room = Room::start(Settings { token: wrong, ..settings(server.port(), &state, Some(&other.ca_file())) }, to_enrol());
    room.down("control_plane.unknown_ca");
    room.reload(|settings| settings.ca_file = Some(authority.ca_file()));
    room.down("control_plane.unauthenticated");
    let mended = Instant::now();
    room.reload(|settings| settings.token = Some(Sensitive::new(TOKEN.to_owned())));
    room.enrolled();
    room.up();
    assert!(mended.elapsed() < AT_ONCE, "{:?}", mended.elapsed());

    // Also while the link is up: the next beat shows what is wrong now.
    room.reload(|settings| settings.ca_file = Some(other.ca_file()));
    room.down("control_plane.unknown_ca");
    room.reload(|settings| settings.ca_file = Some(authority.ca_file()));
    room.up();
    room.stop();
}
