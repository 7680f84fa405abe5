//! Heartbeats: their rhythm, and what they cost.

use crate::bed::*;
use crate::mischief::Mischief;
use std::time::{Duration, Instant};

/// What the development control plane asks for.
const PERIOD: Duration = Duration::from_secs(5);

#[test]
fn a_server_that_hangs_does_not_change_the_rhythm() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    room.up();
    server.beat("the first beat", |_| true);
    server.imp.mischief.publish(Mischief::Hang);
    room.down("control_plane.slow");
    let mut last = Instant::now();
    for _ in 0..2 {
        room.down("control_plane.slow");
        let since = last.elapsed();
        last = Instant::now();
        assert!((PERIOD.mul_f64(0.75)..=PERIOD.mul_f64(1.35)).contains(&since), "a beat failed after {since:?}, the period is {PERIOD:?}");
    }
    server.imp.mischief.publish(Mischief::None);
    let asked = Instant::now();
    room.up();
    assert!(asked.elapsed() < 2 * PERIOD, "{:?}", asked.elapsed());
    assert!(room.stop() < Duration::from_secs(2));
}

#[test]
fn a_stop_does_not_wait_for_a_server_that_hangs() {
    let state = Folder::new();
    let server = Server::start(|_| {});
    let room = Room::start(settings(server.port(), &state, None), to_enrol());
    room.enrolled();
    room.up();
    server.imp.mischief.publish(Mischief::Hang);
    // The farewell is the one call that is still made, and it has a second.
    let took = room.stop();
    assert!(took < Duration::from_millis(1500), "{took:?}");
}
